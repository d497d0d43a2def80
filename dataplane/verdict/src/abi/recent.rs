//! Tables that forget the longest unused: half-open flows, and hosts.
//!
//! As in the tables of established flows (see [`super::Line`]'s module) a look-up is arithmetic and a few loads. But a
//! line of the index has eight entries of its own, so that there is nothing to give out and nothing to take back: what is
//! added takes the place of what was used the longest time ago in its line. A key has one line.
//!
//! A word of the index is the tag of whose entry it is, and its age; or, free, an age alone. Ages count what happened to
//! the line, and go round. Who adds *claims* a word by a compare-and-swap, writes the entry, and then the word: a claimed
//! word is found by nobody, and claimed by nobody else. Who has found an entry may see it become another's, and look for
//! it once more before it acts on what must not be mixed up.

use super::flow::Limit;
use super::records::Station;
use super::table::{TAG, WAYS};

/// The half of a word that says when it was used.
pub const AGE: u64 = !TAG;
/// In a word that is being written.
pub const CLAIMED: u64 = 1 << 32;
/// In a word that has a tag.
pub const IN_USE: u64 = 1 << 63;

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

/// The words of a line, looked at one after the other. Computed rather than decided: of a choice for each of eight words the
/// kernel's verifier would follow every combination. `opaque` answers what it is given, and keeps the compiler from making
/// decisions of it all the same.
#[derive(Clone, Copy, Debug)]
pub struct Seats {
    /// The age that others are compared with.
    first: u32,
    /// By how much the latest age is later than that.
    newest: u64,
    /// Of the best place: rank, how old, and which it is.
    best: u64,
}

impl Seats {
    /// Before any word was looked at but the first.
    #[inline(always)]
    pub const fn new(first: u64) -> Seats {
        Seats {
            first: first as u32,
            newest: Seats::SAME_AGE,
            best: 0,
        }
    }

    const SAME_AGE: u64 = 1 << 31;
    const RANK: u32 = 36;
    const FOUND: u64 = 3;

    /// Looks at a word: the best place is the one with the tag, else a free one, else what was unused for longest; a claimed
    /// one is none.
    #[inline(always)]
    pub fn see(&mut self, way: usize, word: u64, tag: u64, opaque: impl Fn(u64) -> u64) {
        let age = (word as u32).wrapping_sub(self.first) as i32;
        let age = (age as i64 + Seats::SAME_AGE as i64) as u64;
        let is_zero = |number| opaque(number).wrapping_sub(1) >> 63;
        let greater = |one: u64, other: u64| {
            let more = other.wrapping_sub(one);
            one.wrapping_add(more & !opaque((more as i64 >> 63) as u64))
        };
        let rank = (word >> 63) + 2 * is_zero(word >> 32) + 2 * is_zero((word ^ tag) >> 32);
        let old = (1 << 32) - age;
        self.best = greater(self.best, rank << Seats::RANK | old << 3 | way as u64);
        self.newest = greater(self.newest, age);
    }

    /// The best place, if there is one.
    #[inline(always)]
    pub const fn place(&self) -> Option<usize> {
        match self.best >> Seats::RANK {
            0 => None,
            _ => Some((self.best & (WAYS as u64 - 1)) as usize),
        }
    }

    /// Where the tag is, if it is.
    #[inline(always)]
    pub const fn found(&self) -> Option<usize> {
        match self.best >> Seats::RANK {
            Seats::FOUND => self.place(),
            _ => None,
        }
    }

    /// The latest age.
    #[inline(always)]
    pub const fn latest(&self) -> u32 {
        self.first
            .wrapping_add(self.newest.wrapping_sub(Seats::SAME_AGE) as u32)
    }

    /// The age of what is used now.
    #[inline(always)]
    pub const fn next(&self) -> u64 {
        self.latest().wrapping_add(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG_A: u64 = IN_USE | 7 << 32;

    fn seats(words: [u64; WAYS], tag: u64) -> Seats {
        let mut seats = Seats::new(words[0]);
        for (way, word) in words.into_iter().enumerate() {
            seats.see(way, word, tag, |number| number);
        }
        seats
    }

    fn used(tag: u64, age: u32) -> u64 {
        IN_USE | tag << 32 | u64::from(age)
    }

    #[test]
    fn the_same_then_a_free_one_then_the_oldest_is_taken() {
        let mut words = [1, 2, 3, 4, 5, 6, 7, 8].map(|at| used(100 + u64::from(at), 20 - at));
        let place = |words| seats(words, TAG_A).place();
        assert_eq!(place(words), Some(7));
        words[7] = CLAIMED | 12;
        assert_eq!(place(words), Some(6));
        words[3] = 19;
        assert_eq!(place(words), Some(3));
        assert_eq!(seats(words, TAG_A).found(), None);
        words[5] = TAG_A | 2;
        let seen = seats(words, TAG_A);
        assert_eq!((seen.place(), seen.found()), (Some(5), Some(5)));
        assert_eq!((seen.latest(), seen.next()), (19, 20));
        // Where all are being written there is no place.
        assert_eq!(place([CLAIMED; WAYS]), None);
    }

    #[test]
    fn ages_go_round() {
        let words = [3, 2, 1, 0, u32::MAX, u32::MAX - 1, u32::MAX - 2, 4].map(|age| used(9, age));
        let seen = seats(words, TAG_A);
        assert_eq!((seen.place(), seen.latest()), (Some(6), 4));
        let words = [u32::MAX; WAYS].map(|age| used(9, age));
        assert_eq!(seats(words, TAG_A).next(), 0);
    }
}
