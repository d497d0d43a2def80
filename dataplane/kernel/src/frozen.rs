//! Building the tables of a generation that packets look up in `cordon_verdict::abi::frozen`.

use aya::maps::{IterableMap as _, MapError};
use cordon_verdict::Ip;
use cordon_verdict::abi::frozen::{
    Bucket, Buckets, FROZEN_ADDRESSES, FROZEN_DEVICES, FROZEN_POLICY, VALUE_WORDS, buckets, remove,
    set,
};
use cordon_verdict::abi::{Address, Device, PolicyKey, PolicyRow, frozen};

use crate::error::Error;
use crate::install::room;
use crate::maps::{FrozenMap, of};
use crate::raw::Raw;
use crate::shared::Shared;

/// `BPF_F_MMAPABLE` and `BPF_F_INNER_MAP`.
pub const FLAGS: u32 = 1 << 10 | 1 << 12;

/// An entry: its key, and the words beside it.
pub type Words = (u64, [u64; VALUE_WORDS]);

/// One of the tables.
#[derive(Clone, Copy)]
pub struct Table {
    pub name: &'static str,
    pub number: u32,
}

pub const DEVICES: Table = Table {
    name: "DEVICES",
    number: FROZEN_DEVICES,
};

pub const POLICY: Table = Table {
    name: "POLICY",
    number: FROZEN_POLICY,
};

/// A device as the table has it.
pub fn device(device: &Device) -> [u64; VALUE_WORDS] {
    let Device {
        word,
        class,
        place,
        address: Ip { hi, lo },
    } = *device;
    let first = u64::from(word) | u64::from(class) << 32 | u64::from(place) << 48;
    [first, hi, lo]
}

pub const ADDRESSES: Table = Table {
    name: "ADDRESSES",
    number: FROZEN_ADDRESSES,
};

/// Whose an address is as the table has it.
pub fn address(ip: Ip, address: &Address) -> [u64; VALUE_WORDS] {
    let Address {
        device,
        segment,
        class,
    } = *address;
    let owner = u64::from(device) | u64::from(segment) << 32 | u64::from(class) << 48;
    [ip.hi, ip.lo, owner]
}

/// A row of the policy as the table has it.
pub fn row((key, row): (&PolicyKey, &PolicyRow)) -> Words {
    let pair = |at: usize| u64::from(row.rulings[at].0) | u64::from(row.rulings[at + 1].0) << 32;
    (key.word(), [pair(0), pair(2), pair(4)])
}

impl Table {
    /// A map with these entries, which nobody else has yet.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`] where the kernel has no room.
    pub fn build<I: Iterator<Item = Words>>(
        self,
        count: usize,
        entries: impl Fn() -> I,
    ) -> Result<FrozenMap, Error> {
        let mut wanted = buckets(room(count));
        loop {
            let map = FrozenMap::create(wanted, FLAGS).map_err(of(self.name))?;
            let mut memory = Memory(Shared::map(map.map(), self.name)?);
            let fits =
                entries().all(|(key, value)| matches!(set(&mut memory, key, value), Ok(true)));
            if fits {
                return Ok(map);
            }
            wanted *= 2;
        }
    }

    /// Sets entries of a map that no packet sees, or removes those that have no value.
    ///
    /// # Errors
    /// [`Error::Map`], also where there is no room. What the map holds is not certain then.
    pub fn amend(
        self,
        map: &mut FrozenMap,
        entries: impl Iterator<Item = (u64, Option<[u64; VALUE_WORDS]>)>,
    ) -> Result<(), Error> {
        let wrong = of(self.name);
        let mut calls = Calls(map);
        // What is gone makes room for what comes.
        let (come, gone): (Vec<_>, Vec<_>) = entries.partition(|(_, to)| to.is_some());
        for (key, _) in gone {
            remove(&mut calls, key).map_err(&wrong)?;
        }
        for (key, to) in come {
            if let Some(value) = to
                && !set(&mut calls, key, value).map_err(&wrong)?
            {
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
        frozen::mask_index(slot, self.number)
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
