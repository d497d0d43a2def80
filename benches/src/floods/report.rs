//! The results of the floods.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::gateways::Kind;
use crate::report::{Aim, Findings, Record, at_most, median, record};

use super::flood::Flood;

/// The loss up to which a difference between gateways is chance: a few of ten thousand requests.
const NEGLIGIBLE: f64 = 0.001;

/// The result of one flood through one gateway.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Thousand frames a second that the compromised device sent.
    pub offered: f64,
    /// The share of clinical requests without an answer.
    pub loss: f64,
    /// The median round trip of clinical requests, in microseconds.
    pub median: f64,
    /// Its 99th percentile.
    pub p99: f64,
    /// Bytes of the gateway's tables before and after the flood.
    pub memory: [u64; 2],
    /// Established flows in the gateway after the flood.
    pub established: u64,
}

/// The results by flood and gateway.
pub type Outcomes = BTreeMap<(Flood, Kind), Outcome>;

/// The name of a case in records.
pub fn name(flood: Flood, kind: Kind) -> String {
    format!("floods.{}.{}", flood.name(), kind.name())
}

/// Combines rounds: the median of times, the mean of losses, the maximum of memory and flows.
pub fn of_rounds(rounds: &[Outcome]) -> Option<Outcome> {
    let timed = |of: fn(&Outcome) -> f64| median(rounds.iter().map(of));
    let most = |of: fn(&Outcome) -> u64| rounds.iter().map(of).max();
    Some(Outcome {
        offered: timed(|outcome| outcome.offered)?,
        loss: rounds.iter().map(|outcome| outcome.loss).sum::<f64>() / rounds.len() as f64,
        median: timed(|outcome| outcome.median)?,
        p99: timed(|outcome| outcome.p99)?,
        memory: [
            most(|outcome| outcome.memory[0])?,
            most(|outcome| outcome.memory[1])?,
        ],
        established: most(|outcome| outcome.established)?,
    })
}

/// The table, records and aims of all floods.
pub fn findings(all: &Outcomes) -> Findings {
    if all.is_empty() {
        return Findings::default();
    }
    let mut records: Vec<Record> = Vec::new();
    let mut aims: Vec<Aim> = Vec::new();
    let mut table = format!(
        "\n{:<21} {:<9} {:>9} {:>8} {:>10} {:>9} {:>12} {:>11}\n",
        "flood",
        "gateway",
        "kframes/s",
        "lost %",
        "median us",
        "p99 us",
        "tables MB",
        "flows known"
    );
    for ((flood, kind), outcome) in all {
        let [before, after] = outcome.memory.map(|bytes| bytes as f64 / 1e6);
        let _ = writeln!(
            table,
            "{:<21} {:<9} {:>9.0} {:>8.3} {:>10.0} {:>9.0} {:>12} {:>11}",
            flood.name(),
            kind.name(),
            outcome.offered,
            outcome.loss * 100.0,
            outcome.median,
            outcome.p99,
            format!("{before:.0} - {after:.0}"),
            outcome.established,
        );
        let name = name(*flood, *kind);
        for (what, value, unit) in [
            ("kpps", outcome.offered, "kpps"),
            ("loss", outcome.loss, "ratio"),
            ("median_us", outcome.median, "us"),
            ("p99_us", outcome.p99, "us"),
            ("memory_mb", after, "MB"),
        ] {
            records.push(record(format!("{name}.{what}"), value, unit));
        }
        let reference = all.get(&(*flood, Kind::Nftables));
        if let (Kind::Cordon, Some(reference)) = (kind, reference)
            && *flood != Flood::Idle
        {
            let flood = flood.name();
            let what =
                format!("{flood} flood, Cordon's loss in percent, nftables' or a tenth at most");
            let most = reference.loss.max(NEGLIGIBLE);
            aims.push(at_most(what, outcome.loss * 100.0, most * 100.0));
            let what = format!("{flood} flood, Cordon's p99 in microseconds, nftables' at most");
            aims.push(at_most(what, outcome.p99, reference.p99));
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
    use crate::payload::Payload;

    #[test]
    fn cordon_is_compared_under_the_same_flood() {
        let result = |loss, p99| Outcome {
            loss,
            p99,
            ..Outcome::default()
        };
        let all = Outcomes::from([
            ((Flood::Idle, Kind::Cordon), result(0.0, 50.0)),
            (
                (Flood::Hping3(Payload::Syn), Kind::Nftables),
                result(0.01, 500.0),
            ),
            (
                (Flood::Hping3(Payload::Syn), Kind::Cordon),
                result(0.0, 600.0),
            ),
        ]);
        let text = crate::report::aims(&findings(&all).aims);
        assert!(text.contains("✓ syn flood, Cordon's loss"), "{text}");
        assert!(text.contains("✗ syn flood, Cordon's p99"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
