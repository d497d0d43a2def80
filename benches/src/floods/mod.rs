//! The effect of a flood by one compromised device on the flows of other devices.
//!
//! The gateway has its own processor for frames from devices, so that the flood does not wait for it: frames that it
//! cannot receive in time are lost before it, as on a real link. All other threads share another processor.

mod clinical;
mod flood;
mod report;
mod run;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::Result;

use crate::gateways::Kind;
use crate::hosts::{Hosts, SERVERS};
use crate::plan::Plan;
use crate::processor;
use crate::report::Findings;
use crate::stop;
use crate::traffic::Device;

use flood::{FLOODS, Flood};
use report::{Outcome, findings, name, of_rounds};
use run::COMPROMISED;

/// The gateways that are compared.
const GATEWAYS: [Kind; 2] = [Kind::Nftables, Kind::Cordon];

/// The names of all cases.
pub fn names() -> impl Iterator<Item = String> {
    FLOODS
        .into_iter()
        .flat_map(|flood| GATEWAYS.map(|kind| name(flood, kind)))
}

/// Measures the cases of the plan.
///
/// # Errors
/// If the setup or a measurement fails, or the benchmark is interrupted.
pub fn measure(plan: &Plan) -> Result<Findings> {
    let processor = processor::other_than(plan.sender);
    let clinical: Vec<Device> = (0..SERVERS).map(Device).collect();
    let devices = [&clinical[..], &[COMPROMISED]].concat();
    let mut beds: BTreeMap<Kind, Hosts> = BTreeMap::new();
    let mut all: BTreeMap<(Flood, Kind), Vec<Outcome>> = BTreeMap::new();
    for round in 1..=plan.rounds {
        for flood in FLOODS {
            // Alternates the order of the gateways.
            let mut gateways = GATEWAYS;
            gateways.rotate_left(round % 2);
            for kind in gateways {
                let name = name(flood, kind);
                if !plan.wants(&name) {
                    continue;
                }
                stop::check()?;
                let hosts = match beds.entry(kind) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        let hosts = Hosts::new(kind, &devices)?;
                        hosts.forward_on(processor)?;
                        entry.insert(hosts)
                    }
                };
                let outcome = run::measure(hosts, &clinical, flood, plan)?;
                eprintln!(
                    "  {name}: {:.0} kpps, {:.3}% lost, p99 {:.0} us",
                    outcome.offered,
                    outcome.loss * 100.0,
                    outcome.p99
                );
                all.entry((flood, kind)).or_default().push(outcome);
            }
        }
    }
    let combined = |(case, rounds): (_, Vec<Outcome>)| Some((case, of_rounds(&rounds)?));
    Ok(findings(&all.into_iter().filter_map(combined).collect()))
}
