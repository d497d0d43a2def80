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
    /// Only cases called so, as a whole or in their first parts; all if there are none.
    pub only: Vec<String>,
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
        let wanted = |case: &Case| self.only.iter().any(|only| begins(&case.name(), only));
        cases.retain(|case| self.only.is_empty() || wanted(case));
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
            only: Vec::new(),
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

/// Whether a name begins with these parts.
fn begins(name: &str, parts: &str) -> bool {
    let rest = name.strip_prefix(parts);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Million frames a second: a first guess.
fn expected(kind: Kind) -> f64 {
    match kind {
        Kind::Redirect => 8.0,
        Kind::Cordon => 6.0,
        Kind::Nftables => 1.2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Vec<String> {
        let plan = Plan {
            rounds: 1,
            seconds: 1.0,
            only: only.iter().map(|only| (*only).to_owned()).collect(),
            sender: 0,
        };
        plan.cases().into_iter().map(Case::name).collect()
    }

    #[test]
    fn all_cases_are_measured_unless_some_are_named() {
        assert_eq!(names(&[]).len(), 10);
        assert_eq!(names(&["cordon.1k.10"]), ["cordon.1k.10"]);
        assert_eq!(names(&["cordon.60k", "redirect.60k"]).len(), 3);
        assert!(names(&["cordon.6"]).is_empty());
    }
}
