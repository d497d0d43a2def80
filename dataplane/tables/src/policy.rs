//! The rulings of a policy, by classes and service.

use cordon_verdict::abi::cuckoo::pair;
use cordon_verdict::abi::{PolicyKey, PolicyRow};

use crate::table::Table;

/// The number of the row set of each pair of classes, and the rows of each set. Pairs with equal rows share a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyTable {
    /// The number of a row set, by [`pair`] of classes, the initiator's first.
    pub sets: Table<u32, u32>,
    /// Rows, by row set and service class.
    pub rows: Table<PolicyKey, PolicyRow>,
}

impl PolicyTable {
    /// The row of a pair of classes, the initiator's first, and a service class.
    pub fn row(&self, from: u16, to: u16, service: u16) -> Option<&PolicyRow> {
        let set = self.sets.get(&pair(from, to))?;
        self.rows.get(&PolicyKey::new(*set, service))
    }

    /// Adds a row to the set of a pair of classes, and first a new set if the pair has none. Other pairs that share the set
    /// get the row as well: this is for tables written by hand, in tests.
    pub fn add(&mut self, from: u16, to: u16, service: u16, row: PolicyRow) {
        let pair = pair(from, to);
        let set = match self.sets.get(&pair) {
            Some(set) => *set,
            None => {
                let taken = self.sets.values().max();
                let set = taken.map_or(0, |highest| highest + 1);
                self.sets.insert(pair, set);
                set
            }
        };
        self.rows.insert(PolicyKey::new(set, service), row);
    }
}
