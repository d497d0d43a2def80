//! Cuckoo hash tables, for the tables of a generation that are built before packets use them, and do not change while
//! packets do: devices, their addresses, and the policy.
//!
//! A table is an array of buckets, each a cache line of slots. A key is in one of its two candidate buckets; to make
//! room, an insertion moves other entries to their other bucket (*cuckoo hashing*). A look-up is two loads at most,
//! whatever the size, and nearly always one. A kernel hash map has a linked list for each bucket, and its nodes are
//! spread over memory: with 100,000 active devices that took a fifth of the time of a new flow.
//!
//! An entry is four words (a key and three words of value), or one word (a key of 32 bits, and a number other than 0 in
//! the upper half). A slot whose first word is 0 is free.

use crate::address::Ip;

/// A bucket: one cache line.
pub type Bucket = [u64; 8];

/// Words of an entry with a value.
pub const ENTRY_WORDS: usize = 1 + VALUE_WORDS;

/// Words of a value.
pub const VALUE_WORDS: usize = 3;

/// The offsets in a bucket, in words, of its slots for entries with a value.
pub const SLOT_OFFSETS: [usize; 2] = [0, ENTRY_WORDS];

/// Buckets for `entries` entries of `words` words: at most half full.
pub const fn buckets(entries: u32, words: usize) -> u32 {
    match entries.div_ceil(8 / words as u32 / 2) {
        0 => 1,
        buckets => buckets.next_power_of_two(),
    }
}

/// The part of an entry's first word that is the key.
const fn key_part(words: usize) -> u64 {
    match words {
        1 => u32::MAX as u64,
        _ => !0,
    }
}

/// The two candidate buckets of a key; `mask` is the number of buckets less one. The hash needs no seed: keys come from
/// the policy, so no sender can choose keys that collide.
#[inline(always)]
pub const fn candidate_buckets(key: u64, mask: u32) -> [u32; 2] {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    [(hash >> 40) as u32 & mask, (hash >> 16) as u32 & mask]
}

/// A key of a whole word as it is stored, never 0. The highest key is not allowed: no device and no set of rows has it.
#[inline(always)]
pub const fn stored(key: u64) -> u64 {
    key.wrapping_add(1)
}

/// The key of a pair of classes: that of the initiator, and that of the other end.
#[inline(always)]
pub const fn pair(from: u16, to: u16) -> u32 {
    from as u32 | (to as u32) << 16
}

/// The entry of a pair of classes: the pair, and the number of its set of rows.
#[inline(always)]
pub const fn pair_word(pair: u32, set: u32) -> u64 {
    pair as u64 | (set as u64 + 1) << 32
}

/// The number of the set of rows in an entry, if the entry is that of this pair.
#[inline(always)]
pub const fn set_of(word: u64, pair: u32) -> Option<u32> {
    // The key of two unclassified ends is 0, as is a free slot; but a stored number is never 0.
    match word as u32 == pair && word >> 32 != 0 {
        true => Some((word >> 32) as u32 - 1),
        false => None,
    }
}

/// The index of a table in the list of masks: buckets less one.
#[inline(always)]
pub const fn mask_index(slot: u8, table: u32) -> u32 {
    (slot as u32 & 1) << 2 | table
}

/// The key of an address. Keys of IPv4 addresses are unique, those of IPv6 addresses nearly; the value has the whole
/// address.
#[inline(always)]
pub const fn address_key(ip: Ip) -> u64 {
    match ip.is_v4() {
        true => ip.lo,
        false => ip.lo ^ ip.hi.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// Devices, by `fdb_key`.
pub const CUCKOO_DEVICES: u32 = 0;
/// Policy rows, by the word of a `PolicyKey`.
pub const CUCKOO_POLICY: u32 = 1;
/// The devices to which addresses are bound, by [`address_key`].
pub const CUCKOO_ADDRESSES: u32 = 2;
/// The sets of rows of pairs of classes, by [`pair`]: entries of one word.
pub const CUCKOO_PAIRS: u32 = 3;

/// Storage of a table's buckets.
pub trait Buckets {
    /// Why a bucket cannot be read or written.
    type Error;

    /// The number of buckets, a power of two, less one.
    fn mask(&self) -> u32;

    /// Reads a bucket.
    ///
    /// # Errors
    /// That of the storage.
    fn read(&self, number: u32) -> Result<Bucket, Self::Error>;

    /// Writes a bucket.
    ///
    /// # Errors
    /// That of the storage.
    fn write(&mut self, number: u32, bucket: &Bucket) -> Result<(), Self::Error>;
}

/// Entries that are moved to make room for one, at most.
const MAX_MOVES: u32 = 512;

/// Inserts or replaces an entry of `W` words. Returns `false` if there is no room: then some entry is lost, and the
/// table must be rebuilt.
///
/// # Errors
/// That of the storage.
pub fn set<const W: usize, B: Buckets>(table: &mut B, entry: [u64; W]) -> Result<bool, B::Error> {
    let mask = table.mask();
    let candidates = candidate_buckets(entry[0] & key_part(W), mask);
    for wanted in [Some(entry[0]), None] {
        for number in candidates {
            let mut bucket = table.read(number)?;
            if put(&mut bucket, wanted, entry) {
                table.write(number, &bucket)?;
                return Ok(true);
            }
        }
    }
    let (mut entry, [_, mut number]) = (entry, candidates);
    for turn in 0..MAX_MOVES {
        let mut bucket = table.read(number)?;
        // A different slot each time, from the bits of the turn.
        let chance = u64::from(turn.wrapping_mul(0x9e37_79b9));
        let slot = ((chance * (8 / W as u64)) >> 32) as usize * W;
        let mut moved = [0; W];
        moved.copy_from_slice(&bucket[slot..][..W]);
        bucket[slot..][..W].copy_from_slice(&entry);
        table.write(number, &bucket)?;
        entry = moved;
        let [first, second] = candidate_buckets(entry[0] & key_part(W), mask);
        number = if number == first { second } else { first };
        let mut bucket = table.read(number)?;
        if put(&mut bucket, None, entry) {
            table.write(number, &bucket)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes an entry to the slot with the key of this first word, or for `None` to a free slot. Returns whether there is
/// one.
fn put<const W: usize>(bucket: &mut Bucket, wanted: Option<u64>, entry: [u64; W]) -> bool {
    let mut slots = bucket.chunks_exact_mut(W);
    let there = slots.find(|slot| match wanted {
        Some(first) => slot[0] != 0 && (slot[0] ^ first) & key_part(W) == 0,
        None => slot[0] == 0,
    });
    if let Some(there) = there {
        there.copy_from_slice(&entry);
        return true;
    }
    false
}

/// Removes the entry of `W` words with the key of this first word, if there is one.
///
/// # Errors
/// That of the storage.
pub fn remove<const W: usize, B: Buckets>(table: &mut B, first: u64) -> Result<(), B::Error> {
    for number in candidate_buckets(first & key_part(W), table.mask()) {
        let mut bucket = table.read(number)?;
        if put(&mut bucket, Some(first), [0; W]) {
            table.write(number, &bucket)?;
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

        fn read(&self, number: u32) -> Result<Bucket, Infallible> {
            Ok(self.0[number as usize])
        }

        fn write(&mut self, number: u32, bucket: &Bucket) -> Result<(), Infallible> {
            self.0[number as usize] = *bucket;
            Ok(())
        }
    }

    impl Memory {
        fn new(buckets: u32) -> Memory {
            Memory(vec![[0; 8]; buckets as usize])
        }

        fn find(&self, key: u64) -> Option<u64> {
            let mut found = candidate_buckets(stored(key), self.mask())
                .into_iter()
                .flat_map(|number| {
                    let bucket = self.0[number as usize];
                    SLOT_OFFSETS.map(|slot| (bucket[slot], bucket[slot + 1]))
                });
            found
                .find(|(there, _)| *there == stored(key))
                .map(|(_, value)| value)
        }

        fn find_pair(&self, pair: u32) -> Option<u32> {
            let mut words = candidate_buckets(u64::from(pair), self.mask())
                .into_iter()
                .flat_map(|number| self.0[number as usize]);
            words.find_map(|word| set_of(word, pair))
        }
    }

    /// Consecutive keys, as those of devices and policies are.
    fn key(number: u64) -> u64 {
        (number % 7) << 48 | (number / 7) << 16
    }

    fn entry(number: u64, value: u64) -> [u64; ENTRY_WORDS] {
        [stored(key(number)), value, 1, 2]
    }

    #[test]
    fn set_entries_are_found_and_removed_entries_are_not() {
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
    fn every_pair_of_classes_is_found_with_its_set() {
        const CLASSES: u16 = 200;
        let pairs = || (0..CLASSES).flat_map(|from| (0..CLASSES).map(move |to| (from, to)));
        // Every other pair, with (unclassified, unclassified) and the highest number of a set among them.
        let wanted = |from: u16, to: u16| match (from ^ to) & 1 {
            0 => Some(u32::from(from) * 7 + u32::from(to == 0) * (u32::MAX - 2000)),
            _ => None,
        };
        let mut table = Memory::new(buckets(u32::from(CLASSES) * u32::from(CLASSES) / 2, 1));
        // Twice, first with another set.
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
    fn set_fails_when_the_table_is_full() {
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
