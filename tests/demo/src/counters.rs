//! The gateway's own counters.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cordon_protocol::{Rule, Status};

use crate::hospital::Hospital;

/// The gateway's status.
pub fn status(hospital: &Hospital) -> Result<Status> {
    serde_json::from_value(hospital.json(&["status"])?).context("reading the gateway's status")
}

/// Dropped packets by reason.
#[derive(Clone, Debug, Default)]
pub struct Drops(BTreeMap<String, u64>);

impl Drops {
    /// The current counts.
    pub fn now(hospital: &Hospital) -> Result<Drops> {
        let drops = status(hospital)?.drops.into_iter();
        Ok(Drops(
            drops.map(|drop| (drop.reason, drop.packets)).collect(),
        ))
    }

    /// The increase since an earlier moment.
    pub fn since(&self, before: &Drops) -> Drops {
        let more = self.0.iter().filter_map(|(reason, packets)| {
            let more = packets - before.0.get(reason).copied().unwrap_or(0);
            (more > 0).then(|| (reason.clone(), more))
        });
        Drops(more.collect())
    }

    /// Drops for a reason.
    pub fn of(&self, reason: &str) -> u64 {
        self.0.get(reason).copied().unwrap_or(0)
    }
}

/// Packets that each rule allowed, by the rule's name.
pub fn rules(hospital: &Hospital) -> Result<BTreeMap<String, u64>> {
    let rules: Vec<Rule> = serde_json::from_value(hospital.json(&["rules"])?)
        .context("reading the gateway's rules")?;
    Ok(rules
        .into_iter()
        .map(|rule| (rule.name, rule.packets))
        .collect())
}
