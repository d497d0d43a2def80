//! Access to a frame: bounds-checked loads and stores.

/// A frame, from its destination MAC address on, without the frame check sequence.
///
/// Offsets and lengths are in bytes. Loads are in network order and bounds-checked: `None` means that the
/// frame ends before the last byte asked for.
pub trait Frame {
    /// Length of the frame.
    fn len(&self) -> usize;

    /// Whether the frame has no bytes.
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

    /// The first [`HEAD`] bytes, if the frame has as many: one bounds check for all loads.
    fn head(&self) -> Option<impl Head + use<Self>>;

    /// Overwrites two bytes.
    fn set_u16(&mut self, at: usize, value: u16) -> Option<()>;

    /// Overwrites four bytes.
    fn set_u32(&mut self, at: usize, value: u32) -> Option<()>;

    /// Overwrites eight bytes.
    fn set_u64(&mut self, at: usize, value: u64) -> Option<()>;

    /// Moves the start of the frame `by` bytes later, or earlier if negative. Bytes that are added are undefined.
    fn shift(&mut self, by: i32) -> Option<()>;
}

/// Bytes of [`Frame::head`]: Ethernet with a tag, IPv4 and TCP without options.
pub const HEAD: usize = 58;

/// The first [`HEAD`] bytes of a frame. Loads are in network order, at constant offsets, and must end by [`HEAD`].
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
