//! What the decision may do with a frame.

/// A frame, from its destination MAC address on, without the frame check sequence.
///
/// Offsets and lengths are in bytes. Loads are in network order and bounds-checked: `None` means that the
/// frame ends before the last byte asked for.
pub trait Frame {
    /// Length of the frame.
    fn len(&self) -> usize;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One byte.
    fn u8(&self, at: usize) -> Option<u8>;

    /// Two bytes.
    fn u16(&self, at: usize) -> Option<u16>;

    /// Four bytes.
    fn u32(&self, at: usize) -> Option<u32>;

    /// Eight bytes.
    fn u64(&self, at: usize) -> Option<u64>;

    /// The first [`HEAD`] bytes, if the frame is as long: compared once, and not for every load.
    fn head(&self) -> Option<impl Head + use<Self>>;

    /// Overwrites two bytes.
    fn set_u16(&mut self, at: usize, value: u16) -> Option<()>;

    /// Overwrites four bytes.
    fn set_u32(&mut self, at: usize, value: u32) -> Option<()>;

    /// Overwrites eight bytes.
    fn set_u64(&mut self, at: usize, value: u64) -> Option<()>;

    /// Has the frame start `by` bytes later, or earlier if that is negative. What is then in front is not defined.
    fn shift(&mut self, by: i32) -> Option<()>;
}

/// Bytes that [`Frame::head`] shows: Ethernet with a tag, IPv4 and TCP without options.
pub const HEAD: usize = 58;

/// The front of a frame. Loads are in network order, at constant offsets: what is loaded ends by [`HEAD`].
pub trait Head: Copy {
    /// One byte.
    fn u8(self, at: usize) -> u8;

    /// Two bytes.
    fn u16(self, at: usize) -> u16;

    /// Four bytes.
    fn u32(self, at: usize) -> u32;

    /// Eight bytes.
    fn u64(self, at: usize) -> u64;
}
