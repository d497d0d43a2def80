//! Tables of a generation that are built before any packet sees them, and never change while one does: devices, their
//! addresses, and what the policy says.
//!
//! An array of buckets, each a cache line of entries. A key is in one of two buckets; whoever builds the table moves others
//! to where they may be as well, to make room (*cuckoo hashing*). A look-up is two loads at most, whatever the size, and one
//! nearly always. A hash map of the kernel's has a list for each bucket instead, and all of it is somewhere else in memory:
//! where 100,000 devices speak, that was a fifth of a new flow.
//!
//! Entries are of four words, a key and three words beside it, or of one: a key of 32 bits, and a number that is not 0 in
//! the upper half. An entry whose first word is 0 is none.

use crate::address::Ip;

/// A cache line of a table.
pub type Bucket = [u64; 8];

/// Words of an entry that has something beside its key.
pub const ENTRY_WORDS: usize = 1 + VALUE_WORDS;

/// Words beside a key.
pub const VALUE_WORDS: usize = 3;

/// Where the entries of a bucket start.
pub const SEATS: [usize; 2] = [0, ENTRY_WORDS];

/// Buckets for so many entries of so many words: at most half full.
pub const fn buckets(entries: u32, words: usize) -> u32 {
    match entries.div_ceil(8 / words as u32 / 2) {
        0 => 1,
        buckets => buckets.next_power_of_two(),
    }
}

/// The part of an entry's first word that tells keys apart.
const fn key_part(words: usize) -> u64 {
    match words {
        1 => u32::MAX as u64,
        _ => !0,
    }
}

/// The buckets where a key may be; `mask` is their number less one. Keys are the policy's: nobody outside chooses which meet.
#[inline(always)]
pub const fn spots(key: u64, mask: u32) -> [u32; 2] {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    [(hash >> 40) as u32 & mask, (hash >> 16) as u32 & mask]
}

/// A key of a whole word as a bucket has it. The highest is none: there is neither such a device nor such a set of rows.
#[inline(always)]
pub const fn stored(key: u64) -> u64 {
    key.wrapping_add(1)
}

/// The key of two classes, of the initiator and of the other end.
#[inline(always)]
pub const fn pair(from: u16, to: u16) -> u32 {
    from as u32 | (to as u32) << 16
}

/// Two classes, and the number of the set of rows that they have, as an entry.
#[inline(always)]
pub const fn pair_word(pair: u32, set: u32) -> u64 {
    pair as u64 | (set as u64 + 1) << 32
}

/// The number of the set of rows, if that is what a word says of two classes.
#[inline(always)]
pub const fn set_of(word: u64, pair: u32) -> Option<u32> {
    // Of strangers the key is 0, and so is what is in an empty seat.
    match word as u32 == pair && word >> 32 != 0 {
        true => Some((word >> 32) as u32 - 1),
        false => None,
    }
}

/// Which of the tables, in the list of how large they are.
#[inline(always)]
pub const fn mask_index(slot: u8, table: u32) -> u32 {
    (slot as u32 & 1) << 2 | table
}

/// The key of an address: of IPv4 no two have the same one, of IPv6 hardly; the address itself is beside it.
#[inline(always)]
pub const fn address_key(ip: Ip) -> u64 {
    match ip.is_v4() {
        true => ip.lo,
        false => ip.lo ^ ip.hi.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// Devices, by `member`.
pub const FROZEN_DEVICES: u32 = 0;
/// What the policy says, by the word of a `PolicyKey`.
pub const FROZEN_POLICY: u32 = 1;
/// Whose addresses are, by [`address_key`].
pub const FROZEN_ADDRESSES: u32 = 2;
/// Which set of rows two classes have: entries of one word, by [`pair`].
pub const FROZEN_PAIRS: u32 = 3;

/// Where buckets are.
pub trait Buckets {
    /// What goes wrong.
    type Error;

    /// How many, less one; they are a power of two.
    fn mask(&self) -> u32;

    /// Reads one.
    ///
    /// # Errors
    /// What goes wrong.
    fn read(&self, spot: u32) -> Result<Bucket, Self::Error>;

    /// Writes one.
    ///
    /// # Errors
    /// What goes wrong.
    fn write(&mut self, spot: u32, bucket: &Bucket) -> Result<(), Self::Error>;
}

/// How often another entry is moved to make room for one.
const MOVES: u32 = 512;

/// Sets an entry of `W` words. `false` if there is no room: then one of the entries is lost, and the table has to be built
/// anew.
///
/// # Errors
/// What goes wrong with the buckets.
pub fn set<const W: usize, B: Buckets>(table: &mut B, entry: [u64; W]) -> Result<bool, B::Error> {
    let mask = table.mask();
    let both = spots(entry[0] & key_part(W), mask);
    for wanted in [Some(entry[0]), None] {
        for spot in both {
            let mut bucket = table.read(spot)?;
            if put(&mut bucket, wanted, entry) {
                table.write(spot, &bucket)?;
                return Ok(true);
            }
        }
    }
    let (mut entry, [_, mut spot]) = (entry, both);
    for turn in 0..MOVES {
        let mut bucket = table.read(spot)?;
        // Another every time, by the bits of the turn.
        let chance = u64::from(turn.wrapping_mul(0x9e37_79b9));
        let seat = ((chance * (8 / W as u64)) >> 32) as usize * W;
        let mut moved = [0; W];
        moved.copy_from_slice(&bucket[seat..][..W]);
        bucket[seat..][..W].copy_from_slice(&entry);
        table.write(spot, &bucket)?;
        entry = moved;
        let [first, second] = spots(entry[0] & key_part(W), mask);
        spot = if spot == first { second } else { first };
        let mut bucket = table.read(spot)?;
        if put(&mut bucket, None, entry) {
            table.write(spot, &bucket)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts an entry where one is with the key of a first word, or where there is none.
fn put<const W: usize>(bucket: &mut Bucket, wanted: Option<u64>, entry: [u64; W]) -> bool {
    let mut seats = bucket.chunks_exact_mut(W);
    let there = seats.find(|seat| match wanted {
        Some(first) => seat[0] != 0 && (seat[0] ^ first) & key_part(W) == 0,
        None => seat[0] == 0,
    });
    if let Some(there) = there {
        there.copy_from_slice(&entry);
        return true;
    }
    false
}

/// Takes an entry of `W` words away, if it is there: by its first word.
///
/// # Errors
/// What goes wrong with the buckets.
pub fn remove<const W: usize, B: Buckets>(table: &mut B, first: u64) -> Result<(), B::Error> {
    for spot in spots(first & key_part(W), table.mask()) {
        let mut bucket = table.read(spot)?;
        if put(&mut bucket, Some(first), [0; W]) {
            table.write(spot, &bucket)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    struct Memory(Vec<Bucket>);

    impl Buckets for Memory {
        type Error = Infallible;

        fn mask(&self) -> u32 {
            self.0.len() as u32 - 1
        }

        fn read(&self, spot: u32) -> Result<Bucket, Infallible> {
            Ok(self.0[spot as usize])
        }

        fn write(&mut self, spot: u32, bucket: &Bucket) -> Result<(), Infallible> {
            self.0[spot as usize] = *bucket;
            Ok(())
        }
    }

    impl Memory {
        fn new(buckets: u32) -> Memory {
            Memory(vec![[0; 8]; buckets as usize])
        }

        fn find(&self, key: u64) -> Option<u64> {
            let mut found = spots(stored(key), self.mask())
                .into_iter()
                .flat_map(|spot| {
                    let bucket = self.0[spot as usize];
                    SEATS.map(|seat| (bucket[seat], bucket[seat + 1]))
                });
            found
                .find(|(there, _)| *there == stored(key))
                .map(|(_, value)| value)
        }

        fn find_pair(&self, pair: u32) -> Option<u32> {
            let mut words = spots(u64::from(pair), self.mask())
                .into_iter()
                .flat_map(|spot| self.0[spot as usize]);
            words.find_map(|word| set_of(word, pair))
        }
    }

    /// Keys in a row, as those of devices and of policies are.
    fn key(number: u64) -> u64 {
        (number % 7) << 48 | (number / 7) << 16
    }

    fn entry(number: u64, value: u64) -> [u64; ENTRY_WORDS] {
        [stored(key(number)), value, 1, 2]
    }

    #[test]
    fn what_was_set_is_found_and_what_was_removed_is_not() {
        let mut table = Memory::new(buckets(10_000, ENTRY_WORDS));
        let mut wanted = BTreeMap::new();
        for number in 0..10_000 {
            assert_eq!(set(&mut table, entry(number, number)), Ok(true));
            wanted.insert(key(number), number);
        }
        for number in (0..10_000).step_by(3) {
            let gone = remove::<ENTRY_WORDS, _>(&mut table, stored(key(number)));
            assert_eq!(gone, Ok(()));
            wanted.remove(&key(number));
        }
        for number in (0..10_000).step_by(5) {
            assert_eq!(set(&mut table, entry(number, number + 1)), Ok(true));
            wanted.insert(key(number), number + 1);
        }
        for number in 0..20_000 {
            let expected = wanted.get(&key(number)).copied();
            assert_eq!(table.find(key(number)), expected, "{number}");
        }
    }

    #[test]
    fn every_pair_is_found_with_its_set() {
        const CLASSES: u16 = 200;
        let pairs = || (0..CLASSES).flat_map(|from| (0..CLASSES).map(move |to| (from, to)));
        // Every other of them, strangers to strangers and the highest number there can be among them.
        let wanted = |from: u16, to: u16| match (from ^ to) & 1 {
            0 => Some(u32::from(from) * 7 + u32::from(to == 0) * (u32::MAX - 2000)),
            _ => None,
        };
        let mut table = Memory::new(buckets(u32::from(CLASSES) * u32::from(CLASSES) / 2, 1));
        // Twice, with another set at first.
        for other in [5, 0] {
            for (from, to) in pairs() {
                if let Some(number) = wanted(from, to) {
                    let word = pair_word(pair(from, to), number ^ other);
                    assert_eq!(set(&mut table, [word]), Ok(true));
                }
            }
        }
        for (from, to) in pairs() {
            let found = table.find_pair(pair(from, to));
            assert_eq!(found, wanted(from, to), "{from} to {to}");
        }
    }

    #[test]
    fn a_table_that_is_full_says_so() {
        let fill = |fits: &dyn Fn(&mut Memory, u64) -> bool| {
            let mut table = Memory::new(16);
            (0..256)
                .take_while(|number| fits(&mut table, *number))
                .count()
        };
        let there = fill(&|table, number| set(table, entry(number, 0)) == Ok(true));
        assert!((20..=32).contains(&there), "{there}");
        let there = fill(&|table, number| set(table, [pair_word(number as u32, 0)]) == Ok(true));
        assert!((100..=128).contains(&there), "{there}");
    }
}
