//! Reading the rule counters, and adding what was counted under earlier policies.

use cordon_kernel::Error;
use cordon_verdict::abi::{Counter, RULES};

use super::counter_history::{Counts, add, passed};
use super::gateway::{Engine, InForce};

impl Engine {
    /// Samples the rule counters. Counts since the last sample were judged under `posture`; from here on under the
    /// posture in force.
    pub(super) fn sample_rule_counters(&mut self, posture: u8) -> Result<Vec<Counter>, Error> {
        let InForce::Tables(control) = self.in_force()? else {
            return Ok(Vec::new());
        };
        let rules = self.current.as_ref().map_or(RULES, |active| active.rules);
        let counted = self.plane.rule_counters(control.slot, rules)?;
        self.counters
            .add_forbidden(self.current.as_deref(), posture, &counted);
        self.counters.last = (control.posture > 0).then(|| counted.clone());
        Ok(counted)
    }

    /// Reads all counts.
    ///
    /// # Errors
    /// If the data plane does not answer.
    pub fn counts(&mut self) -> Result<Counts, Error> {
        let posture = self.plane.control()?.posture;
        let counted = self.sample_rule_counters(posture)?;
        let current = self.current.as_deref();
        let mut sum = self.counters.passed;
        add(&mut sum, passed(current, &counted));
        let rules = current.map_or(0, |active| active.rules);
        let of_rule = |number: usize| {
            let mut counter = counted.get(number).copied().unwrap_or_default();
            let name = current.and_then(|active| active.rule(number as u32));
            if let Some(before) = name.and_then(|name| self.counters.rules.get(name)) {
                add(&mut counter, *before);
            }
            counter
        };
        Ok(Counts {
            passed: sum,
            rules: (0..rules).map(of_rule).collect(),
            drops: self.plane.drops()?,
            forbidden: self.counters.forbidden,
            events_lost: self.plane.events_lost()?,
        })
    }
}
