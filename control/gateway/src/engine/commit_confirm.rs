//! Commit-confirm: a policy that is rolled back unless it is confirmed in time.

use std::sync::Arc;

use cordon_kernel::Error;
use cordon_policy::Rejected;
use cordon_protocol::Applied;

use super::gateway::Engine;
use super::staging::Staged;
use crate::active_policy::ActivePolicy;
use crate::refusal::Refusal;

impl Engine {
    /// Confirms the policy in force: it stays.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] if no confirmation is pending, [`Refusal::NotDurable`].
    pub fn confirm(&mut self) -> Result<Applied, Refusal> {
        let stored = self.state.policy.as_mut();
        let Some(commit_confirm) = stored.and_then(|stored| stored.commit_confirm.take()) else {
            return Err(Refusal::Conflict {
                message: "there is nothing to confirm: no rollback of the policy in force is pending".to_owned(),
                hint: "`cordon status` shows what is in force; an unconfirmed policy is rolled back automatically"
                    .to_owned(),
            });
        };
        if let Err(source) = self.save() {
            if let Some(stored) = &mut self.state.policy {
                stored.commit_confirm = Some(commit_confirm);
            }
            let what = "the policy was not confirmed, because that could not be made durable";
            return Err(Refusal::NotDurable { what, source });
        }
        self.prune_sources();
        self.applied()
    }

    /// Whether the time to confirm the policy in force has passed.
    pub(super) fn confirm_is_overdue(&self) -> bool {
        let stored = self.state.policy.as_ref();
        let commit_confirm = stored.and_then(|stored| stored.commit_confirm.as_ref());
        commit_confirm.is_some_and(|commit_confirm| commit_confirm.end.is_expired(&*self.clock))
    }

    /// Puts the policy before into force again, unless the rollback is no longer due.
    pub(super) fn roll_back(
        &mut self,
        active: Result<Option<Arc<ActivePolicy>>, Rejected>,
        staged: Result<Option<Staged>, Error>,
    ) {
        if !self.confirm_is_overdue() {
            // It was confirmed or replaced while the old policy was being compiled.
            return;
        }
        let active = match active {
            Ok(active) => active,
            Err(rejected) => return self.cannot_roll_back(&rejected.to_string()),
        };
        let next = self.next(active.as_ref().map(|active| &active.hash), None);
        let changed = staged.and_then(|staged| self.change_kernel(active, staged));
        if let Err(error) = changed {
            let text = format!(
                "the unconfirmed policy is still in force: {error}; the rollback is retried"
            );
            return self.warn("policy", Some(text));
        }
        self.state = next;
        // If this fails, a restart rolls back again.
        let _ = self.save();
        self.prune_sources();
        self.warn_of_broken_invariants();
        self.warn("policy", None);
        // For an operator who lost the connection through the policy, and looks later.
        let text = "the policy applied last was not confirmed in time and was rolled back";
        self.warn("commit-confirm", Some(text.to_owned()));
    }

    pub(super) fn cannot_roll_back(&mut self, reason: &str) {
        let text = format!(
            "the policy was not confirmed, but cannot be rolled back ({reason}): it stays in force"
        );
        self.warn("policy", Some(text));
        if let Some(stored) = &mut self.state.policy {
            stored.commit_confirm = None;
        }
        let _ = self.save();
    }
}
