//! What it comes to: a table for people, records for machines, and whether the aims were met.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::gateways::{Case, Kind};
use crate::rounds::Samples;
use crate::sample::Sample;
use crate::traffic::{DEVICES, FLOWS, short};

/// Slowest and fastest sample of a case this far apart, and the figures are said to be noisy.
const SPREAD: f64 = 0.15;

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// `mpps.cordon.1k.10`, say.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// Everything that was measured.
pub struct Report {
    /// Rates.
    pub samples: Samples,
    /// Nanoseconds a frame in the gateway's program, where there is one.
    pub nanoseconds: BTreeMap<Case, f64>,
}

/// Something to reach.
struct Aim {
    what: String,
    reached: f64,
    least: f64,
}

impl Report {
    /// The rate of a case: the median.
    fn mpps(&self, case: Case) -> Option<f64> {
        median(self.samples.get(&case)?.iter().map(|sample| sample.mpps))
    }

    /// How many times faster one case is than another: the median over rounds, because what disturbs a round disturbs
    /// both.
    fn ratio(&self, case: Case, other: Case) -> Option<f64> {
        let (case, other) = (self.samples.get(&case)?, self.samples.get(&other)?);
        median(
            case.iter()
                .zip(other)
                .map(|(case, other)| case.mpps / other.mpps),
        )
    }

    /// All figures.
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut add = |name: String, value: Option<f64>, unit| {
            if let Some(value) = value {
                let value = (value * 1000.0).round() / 1000.0;
                records.push(Record { name, value, unit });
            }
        };
        for case in self.samples.keys() {
            add(format!("mpps.{}", case.name()), self.mpps(*case), "Mpps");
        }
        for case in self.samples.keys().filter(|case| case.kind == Kind::Cordon) {
            for other in [Kind::Nftables, Kind::Redirect] {
                let name = format!("ratio.{}.{}", other.name(), case.suffix());
                add(name, self.ratio(*case, beside(*case, other)), "ratio");
            }
        }
        for flows in FLOWS {
            let name = format!("ratio.devices.{}", short(flows));
            add(name, self.more_devices(flows), "ratio");
        }
        for case in self.nanoseconds.keys() {
            add(
                format!("judging_ns.{}", case.name()),
                self.judging(*case),
                "ns",
            );
        }
        records
    }

    /// What Cordon's program takes for a frame, beyond one that does nothing.
    fn judging(&self, case: Case) -> Option<f64> {
        let nothing = self.nanoseconds.get(&beside(case, Kind::Redirect))?;
        let program = self.nanoseconds.get(&case)?;
        (case.kind == Kind::Cordon).then(|| program - nothing)
    }

    /// Cordon with the most devices over Cordon with the fewest.
    fn more_devices(&self, flows: u32) -> Option<f64> {
        let [few, many] = DEVICES.map(|devices| Case {
            kind: Kind::Cordon,
            flows,
            devices,
        });
        self.ratio(many, few)
    }

    fn aims(&self) -> Vec<Aim> {
        let mut aims = Vec::new();
        let mut aim = |what: String, reached: Option<f64>, least: f64| {
            if let Some(reached) = reached {
                aims.push(Aim {
                    what,
                    reached,
                    least,
                });
            }
        };
        let [few, _] = FLOWS;
        for devices in DEVICES {
            let cordon = Case {
                kind: Kind::Cordon,
                flows: few,
                devices,
            };
            let at = format!("{} flows, {devices} devices", short(few));
            let nftables = self.ratio(cordon, beside(cordon, Kind::Nftables));
            aim(format!("Cordon over nftables, {at}"), nftables, 4.0);
            let redirect = self.ratio(cordon, beside(cordon, Kind::Redirect));
            aim(format!("Cordon over bare redirect, {at}"), redirect, 0.65);
        }
        for flows in FLOWS {
            let [few, many] = DEVICES;
            let what = format!("Cordon, {many} over {few} devices, {} flows", short(flows));
            aim(what, self.more_devices(flows), 0.9);
        }
        aims
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut text = format!(
            "\n{:<9} {:>5} {:>8}  {:>6} {:>15} {:>8} {:>11}  {:>14} {:>14}\n",
            "gateway",
            "flows",
            "devices",
            "Mpps",
            "min - max",
            "ns/frame",
            "judging",
            "over nftables",
            "over redirect"
        );
        for (case, samples) in &self.samples {
            let rates = || samples.iter().map(|sample| sample.mpps);
            let mpps = median(rates()).unwrap_or(f64::NAN);
            let (low, high) = span(rates());
            let judging = self.judging(*case);
            let over = |other| {
                let ratio =
                    (case.kind == Kind::Cordon).then(|| self.ratio(*case, beside(*case, other)));
                ratio
                    .flatten()
                    .map_or_else(String::new, |ratio| format!("{ratio:.2}"))
            };
            let _ = writeln!(
                text,
                "{:<9} {:>5} {:>8}  {mpps:>6.2} {:>15} {:>8.0} {:>11}  {:>14} {:>14}",
                case.kind.name(),
                short(case.flows),
                if case.kind == Kind::Redirect {
                    "any".to_owned()
                } else {
                    case.devices.to_string()
                },
                format!("{low:.2} - {high:.2}"),
                1e3 / mpps,
                judging.map_or_else(String::new, |judging| format!("{judging:.0} ns")),
                over(Kind::Nftables),
                over(Kind::Redirect),
            );
        }
        let aims = self.aims();
        if !aims.is_empty() {
            text.push_str("\nAims\n");
        }
        for Aim {
            what,
            reached,
            least,
        } in aims
        {
            let mark = if reached >= least { '✓' } else { '✗' };
            let _ = writeln!(text, "  {mark} {what}: {reached:.2} (at least {least:.2})");
        }
        text.push_str(&self.noise());
        text
    }

    /// How far to trust the figures.
    fn noise(&self) -> String {
        let all: Vec<&Sample> = self.samples.values().flatten().collect();
        let busy = median(all.iter().map(|sample| sample.noise.busy)).unwrap_or(0.0);
        let stolen = all
            .iter()
            .map(|sample| sample.noise.stolen)
            .fold(0.0, f64::max);
        let waited = all
            .iter()
            .map(|sample| sample.noise.waited)
            .fold(0.0, f64::max);
        let worst = self
            .samples
            .values()
            .map(|samples| {
                let (low, high) = span(samples.iter().map(|sample| sample.mpps));
                (high - low) / high
            })
            .fold(0.0, f64::max);
        let mut text = format!(
            "\nMeanwhile other processors were {:.0}% busy with something else, the sender waited for its own \
             {:.0}% of the time at worst, {:.0}% was stolen at worst, and rounds of one case were up to {:.0}% apart.\n",
            busy * 100.0,
            waited * 100.0,
            stolen * 100.0,
            worst * 100.0
        );
        if worst > SPREAD {
            text.push_str("That is noisy: trust the ratios, which are taken within rounds, more than the rates.\n");
        }
        text
    }

    /// Measurements that cannot be believed.
    pub fn wrong(&self) -> usize {
        let samples = self.samples.values().flatten();
        samples.filter(|sample| !sample.wrong.is_empty()).count()
    }
}

/// The case of another gateway that one of Cordon's is compared with.
fn beside(case: Case, kind: Kind) -> Case {
    let devices = match kind {
        Kind::Redirect => DEVICES[0],
        _ => case.devices,
    };
    Case {
        kind,
        devices,
        ..case
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    fn report() -> Report {
        let mut samples = Samples::new();
        let mut add = |kind, flows, devices, rates: [f64; 3]| {
            let sample = |mpps| Sample {
                mpps,
                noise: Noise::default(),
                wrong: Vec::new(),
            };
            samples.insert(
                Case {
                    kind,
                    flows,
                    devices,
                },
                rates.map(sample).to_vec(),
            );
        };
        add(Kind::Redirect, 1000, 10, [8.0, 4.0, 8.0]);
        add(Kind::Nftables, 1000, 10, [1.2, 0.6, 1.2]);
        add(Kind::Cordon, 1000, 10, [6.0, 3.0, 6.0]);
        add(Kind::Cordon, 1000, 100_000, [5.0, 2.5, 5.0]);
        Report {
            samples,
            nanoseconds: BTreeMap::new(),
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let records = report().records();
        let value = |name: &str| {
            let found = records.iter().find(|record| record.name == name);
            found.map(|record| record.value)
        };
        assert_eq!(value("mpps.redirect.1k"), Some(8.0));
        assert_eq!(value("mpps.cordon.1k.10"), Some(6.0));
        assert_eq!(value("ratio.nftables.1k.10"), Some(5.0));
        assert_eq!(value("ratio.redirect.1k.100000"), Some(0.625));
        assert_eq!(value("ratio.devices.1k"), Some(0.833));
        assert_eq!(value("ratio.nftables.1k.100000"), None);
    }

    #[test]
    fn an_aim_that_is_missed_is_crossed() {
        let table = report().table();
        assert!(
            table.contains("✓ Cordon over nftables, 1k flows, 10 devices: 5.00"),
            "{table}"
        );
        assert!(
            table.contains("✗ Cordon over bare redirect, 1k flows, 100000 devices: 0.62"),
            "{table}"
        );
        assert!(table.contains("That is noisy"), "{table}");
    }

    #[test]
    fn a_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median([4.0, 1.0, 2.0, 9.0].into_iter()), Some(3.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
