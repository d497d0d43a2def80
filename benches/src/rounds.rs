//! All cases in turn, several times over: what the machine does otherwise hits them all alike.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::bed::Bed;
use crate::gateways::{Case, Kind};
use crate::sample::{self, Sample};
use crate::stop;
use crate::traffic::{DEVICES, FLOWS};

/// How long, and what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each case is measured.
    pub rounds: usize,
    /// For how long.
    pub seconds: f64,
    /// Only cases whose name contains this.
    pub only: Option<String>,
    /// The processor it all happens on.
    pub sender: usize,
}

/// What was measured: for each case, one sample a round.
pub type Samples = BTreeMap<Case, Vec<Sample>>;

impl Plan {
    /// The cases, those next to each other that are compared.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for flows in FLOWS {
            let case = |kind, devices| Case {
                kind,
                flows,
                devices,
            };
            cases.push(case(Kind::Redirect, DEVICES[0]));
            for devices in DEVICES {
                cases.push(case(Kind::Nftables, devices));
                cases.push(case(Kind::Cordon, devices));
            }
        }
        if let Some(only) = &self.only {
            cases.retain(|case| case.name().contains(only.as_str()));
        }
        cases
    }

    /// Sets up what the cases need.
    ///
    /// # Errors
    /// If something cannot be set up, or someone wants to stop.
    pub fn beds(&self) -> Result<Vec<Bed>> {
        let mut beds: Vec<Bed> = Vec::new();
        for Case { kind, devices, .. } in self.cases() {
            if beds
                .iter()
                .any(|bed| bed.kind == kind && bed.devices == devices)
            {
                continue;
            }
            stop::check()?;
            let since = Instant::now();
            let bed = Bed::new(kind, devices, self.sender)?;
            let devices = match kind {
                Kind::Redirect => String::new(),
                _ => format!(", {devices} devices"),
            };
            eprintln!(
                "  {}{devices}: {} ({:.1} s)",
                kind.name(),
                bed.described(),
                since.elapsed().as_secs_f64()
            );
            beds.push(bed);
        }
        if beds.is_empty() {
            bail!("no case is called so; there is: {}", self.names());
        }
        Ok(beds)
    }

    fn names(&self) -> String {
        let all = Plan {
            only: None,
            ..self.clone()
        };
        let names: Vec<_> = all.cases().into_iter().map(Case::name).collect();
        names.join(", ")
    }

    /// Measures.
    ///
    /// # Errors
    /// If nothing can be sent, or someone wants to stop.
    pub fn measure(&self, beds: &mut [Bed]) -> Result<Samples> {
        let mut samples = Samples::new();
        for round in 1..=self.rounds {
            let mut line = Vec::new();
            let mut cases = self.cases();
            if round % 2 == 0 {
                // So that nobody always comes after the same other one.
                cases.reverse();
            }
            for case in cases {
                stop::check()?;
                let Some(bed) = beds
                    .iter_mut()
                    .find(|bed| bed.kind == case.kind && bed.devices == case.devices)
                else {
                    bail!("{} was not set up", case.name());
                };
                let before = samples.get(&case).and_then(|samples| samples.last());
                let guess = before.map_or_else(|| expected(case.kind), |sample| sample.mpps);
                let sample = sample::take(bed, case.flows, self.seconds, guess, self.sender)?;
                line.push(format!("{} {:.2}", case.name(), sample.mpps));
                for wrong in &sample.wrong {
                    eprintln!("  {}: {wrong}", case.name());
                }
                samples.entry(case).or_default().push(sample);
            }
            eprintln!("  round {round} of {}: {}", self.rounds, line.join(", "));
        }
        Ok(samples)
    }
}

/// Million frames a second: a first guess.
fn expected(kind: Kind) -> f64 {
    match kind {
        Kind::Redirect => 8.0,
        Kind::Cordon => 6.0,
        Kind::Nftables => 1.2,
    }
}
