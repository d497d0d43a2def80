//! The tables of established flows: a hash index of cache lines, and an array of entries.
//!
//! A look-up in a kernel hash map costs several calls. On processors with expensive returns (with the mitigation of
//! AMD's speculative return stack overflow) it costs more than the rest of an established packet. Here a look-up is
//! arithmetic and three loads: a line of the index, the entry's key, the flow.
//!
//! A word of the index has the tag of a key and the number of its entry. It is in the first of two lines that the key's
//! hash selects, or in the second if the first was full ([`OVERFLOW`]). No line has two words with the same tag. A new
//! entry comes from the free list, or from the entries that were never used; it is filled, then *published* by a
//! compare-and-swap of a word from [`EMPTY`]. Only user space frees entries: it withdraws the word, and waits until no
//! packet can use the entry.

use super::flow::{Flow, FlowKey4, FlowKey6};

/// Words of a line of the index.
pub const WAYS: usize = 8;

/// A line of the index.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Line(pub [u64; WAYS]);

/// An unused word of the index.
pub const EMPTY: u64 = 0;

/// The half of a word with the tag of the key; the other half is the entry's number.
pub const TAG: u64 = !0 << 32;

/// Bit in the last word of a line, used or not: the line was full once, so some of its keys may be in their second
/// line. It is never cleared. Without it a look-up need not read the second line.
pub const OVERFLOW: u64 = 1 << 62;

/// An entry with a key of `W` words. In these tables the value is a flow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry<const W: usize, V> {
    /// The key.
    pub key: [u64; W],
    /// The value.
    pub value: V,
}

impl<const W: usize, V> Entry<W, V> {
    /// Whether this is the entry of a key.
    // Not `==`: that is a call, for which the stack has no room left on Linux 6.1.
    #[inline(always)]
    pub fn has_key(&self, key: &[u64; W]) -> bool {
        let pairs = self.key.iter().zip(key);
        pairs.fold(0, |all, (one, other)| all | (one ^ other)) == 0
    }
}

/// Words of a [`FlowKey4`].
pub const WORDS4: usize = 2;
/// Words of a [`FlowKey6`].
pub const WORDS6: usize = 5;

const _: () = assert!(size_of::<Line>() == 64);
const _: () = assert!(size_of::<Entry<WORDS4, Flow>>() == 80);
const _: () = assert!(size_of::<Entry<WORDS6, Flow>>() == 104);

/// Lines of an index for `flows` flows: at most half full, so that both lines of a flow are hardly ever full.
pub const fn lines(flows: u32) -> u32 {
    let lines = flows.div_ceil(WAYS as u32 / 2);
    if lines > 1 << 24 {
        1 << 24
    } else {
        lines.next_power_of_two()
    }
}

/// Where a key is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The two lines.
    pub lines: [u32; 2],
    /// The [`TAG`] half of the key's word; not [`EMPTY`].
    pub tag: u64,
}

/// Where a key is looked up. `seed` is random for each table, so that no sender can choose keys that collide; `mask` is
/// the number of lines less one.
#[inline(always)]
pub fn search<const W: usize>(key: &[u64; W], seed: u64, mask: u32) -> Search {
    let mut hash = seed;
    for word in key {
        hash = (hash ^ *word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    let more = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    Search {
        lines: [(more >> 40) as u32 & mask, (more >> 16) as u32 & mask],
        tag: hash << 32 & !OVERFLOW | 1 << 63,
    }
}

impl FlowKey4 {
    /// As words.
    #[inline(always)]
    pub const fn words(&self) -> [u64; WORDS4] {
        [
            self.address[0] as u64 | (self.address[1] as u64) << 32,
            self.ports as u64 | (self.rest as u64) << 32,
        ]
    }

    /// From words.
    pub const fn from_words(words: [u64; WORDS4]) -> FlowKey4 {
        FlowKey4 {
            address: [words[0] as u32, (words[0] >> 32) as u32],
            ports: words[1] as u32,
            rest: (words[1] >> 32) as u32,
        }
    }
}

impl FlowKey6 {
    /// As [`FlowKey4::words`].
    #[inline(always)]
    pub const fn words(&self) -> [u64; WORDS6] {
        let [first, second] = self.address;
        let ports = self.port[0] as u64 | (self.port[1] as u64) << 16;
        let rest =
            self.segment as u64 | (self.protocol as u64) << 16 | (self.requester as u64) << 24;
        [first.hi, first.lo, second.hi, second.lo, ports | rest << 32]
    }

    /// From words.
    pub const fn from_words(words: [u64; WORDS6]) -> FlowKey6 {
        use crate::address::Ip;
        let [hi0, lo0, hi1, lo1, last] = words;
        FlowKey6 {
            address: [Ip { hi: hi0, lo: lo0 }, Ip { hi: hi1, lo: lo1 }],
            port: [last as u16, (last >> 16) as u16],
            segment: (last >> 32) as u16,
            protocol: (last >> 48) as u8,
            requester: (last >> 56) as u8,
        }
    }
}
