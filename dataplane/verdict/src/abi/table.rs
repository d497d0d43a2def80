//! The tables of established flows: an index of cache lines, and entries beside it.
//!
//! A hash map of the kernel's costs several calls for every look-up, and where the processor makes returning expensive
//! (as the mitigation of AMD's speculative return stack overflow does) more than all the rest of an established packet.
//! Here a look-up is arithmetic and three loads: a line of the index, the entry's key, the flow.
//!
//! A word of the index says whose entry is where. It is in the first of two lines that the key's hash names, or in the
//! second if that was full ([`OVERFLOW`]); and no line has two words with one tag. An entry is taken from the spare ones, or from those that were never used; filled; and
//! *published* by a compare-and-swap of a word from [`EMPTY`]. User space alone makes entries spare again: it withdraws
//! the word, and waits until no packet can be using the entry.

use super::flow::{Flow, FlowKey4, FlowKey6};

/// Words of a line of the index.
pub const WAYS: usize = 8;

/// A line of the index.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Line(pub [u64; WAYS]);

/// A word of the index that says nothing.
pub const EMPTY: u64 = 0;

/// The half of a word that tells keys apart; the other half is the entry's number.
pub const TAG: u64 = !0 << 32;

/// In the last word of a line, whatever else that says: the line was full once, and some of its keys may be in the other
/// line that they have. Where it is not, nobody need look there; and it is never taken away.
pub const OVERFLOW: u64 = 1 << 62;

/// What is kept under a key of `W` words: a flow, in these tables.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry<const W: usize, V> {
    /// Whose it is.
    pub key: [u64; W],
    /// What is kept.
    pub value: V,
}

impl<const W: usize, V> Entry<W, V> {
    /// Whether it is this one's.
    // Not `==`: that is a call, for which Linux 6.1 has no room on the stack left.
    #[inline(always)]
    pub fn is_of(&self, key: &[u64; W]) -> bool {
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

/// Lines of the index of so many flows: at most half full, so that hardly any flow finds no room in both of its lines.
pub const fn lines(flows: u32) -> u32 {
    let lines = flows.div_ceil(WAYS as u32 / 2);
    if lines > 1 << 24 {
        1 << 24
    } else {
        lines.next_power_of_two()
    }
}

/// Where a key is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The lines.
    pub lines: [u32; 2],
    /// The [`TAG`] half of its word; not [`EMPTY`].
    pub tag: u64,
}

/// Where a key is looked for. `seed` is the table's own, so that nobody outside knows which keys meet; `mask` is the
/// number of lines less one.
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
        let rest = self.segment as u64 | (self.protocol as u64) << 16 | (self.asker as u64) << 24;
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
            asker: (last >> 56) as u8,
        }
    }
}
