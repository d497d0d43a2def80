//! Copies that are made one by one: of what is flooded in a segment that has several attachments at one port, or a proxy.
//!
//! XDP cannot make two copies for one port. The XDP program takes the tags off such a frame, puts a [`Copying`] in front of
//! it and passes it on; a tc program behind it makes the copies, and nothing goes farther up the host's stack.

/// How copies of a flooded frame are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Copies {
    /// [`Copies::ONE_BY_ONE`] and its neighbours; 0: one a port.
    pub flags: u8,
    /// Priority bits that copies leave with: of an outer, or only, tag in the upper half, of an inner in the lower.
    pub priority: u8,
    /// The attachment it came in at.
    pub ingress: u16,
}

impl Copies {
    /// One for each other port where the segment is attached.
    pub const BY_PORT: Copies = Copies {
        flags: 0,
        priority: 0,
        ingress: 0,
    };
    /// One for each attachment of the segment.
    pub const ONE_BY_ONE: u8 = 1;
    /// The ingress attachment included.
    pub const BACK: u8 = 2;
    /// Not by uplinks; of a [`Copying`] only.
    pub const INSIDE: u8 = 4;

    /// [`Copies::priority`] of the priority bits for an outer tag and for an inner.
    #[inline(always)]
    pub const fn priority(outer: u16, inner: u16) -> u8 {
        (outer >> 8 | inner >> 12) as u8
    }

    /// The priority bits for an outer, or only, tag, and for an inner, each where they are in a tag.
    #[inline(always)]
    pub const fn priorities(self) -> (u16, u16) {
        let both = self.priority as u16;
        ((both & 0xf0) << 8, (both & 0x0f) << 12)
    }

    /// Whether copies are made one by one.
    #[inline(always)]
    pub const fn are_one_by_one(self) -> bool {
        self.flags & Copies::ONE_BY_ONE != 0
    }
}

/// What is in front of a frame that is to be copied, for the tc program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Copying {
    /// [`Copying::MAGIC`].
    pub magic: u32,
    /// The epoch it was judged under: under another, no copy leaves.
    pub epoch: u32,
    /// Another in every frame: the kernel must not merge two (GRO), and does not where this differs.
    pub number: u32,
    /// The segment.
    pub segment: u16,
    /// Where it came in, and the priority it had.
    pub copies: Copies,
    /// The slot it was judged by.
    pub slot: u8,
    /// Zero.
    pub pad: u8,
}

impl Copying {
    /// "CRDN", so that what anybody else put in front of a frame is not taken for this.
    pub const MAGIC: u32 = 0x4352_444e;
}

/// An attachment that copies may leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct CopyTo {
    /// The [`super::place`].
    pub place: u32,
    /// The attachment's number.
    pub attachment: u16,
    /// [`CopyTo::UPLINK`] and its neighbour.
    pub flags: u16,
}

impl CopyTo {
    /// It is at an uplink.
    pub const UPLINK: u16 = 1;
    /// The outer of its two tags has EtherType 0x8100.
    pub const OUTER_8021Q: u16 = 2;

    /// EtherType of the outer of two tags.
    #[inline(always)]
    pub const fn outer_type(self) -> u16 {
        match self.flags & CopyTo::OUTER_8021Q {
            0 => 0x88a8,
            _ => 0x8100,
        }
    }

    /// Whether a copy of such a frame leaves there.
    #[inline(always)]
    pub const fn gets(self, copies: Copies) -> bool {
        let back = self.attachment == copies.ingress && copies.flags & Copies::BACK == 0;
        let outside = self.flags & CopyTo::UPLINK != 0 && copies.flags & Copies::INSIDE != 0;
        !back && !outside
    }
}

/// The attachments of a segment in the list of [`CopyTo`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Span {
    /// The first, as an index within the slot's half of the list.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// The index of the table of [`Span`]s.
#[inline(always)]
pub const fn span_index(slot: u8, segment: u16) -> u32 {
    (slot as u32) << 12 | segment as u32 & 0xfff
}

/// The index of the list of [`CopyTo`]s.
#[inline(always)]
pub const fn copy_index(slot: u8, at: u32) -> u32 {
    (slot as u32) << 16 | at & 0xffff
}

const _: () = assert!(size_of::<Copies>() == 4);
const _: () = assert!(size_of::<Copying>() == 20);
const _: () = assert!(size_of::<CopyTo>() == 8);
const _: () = assert!(size_of::<Span>() == 8);
