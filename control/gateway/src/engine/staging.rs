//! Writing a policy to the inactive slot of the kernel's tables.
//!
//! The tables are written without holding the engine, so an order given meanwhile is in force at once; the new policy
//! then goes into force at the current posture. If the slot holds a policy that differs in little, only the change is
//! written. For that, the policy in force is also written to the inactive slot when the daemon is idle.

use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use cordon_kernel::Error;
use cordon_tables::{Change, Generation};
use cordon_verdict::abi::RULE_FIRST;

use super::gateway::{Engine, Gateway};
use super::renumbering::ports_of;
use super::slot_contents::Stager;
use crate::active_policy::ActivePolicy;
use crate::state::SlotRecord;
use crate::sync::lock;

/// A policy for the inactive slot, written or to be written.
pub(super) struct Staged {
    pub slot: u8,
    pub active: Option<Arc<ActivePolicy>>,
    /// When writing began.
    pub since: Instant,
    change: Option<Change>,
}

impl Staged {
    /// Writes it to its slot.
    ///
    /// # Errors
    /// Those of the stager. The content of the slot is unknown then.
    fn write(&self, stager: &Stager) -> Result<(), Error> {
        let mut stager = lock(stager);
        let Some(active) = &self.active else {
            return stager.write(self.slot, &Generation::default(), RULE_FIRST as usize);
        };
        if let Some(change) = &self.change {
            match stager.amend(self.slot, change, active.rules) {
                Ok(()) => return Ok(()),
                Err(error) => tracing::info!("the policy is written whole: {error}"),
            }
        }
        active.generation(|generation| stager.write(self.slot, generation, active.rules))
    }
}

impl Engine {
    /// Prepares to write a policy to the inactive slot.
    pub(super) fn stage(
        &mut self,
        active: Option<Arc<ActivePolicy>>,
        ports: Vec<String>,
    ) -> Result<Staged, Error> {
        let slot = self.plane.control()?.slot ^ 1;
        let change = active.as_ref().and_then(|active| {
            self.slot_contents.keep_change(active);
            self.slot_contents.change_to(slot, active.serial)
        });
        self.slot_contents.invalidate(slot);
        self.in_kernel.slots[usize::from(slot)] = Some(SlotRecord {
            hash: active.as_ref().map(|active| active.hash.clone()),
            day: active
                .as_ref()
                .map_or_else(String::new, |active| active.day.to_string()),
            ports,
        });
        self.store.set_kernel(&self.in_kernel);
        Ok(Staged {
            slot,
            active,
            since: Instant::now(),
            change,
        })
    }

    /// Notes whether writing succeeded.
    pub(super) fn staged(&mut self, staged: &Staged, written: &Result<(), Error>) {
        let slot = usize::from(staged.slot);
        match written {
            Ok(()) => {
                let serial = staged.active.as_ref().map(|active| active.serial);
                self.slot_contents.slots[slot] = serial;
            }
            Err(_) => {
                self.in_kernel.slots[slot] = None;
                self.store.set_kernel(&self.in_kernel);
            }
        }
    }

    /// Writes a policy while holding the engine.
    pub(super) fn stage_at_once(
        &mut self,
        active: Option<Arc<ActivePolicy>>,
        ports: Vec<String>,
    ) -> Result<Staged, Error> {
        let staged = self.stage(active, ports)?;
        let written = staged.write(&self.stager);
        self.staged(&staged, &written);
        written.map(|()| staged)
    }

    /// Whether the inactive slot cannot be brought to the policy in force by a small change.
    pub(super) fn inactive_slot_is_stale(&self) -> bool {
        let (Some(current), Ok(control)) = (&self.current, self.plane.control()) else {
            return false;
        };
        let tried = self.inactive_sync_tried == Some(current.serial);
        control.epoch != 0
            && !tried
            && self
                .slot_contents
                .change_to(control.slot ^ 1, current.serial)
                .is_none()
    }
}

impl Gateway {
    /// Writes a policy to the inactive slot, without holding the engine during the write. None if ports are renumbered:
    /// the policy is then written when it is put into force, with the engine held.
    ///
    /// Call only while holding the compile lock, so that there is one write at a time.
    pub(super) fn stage(&self, active: Option<Arc<ActivePolicy>>) -> Result<Option<Staged>, Error> {
        let (staged, stager) = {
            let mut engine = self.engine();
            let ports = ports_of(active.as_deref());
            if engine.renumbers(&ports)? {
                return Ok(None);
            }
            (engine.stage(active, ports)?, Arc::clone(&engine.stager))
        };
        let written = staged.write(&stager);
        self.engine().staged(&staged, &written);
        written.map(|()| Some(staged))
    }

    /// Writes the policy in force to the inactive slot too, so that the next change is written alone.
    pub(super) fn sync_inactive_slot(&self) {
        let current = {
            let mut engine: MutexGuard<'_, Engine> = self.engine();
            if !engine.inactive_slot_is_stale() {
                return;
            }
            engine.inactive_sync_tried = engine.current.as_ref().map(|active| active.serial);
            engine.current()
        };
        if let Err(error) = self.stage(current) {
            tracing::warn!("the next change of policy is written whole: {error}");
        }
    }
}
