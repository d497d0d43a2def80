//! Counters that go on where the kernel's begin anew: a policy starts with its rule counters at zero, a metric must
//! not go back.

use std::collections::HashMap;

use cordon_kernel::{Drops, Error};
use cordon_verdict::abi::{Counter, RULES};

use super::{Engine, InForce};
use crate::names::Named;

/// What was counted under earlier policies, and what should never have been counted.
#[derive(Default)]
pub struct Counting {
    /// By name of the rule, under policies before this one.
    rules: HashMap<String, Counter>,
    /// Packets that passed, under policies before this one.
    passed: Counter,
    /// Packets that rules let through although the posture forbids it.
    forbidden: u64,
    /// The rule counters as last looked at, while the posture is above normal.
    last: Option<Vec<Counter>>,
}

/// Everything that is counted, since the daemon started or the data plane was loaded, whichever is earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that passed.
    pub passed: Counter,
    /// What was dropped, by reason.
    pub drops: Drops,
    /// What each rule of the policy decided on, by number.
    pub rules: Vec<Counter>,
    /// Packets that passed after an order was acknowledged that forbids them.
    pub forbidden: u64,
    /// Events that the data plane could not tell of.
    pub events_lost: u64,
}

impl Counting {
    /// The policy before is no longer in force; `posture` is that it was last judged under.
    pub fn leave(&mut self, named: Option<&Named>, posture: u8, counted: &[Counter]) {
        self.look(named, posture, counted);
        self.last = None;
        let passed = passed(named, counted);
        add(&mut self.passed, passed);
        let Some(named) = named else { return };
        for (number, counter) in counted.iter().enumerate() {
            if let Some(name) = named.rule(number as u32) {
                add(self.rules.entry(name.to_owned()).or_default(), *counter);
            }
        }
    }

    /// Forgets rules that are no more: what is exported is bounded by the policy.
    pub fn keep_only(&mut self, named: Option<&Named>) {
        let names: std::collections::HashSet<&str> = match named {
            Some(named) => (0..named.rules as u32)
                .filter_map(|number| named.rule(number))
                .collect(),
            None => return self.rules.clear(),
        };
        self.rules.retain(|name, _| names.contains(name.as_str()));
    }

    /// Counts what rules have let through since last looked at, although `posture`, in force all that time,
    /// forbids it. Only rules that it shuts entirely can tell: their counters must stand still.
    fn look(&mut self, named: Option<&Named>, posture: u8, counted: &[Counter]) {
        let (Some(last), Some(named)) = (&self.last, named) else {
            return;
        };
        for (rule, counter) in counted.iter().enumerate() {
            if named.allows(rule) && !named.is_open_at(rule, posture) {
                let before = last.get(rule).copied().unwrap_or_default();
                self.forbidden += counter.packets.saturating_sub(before.packets);
            }
        }
    }
}

/// What passed. A rule that denies counts what it dropped; every other counts what it let through.
fn passed(named: Option<&Named>, counted: &[Counter]) -> Counter {
    let mut sum = Counter::default();
    for (rule, counter) in counted.iter().enumerate() {
        if named.is_none_or(|named| named.allows(rule)) {
            add(&mut sum, *counter);
        }
    }
    sum
}

fn add(to: &mut Counter, counter: Counter) {
    to.packets += counter.packets;
    to.bytes += counter.bytes;
}

impl Engine {
    /// Looks at the rule counters: what they say of the time since the last look was judged under `posture`. From
    /// here on they are judged under the posture in force.
    pub(super) fn look_at_rules(&mut self, posture: u8) -> Result<Vec<Counter>, Error> {
        let InForce::Tables(control) = self.in_force()? else {
            return Ok(Vec::new());
        };
        let rules = self.current.as_ref().map_or(RULES, |named| named.rules);
        let counted = self.plane.rule_counters(control.slot, rules)?;
        self.counting
            .look(self.current.as_deref(), posture, &counted);
        self.counting.last = (control.posture > 0).then(|| counted.clone());
        Ok(counted)
    }

    /// Everything that is counted.
    ///
    /// # Errors
    /// If the data plane does not answer.
    pub fn counts(&mut self) -> Result<Counts, Error> {
        let posture = self.plane.control()?.posture;
        let counted = self.look_at_rules(posture)?;
        let current = self.current.as_deref();
        let mut sum = self.counting.passed;
        add(&mut sum, passed(current, &counted));
        let rules = current.map_or(0, |named| named.rules);
        let of_rule = |number: usize| {
            let mut counter = counted.get(number).copied().unwrap_or_default();
            let name = current.and_then(|named| named.rule(number as u32));
            if let Some(before) = name.and_then(|name| self.counting.rules.get(name)) {
                add(&mut counter, *before);
            }
            counter
        };
        Ok(Counts {
            passed: sum,
            rules: (0..rules).map(of_rule).collect(),
            drops: self.plane.drops()?,
            forbidden: self.counting.forbidden,
            events_lost: self.plane.events_lost()?,
        })
    }
}
