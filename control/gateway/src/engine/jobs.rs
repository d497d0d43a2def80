//! Work that a tick finds while holding the engine, and does without holding it.

use std::sync::Arc;
use std::time::Instant;

use cordon_protocol::Sources;

use super::compile::{Invariants, compile_policy, compile_stored};
use super::gateway::{Engine, Gateway};
use crate::active_policy::ActivePolicy;
use crate::clock;

/// Work to be done without holding the engine.
pub enum Job {
    /// The policy was not confirmed in time: roll back to this one, or to none.
    RollBack(Option<Sources>),
    /// The day has changed: compile again, without rules that have expired.
    Recompile(Arc<ActivePolicy>),
    /// Write the policy in force to the inactive slot.
    SyncInactiveSlot,
}

impl Gateway {
    /// Does a job.
    pub(super) fn run(&self, job: Job) {
        let today = clock::date(self.clock.wall());
        self.while_compiling(|| match job {
            Job::RollBack(sources) => {
                let before = self.engine().current();
                let before = before.as_deref();
                let active = sources
                    .map(|sources| compile_stored(&sources, today, before).map(Arc::new))
                    .transpose();
                let staged = match &active {
                    Ok(active) if self.engine().confirm_is_overdue() => self.stage(active.clone()),
                    _ => Ok(None),
                };
                self.engine().roll_back(active, staged);
            }
            Job::Recompile(before) => {
                let policy = Arc::clone(&before.policy);
                let hash = before.hash.clone();
                let started = Instant::now();
                let compiled = compile_policy(policy, hash, today, Invariants::Report);
                let compiled = compiled.map(|mut active| {
                    active.compile_seconds = started.elapsed().as_secs_f64();
                    Arc::new(active)
                });
                let differs = |active: &ActivePolicy| {
                    !before.generation(|old| active.generation(|new| old == new))
                };
                let staged = match &compiled {
                    Ok(active) if differs(active) => self.stage(Some(Arc::clone(active))).map(Some),
                    _ => Ok(None),
                };
                self.engine().recompiled(&before, compiled, staged);
            }
            Job::SyncInactiveSlot => self.sync_inactive_slot(),
        });
        self.drop_retired_policies();
    }
}

impl Engine {
    /// The next job, if any.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        let urgent = self.next_urgent_job();
        urgent.or_else(|| {
            self.inactive_slot_is_stale()
                .then_some(Job::SyncInactiveSlot)
        })
    }

    fn next_urgent_job(&mut self) -> Option<Job> {
        let commit_confirm = self.state.policy.as_ref()?.commit_confirm.clone();
        if let Some(commit_confirm) = commit_confirm
            && commit_confirm.end.is_expired(&*self.clock)
        {
            let sources = commit_confirm
                .rollback_to
                .map(|hash| self.store.sources(&hash));
            match sources.transpose() {
                Ok(sources) => return Some(Job::RollBack(sources)),
                Err(error) => self.cannot_roll_back(&error.to_string()),
            }
        }
        let current = self.current.as_ref()?;
        let today = clock::date(self.clock.wall());
        (current.day != today).then(|| Job::Recompile(Arc::clone(current)))
    }
}
