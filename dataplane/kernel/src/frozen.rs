//! Building the tables of a generation that packets look up in `cordon_verdict::abi::cuckoo`.

use aya::maps::{IterableMap as _, MapError};
use cordon_verdict::Ip;
use cordon_verdict::abi::cuckoo::{
    Bucket, Buckets, ENTRY_WORDS, CUCKOO_ADDRESSES, CUCKOO_DEVICES, CUCKOO_PAIRS, CUCKOO_POLICY,
    address_key, buckets, pair_word, remove, set, stored,
};
use cordon_verdict::abi::{Address, Device, PolicyKey, PolicyRow, cuckoo};

use crate::error::Error;
use crate::install::room;
use crate::maps::{FrozenMap, of};
use crate::raw::Raw;
use crate::shared::Shared;

/// `BPF_F_MMAPABLE` and `BPF_F_INNER_MAP`.
pub const FLAGS: u32 = 1 << 10 | 1 << 12;

/// An entry: its key as `stored`, and the words beside it.
pub type Words = [u64; ENTRY_WORDS];

/// One of the tables, of entries of `W` words.
#[derive(Clone, Copy)]
pub struct Table<const W: usize> {
    pub name: &'static str,
    pub number: u32,
}

pub const DEVICES: Table<ENTRY_WORDS> = Table {
    name: "DEVICES",
    number: CUCKOO_DEVICES,
};

pub const POLICY: Table<ENTRY_WORDS> = Table {
    name: "POLICY",
    number: CUCKOO_POLICY,
};

pub const ADDRESSES: Table<ENTRY_WORDS> = Table {
    name: "ADDRESSES",
    number: CUCKOO_ADDRESSES,
};

pub const PAIRS: Table<1> = Table {
    name: "PAIRS",
    number: CUCKOO_PAIRS,
};

/// A device as the table has it.
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

/// Whose an address is as the table has it.
pub fn address((ip, address): (&Ip, &Address)) -> Words {
    let Address {
        device,
        segment,
        class,
    } = *address;
    let owner = u64::from(device) | u64::from(segment) << 32 | u64::from(class) << 48;
    [stored(address_key(*ip)), ip.hi, ip.lo, owner]
}

/// A row of the policy as the table has it.
pub fn row((key, row): (&PolicyKey, &PolicyRow)) -> Words {
    let pair = |at: usize| u64::from(row.rulings[at].0) | u64::from(row.rulings[at + 1].0) << 32;
    [stored(key.word()), pair(0), pair(2), pair(4)]
}

/// Which set of rows two classes have as the table has it.
pub fn pair((pair, set): (&u32, &u32)) -> [u64; 1] {
    [pair_word(*pair, *set)]
}

impl<const W: usize> Table<W> {
    /// A map with these entries, which nobody else has yet.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`] where the kernel has no room.
    pub fn build<I: Iterator<Item = [u64; W]>>(
        self,
        count: usize,
        entries: impl Fn() -> I,
    ) -> Result<FrozenMap, Error> {
        let mut wanted = buckets(room(count), W);
        loop {
            let map = FrozenMap::create(wanted, FLAGS).map_err(of(self.name))?;
            let mut memory = Memory(Shared::map(map.map(), self.name)?);
            if entries().all(|entry| matches!(set(&mut memory, entry), Ok(true))) {
                return Ok(map);
            }
            wanted *= 2;
        }
    }

    /// Removes entries of a map that no packet sees, by their first words, and sets others.
    ///
    /// # Errors
    /// [`Error::Map`], also where there is no room. What the map holds is not certain then.
    pub fn amend(
        self,
        map: &mut FrozenMap,
        gone: impl Iterator<Item = u64>,
        come: impl Iterator<Item = [u64; W]>,
    ) -> Result<(), Error> {
        let wrong = of(self.name);
        let mut calls = Calls(map);
        // What is gone makes room for what comes.
        for first in gone {
            remove::<W, _>(&mut calls, first).map_err(&wrong)?;
        }
        for entry in come {
            if !set(&mut calls, entry).map_err(&wrong)? {
                let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
                return Err(Error::Batch {
                    name: self.name,
                    source: full,
                });
            }
        }
        Ok(())
    }

    /// Where the mask of a slot's is.
    pub fn mask(self, slot: u8) -> u32 {
        cuckoo::mask_index(slot, self.number)
    }
}

/// Buckets in memory.
struct Memory(Shared<Bucket>);

impl Buckets for Memory {
    type Error = ();

    fn mask(&self) -> u32 {
        self.0.count as u32 - 1
    }

    fn read(&self, spot: u32) -> Result<Bucket, ()> {
        let bucket = self.0.at(spot as usize).ok_or(())?;
        // SAFETY: within the mapping, and nobody else's.
        Ok(unsafe { bucket.read() })
    }

    fn write(&mut self, spot: u32, to: &Bucket) -> Result<(), ()> {
        let bucket = self.0.at(spot as usize).ok_or(())?;
        // SAFETY: as above.
        unsafe { bucket.write(*to) };
        Ok(())
    }
}

/// Buckets one by one, by system calls: for few of them that is quicker than having all in memory.
struct Calls<'a>(&'a mut FrozenMap);

impl Buckets for Calls<'_> {
    type Error = MapError;

    fn mask(&self) -> u32 {
        self.0.len() - 1
    }

    fn read(&self, spot: u32) -> Result<Bucket, MapError> {
        self.0.get(&spot, 0).map(|Raw(bucket)| bucket)
    }

    fn write(&mut self, spot: u32, bucket: &Bucket) -> Result<(), MapError> {
        self.0.set(spot, Raw(*bucket), 0)
    }
}
