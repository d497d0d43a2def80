//! The verdict over in-memory tables: what the XDP program decides, decided in user space by the same
//! function.
//!
//! [`Generation`] is the image of one policy: the compiler makes it, [`Portable`] judges by it, and the
//! kernel loader writes it into maps.

mod change;
mod frame;
mod generation;
mod table;
mod tables;

pub use change::Change;
pub use frame::Bytes;
pub use generation::{Generation, Prefix};
pub use table::Table;
pub use tables::Memory;

use cordon_verdict::abi::Control;
use cordon_verdict::{Egress, Outcome};

/// A gateway in memory.
#[derive(Clone, Debug, Default)]
pub struct Portable {
    /// The tables, open to inspection.
    pub memory: Memory,
}

/// What became of a frame, and what leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict, the rule, the control word.
    pub outcome: Outcome,
    /// The frames that leave, each with the port it leaves by.
    pub leaving: Vec<(u16, Vec<u8>)>,
}

impl Portable {
    /// Puts a policy into force at a posture: the next packet is judged by it. Flows stay, and are judged
    /// again.
    pub fn install(&mut self, generation: Generation, posture: u8) {
        let Control {
            epoch, slot, tick, ..
        } = self.memory.control;
        let slot = slot ^ 1;
        self.memory.slots[slot as usize] = generation;
        self.memory.control = Control {
            epoch: epoch + 1,
            tick,
            posture,
            slot,
        };
    }

    /// Changes the posture.
    pub fn set_posture(&mut self, posture: u8) {
        let control = self.memory.control;
        self.memory.control = Control {
            epoch: control.epoch + 1,
            posture,
            ..control
        };
    }

    /// Judges a frame that came in on `port`.
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Judged {
        let mut bytes = Bytes::new(frame);
        let outcome = cordon_verdict::judge(&mut bytes, &mut self.memory, port);
        let leaving = match outcome.verdict {
            Err(_) => Vec::new(),
            Ok(Egress::Attachment(attachment)) => {
                vec![(
                    cordon_verdict::abi::attachment_port(attachment),
                    bytes.into_vec(),
                )]
            }
            Ok(Egress::Flood { inside, .. }) => self.flooded(port, frame, inside),
        };
        Judged { outcome, leaving }
    }

    fn flooded(&self, ingress: u16, frame: &[u8], inside: bool) -> Vec<(u16, Vec<u8>)> {
        let others = (0..cordon_verdict::abi::PORTS as u16).filter(|port| *port != ingress);
        others
            .filter_map(|egress| {
                let mut copy = Bytes::new(frame);
                cordon_verdict::flood_copy(&mut copy, &self.memory, ingress, egress, inside)
                    .ok()?;
                Some((egress, copy.into_vec()))
            })
            .collect()
    }
}
