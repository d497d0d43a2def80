//! Putting a policy into force that was compiled again because the day has changed.

use std::sync::Arc;

use cordon_kernel::Error;
use cordon_policy::Rejected;

use super::gateway::Engine;
use super::staging::Staged;
use crate::active_policy::ActivePolicy;

impl Engine {
    /// Puts the policy `before`, compiled again, into force, unless another was applied meanwhile.
    pub(super) fn recompiled(
        &mut self,
        before: &Arc<ActivePolicy>,
        compiled: Result<Arc<ActivePolicy>, Rejected>,
        staged: Result<Option<Option<Staged>>, Error>,
    ) {
        let same = |current: &Arc<ActivePolicy>| Arc::ptr_eq(current, before);
        if !self.current.as_ref().is_some_and(same) {
            return;
        }
        let installed = match compiled {
            Ok(active) => {
                let done = staged.and_then(|staged| match staged {
                    None => self.adopt_for_new_day(active),
                    Some(staged) => self.change_kernel(Some(active), staged),
                });
                done.map_err(|error| error.to_string())
            }
            Err(rejected) => Err(rejected.to_string()),
        };
        let text = installed.err().map(|reason| {
            format!("rules that expired yesterday are still in force: {reason}; this is retried")
        });
        self.warn("day", text);
        self.warn_of_broken_invariants();
    }
}
