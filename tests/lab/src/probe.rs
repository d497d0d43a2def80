//! What every message of a flow carries, so that each can be told from every other.

/// The number of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its flow, from 0, by its place in the report.
    pub flow: u32,
    /// Its number in the flow, from 0.
    pub number: u64,
    /// When it was sent: nanoseconds since the epoch.
    pub sent: u64,
}

const MARK: [u8; 4] = *b"CLAB";

impl Probe {
    /// Bytes of a probe.
    pub const LENGTH: usize = 24;

    /// Puts it at the beginning of a message, which is at least as long.
    pub(crate) fn write(&self, message: &mut [u8]) {
        message[..4].copy_from_slice(&MARK);
        message[4..8].copy_from_slice(&self.flow.to_be_bytes());
        message[8..16].copy_from_slice(&self.number.to_be_bytes());
        message[16..24].copy_from_slice(&self.sent.to_be_bytes());
    }

    /// Reads it back; none if there is none.
    pub(crate) fn read(message: &[u8]) -> Option<Probe> {
        let (mark, rest) = message.split_first_chunk::<4>()?;
        let (flow, rest) = rest.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (sent, _) = rest.split_first_chunk::<8>()?;
        (*mark == MARK).then(|| Probe {
            flow: u32::from_be_bytes(*flow),
            number: u64::from_be_bytes(*number),
            sent: u64::from_be_bytes(*sent),
        })
    }
}
