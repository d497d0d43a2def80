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

/// The words of a line, looked at one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Seats {
    /// The word with the tag that is looked for, 0 if there is none; and which it is.
    pub found: (u64, usize),
    /// What to claim for it, and which that is: of the same tag, else a free one, else the longest unused.
    pub place: (u64, usize),
    /// The latest age.
    pub newest: u32,
    rank: u8,
}

impl Seats {
    /// Before any word was looked at but the first.
    #[inline(always)]
    pub const fn new(first: u64) -> Seats {
        Seats {
            found: (0, 0),
            place: (0, WAYS),
            newest: first as u32,
            rank: 0,
        }
    }

    /// Looks at a word.
    #[inline(always)]
    pub const fn see(&mut self, way: usize, word: u64, tag: u64) {
        let age = word as u32;
        if (age.wrapping_sub(self.newest) as i32) > 0 {
            self.newest = age;
        }
        let rank = match word & TAG {
            same if same == tag => 3,
            0 => 2,
            CLAIMED => 0,
            _ => 1,
        };
        if rank == 3 {
            self.found = (word, way);
        }
        let (taken, _) = self.place;
        let older = rank == 1 && (age.wrapping_sub(taken as u32) as i32) < 0;
        if rank > self.rank || rank == self.rank && older {
            self.place = (word, way);
            self.rank = rank;
        }
    }

    /// The age of what is used now.
    #[inline(always)]
    pub const fn next(&self) -> u64 {
        self.newest.wrapping_add(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG_A: u64 = IN_USE | 7 << 32;

    fn seats(words: [u64; WAYS], tag: u64) -> Seats {
        let mut seats = Seats::new(words[0]);
        for (way, word) in words.into_iter().enumerate() {
            seats.see(way, word, tag);
        }
        seats
    }

    fn used(tag: u64, age: u32) -> u64 {
        IN_USE | tag << 32 | u64::from(age)
    }

    #[test]
    fn the_same_then_a_free_one_then_the_oldest_is_taken() {
        let mut words = [1, 2, 3, 4, 5, 6, 7, 8].map(|at| used(100 + u64::from(at), 20 - at));
        let place = |words| seats(words, TAG_A).place.1;
        assert_eq!(place(words), 7);
        words[7] = CLAIMED | 12;
        assert_eq!(place(words), 6);
        words[3] = 19;
        assert_eq!(place(words), 3);
        words[5] = TAG_A | 2;
        let seen = seats(words, TAG_A);
        assert_eq!((seen.place.1, seen.found), (5, (TAG_A | 2, 5)));
        assert_eq!((seen.newest, seen.next()), (19, 20));
        // Where all are being written there is no place.
        assert_eq!(place([CLAIMED; WAYS]), WAYS);
    }

    #[test]
    fn ages_go_round() {
        let words = [3, 2, 1, 0, u32::MAX, u32::MAX - 1, u32::MAX - 2, 4].map(|age| used(9, age));
        let seen = seats(words, TAG_A);
        assert_eq!((seen.place.1, seen.newest), (6, 4));
        let words = [u32::MAX; WAYS].map(|age| used(9, age));
        assert_eq!(seats(words, TAG_A).next(), 0);
    }
}
