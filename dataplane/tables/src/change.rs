//! The difference between two generations, where it is small.

use std::collections::BTreeMap;

use cordon_verdict::Ip;
use cordon_verdict::abi::{Address, Device, PolicyKey, PolicyRow};

use crate::generation::Generation;

/// The entries that turn one generation into another: `Some` is added or replaced, `None` removed. Only tables that are
/// made from devices can change this way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// By FDB key.
    pub devices: BTreeMap<u64, Option<Device>>,
    /// By IP address.
    pub addresses: BTreeMap<Ip, Option<Address>>,
    /// Added pairs of classes, as in [`PolicyTable::sets`](crate::PolicyTable::sets), with the number of their set.
    pub sets: Vec<(u32, u32)>,
    /// Added rows of sets.
    pub rows: Vec<(PolicyKey, PolicyRow)>,
}

impl Change {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.devices.len() + self.addresses.len() + self.sets.len() + self.rows.len()
    }

    /// Whether the two generations are equal.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Generation {
    /// Turns this generation into the one that `change` leads to.
    pub fn apply(&mut self, change: &Change) {
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
