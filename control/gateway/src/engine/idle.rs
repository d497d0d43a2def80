//! Idle timeouts of flows, as set by the policy for the rule that lets them pass.

use std::sync::Arc;
use std::time::Duration;

use cordon_kernel::{FlowEntry, IdleTimeout};

use super::gateway::Engine;
use crate::active_policy::ActivePolicy;

/// The idle timeouts, by the epoch that a flow was judged under.
pub(super) struct IdleTimeouts {
    /// The policy in force, and its first epoch.
    now: Option<(Arc<ActivePolicy>, u32)>,
    /// The policy before, and its first epoch.
    before: Option<(Arc<ActivePolicy>, u32)>,
    /// The longest timeout that either sets.
    longest: Duration,
}

impl Engine {
    /// The idle timeouts that the policies in both slots set.
    pub(super) fn idle_timeouts(&self) -> IdleTimeouts {
        let slot = self.plane.control().map_or(0, |control| control.slot);
        let of = |slot: u8| Some((self.slots.get(slot)?, self.first_epochs[usize::from(slot)]));
        let (now, before) = (of(slot), of(slot ^ 1));
        let policies = now.iter().chain(&before);
        let longest = policies
            .map(|(active, _)| active.longest_idle_timeout)
            .max();
        IdleTimeouts {
            now,
            before,
            longest: longest.unwrap_or_default(),
        }
    }
}

impl IdleTimeouts {
    /// The idle timeout of a flow.
    pub fn of(&self, entry: &FlowEntry) -> IdleTimeout {
        if self.longest.is_zero() {
            return IdleTimeout::Default;
        }
        let epoch = entry.epoch();
        let timeout = |active: &ActivePolicy| {
            let rule = entry.flow.ruling().rule();
            active.idle_timeout(rule, entry.protocol, entry.server_port())
        };
        match (&self.now, &self.before) {
            (Some((active, since)), _) if epoch >= *since => match timeout(active) {
                Some(time) => IdleTimeout::Exactly(time),
                None => IdleTimeout::Default,
            },
            // Its next packet is judged by the policy in force. Until then the longer timeout applies.
            (_, Some((active, since))) if epoch >= *since => {
                IdleTimeout::AtLeast(timeout(active).unwrap_or_default())
            }
            _ => IdleTimeout::AtLeast(self.longest),
        }
    }
}
