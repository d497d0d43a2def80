//! What differs between two generations, where it is little.

use std::collections::BTreeMap;

use cordon_verdict::Ip;
use cordon_verdict::abi::{Address, Device, PolicyKey, PolicyRow};

use crate::generation::Generation;

/// Entries that another generation has in place of one's own; none where it has no such entry. Only of tables that
/// devices make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// By `abi::fdb_key`.
    pub devices: BTreeMap<u64, Option<Device>>,
    /// By address.
    pub addresses: BTreeMap<Ip, Option<Address>>,
    /// Pairs of classes that it has besides, by `abi::cuckoo::pair`, with the number of their set.
    pub sets: Vec<(u32, u32)>,
    /// Rows of sets that it has besides.
    pub rows: Vec<(PolicyKey, PolicyRow)>,
}

impl Change {
    /// How many entries it is about.
    pub fn len(&self) -> usize {
        self.devices.len() + self.addresses.len() + self.sets.len() + self.rows.len()
    }

    /// Whether the two are the same.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Generation {
    /// Makes the other generation of this one.
    pub fn change(&mut self, change: &Change) {
        for (key, device) in &change.devices {
            match device {
                Some(device) => self.devices.insert(*key, *device),
                None => self.devices.remove(key),
            };
        }
        for (key, address) in &change.addresses {
            match address {
                Some(address) => self.addresses.insert(*key, *address),
                None => self.addresses.remove(key),
            };
        }
        for (pair, set) in &change.sets {
            self.policy.sets.insert(*pair, *set);
        }
        for (key, row) in &change.rows {
            self.policy.rows.insert(*key, *row);
        }
    }
}
