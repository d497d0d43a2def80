//! Applying a policy.

use std::sync::Arc;
use std::time::Duration;

use cordon_kernel::Error;
use cordon_policy::Code;
use cordon_protocol::{Applied, Apply, PolicyStatus, Sources};

use super::compile::{Invariants, compile};
use super::gateway::{Engine, Gateway};
use super::staging::Staged;
use crate::active_policy::ActivePolicy;
use crate::clock::{self, Countdown};
use crate::convert;
use crate::refusal::Refusal;
use crate::state::{CommitConfirm, State, StoredPolicy};
use crate::store::{Store, StoreError};
use crate::sync::lock;

/// The longest time to confirm a policy in: one day.
const MAX_CONFIRM_SECONDS: u64 = 86400;

impl Gateway {
    /// Puts a policy into force.
    ///
    /// # Errors
    /// [`Refusal`]. The policy before stays in force.
    pub fn apply(&self, apply: &Apply) -> Result<Applied, Refusal> {
        let commit_confirm = match apply.confirm_seconds {
            None => None,
            Some(seconds @ 1..=MAX_CONFIRM_SECONDS) => Some(Duration::from_secs(seconds)),
            Some(_) => {
                return Err(Refusal::BadRequest {
                    message: "the time to confirm in must be 1 second to 1 day".to_owned(),
                    hint: "`--confirm 10m` rolls back after ten minutes unless confirmed",
                });
            }
        };
        let today = clock::date(self.clock.wall());
        let applied = self.while_compiling(|| {
            let before = self.engine().current();
            let active = compile(&apply.sources, today, Invariants::Refuse, before.as_deref())?;
            self.put_into_force(&Arc::new(active), &apply.sources, commit_confirm)
        });
        self.drop_retired_policies();
        applied
    }

    /// Stores the sources and writes the tables without holding the engine, then puts the policy into force.
    fn put_into_force(
        &self,
        active: &Arc<ActivePolicy>,
        sources: &Sources,
        commit_confirm: Option<Duration>,
    ) -> Result<Applied, Refusal> {
        let store = self
            .engine()
            .reserve_sources(&active.hash, commit_confirm)?;
        let kept = store.add_sources(sources);
        let staged = kept.map(|_| self.stage(Some(Arc::clone(active))));
        let mut engine = self.engine();
        let applied = engine.apply(active, staged, commit_confirm);
        engine.pending_hash = None;
        if applied.is_err() {
            engine.prune_sources();
        }
        applied?;
        engine.applied()
    }

    /// Frees replaced policies without holding the engine: a policy of 100,000 devices is a million allocations.
    pub(super) fn drop_retired_policies(&self) {
        let retired = std::mem::take(&mut self.engine().retired);
        drop(retired);
    }

    /// Runs `work` under the compile lock. The engine is not held, so orders do not wait.
    pub(crate) fn while_compiling<T>(&self, work: impl FnOnce() -> T) -> T {
        let _guard = lock(&self.compiling);
        work()
    }
}

impl Engine {
    /// Notes that a policy is about to be applied, so that its sources are kept.
    fn reserve_sources(
        &mut self,
        hash: &str,
        commit_confirm: Option<Duration>,
    ) -> Result<Arc<dyn Store>, Refusal> {
        if commit_confirm.is_some() && self.state.lost {
            return Err(Refusal::Conflict {
                message:
                    "it is not known which policy is in force, so there is none to roll back to"
                        .to_owned(),
                hint: "apply it without a time to confirm in".to_owned(),
            });
        }
        self.pending_hash = Some(hash.to_owned());
        Ok(Arc::clone(&self.store))
    }

    fn apply(
        &mut self,
        active: &Arc<ActivePolicy>,
        staged: Result<Result<Option<Staged>, Error>, StoreError>,
        commit_confirm: Option<Duration>,
    ) -> Result<(), Refusal> {
        let not_durable = |source| Refusal::NotDurable {
            what: "the policy was not applied, because it could not be made durable",
            source,
        };
        let not_applied = |source| Refusal::Dataplane {
            what: "the policy was not applied",
            source,
        };
        let staged = staged.map_err(not_durable)?.map_err(not_applied)?;
        let commit_confirm = commit_confirm.map(|time| CommitConfirm {
            rollback_to: self.confirmed(),
            end: Countdown::start(&*self.clock, time),
        });
        let next = self.next(Some(&active.hash), commit_confirm);
        self.store.prepare_state(&next).map_err(not_durable)?;
        // Into the kernel first: a reboot must not find a policy that the kernel does not accept. The state is on disk
        // already under its second name.
        let before = self.current.clone();
        let in_force = self.in_force().ok();
        if let Err(source) = self.change_kernel(Some(Arc::clone(active)), staged) {
            if self.in_force().ok() != in_force {
                self.reinstall(before);
            }
            return Err(not_applied(source));
        }
        if let Err(source) = self.store.commit_state() {
            self.reinstall(before);
            // It is unknown which state the disk has: store the old one again.
            let _ = self.save();
            return Err(not_durable(source));
        }
        self.state = next;
        self.dirty = false;
        for resolved in ["durability", "policy", "state", "commit-confirm"] {
            self.warn(resolved, None);
        }
        self.prune_sources();
        self.warn_of_broken_invariants();
        tracing::info!(
            hash = active.hash,
            generation = self.state.generation,
            devices = active.policy.devices.len(),
            "policy in force"
        );
        Ok(())
    }

    /// The state after a change to the policy with this hash, or to none.
    pub(super) fn next(
        &self,
        hash: Option<&String>,
        commit_confirm: Option<CommitConfirm>,
    ) -> State {
        let mut next = self.state.clone();
        next.refresh(&*self.clock);
        next.generation += 1;
        next.lost = false;
        next.policy = hash.map(|hash| StoredPolicy {
            hash: hash.clone(),
            applied: self.now(),
            commit_confirm,
        });
        next
    }

    /// Hash of the last confirmed policy, to roll back to.
    fn confirmed(&self) -> Option<String> {
        let stored = self.state.policy.as_ref()?;
        match &stored.commit_confirm {
            Some(commit_confirm) => commit_confirm.rollback_to.clone(),
            None => Some(stored.hash.clone()),
        }
    }

    fn reinstall(&mut self, before: Option<Arc<ActivePolicy>>) {
        if let Err(error) = self.change_kernel(before, None) {
            self.warn(
                "policy",
                Some(format!("the policy before could not be restored: {error}")),
            );
        }
    }

    /// Removes the sources of policies that are neither in force, nor to be rolled back to, nor being applied.
    pub(super) fn prune_sources(&self) {
        let stored = self.state.policy.as_ref();
        let back = stored
            .and_then(|stored| stored.commit_confirm.as_ref())
            .and_then(|commit_confirm| commit_confirm.rollback_to.as_deref());
        let hashes: Vec<&str> = stored
            .map(|stored| stored.hash.as_str())
            .into_iter()
            .chain(back)
            .chain(self.pending_hash.as_deref())
            .collect();
        self.store.keep_only(&hashes);
    }

    /// Warns of invariants that the policy in force breaks since a rule expired.
    pub(super) fn warn_of_broken_invariants(&mut self) {
        let current = self.current.as_ref();
        let broken: Vec<String> = current
            .iter()
            .flat_map(|active| &active.warnings)
            .filter(|problem| problem.code == Code::Invariant)
            .map(|problem| format!("{}: {}", problem.position, problem.message))
            .collect();
        let text = (!broken.is_empty()).then(|| {
            let list = broken.join("; ");
            format!("since a rule has expired, the policy breaks an invariant: {list}")
        });
        self.warn("invariants", text);
    }

    /// The status of the policy in force, as the API reports it.
    pub fn policy_status(&self) -> Option<PolicyStatus> {
        let stored = self.state.policy.as_ref()?;
        let current = self.current.as_ref()?;
        Some(PolicyStatus {
            hash: stored.hash.clone(),
            generation: self.state.generation,
            applied: stored.applied.clone(),
            devices: current.policy.devices.len(),
            rules: current.policy.rules.len(),
            classes: current.classes,
            reverts: stored
                .commit_confirm
                .as_ref()
                .map(|commit_confirm| commit_confirm.end.until(&*self.clock)),
        })
    }

    pub(super) fn applied(&self) -> Result<Applied, Refusal> {
        let (Some(policy), Some(current)) = (self.policy_status(), &self.current) else {
            return Err(Refusal::Internal("no policy is in force".to_owned()));
        };
        Ok(Applied {
            policy,
            compile_milliseconds: current.compile_seconds * 1000.0,
            install_milliseconds: self.last_install.as_secs_f64() * 1000.0,
            warnings: current.warnings.iter().map(convert::problem).collect(),
        })
    }
}
