//! What must outlive a power cut, as it is written down.

use std::time::Duration;

use cordon_policy::Posture;
use cordon_protocol::Order;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Countdown};

/// The version of this layout. What another version wrote is not guessed at: it could close more than we understand.
pub const VERSION: u32 = 1;

/// What is in force, as far as a reboot is concerned: the content of `state.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`VERSION`].
    pub version: u32,
    /// Changes of policy so far.
    pub generation: u64,
    /// The policy in force.
    pub policy: Option<StoredPolicy>,
    /// The state was lost while the kernel had a policy in force: it stays until another is applied.
    pub lost: bool,
    /// The sequence number of the last order.
    pub sequence: u64,
    /// The quarantines in force, the strictest last. None: the posture is `normal`.
    pub quarantines: Vec<Quarantine>,
    /// Orders that `orders.jsonl` may not list yet.
    pub unlisted: Vec<Order>,
}

/// A policy that was put into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPolicy {
    /// SHA-256 of its sources.
    pub hash: String,
    /// When it was applied.
    pub applied: String,
    /// Until it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// What happens to a policy that is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The policy to go back to; none: to no policy at all.
    pub back_to: Option<String>,
    /// When.
    pub end: Countdown,
}

/// A quarantine in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// The order.
    pub order: Order,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Countdown>,
}

impl Quarantine {
    /// Its posture. One that nobody knows is the strictest there is.
    pub fn posture(&self) -> Posture {
        self.order.posture.parse().unwrap_or(Posture::Sever)
    }

    /// Whether it has ended.
    pub fn is_over(&self, clock: &dyn Clock) -> bool {
        self.end.as_ref().is_some_and(|end| end.is_over(clock))
    }

    fn left(&self, clock: &dyn Clock) -> Duration {
        match &self.end {
            Some(end) => end.left(clock),
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
    /// The posture that it comes to: of several quarantines, the strictest's.
    pub fn posture(&self) -> Posture {
        let strictest = self.quarantines.iter().map(Quarantine::posture).max();
        strictest.unwrap_or(Posture::Normal)
    }

    /// Adds a quarantine. One that another outdoes (as strict at least, and not over before it) is left out, so that
    /// the order that set a posture stays the one that is told of.
    pub fn quarantine(&mut self, new: Quarantine, clock: &dyn Clock) {
        let outdoes = |one: &Quarantine, other: &Quarantine| {
            one.posture() >= other.posture() && one.left(clock) >= other.left(clock)
        };
        if self.quarantines.iter().any(|old| outdoes(old, &new)) {
            return;
        }
        self.quarantines.retain(|old| !outdoes(&new, old));
        self.quarantines.push(new);
        self.quarantines.sort_by_key(Quarantine::posture);
    }

    /// The same, with what is left of every time as of now.
    pub fn refresh(&mut self, clock: &dyn Clock) {
        for end in self.ends() {
            *end = end.refreshed(clock);
        }
    }

    /// Whether something ends by itself.
    pub fn is_timed(&mut self) -> bool {
        self.ends().next().is_some()
    }

    fn ends(&mut self) -> impl Iterator<Item = &mut Countdown> {
        let trial = self
            .policy
            .iter_mut()
            .filter_map(|policy| policy.trial.as_mut());
        let quarantines = self
            .quarantines
            .iter_mut()
            .filter_map(|quarantine| quarantine.end.as_mut());
        quarantines.chain(trial.map(|trial| &mut trial.end))
    }
}

/// What is known of the kernel's tables: the content of `kernel.json`. Of use only to the boot that wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InKernel {
    /// Which boot.
    pub boot: Option<String>,
    /// Where the tables are pinned.
    pub pins: String,
    /// Room for IPv4 and IPv6 flows.
    pub flows: [u32; 2],
    /// What each slot holds, as it was just before it was filled.
    pub slots: [Option<Slot>; 2],
}

/// What a slot of the kernel's tables was filled with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The policy; none: an empty one.
    pub hash: Option<String>,
    /// The day that it was compiled for.
    pub day: String,
    /// The network interface of each port.
    pub ports: Vec<String>,
}
