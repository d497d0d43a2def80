//! Tables that forget the oldest: half-open flows, and hosts.
//!
//! As in the tables of established flows (see [`super::Line`]'s module) a look-up is arithmetic and a few loads. But a key
//! has one row, of seven entries of its own, so that there is no list of free ones to be kept: what is added takes a free
//! place of its row, or that of what was added the longest time ago and is not in use just now. In front of the seven, in
//! the place of one more, is their [`Ring`]: on the same page, and often in the same cache line.
//!
//! A tag says whose entry it is. Who adds makes it [`CLAIMED`], writes the entry, and sets it: between these nobody finds it.
//! Who has found an entry may see it become another's under their hands, if seven others are added to the row at that
//! moment: so nothing is let pass for what an entry says, and a flow is established only if its tag is still there after
//! all of it was copied.

use super::flow::{Flow, Limit};
use super::records::Station;
use super::table::{Entry, WORDS4, WORDS6};

/// Entries of a row that can be taken.
pub const RING: usize = 7;

/// Entries of a row, the ring's place included.
pub const ROW: u32 = 8;

/// The tag of an entry that is being written; no key's.
pub const CLAIMED: u32 = 1;

/// What is in front of the entries of a row.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ring {
    /// Whose the entries are; 0 for nobody's.
    pub tags: [u32; RING],
    /// Who has to make place next, modulo [`ROW`]; the last of these is nobody.
    pub turn: u32,
}

const _: () = assert!(size_of::<Ring>() == size_of::<Entry<HOST_WORDS, Host>>());
const _: () = assert!(size_of::<Ring>() <= size_of::<Entry<WORDS4, Flow>>());
const _: () = assert!(size_of::<Ring>() <= size_of::<Entry<WORDS6, Flow>>());

/// The tag of a [`super::Search`]; not 0.
#[inline(always)]
pub const fn ring_tag(tag: u64) -> u32 {
    (tag >> 32) as u32
}

/// Words of a `member` as a key.
pub const HOST_WORDS: usize = 1;

/// What is known of a host that has spoken, by `member`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Host {
    /// Where it is.
    pub station: Station,
    /// How many flows it opens.
    pub limit: Limit,
}

const _: () = assert!(size_of::<Host>() == 24);
