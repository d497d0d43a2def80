//! Counts under earlier policies: the kernel's rule counters start at zero with each policy, but a metric must not
//! decrease.

use std::collections::HashMap;

use cordon_kernel::Drops;
use cordon_verdict::abi::Counter;

use crate::active_policy::ActivePolicy;

/// Counts under earlier policies, and of packets that should not have passed.
#[derive(Default)]
pub struct CounterHistory {
    /// By rule name, under earlier policies.
    pub rules: HashMap<String, Counter>,
    /// Packets that passed, under earlier policies.
    pub passed: Counter,
    /// Packets that a rule let pass although the posture forbids it.
    pub forbidden: u64,
    /// The last sample of the rule counters, while the posture is above normal.
    pub last: Option<Vec<Counter>>,
}

/// All counts since the daemon started or the data plane was loaded, whichever is earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that passed.
    pub passed: Counter,
    /// Drops, by reason.
    pub drops: Drops,
    /// What each rule decided on, by rule number.
    pub rules: Vec<Counter>,
    /// Packets that passed although an acknowledged order forbids them.
    pub forbidden: u64,
    /// Events that the data plane lost.
    pub events_lost: u64,
}

impl CounterHistory {
    /// Adds the counters of a policy that is no longer in force. `posture` is the last one that it was judged under.
    pub fn carry_over(&mut self, active: Option<&ActivePolicy>, posture: u8, counted: &[Counter]) {
        self.add_forbidden(active, posture, counted);
        self.last = None;
        let passed = passed(active, counted);
        add(&mut self.passed, passed);
        let Some(active) = active else { return };
        for (number, counter) in counted.iter().enumerate() {
            if let Some(name) = active.rule(number as u32) {
                add(self.rules.entry(name.to_owned()).or_default(), *counter);
            }
        }
    }

    /// Removes rules that the policy does not have: the number of exported rules is bounded by the policy.
    pub fn keep_only(&mut self, active: Option<&ActivePolicy>) {
        let names: std::collections::HashSet<&str> = match active {
            Some(active) => (0..active.rules as u32)
                .filter_map(|number| active.rule(number))
                .collect(),
            None => return self.rules.clear(),
        };
        self.rules.retain(|name, _| names.contains(name.as_str()));
    }

    /// Counts packets that rules have let pass since the last sample although `posture`, in force since then, forbids
    /// them. Only the counters of rules that the posture shuts entirely show that: they must not move.
    pub fn add_forbidden(
        &mut self,
        active: Option<&ActivePolicy>,
        posture: u8,
        counted: &[Counter],
    ) {
        let (Some(last), Some(active)) = (&self.last, active) else {
            return;
        };
        for (rule, counter) in counted.iter().enumerate() {
            if active.allows(rule) && !active.is_open_at(rule, posture) {
                let before = last.get(rule).copied().unwrap_or_default();
                self.forbidden += counter.packets.saturating_sub(before.packets);
            }
        }
    }
}

/// The sum of what passed: rules that deny count what they dropped, others what they let pass.
pub fn passed(active: Option<&ActivePolicy>, counted: &[Counter]) -> Counter {
    let mut sum = Counter::default();
    for (rule, counter) in counted.iter().enumerate() {
        if active.is_none_or(|active| active.allows(rule)) {
            add(&mut sum, *counter);
        }
    }
    sum
}

/// Adds a counter to another.
pub fn add(to: &mut Counter, counter: Counter) {
    to.packets += counter.packets;
    to.bytes += counter.bytes;
}
