//! The persistent state, as it is stored.

use std::time::Duration;

use cordon_policy::Posture;
use cordon_protocol::Order;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Countdown};

/// The version of this layout. Another version's file is refused: misreading it could open what it closes.
pub const VERSION: u32 = 1;

/// What a reboot restores: the content of `state.json`. Aliases are field names that earlier daemons wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`VERSION`].
    pub version: u32,
    /// Number of changes of policy so far.
    pub generation: u64,
    /// The policy in force.
    pub policy: Option<StoredPolicy>,
    /// Whether the state was lost while the kernel had a policy in force: that policy stays until another is applied.
    pub lost: bool,
    /// Sequence number of the last order.
    pub sequence: u64,
    /// The quarantines in force, the strictest last. Empty: the posture is `normal`.
    pub quarantines: Vec<Quarantine>,
    /// Orders that may not be in `orders.jsonl` yet.
    pub unlisted: Vec<Order>,
}

/// A policy that was put into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPolicy {
    /// SHA-256 of its sources.
    pub hash: String,
    /// When it was applied, as RFC 3339.
    pub applied: String,
    /// The rollback that is pending until the policy is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(alias = "trial")]
    pub commit_confirm: Option<CommitConfirm>,
}

/// The rollback of a policy that is not confirmed in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitConfirm {
    /// Hash of the policy to roll back to; none: to no policy.
    #[serde(alias = "back_to")]
    pub rollback_to: Option<String>,
    /// When to roll back.
    pub end: Countdown,
}

/// A quarantine in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// The order.
    pub order: Order,
    /// When it expires; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Countdown>,
}

impl Quarantine {
    /// Its posture. An unknown name counts as the strictest posture.
    pub fn posture(&self) -> Posture {
        self.order.posture.parse().unwrap_or(Posture::Sever)
    }

    /// Whether it has expired.
    pub fn is_expired(&self, clock: &dyn Clock) -> bool {
        self.end.as_ref().is_some_and(|end| end.is_expired(clock))
    }

    fn remaining(&self, clock: &dyn Clock) -> Duration {
        match &self.end {
            Some(end) => end.remaining(clock),
            None => Duration::MAX,
        }
    }
}

impl Default for State {
    fn default() -> State {
        State {
            version: VERSION,
            generation: 0,
            policy: None,
            lost: false,
            sequence: 0,
            quarantines: Vec::new(),
            unlisted: Vec::new(),
        }
    }
}

impl State {
    /// The posture in force: the strictest of the quarantines'.
    pub fn posture(&self) -> Posture {
        let strictest = self.quarantines.iter().map(Quarantine::posture).max();
        strictest.unwrap_or(Posture::Normal)
    }

    /// Adds a quarantine. One that is superseded (by another at least as strict that does not expire earlier) is left
    /// out, so that the order that set a posture stays the one that is reported.
    pub fn quarantine(&mut self, new: Quarantine, clock: &dyn Clock) {
        let supersedes = |one: &Quarantine, other: &Quarantine| {
            one.posture() >= other.posture() && one.remaining(clock) >= other.remaining(clock)
        };
        if self.quarantines.iter().any(|old| supersedes(old, &new)) {
            return;
        }
        self.quarantines.retain(|old| !supersedes(&new, old));
        self.quarantines.push(new);
        self.quarantines.sort_by_key(Quarantine::posture);
    }

    /// Updates the remaining time of every timer.
    pub fn refresh(&mut self, clock: &dyn Clock) {
        for end in self.ends() {
            *end = end.refreshed(clock);
        }
    }

    /// Whether any timer is running.
    pub fn is_timed(&mut self) -> bool {
        self.ends().next().is_some()
    }

    fn ends(&mut self) -> impl Iterator<Item = &mut Countdown> {
        let commit_confirm = self
            .policy
            .iter_mut()
            .filter_map(|policy| policy.commit_confirm.as_mut());
        let quarantines = self
            .quarantines
            .iter_mut()
            .filter_map(|quarantine| quarantine.end.as_mut());
        quarantines.chain(commit_confirm.map(|commit_confirm| &mut commit_confirm.end))
    }
}

/// What the kernel's tables were filled with: the content of `kernel.json`. Valid only for the boot that wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelRecord {
    /// The boot ID.
    pub boot: Option<String>,
    /// Directory where the tables are pinned.
    pub pins: String,
    /// Capacity for IPv4 and IPv6 flows.
    pub flows: [u32; 2],
    /// The content of each slot, recorded just before the slot is filled.
    pub slots: [Option<SlotRecord>; 2],
}

/// The content of a slot of the kernel's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotRecord {
    /// Hash of the policy; none: an empty policy.
    pub hash: Option<String>,
    /// The date that it was compiled for.
    pub day: String,
    /// The network interface of each port, by port number.
    pub ports: Vec<String>,
}
