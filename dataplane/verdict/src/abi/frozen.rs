//! Tables of a generation that are built before any packet sees them, and never change while one does: devices, their
//! addresses, and what the policy says.
//!
//! An array of buckets, each a cache line with two entries: a key of one word, and three words beside it. A key is in one of
//! two buckets; whoever builds the table moves others to where they may be as well, to make room (*cuckoo hashing*). A
//! look-up is two loads at most, whatever the size, and one nearly always. A hash map of the kernel's has a list for each
//! bucket instead, and all of it is somewhere else in memory: where 100,000 devices speak, that was a fifth of a new flow.

use crate::address::Ip;

/// A cache line of the table: twice a key, plus one, and a value; 0 for no key.
pub type Bucket = [u64; 8];

/// Words beside a key.
pub const VALUE_WORDS: usize = 3;

/// Where the entries of a bucket start.
pub const SEATS: [usize; 2] = [0, 1 + VALUE_WORDS];

/// Buckets for so many entries: at most half full.
pub const fn buckets(entries: u32) -> u32 {
    if entries == 0 {
        1
    } else {
        entries.next_power_of_two()
    }
}

/// The buckets where a key may be; `mask` is their number less one. Keys are the policy's: nobody outside chooses which meet.
#[inline(always)]
pub const fn spots(key: u64, mask: u32) -> [u32; 2] {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    [(hash >> 40) as u32 & mask, (hash >> 16) as u32 & mask]
}

/// A key as a bucket has it. The highest is none: there is neither such a device nor such a class.
#[inline(always)]
pub const fn stored(key: u64) -> u64 {
    key.wrapping_add(1)
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

/// Sets the value of a key. `false` if there is no room: then one of the entries is lost, and the table has to be built anew.
///
/// # Errors
/// What goes wrong with the buckets.
pub fn set<B: Buckets>(
    table: &mut B,
    key: u64,
    value: [u64; VALUE_WORDS],
) -> Result<bool, B::Error> {
    let mask = table.mask();
    let both = spots(key, mask);
    for wanted in [stored(key), 0] {
        for spot in both {
            let mut bucket = table.read(spot)?;
            if put(&mut bucket, wanted, stored(key), value) {
                table.write(spot, &bucket)?;
                return Ok(true);
            }
        }
    }
    let (mut key, mut value, [_, mut spot]) = (stored(key), value, both);
    for turn in 0..MOVES {
        let mut bucket = table.read(spot)?;
        // Another of the two every time, by the bits of the turn.
        let seat = SEATS[(turn.wrapping_mul(0x9e37_79b9) >> 31) as usize];
        let moved = (
            bucket[seat],
            [bucket[seat + 1], bucket[seat + 2], bucket[seat + 3]],
        );
        bucket[seat] = key;
        bucket[seat + 1..][..VALUE_WORDS].copy_from_slice(&value);
        table.write(spot, &bucket)?;
        (key, value) = moved;
        let [first, second] = spots(key.wrapping_sub(1), mask);
        spot = if spot == first { second } else { first };
        let mut bucket = table.read(spot)?;
        if put(&mut bucket, 0, key, value) {
            table.write(spot, &bucket)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn put(bucket: &mut Bucket, wanted: u64, key: u64, value: [u64; VALUE_WORDS]) -> bool {
    for seat in SEATS {
        if bucket[seat] == wanted {
            bucket[seat] = key;
            bucket[seat + 1..][..VALUE_WORDS].copy_from_slice(&value);
            return true;
        }
    }
    false
}

/// Takes a key away, if it is there.
///
/// # Errors
/// What goes wrong with the buckets.
pub fn remove<B: Buckets>(table: &mut B, key: u64) -> Result<(), B::Error> {
    for spot in spots(key, table.mask()) {
        let mut bucket = table.read(spot)?;
        if put(&mut bucket, stored(key), 0, [0; VALUE_WORDS]) {
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

    fn find(table: &Memory, key: u64) -> Option<u64> {
        let mut found = spots(key, table.mask()).into_iter().flat_map(|spot| {
            let bucket = table.0[spot as usize];
            SEATS.map(|seat| (bucket[seat], bucket[seat + 1]))
        });
        found
            .find(|(there, _)| *there == stored(key))
            .map(|(_, value)| value)
    }

    /// Keys in a row, as those of devices and of policies are.
    fn key(number: u64) -> u64 {
        (number % 7) << 48 | (number / 7) << 16
    }

    #[test]
    fn what_was_set_is_found_and_what_was_removed_is_not() {
        let mut table = Memory(vec![[0; 8]; buckets(10_000) as usize]);
        let mut wanted = BTreeMap::new();
        for number in 0..10_000 {
            assert_eq!(set(&mut table, key(number), [number, 1, 2]), Ok(true));
            wanted.insert(key(number), number);
        }
        for number in (0..10_000).step_by(3) {
            assert_eq!(remove(&mut table, key(number)), Ok(()));
            wanted.remove(&key(number));
        }
        for number in (0..10_000).step_by(5) {
            assert_eq!(set(&mut table, key(number), [number + 1, 1, 2]), Ok(true));
            wanted.insert(key(number), number + 1);
        }
        for number in 0..20_000 {
            let expected = wanted.get(&key(number)).copied();
            assert_eq!(find(&table, key(number)), expected, "{number}");
        }
    }

    #[test]
    fn a_table_that_is_full_says_so() {
        let mut table = Memory(vec![[0; 8]; 16]);
        let there = (0..64).take_while(|number| set(&mut table, key(*number), [0; 3]) == Ok(true));
        assert!((20..=32).contains(&there.count()));
    }
}
