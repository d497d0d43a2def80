//! How fast new flows are set up: every frame opens one that the policy allows.
//!
//! *Opened*: servers are silent. *Answered*: a server answers every first frame, and what is counted are the answers that
//! came back, so that each is a flow both ends of which the gateway has heard. Both start with an empty table, and open
//! no more flows than it holds, because no gateway is measured by how it turns flows away.

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
use crate::processor;
use crate::report::{Aim, Findings, Record, at_least, median, record, span};
use crate::rounds::Plan;
use crate::stop;
use crate::traffic::{DEVICES, NEW_FLOWS, RULES, Site};

/// Whose devices open flows, through either gateway.
const SITES: [Site; 2] = [Site::Devices(1024), Site::Devices(DEVICES[1])];
/// Each case is measured so often at most: tables are emptied and read in between, which takes longer.
const ROUNDS: usize = 3;
/// One flow in so many may not come to be.
const TOLERANCE: u64 = 1000;
/// What is counted: from this many flows on, up to that many, so that neither end of a run is.
const COUNTED: [u64; 2] = [NEW_FLOWS as u64 / 10, NEW_FLOWS as u64 * 19 / 20];

/// A gateway that sets flows up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// Which gateway.
    pub kind: Kind,
    /// What it is told of.
    pub site: Site,
    /// Whether servers answer.
    pub answered: bool,
}

impl Case {
    /// All of them. With ten devices there is none: each may open 4,096 flows in a second, and no more.
    pub fn all() -> Vec<Case> {
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

    fn manner(self) -> &'static str {
        match self.answered {
            true => "answered",
            false => "opened",
        }
    }

    /// Its name, as in the records.
    pub fn name(self) -> String {
        let (kind, site) = (self.kind.name(), self.site.name());
        format!("newflows.{kind}.{}.{site}", self.manner())
    }
}

/// Rates in million flows a second, one a round, and what was wrong.
#[derive(Default)]
struct Rates {
    rates: Vec<f64>,
    wrong: usize,
}

/// Measures, with beds that were set up for the cases of the plan.
///
/// # Errors
/// If nothing can be sent, or someone wants to stop.
pub fn measure(plan: &Plan, beds: &mut [Bed]) -> Result<Findings> {
    let mut all: BTreeMap<Case, Rates> = BTreeMap::new();
    for bed in beds.iter_mut() {
        let ours = |case: &Case| case.kind == bed.kind && case.site == bed.site;
        if plan.new_flows().iter().any(ours) {
            stop::check()?;
            // Every device and server has been heard, and it is known where they are.
            take(bed, true, plan.sender)?;
        }
    }
    let rounds = plan.rounds.min(ROUNDS);
    for round in 1..=rounds {
        let mut cases = plan.new_flows();
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
            let (rate, wrong) = take(bed, case.answered, plan.sender)?;
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

/// Opens flows, and answers how many million a second, and what is wrong with that.
fn take(bed: &mut Bed, answered: bool, sender: usize) -> Result<(f64, Vec<String>)> {
    bed.have_answered(answered)?;
    bed.forget()?;
    let came = |bed: &Bed| -> Result<u64> {
        let arrived = match answered {
            true => bed.answered()?,
            false => bed.arrived()?,
        };
        Ok(arrived.ours)
    };
    let before = (bed.counts(NEW_FLOWS)?.account, came(bed)?);
    let rate = rate(bed, sender, before.1, &came)?;
    let after = (bed.counts(NEW_FLOWS)?.account, came(bed)?);
    let mut wrong = Vec::new();
    let mut say = |count: u64, what: &str| {
        if count > u64::from(NEW_FLOWS) / TOLERANCE {
            wrong.push(format!("{count} of {NEW_FLOWS} flows {what}"));
        }
    };
    let through = after.1 - before.1;
    say(
        u64::from(NEW_FLOWS).abs_diff(through),
        "did not come through",
    );
    if answered {
        let established = bed.established()?;
        say(
            u64::from(NEW_FLOWS).abs_diff(established),
            "are not in the gateway's table, both ends heard",
        );
    }
    for (reason, count) in &after.0.dropped {
        let was = before.0.dropped.iter().find(|(name, _)| name == reason);
        let was = was.map_or(0, |(_, count)| *count);
        say(
            count.saturating_sub(was),
            &format!("were dropped: {reason}"),
        );
    }
    Ok((rate, wrong))
}

struct Look {
    at: Instant,
    /// How long the sender has waited for its processor.
    waited: Duration,
    through: u64,
}

fn rate(
    bed: &Bed,
    sender: usize,
    before: u64,
    came: &(impl Fn(&Bed) -> Result<u64> + Sync),
) -> Result<f64> {
    let generator = bed.generator(NEW_FLOWS)?;
    let done = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    let looks = thread::scope(|scope| -> Result<Vec<Look>> {
        let sending = scope.spawn(|| {
            let sent = processor::on(sender, || {
                // The other end waits for it.
                let _ = tell.send(gettid());
                generator.send(NEW_FLOWS)
            });
            done.store(true, Ordering::Release);
            sent
        });
        let sent_by = told
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or(Pid::this());
        // Ahead of others as well: it is over in a tenth of a second.
        let looks = processor::on(processor::other_than(sender), || {
            let mut looks = Vec::new();
            while !done.load(Ordering::Acquire) {
                let at = Instant::now();
                let waited = processor::waited(sent_by).unwrap_or_default();
                let through = came(bed)? - before;
                // Unless this thread was held up meanwhile.
                if at.elapsed() < Duration::from_micros(500) {
                    looks.push(Look {
                        at,
                        waited,
                        through,
                    });
                }
                thread::sleep(Duration::from_micros(500));
            }
            Ok(looks)
        });
        sending
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        looks
    })?;
    let [from, to] = COUNTED;
    let first = looks.iter().find(|look| look.through >= from);
    let last = looks.iter().rfind(|look| look.through <= to);
    let (first, last) = first
        .zip(last)
        .filter(|(first, last)| last.through > first.through)
        .with_context(|| {
            let seen = looks.last().map_or(0, |look| look.through);
            format!(
                "{} with {}: {} looks, the last at {seen} of {NEW_FLOWS} new flows: the machine is too busy to measure, or \
                 they do not come through",
                bed.kind.name(),
                bed.site.name(),
                looks.len()
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
        let beside = Case {
            kind: Kind::Nftables,
            ..*case
        };
        let over = (case.kind == Kind::Cordon)
            .then(|| ratio(*case, beside))
            .flatten();
        let (low, high) = span(rates.rates.iter().copied());
        let _ = writeln!(
            table,
            "{:<9} {:<9} {:>12}  {rate:>10.2} {:>15} {:>8.0}  {:>14}",
            case.manner(),
            case.kind.name(),
            case.site.name(),
            format!("{low:.2} - {high:.2}"),
            1e3 / rate,
            over.map_or_else(String::new, |over| format!("{over:.2}")),
        );
        if let Some(over) = over {
            let (manner, site) = (case.manner(), case.site.name());
            records.push(record(
                format!("ratio.newflows.{manner}.{site}"),
                over,
                "ratio",
            ));
            let what = format!("Cordon over nftables, new flows {manner}, {site} devices");
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
            if let Some(grown) = ratio(many, few) {
                let manner = many.manner();
                records.push(record(
                    format!("ratio.newflows.{manner}.{of}"),
                    grown,
                    "ratio",
                ));
                let [few, many] = sites.map(|site| site.name().replace("rules.", ""));
                let what = format!("Cordon, new flows {manner}, {many} over {few} {of}");
                aims.push(at_least(what, grown, 0.9));
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
    fn ratios_are_beside_nftables_in_the_same_round() {
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
