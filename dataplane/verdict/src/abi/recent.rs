//! Tables that forget the oldest: half-open flows, and hosts.
//!
//! As in the tables of established flows (see [`super::Line`]'s module) a look-up is arithmetic and a few loads. But a key
//! has one line, and the line eight entries of its own, so that there is nothing to give out and nothing to take back: what
//! is added takes the place of what was added the longest time ago in its line.
//!
//! A tag says whose entry it is. Who adds takes it away, writes the entry, and sets it: between these nobody finds it. Who
//! has found an entry may see it become another's, and looks at the tag once more before acting on what must not be mixed
//! up.

use super::flow::Limit;
use super::records::Station;
use super::table::WAYS;

/// A line of the index.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Ring {
    /// Whose the entries are; 0 for nobody's.
    pub tags: [u32; WAYS],
    /// How many were added; the next takes the place of this one, modulo [`WAYS`].
    pub turn: u32,
    /// Zero.
    pub pad: [u32; 7],
}

const _: () = assert!(size_of::<Ring>() == 64);

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
