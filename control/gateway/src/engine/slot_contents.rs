//! Which policy each slot of the kernel's tables holds, and the changes that lead from one policy to another.

use std::sync::{Arc, Mutex};

use cordon_tables::Change;

use crate::active_policy::ActivePolicy;
use crate::plane::Stage;

/// The writer of the inactive slot, used by one thread at a time.
pub(super) type Stager = Arc<Mutex<Box<dyn Stage>>>;

/// Changes that are kept. Two are needed: the inactive slot is one change behind.
const CHANGES_KEPT: usize = 4;

/// What each slot holds, as far as this process knows.
#[derive(Default)]
pub(super) struct SlotContents {
    /// By slot: the serial number of the policy that it holds; none if unknown.
    pub slots: [Option<u64>; 2],
    /// From one serial number to another, the latest last.
    changes: Vec<(u64, u64, Arc<Change>)>,
}

impl SlotContents {
    /// The change from a slot's content to the policy with serial number `to`; none if it is not known.
    pub fn change_to(&self, slot: u8, to: u64) -> Option<Change> {
        let mut at = self.slots[usize::from(slot)]?;
        let mut total = Change::default();
        while at != to {
            let next = self.changes.iter().find(|(from, _, _)| *from == at)?;
            let (_, to, change) = next;
            total.devices.extend(&change.devices);
            total.addresses.extend(&change.addresses);
            total.sets.extend(&change.sets);
            total.rows.extend(&change.rows);
            at = *to;
        }
        Some(total)
    }

    /// Keeps the change that a policy was compiled as.
    pub fn keep_change(&mut self, active: &ActivePolicy) {
        if let Some((from, change)) = &active.after {
            // Keeps one change from each policy: the latest.
            self.changes
                .retain(|(other, to, _)| other != from && *to != active.serial);
            self.changes
                .push((*from, active.serial, Arc::clone(change)));
            if self.changes.len() > CHANGES_KEPT {
                self.changes.remove(0);
            }
        }
    }

    /// Notes that a policy with another serial number has the same tables.
    pub fn renumber(&mut self, from: u64, to: u64) {
        for serial in self.slots.iter_mut().flatten() {
            if *serial == from {
                *serial = to;
            }
        }
    }

    /// Notes that the content of a slot is unknown.
    pub fn invalidate(&mut self, slot: u8) {
        self.slots[usize::from(slot)] = None;
    }
}
