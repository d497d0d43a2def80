//! The rate of new flows: every frame opens an allowed flow.
//!
//! *Opened*: servers do not answer. *Answered*: a server answers every first frame, and the answers that come back are
//! counted, so that each is an established flow. Both start with an empty table and open no more flows than it holds,
//! because the refusal of flows is not measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::unistd::{Pid, gettid};

use crate::bed::Bed;
use crate::gateways::Kind;
use crate::plan::Plan;
use crate::processor;
use crate::report::{Aim, Findings, Record, at_least, median, record, span};
use crate::stop;
use crate::traffic::{DEVICES, NEW_FLOWS, RULES, Site};

/// The sites for which both gateways are measured.
const SITES: [Site; 2] = [Site::Devices(1024), Site::Devices(DEVICES[1])];
/// The most rounds: emptying and reading the tables between measurements takes longer than the measurements.
const ROUNDS: usize = 3;
/// One flow in this many may be missing.
const TOLERANCE: u64 = 1000;
/// The range of flows over which the rate is taken, without the start and the end of a run.
const MEASURED: [u64; 2] = [NEW_FLOWS as u64 / 10, NEW_FLOWS as u64 * 19 / 20];

/// A measured combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// The kind of gateway.
    pub kind: Kind,
    /// The site that it is configured for.
    pub site: Site,
    /// Whether servers answer.
    pub answered: bool,
}

/// The cases that the plan asks for.
pub fn cases(plan: &Plan) -> Vec<Case> {
    let mut cases = Case::all();
    cases.retain(|case| plan.wants(&case.name()));
    cases
}

/// The names of all cases.
pub fn names() -> impl Iterator<Item = String> {
    Case::all().into_iter().map(Case::name)
}

impl Case {
    /// All cases. None has ten devices, because Cordon allows a device only 4,096 new flows a tick.
    fn all() -> Vec<Case> {
        let mut cases = Vec::new();
        for answered in [false, true] {
            for (kind, site) in SITES
                .into_iter()
                .flat_map(|site| [(Kind::Nftables, site), (Kind::Cordon, site)])
                .chain(RULES.map(|rules| (Kind::Cordon, Site::Rules(rules))))
            {
                cases.push(Case {
                    kind,
                    site,
                    answered,
                });
            }
        }
        cases
    }

    fn mode(self) -> &'static str {
        match self.answered {
            true => "answered",
            false => "opened",
        }
    }

    /// Its name in the records.
    pub fn name(self) -> String {
        let (kind, site) = (self.kind.name(), self.site.name());
        format!("newflows.{kind}.{}.{site}", self.mode())
    }
}

/// Rates in million flows a second, one for each round, and the number of rounds that do not add up.
#[derive(Default)]
struct Rates {
    rates: Vec<f64>,
    wrong: usize,
}

/// Measures the cases of the plan with beds that were set up for them.
///
/// # Errors
/// If frames cannot be sent, or the benchmark is interrupted.
pub fn measure(plan: &Plan, beds: &mut [Bed]) -> Result<Findings> {
    let mut all: BTreeMap<Case, Rates> = BTreeMap::new();
    for bed in beds.iter_mut() {
        let is_ours = |case: &Case| case.kind == bed.kind && case.site == bed.site;
        if cases(plan).iter().any(is_ours) {
            stop::check()?;
            // Makes the gateway learn the location of every device and server.
            measure_once(bed, true, plan.sender)?;
        }
    }
    let rounds = plan.rounds.min(ROUNDS);
    for round in 1..=rounds {
        let mut cases = cases(plan);
        if round % 2 == 0 {
            cases.reverse();
        }
        let mut line = Vec::new();
        for case in cases {
            stop::check()?;
            let bed = beds
                .iter_mut()
                .find(|bed| bed.kind == case.kind && bed.site == case.site)
                .with_context(|| format!("{} was not set up", case.name()))?;
            let (rate, wrong) = measure_once(bed, case.answered, plan.sender)?;
            for wrong in &wrong {
                eprintln!("  {}: {wrong}", case.name());
            }
            line.push(format!("{} {rate:.2}", case.name()));
            let rates = all.entry(case).or_default();
            rates.rates.push(rate);
            rates.wrong += usize::from(!wrong.is_empty());
        }
        if !line.is_empty() {
            eprintln!("  round {round} of {rounds}: {}", line.join(", "));
        }
    }
    Ok(findings(&all))
}

/// Opens flows. Returns the rate in million flows a second, and what does not add up.
fn measure_once(bed: &mut Bed, answered: bool, sender: usize) -> Result<(f64, Vec<String>)> {
    bed.set_answering(answered)?;
    bed.flush_flows()?;
    let completed = |bed: &Bed| -> Result<u64> {
        let arrived = match answered {
            true => bed.answered()?,
            false => bed.arrived()?,
        };
        Ok(arrived.ours)
    };
    let before = (bed.counts(NEW_FLOWS)?.counters, completed(bed)?);
    let rate = rate(bed, sender, before.1, &completed)?;
    let after = (bed.counts(NEW_FLOWS)?.counters, completed(bed)?);
    let mut wrong = Vec::new();
    let mut report = |count: u64, what: &str| {
        if count > u64::from(NEW_FLOWS) / TOLERANCE {
            wrong.push(format!("{count} of {NEW_FLOWS} flows {what}"));
        }
    };
    let through = after.1 - before.1;
    report(u64::from(NEW_FLOWS).abs_diff(through), "did not pass");
    if answered {
        let established = bed.established()?;
        report(
            u64::from(NEW_FLOWS).abs_diff(established),
            "are not established in the gateway's table",
        );
    }
    for (reason, count) in &after.0.dropped {
        let was = before.0.dropped.iter().find(|(name, _)| name == reason);
        let was = was.map_or(0, |(_, count)| *count);
        report(
            count.saturating_sub(was),
            &format!("were dropped: {reason}"),
        );
    }
    Ok((rate, wrong))
}

struct Reading {
    at: Instant,
    /// How long the sender has waited for its processor.
    waited: Duration,
    through: u64,
}

fn rate(
    bed: &Bed,
    sender: usize,
    before: u64,
    completed: &(impl Fn(&Bed) -> Result<u64> + Sync),
) -> Result<f64> {
    let generator = bed.generator(NEW_FLOWS)?;
    let done = AtomicBool::new(false);
    let (thread_id, started) = mpsc::channel();
    let readings = thread::scope(|scope| -> Result<Vec<Reading>> {
        let sending = scope.spawn(|| {
            let sent = processor::run_on(sender, || {
                // The receiver waits for it.
                let _ = thread_id.send(gettid());
                generator.send(NEW_FLOWS)
            });
            done.store(true, Ordering::Release);
            sent
        });
        let sent_by = started
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or(Pid::this());
        // With priority as well: it takes only a tenth of a second.
        let readings = processor::run_on(processor::other_than(sender), || {
            let mut readings = Vec::new();
            while !done.load(Ordering::Acquire) {
                let at = Instant::now();
                let waited = processor::waited(sent_by).unwrap_or_default();
                let through = completed(bed)? - before;
                // A reading is discarded if this thread was interrupted.
                if at.elapsed() < Duration::from_micros(500) {
                    readings.push(Reading {
                        at,
                        waited,
                        through,
                    });
                }
                thread::sleep(Duration::from_micros(500));
            }
            Ok(readings)
        });
        sending
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        readings
    })?;
    let [from, to] = MEASURED;
    let first = readings.iter().find(|reading| reading.through >= from);
    let last = readings.iter().rfind(|reading| reading.through <= to);
    let (first, last) = first
        .zip(last)
        .filter(|(first, last)| last.through > first.through)
        .with_context(|| {
            let seen = readings.last().map_or(0, |reading| reading.through);
            format!(
                "{} with {}: {} readings, the last at {seen} of {NEW_FLOWS} new flows: the machine is too busy to measure, or \
                 the flows do not pass",
                bed.kind.name(),
                bed.site.name(),
                readings.len()
            )
        })?;
    let waited = last.waited.saturating_sub(first.waited);
    let elapsed = last.at.duration_since(first.at).saturating_sub(waited);
    Ok((last.through - first.through) as f64 / elapsed.as_secs_f64() / 1e6)
}

fn findings(all: &BTreeMap<Case, Rates>) -> Findings {
    if all.is_empty() {
        return Findings::default();
    }
    let rate = |case: Case| median(all.get(&case)?.rates.iter().copied());
    let ratio = |case: Case, other: Case| {
        let (case, other) = (all.get(&case)?, all.get(&other)?);
        let pairs = case.rates.iter().zip(&other.rates);
        median(pairs.map(|(case, other)| case / other))
    };
    let mut records: Vec<Record> = Vec::new();
    let mut aims: Vec<Aim> = Vec::new();
    let mut table = format!(
        "\n{:<9} {:<9} {:>12}  {:>10} {:>15} {:>8}  {:>14}\n",
        "new flows", "gateway", "devices", "Mflows/s", "min - max", "ns/flow", "over nftables"
    );
    for (case, rates) in all {
        let name = case.name();
        let rate = rate(*case).unwrap_or(f64::NAN);
        records.push(record(name, rate, "Mflows/s"));
        let reference = Case {
            kind: Kind::Nftables,
            ..*case
        };
        let over = (case.kind == Kind::Cordon)
            .then(|| ratio(*case, reference))
            .flatten();
        let (low, high) = span(rates.rates.iter().copied());
        let _ = writeln!(
            table,
            "{:<9} {:<9} {:>12}  {rate:>10.2} {:>15} {:>8.0}  {:>14}",
            case.mode(),
            case.kind.name(),
            case.site.name(),
            format!("{low:.2} - {high:.2}"),
            1e3 / rate,
            over.map_or_else(String::new, |over| format!("{over:.2}")),
        );
        if let Some(over) = over {
            let (mode, site) = (case.mode(), case.site.name());
            records.push(record(
                format!("ratio.newflows.{mode}.{site}"),
                over,
                "ratio",
            ));
            let what = format!("Cordon over nftables, new flows {mode}, {site} devices");
            aims.push(at_least(what, over, 3.0));
        }
    }
    for answered in [false, true] {
        for (sites, of) in [(SITES, "devices"), (RULES.map(Site::Rules), "rules")] {
            let [few, many] = sites.map(|site| Case {
                kind: Kind::Cordon,
                site,
                answered,
            });
            if let Some(growth) = ratio(many, few) {
                let mode = many.mode();
                records.push(record(
                    format!("ratio.newflows.{mode}.{of}"),
                    growth,
                    "ratio",
                ));
                let [few, many] = sites.map(|site| site.name().replace("rules.", ""));
                let what = format!("Cordon, new flows {mode}, {many} over {few} {of}");
                aims.push(at_least(what, growth, 0.9));
            }
        }
    }
    Findings {
        table,
        records,
        aims,
        wrong: all.values().map(|rates| rates.wrong).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_compare_with_nftables_in_the_same_round() {
        let mut all = BTreeMap::new();
        for (kind, rates) in [
            (Kind::Nftables, vec![0.2, 0.1, 0.2]),
            (Kind::Cordon, vec![0.8, 0.4, 0.8]),
        ] {
            let case = Case {
                kind,
                site: Site::Devices(100_000),
                answered: true,
            };
            all.insert(case, Rates { rates, wrong: 0 });
        }
        let records = findings(&all).records;
        let value = |name: &str| {
            let found = records.iter().find(|record| record.name == name);
            found.map(|record| record.value)
        };
        assert_eq!(value("newflows.cordon.answered.100000"), Some(0.8));
        assert_eq!(value("ratio.newflows.answered.100000"), Some(4.0));
        assert_eq!(value("ratio.newflows.answered.rules"), None);
        assert_eq!(value("ratio.newflows.answered.devices"), None);
    }
}
