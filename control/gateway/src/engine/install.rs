//! Putting a policy or a posture into force in the kernel.

use std::sync::Arc;
use std::time::Instant;

use cordon_kernel::{Error, Installed};
use cordon_verdict::abi::{PORTS, RULES};

use super::gateway::{Engine, InForce};
use super::renumbering::{changed, ports_of, renumbered};
use super::staging::Staged;
use crate::active_policy::ActivePolicy;

impl Engine {
    /// Puts a policy, or none, into force in the kernel at the posture of the state; then attaches its ports.
    ///
    /// Port numbers are part of a policy. If the new policy gives a number to another interface, no packet may be
    /// judged by the new policy before the interfaces have their new numbers, nor by the old one after. So an empty
    /// policy is in force meanwhile, and nothing is forwarded.
    ///
    /// `staged` must be that policy. Without it, the policy is written here.
    pub(super) fn change_kernel(
        &mut self,
        active: Option<Arc<ActivePolicy>>,
        staged: Option<Staged>,
    ) -> Result<(), Error> {
        let since = staged
            .as_ref()
            .map_or_else(Instant::now, |staged| staged.since);
        let ports = ports_of(active.as_deref());
        let before = self.known_ports()?;
        let changed = changed(before.as_deref(), &ports);
        let renumbered = renumbered(before.as_deref(), &ports);
        if renumbered {
            let before = before.unwrap_or_else(|| vec![String::new(); PORTS]);
            let empty = self.stage_at_once(None, before)?;
            self.flip(empty)?;
            for port in &changed {
                self.detach(*port)?;
            }
        }
        let staged = match staged {
            // It is that policy, in the inactive slot.
            Some(staged) if !renumbered => staged,
            _ => self.stage_at_once(active.clone(), ports)?,
        };
        self.flip(staged)?;
        self.retired
            .extend(std::mem::replace(&mut self.current, active));
        if !renumbered {
            for port in changed {
                self.detach(port)?;
            }
        }
        let listed = self.current.as_ref().map(|active| &active.policy.ports[..]);
        self.ports.list(listed.unwrap_or_default());
        self.attach_ports();
        self.last_install = since.elapsed();
        Ok(())
    }

    /// Activates a written slot at the posture of the state.
    fn flip(&mut self, staged: Staged) -> Result<(), Error> {
        let before = self.plane.control()?;
        let posture = self.state.posture() as u8;
        let old = self.slots.get(before.slot);
        let rules = old.as_ref().map_or(RULES, |old| old.rules);
        let installed = match self.plane.flip(posture, rules) {
            Ok(installed) => installed,
            Err(error @ Error::Barrier(_)) => {
                // It is in force for every new packet. It is unknown whether packets that began under the old policy
                // are done, so whether its slot may be changed.
                self.slot_contents.invalidate(before.slot);
                self.warn("barrier", Some(error.to_string()));
                Installed {
                    control: self.plane.control()?,
                    counted: self.plane.rule_counters(before.slot, rules)?,
                }
            }
            Err(error) => return Err(error),
        };
        debug_assert_eq!(installed.control.slot, staged.slot);
        let active = staged.active;
        self.counters
            .carry_over(old.as_deref(), before.posture, &installed.counted);
        self.counters.keep_only(active.as_deref());
        self.first_epochs[usize::from(installed.control.slot)] = installed.control.epoch;
        if let Some(old) = old {
            // The next policy is compiled as a change to the new one.
            let _ = old.take_basis();
        }
        let retired = self.slots.set(installed.control.slot, active);
        self.retired.extend(retired);
        Ok(())
    }

    /// Takes over a policy that was compiled for another day to the same tables: the kernel needs no change.
    pub(super) fn adopt_for_new_day(&mut self, active: Arc<ActivePolicy>) -> Result<(), Error> {
        let slot = self.plane.control()?.slot;
        if let Some(known) = &mut self.in_kernel.slots[usize::from(slot)] {
            known.day = active.day.to_string();
            self.store.set_kernel(&self.in_kernel);
        }
        if let Some(before) = &self.current {
            self.slot_contents.renumber(before.serial, active.serial);
        }
        let retired = self.slots.set(slot, Some(Arc::clone(&active)));
        self.retired.extend(retired);
        self.current = Some(active);
        Ok(())
    }

    /// Puts the posture of the state into force.
    pub(super) fn change_posture(&mut self) -> Result<(), Error> {
        let InForce::Tables(before) = self.in_force()? else {
            // Without a policy nothing is forwarded. The posture applies from the first policy on.
            return Ok(());
        };
        let posture = self.state.posture() as u8;
        if posture != before.posture {
            self.plane.set_posture(posture)?;
        }
        Ok(())
    }
}
