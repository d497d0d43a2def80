//! Building the cuckoo hash tables of a generation: see `cordon_verdict::abi::cuckoo`.

use aya::maps::{Array, IterableMap as _, MapData, MapError};
use cordon_verdict::Ip;
use cordon_verdict::abi::cuckoo::{
    Bucket, Buckets, CUCKOO_ADDRESSES, CUCKOO_DEVICES, CUCKOO_PAIRS, CUCKOO_POLICY, ENTRY_WORDS,
    address_key, buckets, pair_word, remove, set, stored,
};
use cordon_verdict::abi::{Address, Device, PolicyKey, PolicyRow, cuckoo};

use crate::capacity::room;
use crate::error::Error;
use crate::mapped::{INNER_MAP_FLAGS, Mapped};
use crate::pins::of;
use crate::raw::Raw;

/// The inner map: an array of buckets.
pub type CuckooMap = Array<MapData, Raw<Bucket>>;

/// An entry: its key as `stored`, then the words of its value.
pub type Words = [u64; ENTRY_WORDS];

/// A cuckoo hash table of entries of `W` words.
#[derive(Clone, Copy)]
pub struct CuckooTable<const W: usize> {
    pub name: &'static str,
    pub number: u32,
}

pub const DEVICES: CuckooTable<ENTRY_WORDS> = CuckooTable {
    name: "DEVICES",
    number: CUCKOO_DEVICES,
};

pub const POLICY: CuckooTable<ENTRY_WORDS> = CuckooTable {
    name: "POLICY",
    number: CUCKOO_POLICY,
};

pub const ADDRESSES: CuckooTable<ENTRY_WORDS> = CuckooTable {
    name: "ADDRESSES",
    number: CUCKOO_ADDRESSES,
};

pub const PAIRS: CuckooTable<1> = CuckooTable {
    name: "PAIRS",
    number: CUCKOO_PAIRS,
};

/// The entry of a device.
pub fn device((key, device): (&u64, &Device)) -> Words {
    let Device {
        word,
        class,
        bound_to: place,
        address: Ip { hi, lo },
    } = *device;
    let first = u64::from(word) | u64::from(class) << 32 | u64::from(place) << 48;
    [stored(*key), first, hi, lo]
}

/// The entry of an IP address.
pub fn address((ip, address): (&Ip, &Address)) -> Words {
    let Address {
        device,
        segment,
        class,
    } = *address;
    let owner = u64::from(device) | u64::from(segment) << 32 | u64::from(class) << 48;
    [stored(address_key(*ip)), ip.hi, ip.lo, owner]
}

/// The entry of a row of the policy.
pub fn row((key, row): (&PolicyKey, &PolicyRow)) -> Words {
    let pair = |at: usize| u64::from(row.rulings[at].0) | u64::from(row.rulings[at + 1].0) << 32;
    [stored(key.word()), pair(0), pair(2), pair(4)]
}

/// The entry of a pair of classes: the number of its row set.
pub fn pair((pair, set): (&u32, &u32)) -> [u64; 1] {
    [pair_word(*pair, *set)]
}

impl<const W: usize> CuckooTable<W> {
    /// Makes a map with these `count` entries.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`] if the kernel has no memory for it.
    pub fn build<I: Iterator<Item = [u64; W]>>(
        self,
        count: usize,
        entries: impl Fn() -> I,
    ) -> Result<CuckooMap, Error> {
        let mut wanted = buckets(room(count), W);
        loop {
            let map = CuckooMap::create(wanted, INNER_MAP_FLAGS).map_err(of(self.name))?;
            let mut memory = MappedBuckets(Mapped::map(map.map(), self.name)?);
            if entries().all(|entry| matches!(set(&mut memory, entry), Ok(true))) {
                return Ok(map);
            }
            wanted *= 2;
        }
    }

    /// Removes the entries with the first words `removed` from a map that is not in force, and sets the entries `added`.
    ///
    /// # Errors
    /// [`Error::Map`]; [`Error::Batch`] if the table is full. The contents of the map are undefined then.
    pub fn amend(
        self,
        map: &mut CuckooMap,
        removed: impl Iterator<Item = u64>,
        added: impl Iterator<Item = [u64; W]>,
    ) -> Result<(), Error> {
        let failed = of(self.name);
        let mut calls = CallPerBucket(map);
        // Removed entries make room for the added ones.
        for first in removed {
            remove::<W, _>(&mut calls, first).map_err(&failed)?;
        }
        for entry in added {
            if !set(&mut calls, entry).map_err(&failed)? {
                let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
                return Err(Error::Batch {
                    name: self.name,
                    source: full,
                });
            }
        }
        Ok(())
    }

    /// The index, in `MASKS`, of the bucket mask of this table in a slot.
    pub fn mask(self, slot: u8) -> u32 {
        cuckoo::mask_index(slot, self.number)
    }
}

/// The buckets of a mapped table.
struct MappedBuckets(Mapped<Bucket>);

impl Buckets for MappedBuckets {
    type Error = ();

    fn mask(&self) -> u32 {
        self.0.count as u32 - 1
    }

    fn read(&self, number: u32) -> Result<Bucket, ()> {
        let bucket = self.0.at(number as usize).ok_or(())?;
        // SAFETY: within the mapping, and no packet sees the map yet.
        Ok(unsafe { bucket.read() })
    }

    fn write(&mut self, number: u32, to: &Bucket) -> Result<(), ()> {
        let bucket = self.0.at(number as usize).ok_or(())?;
        // SAFETY: as above.
        unsafe { bucket.write(*to) };
        Ok(())
    }
}

/// The buckets of a table, one system call each: for few of them this is quicker than mapping the table.
struct CallPerBucket<'a>(&'a mut CuckooMap);

impl Buckets for CallPerBucket<'_> {
    type Error = MapError;

    fn mask(&self) -> u32 {
        self.0.len() - 1
    }

    fn read(&self, number: u32) -> Result<Bucket, MapError> {
        self.0.get(&number, 0).map(|Raw(bucket)| bucket)
    }

    fn write(&mut self, number: u32, bucket: &Bucket) -> Result<(), MapError> {
        self.0.set(number, Raw(*bucket), 0)
    }
}
