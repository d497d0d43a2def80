//! The verdict over in-memory tables: what the XDP program decides, decided in user space by the same
//! function.
//!
//! [`Generation`] is the image of one policy: the compiler makes it, [`Portable`] judges by it, and the
//! kernel loader writes it into maps.

mod change;
mod frame;
mod generation;
mod policy;
mod table;
mod tables;

pub use change::Change;
pub use frame::Bytes;
pub use generation::{Generation, Prefix};
pub use policy::PolicyTable;
pub use table::Table;
pub use tables::Memory;

use cordon_verdict::abi::{Control, Copies, CopyMetadata, PORTS, location_port};
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
        // Without a policy there is nothing that a posture could open or close.
        let epoch = match control.epoch {
            0 => 0,
            epoch => epoch + 1,
        };
        self.memory.control = Control {
            epoch,
            posture,
            ..control
        };
    }

    /// Judges a frame that came in on `port`.
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Judged {
        let mut bytes = Bytes::new(frame);
        let outcome = cordon_verdict::judge(&mut bytes, &mut self.memory, port);
        let control = outcome.control;
        let generation = &self.memory.slots[usize::from(control.slot & 1)];
        let leaving = match outcome.verdict {
            Err(_) => Vec::new(),
            Ok(Egress::Attachment(attachment)) => {
                let port = location_port(generation.place(attachment));
                vec![(port, bytes.into_vec())]
            }
            Ok(Egress::Flood {
                segment,
                inside,
                copies,
            }) if copies.are_per_attachment() => {
                let copying = copying(control, segment, inside, copies);
                copied(generation, &copying, &bytes.into_vec())
            }
            Ok(Egress::Flood { inside, .. }) => self.flooded(port, frame, inside),
        };
        Judged { outcome, leaving }
    }

    fn flooded(&self, ingress: u16, frame: &[u8], inside: bool) -> Vec<(u16, Vec<u8>)> {
        let others = (0..PORTS as u16).filter(|port| *port != ingress);
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

/// What the data plane puts in front of a frame that is copied one by one.
fn copying(control: Control, segment: u16, inside: bool, copies: Copies) -> CopyMetadata {
    let inside = if inside { Copies::INSIDE } else { 0 };
    CopyMetadata {
        magic: CopyMetadata::MAGIC,
        epoch: control.epoch,
        number: 0,
        segment,
        copies: Copies {
            flags: copies.flags | inside,
            ..copies
        },
        slot: control.slot,
        pad: 0,
    }
}

/// The copies, each with the port it leaves by, of a frame that was readied for copies one by one: what a tc program does
/// in the kernel.
pub fn copied(generation: &Generation, copying: &CopyMetadata, frame: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let list = generation
        .copies
        .get(&copying.segment)
        .into_iter()
        .flatten();
    list.filter_map(|number| {
        let to = generation.copy_to(*number, generation.place(*number));
        if !to.gets(copying.copies) {
            return None;
        }
        let mut copy = Bytes::new(frame);
        let port = cordon_verdict::attachment_copy(&mut copy, to, copying.copies).ok()?;
        Some((port, copy.into_vec()))
    })
    .collect()
}
