//! The header of every message of a flow: it identifies the message.

/// Flow, sequence number and time of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Index of its flow in the report.
    pub flow: u32,
    /// Sequence number in the flow, from 0.
    pub number: u64,
    /// When it was sent: nanoseconds since the epoch.
    pub sent: u64,
}

const MAGIC: [u8; 4] = *b"CLAB";

impl Probe {
    /// Length in bytes.
    pub const LENGTH: usize = 24;

    /// Writes it to the beginning of a message of at least [`Probe::LENGTH`] bytes.
    pub(crate) fn write(&self, message: &mut [u8]) {
        message[..4].copy_from_slice(&MAGIC);
        message[4..8].copy_from_slice(&self.flow.to_be_bytes());
        message[8..16].copy_from_slice(&self.number.to_be_bytes());
        message[16..24].copy_from_slice(&self.sent.to_be_bytes());
    }

    /// Reads the probe of a message, if it has one.
    pub(crate) fn read(message: &[u8]) -> Option<Probe> {
        let (magic, rest) = message.split_first_chunk::<4>()?;
        let (flow, rest) = rest.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (sent, _) = rest.split_first_chunk::<8>()?;
        (*magic == MAGIC).then(|| Probe {
            flow: u32::from_be_bytes(*flow),
            number: u64::from_be_bytes(*number),
            sent: u64::from_be_bytes(*sent),
        })
    }
}
