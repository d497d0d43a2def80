//! Tables that evict the oldest entry: half-open flows, and hosts.
//!
//! As in the tables of established flows (see [`super::Line`]'s module) a look-up is arithmetic and a few loads. But a
//! key hashes to one bucket of seven entries, so that no free list is needed: a new entry takes a free slot of its
//! bucket, or that of the entry that was added first and is not in use just now. The bucket's [`BucketHeader`] is in
//! front of the seven entries, in the space of one more: on the same page, and often in the same cache line.
//!
//! A tag in the header says which key an entry belongs to. A writer sets the tag to [`CLAIMED`], writes the entry, and
//! sets the key's tag: in between no look-up finds the entry. A reader may see an entry given to another key, if seven
//! others are added to the bucket meanwhile. So no packet passes by such an entry alone, and a flow is established only
//! if its tag is unchanged after the entry was copied.

use super::flow::{Flow, Limit};
use super::records::Station;
use super::table::{Entry, WORDS4, WORDS6};

/// Entries of a bucket.
pub const BUCKET_ENTRIES: usize = 7;

/// Distance between buckets in entries: a bucket's entries and its header.
pub const BUCKET_STRIDE: u32 = 8;

/// The tag of an entry that is being written. No key has this tag.
pub const CLAIMED: u32 = 1;

/// The header in front of the entries of a bucket.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BucketHeader {
    /// The tags of the entries; 0 for a free entry.
    pub tags: [u32; BUCKET_ENTRIES],
    /// The entry to evict next, modulo [`BUCKET_STRIDE`]; the last value is no entry's.
    pub victim: u32,
}

const _: () = assert!(size_of::<BucketHeader>() == size_of::<Entry<HOST_WORDS, Host>>());
const _: () = assert!(size_of::<BucketHeader>() <= size_of::<Entry<WORDS4, Flow>>());
const _: () = assert!(size_of::<BucketHeader>() <= size_of::<Entry<WORDS6, Flow>>());

/// The header's tag for the [`super::Search::tag`] of a key; not 0.
#[inline(always)]
pub const fn bucket_tag(tag: u64) -> u32 {
    (tag >> 32) as u32
}

/// Words of an `fdb_key` as a key.
pub const HOST_WORDS: usize = 1;

/// A host that has sent, by `fdb_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Host {
    /// Its FDB entry.
    pub station: Station,
    /// Its rate counters.
    pub limit: Limit,
}

const _: () = assert!(size_of::<Host>() == 24);
