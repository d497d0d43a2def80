//! The flow table, as the API reports it.

mod filter;
mod names;
#[cfg(test)]
mod tests;
mod top;

use cordon_kernel::FlowEntry;
use cordon_protocol::{FlowQuery, Flows};

use crate::engine::{Gateway, InForce};
use crate::observed::Observed;
use crate::refusal::Refusal;

use filter::FlowFilter;
use names::FlowNames;
use top::{RankedFlow, TopFlows};

/// The most flows that a query returns.
const MAX_LIMIT: usize = 10_000;
/// Flows that a query returns by default.
const DEFAULT_LIMIT: usize = 100;

/// The flows that match a query, those with the most bytes first, and how many match.
pub fn flows(gateway: &Gateway, observed: &Observed, query: &FlowQuery) -> Result<Flows, Refusal> {
    let current = gateway.engine().current();
    let filter = FlowFilter::new(query, current.as_deref())?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let shadow = current
        .as_ref()
        .and_then(|active| observed.shadow_policy(active));

    let engine = gateway.engine();
    let InForce::Tables(control) = engine.in_force().map_err(Refusal::unreadable)? else {
        return Ok(Flows {
            total: 0,
            matching: 0,
            flows: Vec::new(),
        });
    };
    let names = FlowNames {
        slots: [gateway.slots.get(0), gateway.slots.get(1)],
        first_epochs: engine.first_epochs(),
        control,
        shadow,
    };
    let mut total = 0;
    let mut top = TopFlows::new(limit);
    // Flows that pass by an observe rule are judged by the shadow policy, after the engine is released.
    let mut observe_only = Vec::new();
    let mut read = |entry: FlowEntry| {
        if entry.is_to_group() {
            return;
        }
        total += 1;
        if !filter.matches(&entry) {
            return;
        }
        if names.passes_by_observe_rule(&entry) {
            observe_only.push(entry);
        } else if filter.matches_rule(names.rule(&entry)) {
            top.push(RankedFlow::of(entry));
        }
    };
    engine.flows(&mut read);
    drop(engine);

    for entry in observe_only {
        let enforced = names.enforced(&entry);
        let ranked = RankedFlow { entry, enforced };
        if filter.matches_rule(names.reported_rule(&ranked)) {
            top.push(ranked);
        }
    }
    Ok(Flows {
        total,
        matching: top.pushed,
        flows: top
            .into_sorted()
            .map(|ranked| names.flow(&ranked))
            .collect(),
    })
}
