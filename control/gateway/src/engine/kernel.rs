//! Putting a policy into the kernel.

use std::sync::Arc;
use std::time::Instant;

use cordon_kernel::{Error, Installed};
use cordon_verdict::abi::{Control, PORTS, RULES};

use super::Engine;
use super::staging::Staged;
use crate::names::Named;

/// What the kernel has in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// Nothing: no policy was ever installed in it.
    Nothing,
    /// Something.
    Tables(Control),
}

impl Engine {
    /// What the kernel has in force.
    ///
    /// # Errors
    /// If it does not say.
    pub fn in_force(&self) -> Result<InForce, Error> {
        let control = self.plane.control()?;
        Ok(match control.epoch {
            0 => InForce::Nothing,
            _ => InForce::Tables(control),
        })
    }

    /// Puts a policy into force in the kernel, or none at all, at the posture of the state; then sees to the ports.
    ///
    /// The numbers of ports are part of a policy. Where they mean other interfaces than before, nothing may be judged
    /// by the new policy before the interfaces have their new numbers, nor by the old one after: for that moment
    /// nothing is forwarded.
    ///
    /// What was `staged` must be that policy; without, it is written here.
    pub(super) fn change_kernel(
        &mut self,
        named: Option<Arc<Named>>,
        staged: Option<Staged>,
    ) -> Result<(), Error> {
        let since = staged
            .as_ref()
            .map_or_else(Instant::now, |staged| staged.since);
        let ports = ports_of(named.as_deref());
        let before = self.known_ports()?;
        let changed = changed(before.as_deref(), &ports);
        let renumbered = renumbered(before.as_deref(), &ports);
        if renumbered {
            let before = before.unwrap_or_else(|| vec![String::new(); PORTS]);
            let nothing = self.stage_at_once(None, before)?;
            self.flip(nothing)?;
            for port in &changed {
                self.detach(*port)?;
            }
        }
        let staged = match staged {
            // It was written for that policy, and to the slot that is not in force.
            Some(staged) if !renumbered => staged,
            _ => self.stage_at_once(named.clone(), ports)?,
        };
        self.flip(staged)?;
        self.gone
            .extend(std::mem::replace(&mut self.current, named));
        if !renumbered {
            for port in changed {
                self.detach(port)?;
            }
        }
        let listed = self.current.as_ref().map(|named| &named.policy.ports[..]);
        self.ports.list(listed.unwrap_or_default());
        self.attach_ports();
        self.last_install = since.elapsed();
        Ok(())
    }

    /// Whether ports have other numbers than those in force, so that they change hands.
    pub(super) fn renumbers(&self, ports: &[String]) -> Result<bool, Error> {
        Ok(renumbered(self.known_ports()?.as_deref(), ports))
    }

    /// The interfaces that the numbers of ports mean to the kernel; none if that is not known.
    fn known_ports(&self) -> Result<Option<Vec<String>>, Error> {
        Ok(match self.in_force()? {
            InForce::Nothing => Some(Vec::new()),
            InForce::Tables(control) => {
                let slot = &self.in_kernel.slots[usize::from(control.slot)];
                slot.as_ref().map(|slot| slot.ports.clone())
            }
        })
    }

    /// Puts what was written into force, at the posture of the state.
    fn flip(&mut self, staged: Staged) -> Result<(), Error> {
        let before = self.plane.control()?;
        let posture = self.state.posture() as u8;
        let old = self.slots.get(before.slot);
        let rules = old.as_ref().map_or(RULES, |old| old.rules);
        let installed = match self.plane.flip(posture, rules) {
            Ok(installed) => installed,
            Err(error @ Error::Barrier(_)) => {
                // It is in force for every packet from now on; that old ones are through cannot be told, nor what the
                // slot is still good for that they are judged by.
                self.holds.forget(before.slot);
                self.warn("barrier", Some(error.to_string()));
                Installed {
                    control: self.plane.control()?,
                    counted: self.plane.rule_counters(before.slot, rules)?,
                }
            }
            Err(error) => return Err(error),
        };
        debug_assert_eq!(installed.control.slot, staged.slot);
        let named = staged.named;
        self.counting
            .leave(old.as_deref(), before.posture, &installed.counted);
        self.counting.keep_only(named.as_deref());
        self.filled[usize::from(installed.control.slot)] = installed.control.epoch;
        if let Some(old) = old {
            // What it could have been changed from is another now.
            let _ = old.take_basis();
        }
        let gone = self.slots.set(installed.control.slot, named);
        self.gone.extend(gone);
        Ok(())
    }

    /// The same tables are those of another day: nothing to do in the kernel.
    pub(super) fn rename_day(&mut self, named: Arc<Named>) -> Result<(), Error> {
        let slot = self.plane.control()?.slot;
        if let Some(known) = &mut self.in_kernel.slots[usize::from(slot)] {
            known.day = named.day.to_string();
            self.store.set_kernel(&self.in_kernel);
        }
        if let Some(before) = &self.current {
            self.holds.rename(before.serial, named.serial);
        }
        let gone = self.slots.set(slot, Some(Arc::clone(&named)));
        self.gone.extend(gone);
        self.current = Some(named);
        Ok(())
    }

    /// Puts the posture of the state into force.
    pub(super) fn change_posture(&mut self) -> Result<(), Error> {
        let InForce::Tables(before) = self.in_force()? else {
            // Nothing is forwarded: the posture counts from the first policy on.
            return Ok(());
        };
        let posture = self.state.posture() as u8;
        if posture != before.posture {
            self.plane.set_posture(posture)?;
        }
        Ok(())
    }
}

/// The interfaces of a policy's ports, by number.
pub(super) fn ports_of(named: Option<&Named>) -> Vec<String> {
    let ports = named.map_or(&[][..], |named| &named.policy.ports);
    ports.iter().map(|port| port.device.clone()).collect()
}

/// The ports that have another interface than before, or none any more. Of an unknown past, all.
fn changed(before: Option<&[String]>, after: &[String]) -> Vec<u16> {
    let Some(before) = before else {
        return (0..PORTS as u16).collect();
    };
    let same = |port: &u16| before.get(usize::from(*port)) == after.get(usize::from(*port));
    (0..before.len() as u16)
        .filter(|port| !same(port))
        .collect()
}

/// Whether a number means another interface than before, or an interface has another number.
fn renumbered(before: Option<&[String]>, after: &[String]) -> bool {
    let Some(before) = before else {
        return true;
    };
    before.iter().enumerate().any(|(port, nic)| {
        after.get(port) != Some(nic) && (port < after.len() || after.contains(nic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn ports_are_only_interrupted_where_numbers_change_hands() {
        // before, after: changed, renumbered
        for (before, after, ports, moved) in [
            ("", "a b", vec![], false),
            ("a b", "a b", vec![], false),
            ("a b", "a b c", vec![], false),
            ("a b c", "a b", vec![2], false),
            ("a b", "b a", vec![0, 1], true),
            ("a b", "c a b", vec![0, 1], true),
            ("a b", "a c", vec![1], true),
            ("a b c", "a c", vec![1, 2], true),
        ] {
            let (before, after) = (names(before), names(after));
            assert_eq!(
                changed(Some(&before), &after),
                ports,
                "{before:?} {after:?}"
            );
            assert_eq!(
                renumbered(Some(&before), &after),
                moved,
                "{before:?} {after:?}"
            );
        }
    }

    #[test]
    fn of_an_unknown_past_everything_may_have_changed() {
        assert_eq!(changed(None, &names("a")).len(), PORTS);
        assert!(renumbered(None, &names("a")));
    }
}
