//! The report of the throughput benchmark.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::gateways::Kind;
use crate::report::{Aim, Findings, Record, at_least, median, record, span};
use crate::traffic::{DEVICES, FLOWS, RULES, Site, short};

use super::case::Case;
use super::sample::Sample;

/// The samples of each case, one for each round.
pub type Samples = BTreeMap<Case, Vec<Sample>>;

/// The spread between the slowest and fastest sample of a case from which on the report warns of noise.
const SPREAD: f64 = 0.15;

/// For each number of flows: Cordon's aims as ratios to nftables' rate and to a bare redirect's.
const AIMS: [(u32, f64, Option<f64>); 2] = [(FLOWS[0], 5.0, Some(0.75)), (FLOWS[1], 4.0, None)];
/// Sizes whose growth should not reduce the rate.
const SPANS: [(&str, [Site; 2]); 2] = [
    (
        "devices",
        [Site::Devices(DEVICES[0]), Site::Devices(DEVICES[1])],
    ),
    ("rules", [Site::Rules(RULES[0]), Site::Rules(RULES[1])]),
];

fn count(site: Site) -> u32 {
    match site {
        Site::Rules(rules) => rules,
        _ => site.devices(),
    }
}

/// All measurements.
pub struct Report {
    /// Rates.
    pub samples: Samples,
    /// Nanoseconds a frame in the gateway's program, if it has one.
    pub nanoseconds: BTreeMap<Case, f64>,
}

impl Report {
    /// The median rate of a case.
    fn mpps(&self, case: Case) -> Option<f64> {
        median(self.samples.get(&case)?.iter().map(|sample| sample.mpps))
    }

    /// The ratio of two cases' rates: the median over rounds, because a disturbance of a round affects both.
    fn ratio(&self, case: Case, other: Case) -> Option<f64> {
        let (case, other) = (self.samples.get(&case)?, self.samples.get(&other)?);
        median(
            case.iter()
                .zip(other)
                .map(|(case, other)| case.mpps / other.mpps),
        )
    }

    /// The results, for the whole report.
    pub fn findings(&self) -> Findings {
        Findings {
            table: self.table(),
            records: self.records(),
            aims: self.aims(),
            wrong: self.wrong(),
        }
    }

    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut add = |name: String, value: Option<f64>, unit| {
            records.extend(value.map(|value| record(name, value, unit)));
        };
        for case in self.samples.keys() {
            add(format!("mpps.{}", case.name()), self.mpps(*case), "Mpps");
        }
        for case in self.samples.keys().filter(|case| case.kind == Kind::Cordon) {
            for other in [Kind::Nftables, Kind::Redirect] {
                let name = format!("ratio.{}.{}", other.name(), case.suffix());
                add(name, self.ratio(*case, reference(*case, other)), "ratio");
            }
        }
        for flows in FLOWS {
            for (of, [few, many]) in SPANS {
                let name = format!("ratio.{of}.{}", short(flows));
                add(name, self.growth(flows, few, many), "ratio");
            }
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

    /// Nanoseconds a frame that Cordon's program takes more than a program that only redirects.
    fn judging(&self, case: Case) -> Option<f64> {
        let redirect = self.nanoseconds.get(&reference(case, Kind::Redirect))?;
        let program = self.nanoseconds.get(&case)?;
        (case.kind == Kind::Cordon).then(|| program - redirect)
    }

    /// The ratio of Cordon's rates for a large and a small site.
    fn growth(&self, flows: u32, few: Site, many: Site) -> Option<f64> {
        let case = |site| Case {
            kind: Kind::Cordon,
            flows,
            site,
        };
        self.ratio(case(many), case(few))
    }

    fn aims(&self) -> Vec<Aim> {
        let mut aims = Vec::new();
        let mut aim = |what: String, reached: Option<f64>, least: f64| {
            aims.extend(reached.map(|reached| at_least(what, reached, least)));
        };
        for (flows, over_nftables, over_redirect) in AIMS {
            for devices in DEVICES {
                let cordon = Case {
                    kind: Kind::Cordon,
                    flows,
                    site: Site::Devices(devices),
                };
                let at = format!("{} flows, {devices} devices", short(flows));
                let nftables = self.ratio(cordon, reference(cordon, Kind::Nftables));
                aim(
                    format!("Cordon over nftables, {at}"),
                    nftables,
                    over_nftables,
                );
                let redirect = self.ratio(cordon, reference(cordon, Kind::Redirect));
                if let Some(least) = over_redirect {
                    aim(format!("Cordon over bare redirect, {at}"), redirect, least);
                }
            }
        }
        for flows in FLOWS {
            for (of, [few, many]) in SPANS {
                let what = format!(
                    "Cordon, {} over {} {of}, {} flows",
                    count(many),
                    count(few),
                    short(flows)
                );
                aim(what, self.growth(flows, few, many), 0.9);
            }
        }
        aims
    }

    /// The table for people.
    fn table(&self) -> String {
        let mut text = format!(
            "\n{:<9} {:>5} {:>12}  {:>6} {:>15} {:>8} {:>11}  {:>14} {:>14}\n",
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
                    (case.kind == Kind::Cordon).then(|| self.ratio(*case, reference(*case, other)));
                ratio
                    .flatten()
                    .map_or_else(String::new, |ratio| format!("{ratio:.2}"))
            };
            let _ = writeln!(
                text,
                "{:<9} {:>5} {:>12}  {mpps:>6.2} {:>15} {:>8.0} {:>11}  {:>14} {:>14}",
                case.kind.name(),
                short(case.flows),
                if case.kind == Kind::Redirect {
                    "any".to_owned()
                } else {
                    case.site.name()
                },
                format!("{low:.2} - {high:.2}"),
                1e3 / mpps,
                judging.map_or_else(String::new, |judging| format!("{judging:.0} ns")),
                over(Kind::Nftables),
                over(Kind::Redirect),
            );
        }
        text.push_str(&self.noise());
        text
    }

    /// How reliable the figures are.
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
            "\nOther processors were {:.0}% busy, the sender waited for its own \
             {:.0}% of the time at worst, {:.0}% was stolen at worst, and rounds of one case were up to {:.0}% apart.\n",
            busy * 100.0,
            waited * 100.0,
            stolen * 100.0,
            worst * 100.0
        );
        if worst > SPREAD {
            text.push_str("This is noisy: the ratios, which are taken within rounds, are more reliable than the rates.\n");
        }
        text
    }

    /// The number of measurements that do not add up.
    fn wrong(&self) -> usize {
        let samples = self.samples.values().flatten();
        samples.filter(|sample| !sample.wrong.is_empty()).count()
    }
}

/// The case of another gateway with which a case of Cordon is compared.
fn reference(case: Case, kind: Kind) -> Case {
    let site = match kind {
        Kind::Redirect => Site::Devices(DEVICES[0]),
        _ => case.site,
    };
    Case { kind, site, ..case }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throughput::noise::Noise;

    fn report() -> Report {
        let mut samples = Samples::new();
        let mut add = |kind, flows, devices, rates: [f64; 3]| {
            let sample = |mpps| Sample {
                mpps,
                noise: Noise::default(),
                wrong: Vec::new(),
            };
            let site = Site::Devices(devices);
            samples.insert(Case { kind, flows, site }, rates.map(sample).to_vec());
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
    fn met_and_missed_aims_are_marked() {
        let text = crate::report::aims(&report().aims());
        assert!(
            text.contains("✓ Cordon over nftables, 1k flows, 10 devices: 5.00"),
            "{text}"
        );
        assert!(
            text.contains("✗ Cordon over bare redirect, 1k flows, 100000 devices: 0.62"),
            "{text}"
        );
        assert!(report().table().contains("This is noisy"));
    }
}
