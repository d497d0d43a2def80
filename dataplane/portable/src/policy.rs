//! What a policy says of flows between classes.

use cordon_verdict::abi::cuckoo::pair;
use cordon_verdict::abi::{PolicyKey, PolicyRow};

use crate::table::Table;

/// Which set of rows two classes have, and the rows of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyTable {
    /// By [`pair`] of classes, initiator first: the number of their set.
    pub sets: Table<u32, u32>,
    /// By set and service class.
    pub rows: Table<PolicyKey, PolicyRow>,
}

impl PolicyTable {
    /// The row of two classes and a service class.
    pub fn row(&self, from: u16, to: u16, service: u16) -> Option<&PolicyRow> {
        let set = self.sets.get(&pair(from, to))?;
        self.rows.get(&PolicyKey::new(*set, service))
    }

    /// Adds a row to the set of two classes, which get one that nobody else has if they have none. For tables made by hand:
    /// whoever shares the set has the row as well.
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
