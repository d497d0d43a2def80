//! What a flood from one compromised device does to the flows of others.
//!
//! The gateway has a processor to itself for what comes from devices, so that the flood does not wait for it: what it
//! cannot take in time is lost before it gets to it, as on a wire. Everybody else is on another processor.

mod clinical;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::unistd::Pid;

use crate::gateways::Kind;
use crate::hosts::{Hosts, SERVERS};
use crate::processor;
use crate::programs::{Generator, What};
use crate::report::{Aim, Findings, Record, at_most, median, record};
use crate::rounds::Plan;
use crate::stop;
use crate::traffic::Device;

use clinical::{Asked, Clinical};

/// Those that are compared.
const GATEWAYS: [Kind; 2] = [Kind::Nftables, Kind::Cordon];
/// An asset tag that somebody else has taken over. Its server has gone quiet.
const COMPROMISED: Device = Device(7);
const TARGET: &str = "10.200.7.10";
/// How long flows go on before it begins, and it before anything is measured.
const SETTLE: Duration = Duration::from_millis(250);

/// A share of what was asked so small that who loses it is chance: a handful of ten thousand questions.
const CHANCE: f64 = 0.001;

/// What it floods with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flood {
    /// Nothing: what to compare with.
    Idle,
    /// As many frames as hping3 makes, one of it on every processor.
    Hping3(What),
    /// As many frames as the kernel makes: more than any program.
    Kernel(What),
}

const FLOODS: [Flood; 11] = [
    Flood::Idle,
    Flood::Hping3(What::Syn),
    Flood::Hping3(What::Udp),
    Flood::Hping3(What::Icmp),
    Flood::Hping3(What::Fragments),
    Flood::Hping3(What::RandomSources),
    Flood::Kernel(What::Syn),
    Flood::Kernel(What::Udp),
    Flood::Kernel(What::Icmp),
    Flood::Kernel(What::Fragments),
    Flood::Kernel(What::RandomSources),
];

impl Flood {
    fn name(self) -> String {
        match self {
            Flood::Idle => "idle".to_string(),
            Flood::Hping3(what) => name_of(what).to_string(),
            Flood::Kernel(what) => format!("kernel-{}", name_of(what)),
        }
    }
}

fn name_of(what: What) -> &'static str {
    match what {
        What::Syn => "syn",
        What::Udp => "udp",
        What::Icmp => "icmp",
        What::Fragments => "fragments",
        What::RandomSources => "random-sources",
    }
}

/// hping3's arguments, for such frames as the kernel writes. The policy allows these connections and datagrams, and no echo
/// requests.
pub fn arguments(what: What) -> &'static [&'static str] {
    match what {
        What::Syn => &["-y", "-S", "-p", "443"],
        What::Udp => &["-y", "--udp", "-p", "24107", "-d", "18"],
        What::Icmp => &["-y", "--icmp", "-d", "18"],
        What::Fragments => &["--udp", "-p", "24107", "-d", "184", "--frag", "--mtu", "24"],
        What::RandomSources => &["-y", "-S", "-p", "443", "--rand-source"],
    }
}

/// One flood through one gateway.
#[derive(Clone, Debug, Default)]
struct Found {
    /// Thousand frames a second that the compromised device got rid of.
    offered: f64,
    /// What share of what was asked was never answered.
    loss: f64,
    /// Microseconds.
    median: f64,
    p99: f64,
    /// Bytes that the gateway's tables took before and afterwards.
    memory: [u64; 2],
    /// Flows that the gateway knew afterwards, both ends heard.
    established: u64,
}

type All = BTreeMap<(Flood, Kind), Found>;

fn name(flood: Flood, kind: Kind) -> String {
    format!("floods.{}.{}", flood.name(), kind.name())
}

/// What can be measured here.
pub fn names() -> impl Iterator<Item = String> {
    FLOODS
        .into_iter()
        .flat_map(|flood| GATEWAYS.map(|kind| name(flood, kind)))
}

/// Measures.
///
/// # Errors
/// If something cannot be set up, or someone wants to stop.
pub fn measure(plan: &Plan) -> Result<Findings> {
    let processor = processor::other_than(plan.sender);
    let clinical: Vec<Device> = (0..SERVERS).map(Device).collect();
    let devices = [&clinical[..], &[COMPROMISED]].concat();
    let mut beds: BTreeMap<Kind, Hosts> = BTreeMap::new();
    let mut all: BTreeMap<(Flood, Kind), Vec<Found>> = BTreeMap::new();
    for round in 1..=plan.rounds {
        for flood in FLOODS {
            // So that nobody always comes after the other.
            let mut gateways = GATEWAYS;
            gateways.rotate_left(round % 2);
            for kind in gateways {
                let name = name(flood, kind);
                if !plan.wants(&name) {
                    continue;
                }
                stop::check()?;
                let hosts = match beds.entry(kind) {
                    Entry::Occupied(there) => there.into_mut(),
                    Entry::Vacant(room) => {
                        let hosts = Hosts::new(kind, &devices)?;
                        hosts.forward_on(processor)?;
                        room.insert(hosts)
                    }
                };
                let found = take(hosts, &clinical, flood, plan)?;
                eprintln!(
                    "  {name}: {:.0} kpps, {:.3}% lost, p99 {:.0} us",
                    found.offered,
                    found.loss * 100.0,
                    found.p99
                );
                all.entry((flood, kind)).or_default().push(found);
            }
        }
    }
    let of_rounds = |(which, rounds): (_, Vec<Found>)| Some((which, of_rounds(&rounds)?));
    Ok(findings(&all.into_iter().filter_map(of_rounds).collect()))
}

/// The median of what was timed, the mean of what was lost, the most of what is kept.
fn of_rounds(rounds: &[Found]) -> Option<Found> {
    let timed = |of: fn(&Found) -> f64| median(rounds.iter().map(of));
    let most = |of: fn(&Found) -> u64| rounds.iter().map(of).max();
    Some(Found {
        offered: timed(|found| found.offered)?,
        loss: rounds.iter().map(|found| found.loss).sum::<f64>() / rounds.len() as f64,
        median: timed(|found| found.median)?,
        p99: timed(|found| found.p99)?,
        memory: [
            most(|found| found.memory[0])?,
            most(|found| found.memory[1])?,
        ],
        established: most(|found| found.established)?,
    })
}

fn take(hosts: &mut Hosts, clinical: &[Device], flood: Flood, plan: &Plan) -> Result<Found> {
    let drops = hosts.gateway(|gateway| {
        gateway.forget()?;
        Ok(gateway.account()?.dropped)
    })?;
    let over = [AtomicBool::new(false), AtomicBool::new(false)];
    let (asked, [first, last], before) = thread::scope(|scope| -> Result<_> {
        let running = Clinical::start(scope, hosts, clinical, plan.sender, &over)?;
        thread::sleep(SETTLE);
        let measured = flooded(hosts, flood, plan);
        let asked = running.stop(&over)?;
        let (seen, before) = measured?;
        Ok((asked, seen, before))
    })?;
    let (from, to) = (first.at, last.at);
    let span = (to - from).as_secs_f64();
    let during: Vec<&Asked> = asked
        .iter()
        .filter(|asked| (from..to).contains(&asked.at))
        .collect();
    let mut took: Vec<f64> = during
        .iter()
        .filter_map(|asked| Some(asked.took?.as_secs_f64() * 1e6))
        .collect();
    took.sort_by(f64::total_cmp);
    if took.is_empty() {
        bail!("{}: nobody was answered", name(flood, hosts.kind));
    }
    let (after, established, dropped) = hosts.gateway(|gateway| {
        Ok((
            gateway.memory()?,
            gateway.established()?,
            gateway.account()?.dropped,
        ))
    })?;
    if hosts.kind == Kind::Cordon {
        nobody_else(flood, &drops, &dropped)?;
        if established < clinical.len() as u64 {
            bail!("{}: {established} flows are left", name(flood, hosts.kind));
        }
        if after != before {
            bail!(
                "{}: tables grew from {before} to {after} bytes",
                name(flood, hosts.kind)
            );
        }
    }
    Ok(Found {
        offered: (last.frames - first.frames) as f64 / span / 1e3,
        loss: 1.0 - took.len() as f64 / during.len() as f64,
        median: took[took.len() / 2],
        p99: took[took.len() * 99 / 100],
        memory: [before, after],
        established,
    })
}

/// What a flood's own frames may be dropped for.
fn own_reasons(flood: Flood) -> &'static [&'static str] {
    let (Flood::Hping3(what) | Flood::Kernel(what)) = flood else {
        return &[];
    };
    match what {
        What::Syn | What::Udp => &["flow-limit"],
        What::Icmp => &["no-rule"],
        What::Fragments => &["flow-limit", "fragment"],
        // Loopback and group addresses are among them.
        What::RandomSources => &["address-binding", "martian"],
    }
}

/// Counts by reason.
type Drops = [(String, u64)];

/// Nobody's frames but the flood's were dropped by a decision: there is no reason but its own.
fn nobody_else(flood: Flood, before: &Drops, after: &Drops) -> Result<()> {
    let own = own_reasons(flood);
    for (reason, count) in after {
        let before = before.iter().find(|(other, _)| other == reason);
        let rose = count - before.map_or(0, |(_, count)| *count);
        if rose != 0 && !own.contains(&reason.as_str()) {
            bail!(
                "{} flood: {rose} frames were dropped for {reason}",
                flood.name()
            );
        }
    }
    Ok(())
}

/// What is read when measuring begins and when it ends.
struct Seen {
    at: Instant,
    /// That the devices sent until then.
    frames: u64,
}

/// Floods; answers what was seen when it began and ended, and what memory there was in use before.
fn flooded(hosts: &mut Hosts, flood: Flood, plan: &Plan) -> Result<([Seen; 2], u64)> {
    let before = hosts.gateway(|gateway| gateway.memory())?;
    let hosts = &*hosts;
    let generator = match flood {
        Flood::Kernel(what) => Some(hosts.generator(COMPROMISED, what)?),
        _ => None,
    };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut flooding = None;
        let mut running = Vec::new();
        if let Some(generator) = &generator {
            flooding = Some(scope.spawn(|| -> Result<()> {
                processor::stay(plan.sender, Pid::from_raw(0))?;
                while !over.load(Ordering::Relaxed) {
                    generator.send(100_000)?;
                }
                Ok(())
            }));
        }
        if let Flood::Hping3(what) = flood {
            let command = [&["hping3", "-q", "--flood"], arguments(what), &[TARGET]].concat();
            for _ in 0..thread::available_parallelism()?.get() {
                running.push(Running(hosts.start(COMPROMISED, &command)?));
            }
        }
        let look = || -> Result<Seen> {
            let written = generator.as_ref().map_or(Ok(0), Generator::sent)?;
            Ok(Seen {
                at: Instant::now(),
                frames: hosts.sent()? + written,
            })
        };
        thread::sleep(SETTLE);
        let first = look();
        thread::sleep(Duration::from_secs_f64(plan.seconds));
        let last = look();
        over.store(true, Ordering::Relaxed);
        drop(running);
        if let Some(thread) = flooding {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(([first?, last?], before))
    })
}

/// A program that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn findings(all: &All) -> Findings {
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
    for ((flood, kind), found) in all {
        let [before, after] = found.memory.map(|bytes| bytes as f64 / 1e6);
        let _ = writeln!(
            table,
            "{:<21} {:<9} {:>9.0} {:>8.3} {:>10.0} {:>9.0} {:>12} {:>11}",
            flood.name(),
            kind.name(),
            found.offered,
            found.loss * 100.0,
            found.median,
            found.p99,
            format!("{before:.0} - {after:.0}"),
            found.established,
        );
        let name = name(*flood, *kind);
        for (what, value, unit) in [
            ("kpps", found.offered, "kpps"),
            ("loss", found.loss, "ratio"),
            ("median_us", found.median, "us"),
            ("p99_us", found.p99, "us"),
            ("memory_mb", after, "MB"),
        ] {
            records.push(record(format!("{name}.{what}"), value, unit));
        }
        let beside = all.get(&(*flood, Kind::Nftables));
        if let (Kind::Cordon, Some(beside)) = (kind, beside)
            && *flood != Flood::Idle
        {
            let flood = flood.name();
            let what =
                format!("{flood} flood, Cordon's loss in percent, nftables' or a tenth at most");
            let most = beside.loss.max(CHANCE);
            aims.push(at_most(what, found.loss * 100.0, most * 100.0));
            let what = format!("{flood} flood, Cordon's p99 in microseconds, nftables' at most");
            aims.push(at_most(what, found.p99, beside.p99));
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
    fn what_is_dropped_for_another_reason_than_the_floods_own_is_said() {
        let counts = |all: &[(&str, u64)]| -> Vec<(String, u64)> {
            let all = all.iter();
            all.map(|(reason, count)| (reason.to_string(), *count))
                .collect()
        };
        let before = counts(&[("no-rule", 3), ("posture", 1)]);
        let said =
            |flood, after: &[(&str, u64)]| nobody_else(flood, &before, &counts(after)).is_err();
        let icmp = Flood::Kernel(What::Icmp);
        assert!(!said(icmp, &[("no-rule", 9000), ("posture", 1)]));
        assert!(said(icmp, &[("no-rule", 9000), ("posture", 2)]));
        assert!(said(icmp, &[("no-rule", 3), ("posture", 1), ("rule", 1)]));
        assert!(said(Flood::Idle, &[("no-rule", 4), ("posture", 1)]));
    }

    #[test]
    fn cordon_is_compared_under_the_same_flood() {
        let found = |loss, p99| Found {
            loss,
            p99,
            ..Found::default()
        };
        let all = All::from([
            ((Flood::Idle, Kind::Cordon), found(0.0, 50.0)),
            (
                (Flood::Hping3(What::Syn), Kind::Nftables),
                found(0.01, 500.0),
            ),
            ((Flood::Hping3(What::Syn), Kind::Cordon), found(0.0, 600.0)),
        ]);
        let text = crate::report::aims(&findings(&all).aims);
        assert!(text.contains("✓ syn flood, Cordon's loss"), "{text}");
        assert!(text.contains("✗ syn flood, Cordon's p99"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
