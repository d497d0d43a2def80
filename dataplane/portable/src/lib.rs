//! Simulates the gateway in user space: the decision function of the XDP program, over tables in memory.
//!
//! [`Portable`] judges frames by a [`Generation`], which the compiler wrote.

mod frame;
mod memory;

pub use frame::Bytes;
pub use memory::Memory;

use cordon_tables::Generation;
use cordon_verdict::abi::{Control, CopyMetadata, PORTS, location_port};
use cordon_verdict::{Egress, Outcome};

/// A simulated gateway.
#[derive(Clone, Debug, Default)]
pub struct Portable {
    /// The tables. Public, so that a caller can inspect and change them.
    pub memory: Memory,
}

/// The outcome for one frame, and the frames that leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict, the rule, the control word.
    pub outcome: Outcome,
    /// The egress port and the bytes of each frame that leaves.
    pub leaving: Vec<(u16, Vec<u8>)>,
}

impl Portable {
    /// Puts a generation and a posture into force for the next frame. Flows stay; each is judged again at its next packet.
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

    /// Puts a posture into force for the next frame.
    pub fn set_posture(&mut self, posture: u8) {
        let control = self.memory.control;
        // Epoch 0 means that there is no policy yet; a posture alone must not end that.
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

    /// Judges a frame that arrives at `port`.
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Judged {
        let mut bytes = Bytes::new(frame);
        let outcome = cordon_verdict::judge(&mut bytes, &mut self.memory, port);
        let control = outcome.control;
        let generation = &self.memory.slots[usize::from(control.slot & 1)];
        let leaving = match outcome.verdict {
            Err(_) => Vec::new(),
            Ok(Egress::Attachment(attachment)) => {
                let port = location_port(generation.location(attachment));
                vec![(port, bytes.into_vec())]
            }
            Ok(Egress::Flood {
                segment,
                inside,
                copies,
            }) if copies.are_per_attachment() => {
                let metadata = CopyMetadata::new(control, segment, inside, copies);
                copied(generation, &metadata, &bytes.into_vec())
            }
            Ok(Egress::Flood { inside, .. }) => self.flooded(port, &bytes.into_vec(), inside),
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

/// The copies of a frame that was prepared for copying one by one, each with its egress port. In the kernel the tc program
/// makes them.
pub fn copied(
    generation: &Generation,
    copying: &CopyMetadata,
    frame: &[u8],
) -> Vec<(u16, Vec<u8>)> {
    let list = generation
        .copies
        .get(&copying.segment)
        .into_iter()
        .flatten();
    list.filter_map(|number| {
        let to = generation.copy_to(*number, generation.location(*number));
        if !to.gets(copying.copies) {
            return None;
        }
        let mut copy = Bytes::new(frame);
        let port = cordon_verdict::attachment_copy(&mut copy, to, copying.copies).ok()?;
        Some((port, copy.into_vec()))
    })
    .collect()
}
