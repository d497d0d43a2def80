//! Copies per attachment: for flooding in a segment that has several attachments at one port, or a proxy.
//!
//! XDP cannot make two copies of a frame for one port. The XDP program removes the tags of such a frame, writes a
//! [`CopyMetadata`] in front of it and passes it up; a tc program makes the copies and drops the frame, so that no
//! frame reaches the host's stack.

use super::Control;

/// How copies of a flooded frame are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Copies {
    /// Of [`Copies::PER_ATTACHMENT`], [`Copies::HAIRPIN`], [`Copies::INSIDE`]; 0: one copy per port.
    pub flags: u8,
    /// Priority bits of the copies: those of an outer, or only, tag in the upper half, those of an inner tag in the
    /// lower.
    pub priority: u8,
    /// The ingress attachment.
    pub ingress: u16,
}

impl Copies {
    /// One copy for each other port where the segment is attached.
    pub const PER_PORT: Copies = Copies {
        flags: 0,
        priority: 0,
        ingress: 0,
    };
    /// One copy for each attachment of the segment.
    pub const PER_ATTACHMENT: u8 = 1;
    /// One for the ingress attachment too.
    pub const HAIRPIN: u8 = 2;
    /// No copies by uplinks; in a [`CopyMetadata`] only.
    pub const INSIDE: u8 = 4;

    /// [`Copies::priority`] from the priority bits of an outer and of an inner tag.
    #[inline(always)]
    pub const fn priority(outer: u16, inner: u16) -> u8 {
        (outer >> 8 | inner >> 12) as u8
    }

    /// The priority bits of an outer, or only, tag and of an inner tag, each at its position in a tag.
    #[inline(always)]
    pub const fn priorities(self) -> (u16, u16) {
        let both = self.priority as u16;
        ((both & 0xf0) << 8, (both & 0x0f) << 12)
    }

    /// Whether copies are made per attachment.
    #[inline(always)]
    pub const fn are_per_attachment(self) -> bool {
        self.flags & Copies::PER_ATTACHMENT != 0
    }
}

/// XDP metadata in front of a frame that the tc program copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CopyMetadata {
    /// [`CopyMetadata::MAGIC`].
    pub magic: u32,
    /// The epoch under which the frame was judged: under another, no copy leaves.
    pub epoch: u32,
    /// Different in every frame: GRO must not merge two, and does not if their metadata differ.
    pub number: u32,
    /// The segment.
    pub segment: u16,
    /// Ingress, flags and priority.
    pub copies: Copies,
    /// The slot by which the frame was judged.
    pub slot: u8,
    /// Zero.
    pub pad: u8,
}

impl CopyMetadata {
    /// "CRDN": distinguishes this from the metadata of other programs.
    pub const MAGIC: u32 = 0x4352_444e;

    /// The metadata of a frame that was judged under `control` and is to be copied within `segment`.
    #[inline(always)]
    pub const fn new(control: Control, segment: u16, inside: bool, copies: Copies) -> CopyMetadata {
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
}

/// An attachment by which copies may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct CopyTarget {
    /// The attachment's [`super::location`].
    pub location: u32,
    /// The attachment's number.
    pub attachment: u16,
    /// Of [`CopyTarget::UPLINK`], [`CopyTarget::OUTER_8021Q`].
    pub flags: u16,
}

impl CopyTarget {
    /// The attachment is at an uplink.
    pub const UPLINK: u16 = 1;
    /// The outer of two tags has EtherType 0x8100 there; else 0x88a8.
    pub const OUTER_8021Q: u16 = 2;

    /// EtherType of the outer of two tags.
    #[inline(always)]
    pub const fn outer_type(self) -> u16 {
        match self.flags & CopyTarget::OUTER_8021Q {
            0 => 0x88a8,
            _ => 0x8100,
        }
    }

    /// Whether a frame with these [`Copies`] leaves by this attachment.
    #[inline(always)]
    pub const fn gets(self, copies: Copies) -> bool {
        let ingress = self.attachment == copies.ingress && copies.flags & Copies::HAIRPIN == 0;
        let outside = self.flags & CopyTarget::UPLINK != 0 && copies.flags & Copies::INSIDE != 0;
        !ingress && !outside
    }
}

/// The attachments of a segment: a range of the list of [`CopyTarget`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Span {
    /// The first, as an index within the slot's half of the list.
    pub first: u32,
    /// Their number.
    pub count: u32,
}

/// The index of the table of [`Span`]s.
#[inline(always)]
pub const fn span_index(slot: u8, segment: u16) -> u32 {
    (slot as u32) << 12 | segment as u32 & 0xfff
}

/// The index of the list of [`CopyTarget`]s.
#[inline(always)]
pub const fn copy_index(slot: u8, at: u32) -> u32 {
    (slot as u32) << 16 | at & 0xffff
}

const _: () = assert!(size_of::<Copies>() == 4);
const _: () = assert!(size_of::<CopyMetadata>() == 20);
const _: () = assert!(size_of::<CopyTarget>() == 8);
const _: () = assert!(size_of::<Span>() == 8);
