//! All cases in turn, several times over: what the machine does otherwise hits them all alike.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::bed::Bed;
use crate::gateways::{Case, Kind};
use crate::sample::{self, Sample};
use crate::stop;
use crate::traffic::{DEVICES, FLOWS, RULES, Site};
use crate::{floods, newflows, rtt};

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
            let case = |kind, site| Case { kind, flows, site };
            cases.push(case(Kind::Redirect, Site::Devices(DEVICES[0])));
            for site in DEVICES.map(Site::Devices) {
                cases.push(case(Kind::Nftables, site));
                cases.push(case(Kind::Cordon, site));
            }
            for site in RULES.map(Site::Rules) {
                cases.push(case(Kind::Cordon, site));
            }
        }
        cases.retain(|case| self.wants(&case.name()));
        cases
    }

    /// The cases in which flows are opened.
    pub fn new_flows(&self) -> Vec<newflows::Case> {
        let mut cases = newflows::Case::all();
        cases.retain(|case| self.wants(&case.name()));
        cases
    }

    /// Whether something called so is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| begins(name, only))
    }

    /// Sets up what the cases need.
    ///
    /// # Errors
    /// If something cannot be set up, or someone wants to stop.
    pub fn beds(&self) -> Result<Vec<Bed>> {
        let mut beds: Vec<Bed> = Vec::new();
        let cases = self.cases().into_iter().map(|case| (case.kind, case.site));
        let new_flows = self.new_flows().into_iter();
        for (kind, site) in cases.chain(new_flows.map(|case| (case.kind, case.site))) {
            if beds.iter().any(|bed| bed.kind == kind && bed.site == site) {
                continue;
            }
            stop::check()?;
            let since = Instant::now();
            let bed = Bed::new(kind, site, self.sender)?;
            let told = match kind {
                Kind::Redirect => String::new(),
                _ => format!(", {} devices", site.devices()),
            };
            eprintln!(
                "  {}{told}: {} ({:.1} s)",
                kind.name(),
                bed.described(),
                since.elapsed().as_secs_f64()
            );
            beds.push(bed);
        }
        Ok(beds)
    }

    /// Everything that can be measured.
    fn names(&self) -> Vec<String> {
        let all = Plan {
            only: Vec::new(),
            ..self.clone()
        };
        let cases = all.cases().into_iter().map(Case::name);
        let new_flows = all.new_flows().into_iter().map(newflows::Case::name);
        cases
            .chain(new_flows)
            .chain(rtt::names())
            .chain(floods::names())
            .collect()
    }

    /// Whether everything that is to be measured can be.
    ///
    /// # Errors
    /// If it cannot.
    pub fn check(&self) -> Result<()> {
        let names = self.names();
        for only in &self.only {
            if !names.iter().any(|name| begins(name, only)) {
                bail!("no case is called {only}; there is: {}", names.join(", "));
            }
        }
        Ok(())
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
            if cases.is_empty() {
                break;
            }
            if round % 2 == 0 {
                // So that nobody always comes after the same other one.
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
        Kind::Redirect | Kind::Bridge => 8.0,
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
        assert_eq!(names(&[]).len(), 14);
        assert_eq!(names(&["cordon.1k.10"]), ["cordon.1k.10"]);
        assert_eq!(names(&["cordon.60k", "redirect.60k"]).len(), 5);
        assert!(names(&["cordon.6"]).is_empty());
    }
}
