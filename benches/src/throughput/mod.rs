//! The throughput of established flows. All cases are measured in turn, in several rounds, so that other load on the
//! machine affects them alike.

mod case;
mod noise;
mod profile;
mod report;
mod sample;

use anyhow::{Result, bail};

use crate::bed::Bed;
use crate::gateways::Kind;
use crate::plan::Plan;
use crate::report::Findings;
use crate::stop;

use report::{Report, Samples};

pub use case::{cases, names};

/// Measures the cases of the plan with beds that were set up for them.
///
/// # Errors
/// If frames cannot be sent, or the benchmark is interrupted.
pub fn measure(plan: &Plan, beds: &mut [Bed]) -> Result<Findings> {
    let cases = cases(plan);
    if cases.is_empty() {
        return Ok(Findings::default());
    }
    eprintln!(
        "60-byte UDP frames (64 with Cordon's VLAN tag), in one direction of flows established in both"
    );
    let samples = samples(plan, beds)?;
    let nanoseconds = profile::all(&cases, beds, plan.sender)?;
    Ok(Report {
        samples,
        nanoseconds,
    }
    .findings())
}

fn samples(plan: &Plan, beds: &mut [Bed]) -> Result<Samples> {
    let mut samples = Samples::new();
    for round in 1..=plan.rounds {
        let mut line = Vec::new();
        let mut cases = cases(plan);
        if round % 2 == 0 {
            // Alternates the order, so that a case does not always follow the same other one.
            cases.reverse();
        }
        for case in cases {
            stop::check()?;
            let Some(bed) = beds
                .iter_mut()
                .find(|bed| bed.kind == case.kind && bed.site == case.site)
            else {
                bail!("{} was not set up", case.name());
            };
            let before = samples.get(&case).and_then(|samples| samples.last());
            let guess = before.map_or_else(|| expected(case.kind), |sample| sample.mpps);
            let sample = sample::take(bed, case.flows, plan.seconds, guess, plan.sender)?;
            line.push(format!("{} {:.2}", case.name(), sample.mpps));
            for wrong in &sample.wrong {
                eprintln!("  {}: {wrong}", case.name());
            }
            samples.entry(case).or_default().push(sample);
        }
        eprintln!("  round {round} of {}: {}", plan.rounds, line.join(", "));
    }
    Ok(samples)
}

/// A first guess of the rate, in million frames a second.
fn expected(kind: Kind) -> f64 {
    match kind {
        Kind::Redirect | Kind::Bridge => 8.0,
        Kind::Cordon => 6.0,
        Kind::Nftables => 1.2,
    }
}
