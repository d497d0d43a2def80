//! The time that a gateway adds to a round trip, compared with a bare bridge.
//!
//! A device sends a small datagram and a server answers, without other traffic. Both run on one processor: waking up
//! another one would take longer than any gateway, and varies.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::echo;
use crate::gateways::Kind;
use crate::hosts::Hosts;
use crate::plan::Plan;
use crate::processor;
use crate::report::{Aim, Findings, Record, at_most, median, record};
use crate::stop;
use crate::traffic::Device;

/// The gateways that are compared.
const KINDS: [Kind; 4] = [Kind::Bridge, Kind::Redirect, Kind::Nftables, Kind::Cordon];
const DEVICE: Device = Device(0);
/// Round trips before the measurement, which establish the flow.
const WARM_UP: usize = 500;
/// Round trips of a round.
const TRIPS: usize = 10_000;
const PAYLOAD: usize = 18;
/// The most that Cordon should add to the median, in microseconds.
const MOST: f64 = 20.0;

/// The result of one round, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Round {
    median: f64,
    p99: f64,
}

/// The names of the cases.
pub fn names() -> impl Iterator<Item = String> {
    KINDS.into_iter().map(name)
}

fn name(kind: Kind) -> String {
    format!("rtt_us.{}", kind.name())
}

/// Measures the cases of the plan.
///
/// # Errors
/// If the setup fails, or the benchmark is interrupted.
pub fn measure(plan: &Plan) -> Result<Findings> {
    let mut beds = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| plan.wants(&name(*kind))) {
        stop::check()?;
        beds.push(Hosts::new(kind, &[DEVICE])?);
    }
    let mut all: BTreeMap<Kind, Vec<Round>> = BTreeMap::new();
    for round in 1..=plan.rounds {
        let mut line = Vec::new();
        for bed in &beds {
            stop::check()?;
            let found = measure_once(bed, plan.sender)?;
            line.push(format!("{} {:.1}", name(bed.kind), found.median));
            all.entry(bed.kind).or_default().push(found);
        }
        // Alternates the order, so that a case does not always follow the same other one.
        beds.reverse();
        if !line.is_empty() {
            eprintln!("  round {round} of {}: {}", plan.rounds, line.join(", "));
        }
    }
    Ok(findings(&all))
}

fn measure_once(bed: &Hosts, processor: usize) -> Result<Round> {
    let (server, client) = (bed.server(DEVICE)?, bed.client(DEVICE)?);
    let stopped = AtomicBool::new(false);
    let mut took = thread::scope(|scope| {
        let answering =
            scope.spawn(|| processor::run_on(processor, || echo::serve(&server, &stopped)));
        let took = processor::run_on(processor, || exchange(&client));
        stopped.store(true, Ordering::Relaxed);
        let answered = answering
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        answered.and(took)
    })?;
    took.sort_by(f64::total_cmp);
    Ok(Round {
        median: took[took.len() / 2],
        p99: took[took.len() * 99 / 100],
    })
}

fn exchange(client: &UdpSocket) -> Result<Vec<f64>> {
    let mut took = Vec::with_capacity(TRIPS);
    let mut answer = [0; PAYLOAD];
    for number in 1..=WARM_UP + TRIPS {
        let mut message = [0; PAYLOAD];
        message[..8].copy_from_slice(&number.to_ne_bytes());
        let sent = Instant::now();
        client.send(&message)?;
        while answer != message {
            client
                .recv(&mut answer)
                .context("a datagram was not answered, without other traffic")?;
        }
        if number > WARM_UP {
            took.push(sent.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(took)
}

fn findings(all: &BTreeMap<Kind, Vec<Round>>) -> Findings {
    if all.is_empty() {
        return Findings::default();
    }
    let mut records: Vec<Record> = Vec::new();
    let mut aims: Vec<Aim> = Vec::new();
    let mut table = format!(
        "\n{:<10} {:>9} {:>9} {:>19}\n",
        "round trip", "median us", "p99 us", "added to a bridge's"
    );
    let added = |kind| {
        let (rounds, bridge) = (all.get(&kind)?, all.get(&Kind::Bridge)?);
        let pairs = rounds.iter().zip(bridge);
        median(pairs.map(|(round, bridge)| round.median - bridge.median))
    };
    for kind in KINDS {
        let Some(rounds) = all.get(&kind) else {
            continue;
        };
        let half = median(rounds.iter().map(|round| round.median)).unwrap_or(f64::NAN);
        let p99 = median(rounds.iter().map(|round| round.p99)).unwrap_or(f64::NAN);
        records.push(record(format!("{}.median", name(kind)), half, "us"));
        records.push(record(format!("{}.p99", name(kind)), p99, "us"));
        let added = added(kind).filter(|_| kind != Kind::Bridge);
        let _ = writeln!(
            table,
            "{:<10} {half:>9.1} {p99:>9.1} {:>19}",
            kind.name(),
            added.map_or_else(String::new, |added| format!("{added:+.1}")),
        );
        if let (Kind::Cordon, Some(added)) = (kind, added) {
            records.push(record("rtt_us.added".to_owned(), added, "us"));
            let what = "Cordon, microseconds added to a bridge's round trip".to_owned();
            aims.push(at_most(what, added, MOST));
        }
    }
    Findings {
        table,
        records,
        aims,
        wrong: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_time_is_compared_within_rounds() {
        let rounds = |medians: [f64; 3]| {
            let round = |median| Round { median, p99: 99.0 };
            medians.map(round).to_vec()
        };
        let all = BTreeMap::from([
            (Kind::Bridge, rounds([10.0, 50.0, 10.0])),
            (Kind::Cordon, rounds([12.0, 53.0, 11.0])),
        ]);
        let records = findings(&all).records;
        let added = records.iter().find(|record| record.name == "rtt_us.added");
        assert_eq!(added.map(|record| record.value), Some(2.0));
        assert_eq!(records.len(), 5);
    }
}
