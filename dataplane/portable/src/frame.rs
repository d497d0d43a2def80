//! A frame in memory, as the decision function reads and rewrites it.

use cordon_verdict::{Frame, HEAD, Head};

/// A frame that owns its bytes.
#[derive(Clone, Debug)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// Copies a frame, which starts at its destination MAC address.
    pub fn new(frame: &[u8]) -> Bytes {
        Bytes(frame.to_vec())
    }

    /// The bytes of the frame.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        self.0.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        Some(())
    }
}

impl Frame for Bytes {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn u8(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.read(at).map(u16::from_be_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.read(at).map(u32::from_be_bytes)
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.read(at).map(u64::from_be_bytes)
    }

    fn head(&self) -> Option<impl Head + use<>> {
        self.read(0).map(FirstBytes)
    }

    fn set_u16(&mut self, at: usize, value: u16) -> Option<()> {
        self.write(at, &value.to_be_bytes())
    }

    fn set_u32(&mut self, at: usize, value: u32) -> Option<()> {
        self.write(at, &value.to_be_bytes())
    }

    fn set_u64(&mut self, at: usize, value: u64) -> Option<()> {
        self.write(at, &value.to_be_bytes())
    }

    fn shift(&mut self, by: i32) -> Option<()> {
        let bytes = by.unsigned_abs() as usize;
        if by < 0 {
            self.0.splice(0..0, std::iter::repeat_n(0, bytes));
        } else if bytes <= self.0.len() {
            self.0.drain(0..bytes);
        } else {
            return None;
        }
        Some(())
    }
}

/// A copy of the first [`HEAD`] bytes of a frame.
#[derive(Clone, Copy)]
struct FirstBytes([u8; HEAD]);

impl FirstBytes {
    fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        // The decision function reads within HEAD bytes only, so that the default is never used.
        self.0
            .get(at..)
            .and_then(|from| from.first_chunk())
            .copied()
            .unwrap_or([0; N])
    }
}

impl Head for FirstBytes {
    fn u8(self, at: usize) -> u8 {
        u8::from_be_bytes(self.read(at))
    }

    fn u16(self, at: usize) -> u16 {
        u16::from_be_bytes(self.read(at))
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_be_bytes(self.read(at))
    }

    fn u64(self, at: usize) -> u64 {
        u64::from_be_bytes(self.read(at))
    }
}
