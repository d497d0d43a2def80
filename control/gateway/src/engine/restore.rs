//! Start of the daemon: after a crash, an upgrade, a reboot, a damaged disk. The posture first, because that takes no
//! time; never more open than the kernel, the state or the orders say.

use std::sync::Arc;

use cordon_kernel::Error;
use cordon_policy::Posture;
use cordon_protocol::{Order, OrderKind, Scope};

use super::compile::compile_stored;
use super::gateway::{Engine, Gateway, InForce, Parts};
use crate::clock;
use crate::state::{Quarantine, SlotRecord, StoredPolicy};
use crate::store::StoreError;

impl Gateway {
    /// Starts a gateway, and restores what was in force.
    ///
    /// # Errors
    /// If the data plane does not answer, or the state has another version.
    pub fn start(parts: Parts) -> anyhow::Result<Gateway> {
        let mut engine = Engine::new(parts)?;
        engine.restore()?;
        Ok(Gateway::new(engine))
    }
}

impl Engine {
    /// Restores what was in force.
    fn restore(&mut self) -> anyhow::Result<()> {
        let found = self.in_force()?;
        self.read_state(found)?;
        self.reconcile_posture(found)?;
        self.restore_policy(found)?;
        self.list_orders();
        Ok(())
    }

    fn read_state(&mut self, found: InForce) -> Result<(), StoreError> {
        let orders = self.store.orders();
        match self.store.state() {
            Ok(Some(state)) => {
                self.state = state;
                // Timers of an earlier boot continue from here.
                self.state.refresh(&*self.clock);
            }
            Ok(None) if found == InForce::Empty && orders.as_ref().is_ok_and(Vec::is_empty) => {
                // The first start. From now on a missing state has been lost.
                let _ = self.save();
            }
            Ok(None) => self.without_state("it is missing", found, &orders),
            Err(error @ StoreError::Version { .. }) => return Err(error),
            Err(error) => {
                self.without_state(&error.to_string(), found, &orders);
            }
        }
        match orders {
            Ok(orders) => {
                let last = orders.last().map_or(0, |order| order.sequence);
                self.state.unlisted.retain(|order| order.sequence > last);
                self.state.sequence = self.state.sequence.max(last);
            }
            Err(error) => {
                let text = format!(
                    "the list of orders cannot be read: {error}; {}",
                    error.hint()
                );
                self.warn("orders", Some(text));
            }
        }
        Ok(())
    }

    /// The state is unknown. The kernel keeps what it has; if it has no policy, the posture of the last order applies.
    fn without_state(
        &mut self,
        reason: &str,
        found: InForce,
        orders: &Result<Vec<Order>, StoreError>,
    ) {
        if let Err(error) = self.store.set_state_aside() {
            tracing::error!("the unreadable state cannot be kept for analysis: {error}");
        }
        let last = orders.as_ref().map(|orders| orders.last());
        if let Ok(Some(last)) = last {
            self.state.sequence = last.sequence;
        }
        let text = match found {
            InForce::Tables(control) => {
                let slot = &self.in_kernel.slots[usize::from(control.slot)];
                let hash = slot.as_ref().and_then(|slot| slot.hash.clone());
                // Its posture is reconciled as that of any kernel that is stricter than the state.
                self.state.policy = hash.map(|hash| StoredPolicy {
                    hash,
                    applied: self.now(),
                    commit_confirm: None,
                });
                self.state.lost = self.state.policy.is_none();
                "the policy in the kernel stays in force"
            }
            InForce::Empty => {
                self.state.lost = true;
                let posture = match last {
                    Ok(None) => Posture::Normal,
                    Ok(Some(last)) => last.posture.parse().unwrap_or(Posture::Sever),
                    Err(_) => Posture::Sever,
                };
                if posture > Posture::Normal {
                    let reason = "the state was lost: this is the posture ordered last, or the strictest if that is unknown";
                    self.add_found_order(posture, reason);
                }
                "nothing is forwarded until a policy is applied"
            }
        };
        let text = format!(
            "the state cannot be read ({reason}): {text}. Check the disk, and apply the policy again: `cordon apply DIR`"
        );
        self.warn("state", Some(text));
        let _ = self.save();
    }

    /// Applies the posture of the state, unless the kernel's is stricter, which then becomes an order.
    fn reconcile_posture(&mut self, found: InForce) -> Result<(), Error> {
        let stored = self.state.posture();
        if let InForce::Tables(control) = found
            && let Some(kernel) = Posture::from_number(control.posture)
            && kernel > stored
        {
            self.add_found_order(
                kernel,
                "found in force in the kernel: it could not be made durable, or its release was interrupted",
            );
            let text = format!(
                "the site was found at {kernel} when the daemon started, but the state said {stored}: it stays. \
                 To open: `cordon release site --reason ...`"
            );
            self.warn("posture", Some(text));
        }
        // Ends expired orders now, so that a restart does not close what had been opened.
        self.end_orders()?;
        self.change_posture()
    }

    /// Adds an order for a posture that has none.
    fn add_found_order(&mut self, posture: Posture, reason: &str) {
        self.state.sequence += 1;
        let order = Order {
            sequence: self.state.sequence,
            kind: OrderKind::Quarantine,
            scope: Scope::Site,
            posture: posture.to_string(),
            before: self.state.posture().to_string(),
            reason: reason.to_owned(),
            ticket: None,
            by: "cordond".to_owned(),
            time: self.now(),
            until: None,
            in_force_milliseconds: None,
            warning: None,
        };
        let quarantine = Quarantine {
            order: order.clone(),
            end: None,
        };
        self.state.quarantine(quarantine, &*self.clock);
        self.state.unlisted.push(order);
        let _ = self.save();
    }

    fn restore_policy(&mut self, found: InForce) -> Result<(), Error> {
        let Some(stored) = self.state.policy.clone() else {
            return self.without_policy(found);
        };
        let today = clock::date(self.clock.wall());
        let compiled = self
            .store
            .sources(&stored.hash)
            .map_err(|error| format!("{error}; {}", error.hint()))
            .and_then(|sources| {
                compile_stored(&sources, today, None).map_err(|rejected| rejected.to_string())
            });
        let named = match compiled {
            Ok(named) => Arc::new(named),
            Err(reason) => {
                let effect = match found {
                    InForce::Empty => "nothing is forwarded",
                    InForce::Tables(_) => "the policy in the kernel stays in force",
                };
                let text = format!(
                    "the policy in force cannot be read back: {reason}. Until one is applied, {effect}"
                );
                self.warn("policy", Some(text));
                return Ok(());
            }
        };
        if let InForce::Tables(control) = found {
            let slot = &self.in_kernel.slots[usize::from(control.slot)];
            let day = named.day.to_string();
            let same =
                |slot: &SlotRecord| slot.hash.as_ref() == Some(&stored.hash) && slot.day == day;
            if slot.as_ref().is_some_and(same) {
                self.adopt(control.slot, named);
                self.warn_of_broken_invariants();
                return Ok(());
            }
        }
        self.change_kernel(Some(named), None)?;
        self.warn_of_broken_invariants();
        Ok(())
    }

    fn without_policy(&mut self, found: InForce) -> Result<(), Error> {
        let InForce::Tables(control) = found else {
            return Ok(());
        };
        let slot = &self.in_kernel.slots[usize::from(control.slot)];
        match slot {
            // The state was lost: the kernel's policy is not known.
            None => {
                let text = "the kernel has a policy in force that is unknown to the state: it stays. Apply the policy \
                            again: `cordon apply DIR`";
                self.warn("state", Some(text.to_owned()));
                Ok(())
            }
            Some(slot) if slot.hash.is_none() => Ok(()),
            // A policy that was put into the kernel but never acknowledged.
            Some(_) => self.change_kernel(None, None),
        }
    }
}
