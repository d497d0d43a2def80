//! Writing a policy beside the one in force.
//!
//! What takes long is done without holding the engine: an order given meanwhile goes into force at once, and what was
//! written is then put into force at the posture in force. Where the slot holds a policy that differs in little, only
//! that is written; and so that it does, the policy in force is written to it as well when there is time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cordon_kernel::Error;
use cordon_portable::{Change, Generation};
use cordon_verdict::abi::RULE_FIRST;

use super::kernel::ports_of;
use super::{Engine, Gateway};
use crate::names::Named;
use crate::plane::Stage;
use crate::state::Slot;

/// Whoever fills slots does so alone.
pub(super) type Stager = Arc<Mutex<Box<dyn Stage>>>;

/// Changes that are remembered. Two are needed: the slot that is not in force is one behind.
const REMEMBERED: usize = 4;

/// What is known of the slots, beside what is written down.
#[derive(Default)]
pub(super) struct Holds {
    /// By slot: the serial of the policy that it holds, if it does for certain.
    slots: [Option<u64>; 2],
    /// From one serial to another, the newest last.
    changes: Vec<(u64, u64, Arc<Change>)>,
}

impl Holds {
    /// What makes the policy of the slot that of `to`; none if nobody knows.
    fn way(&self, slot: u8, to: u64) -> Option<Change> {
        let mut at = self.slots[usize::from(slot)]?;
        let mut way = Change::default();
        while at != to {
            let next = self.changes.iter().find(|(from, _, _)| *from == at)?;
            let (_, to, change) = next;
            way.devices.extend(&change.devices);
            way.addresses.extend(&change.addresses);
            way.sets.extend(&change.sets);
            way.rows.extend(&change.rows);
            at = *to;
        }
        Some(way)
    }

    fn remember(&mut self, named: &Named) {
        if let Some((from, change)) = &named.after {
            // There is one way on from every policy: the last that was taken.
            self.changes
                .retain(|(other, to, _)| other != from && *to != named.serial);
            self.changes.push((*from, named.serial, Arc::clone(change)));
            if self.changes.len() > REMEMBERED {
                self.changes.remove(0);
            }
        }
    }

    /// Another policy has the very same tables.
    pub fn rename(&mut self, from: u64, to: u64) {
        for serial in self.slots.iter_mut().flatten() {
            if *serial == from {
                *serial = to;
            }
        }
    }

    /// Nobody knows what a slot holds.
    pub fn forget(&mut self, slot: u8) {
        self.slots[usize::from(slot)] = None;
    }
}

/// A policy that is to be written, or was.
pub(super) struct Staged {
    pub slot: u8,
    pub named: Option<Arc<Named>>,
    /// When that began.
    pub since: Instant,
    way: Option<Change>,
}

impl Staged {
    /// Writes it.
    ///
    /// # Errors
    /// As the stager's. Nobody knows what the slot holds then.
    fn write(&self, stager: &Stager) -> Result<(), Error> {
        let mut stager = stager.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(named) = &self.named else {
            return stager.write(self.slot, &Generation::default(), RULE_FIRST as usize);
        };
        if let Some(way) = &self.way {
            match stager.amend(self.slot, way, named.rules) {
                Ok(()) => return Ok(()),
                Err(error) => tracing::info!("the policy is written whole: {error}"),
            }
        }
        named.generation(|generation| stager.write(self.slot, generation, named.rules))
    }
}

impl Engine {
    /// Prepares to write a policy to the slot that is not in force.
    pub(super) fn stage(
        &mut self,
        named: Option<Arc<Named>>,
        ports: Vec<String>,
    ) -> Result<Staged, Error> {
        let slot = self.plane.control()?.slot ^ 1;
        let way = named.as_ref().and_then(|named| {
            self.holds.remember(named);
            self.holds.way(slot, named.serial)
        });
        self.holds.forget(slot);
        self.in_kernel.slots[usize::from(slot)] = Some(Slot {
            hash: named.as_ref().map(|named| named.hash.clone()),
            day: named
                .as_ref()
                .map_or_else(String::new, |named| named.day.to_string()),
            ports,
        });
        self.store.set_kernel(&self.in_kernel);
        Ok(Staged {
            slot,
            named,
            since: Instant::now(),
            way,
        })
    }

    /// Notes how the writing went.
    pub(super) fn staged(&mut self, staged: &Staged, written: &Result<(), Error>) {
        let slot = usize::from(staged.slot);
        match written {
            Ok(()) => {
                let serial = staged.named.as_ref().map(|named| named.serial);
                self.holds.slots[slot] = serial;
            }
            Err(_) => {
                self.in_kernel.slots[slot] = None;
                self.store.set_kernel(&self.in_kernel);
            }
        }
    }

    /// Writes a policy while the engine is held.
    pub(super) fn stage_at_once(
        &mut self,
        named: Option<Arc<Named>>,
        ports: Vec<String>,
    ) -> Result<Staged, Error> {
        let staged = self.stage(named, ports)?;
        let written = staged.write(&self.stager);
        self.staged(&staged, &written);
        written.map(|()| staged)
    }

    /// Whether the slot that is not in force is too far from the policy that is, for a small change to be small.
    pub(super) fn spare_is_stale(&self) -> bool {
        let (Some(current), Ok(control)) = (&self.current, self.plane.control()) else {
            return false;
        };
        let tried = self.spare_tried == Some(current.serial);
        control.epoch != 0 && !tried && self.holds.way(control.slot ^ 1, current.serial).is_none()
    }
}

impl Gateway {
    /// Writes a policy to the slot that is not in force, and holds the engine neither while it is written nor longer
    /// than it must before. None if that cannot be: then all is done with the engine held, when it is put into force.
    ///
    /// Only whoever is compiling may call this, so that there is one at a time.
    pub(super) fn stage(&self, named: Option<Arc<Named>>) -> Result<Option<Staged>, Error> {
        let (staged, stager) = {
            let mut engine = self.engine();
            let ports = ports_of(named.as_deref());
            if engine.renumbers(&ports)? {
                return Ok(None);
            }
            (engine.stage(named, ports)?, Arc::clone(&engine.stager))
        };
        let written = staged.write(&stager);
        self.engine().staged(&staged, &written);
        written.map(|()| Some(staged))
    }

    /// Writes the policy in force to the other slot as well, so that what changes next is all that has to be written.
    pub(super) fn prepare_spare(&self) {
        let current = {
            let mut engine: MutexGuard<'_, Engine> = self.engine();
            if !engine.spare_is_stale() {
                return;
            }
            engine.spare_tried = engine.current.as_ref().map(|named| named.serial);
            engine.current()
        };
        if let Err(error) = self.stage(current) {
            tracing::warn!("the next change of policy is written whole: {error}");
        }
    }
}
