//! Has every cell judged on all sides, and compares the result with the table.

use std::collections::BTreeMap;
use std::fmt;

use cordon_policy::Posture;

use super::expect::{Expected, REASONS, alphabet, rule_number};
use super::frames::{Exchange, Frames, Sent};
use super::guards::{Guard, newcomer};
use super::protocols::{self, Protocol, Service};
use super::table::{Guarded, MATRIX, Row};
use super::topology::{Attachment, Direction, Endpoint, Kind, STORM, Topology};
use crate::differential::{Decision, Sides, in_one_tick, next_tick};

/// One frame and its expected result.
#[derive(Clone, Debug)]
struct Cell {
    /// Its description.
    name: String,
    /// The frames to send before.
    before: Vec<Sent>,
    /// The frame under test.
    sent: Sent,
    /// The expected result.
    expected: Expected,
}

/// The tables of a run.
#[derive(Clone, Copy)]
pub struct Tables<'a> {
    /// Cells in which no guard is violated.
    pub rows: &'a [Row],
    /// Cells in which a guard is violated.
    pub guards: &'a [Guarded],
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The number of cells by attachment kind: without and with a guard violated.
    pub cells: BTreeMap<String, (usize, usize)>,
    /// Cells whose result differs from the table.
    pub wrong: Vec<String>,
    /// Cells that would also have passed with another entry in the table.
    pub ambiguous: Vec<String>,
}

impl Outcome {
    /// The number of all cells.
    pub fn count(&self) -> usize {
        self.cells.values().map(|(one, other)| one + other).sum()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, (plain, guarded)) in &self.cells {
            writeln!(
                f,
                "{kind:<10} {plain:>6} cells, {guarded:>6} with a guard violated"
            )?;
        }
        write!(f, "{} cells in all", self.count())
    }
}

/// Numbers the cells, so that they do not share flows.
#[derive(Default)]
struct Numbers(u16);

impl Numbers {
    fn next(&mut self) -> u16 {
        self.0 += 1;
        assert!(
            self.0 < 50_000,
            "no port numbers are left for further cells"
        );
        self.0
    }
}

/// Runs all cells of both tables.
pub fn run(sides: &mut Sides, tables: Tables) -> Outcome {
    let mut outcome = Outcome::default();
    let mut numbers = Numbers::default();
    for kind in Kind::ALL {
        let topology = Topology::new(kind);
        // The rate counters of the previous site start again in a new tick.
        next_tick(sides);
        sides.install(&topology.policy, Posture::Normal);
        learn_locations(sides, &topology);
        let (mut plain, mut guarded) = (0, 0);
        for posture in Posture::ALL {
            sides.set_posture(posture);
            next_tick(sides);
            next_tick(sides);
            for row in tables.rows {
                for cell in of_row(&topology, posture, row, &mut numbers) {
                    plain += 1;
                    outcome.judge(sides, &cell);
                }
            }
            for guard in tables
                .guards
                .iter()
                .filter(|entry| !entry.guard.is_rate_limit())
            {
                for cell in of_guard(&topology, posture, guard, 0, &mut numbers) {
                    guarded += 1;
                    outcome.judge(sides, &cell);
                }
            }
        }
        for guard in tables
            .guards
            .iter()
            .filter(|entry| entry.guard.is_rate_limit())
        {
            let (count, judged) = in_one_tick(sides, |sides, attempt| {
                rate_limit_cells(sides, &topology, guard, attempt, &mut numbers)
            });
            guarded += count;
            outcome.wrong.extend(judged.wrong);
            outcome.ambiguous.extend(judged.ambiguous);
        }
        outcome.cells.insert(format!("{kind:?}"), (plain, guarded));
    }
    outcome
}

impl Outcome {
    fn judge(&mut self, sides: &mut Sides, cell: &Cell) {
        let mut last = None;
        for sent in cell.before.iter().chain([&cell.sent]) {
            match sides.judge(sent.at.port, &sent.frame()) {
                Ok(decision) => last = Some(decision),
                Err(difference) => {
                    self.wrong
                        .push(format!("{}: the sides differ\n{difference}", cell.name));
                    return;
                }
            }
        }
        let Some(decision) = last else { return };
        if let Err(wrong) = cell.expected.check(&decision) {
            self.wrong
                .push(format!("{}: {wrong}, got {decision}", cell.name));
        }
        self.ambiguous.extend(other_entries(cell, &decision));
    }
}

/// Other entries of the table with which the cell would pass as well: a wrong entry must make the cell fail.
fn other_entries(cell: &Cell, decision: &Decision) -> Vec<String> {
    let reason = |letter: char| {
        let found = REASONS.iter().find(|(known, _)| *known == letter);
        found.map(|(_, reason)| *reason)
    };
    let own = cell.expected.letter;
    let others = alphabet().into_iter().filter(|letter| {
        let same = reason(*letter).is_some() && reason(*letter) == reason(own);
        *letter != own && !same
    });
    let letters = others.map(|letter| Expected {
        letter,
        ..cell.expected.clone()
    });
    let rule = Expected {
        rule: cell.expected.rule + 1,
        ..cell.expected.clone()
    };
    let names_rule = matches!(own, 'a' | '_' | 'g' | 'p' | 'r' | 's');
    letters
        .chain(names_rule.then_some(rule))
        .filter(|other| other.check(decision).is_ok())
        .map(|other| {
            format!(
                "{}: passes as `{}` (rule {})",
                cell.name, other.letter, other.rule
            )
        })
        .collect()
}

/// Sends a frame from every endpoint, so that the gateway learns their locations.
fn learn_locations(sides: &mut Sides, topology: &Topology) {
    let frames = [
        (topology.pump, Protocol::Report4),
        (topology.monitor, Protocol::Report4),
        (topology.bound, Protocol::Report4),
        (topology.router, Protocol::Query4),
        (topology.guest_outside, Protocol::Report4),
    ];
    for (from, protocol) in frames {
        let (_, sent) = exchange(topology, from, topology.router, false, 0).frames(protocol);
        let decision = sides.judge(sent.at.port, &sent.frame());
        let decision =
            decision.unwrap_or_else(|difference| panic!("the sides differ\n{difference}"));
        assert_ne!(
            decision.rule, 0,
            "the frame of {from:?} is dropped: {decision}"
        );
    }
}

fn exchange(
    topology: &Topology,
    from: Endpoint,
    to: Endpoint,
    v6: bool,
    number: u16,
) -> Exchange<'_> {
    Exchange {
        topology,
        from,
        to,
        v6,
        number,
    }
}

fn letter(cells: &str, posture: Posture) -> char {
    let letters: Vec<char> = cells.chars().collect();
    assert_eq!(
        letters.len(),
        Posture::ALL.len(),
        "`{cells}` is not a cell: it needs a letter for each posture"
    );
    letters[posture as usize]
}

/// The cells of a row at a posture.
fn of_row(topology: &Topology, posture: Posture, row: &Row, numbers: &mut Numbers) -> Vec<Cell> {
    let mut all = Vec::new();
    for (direction, cells) in Direction::ALL.into_iter().zip(row.cells) {
        let exception = |(kind, of, _): &&(Kind, Direction, &'static str)| {
            *kind == topology.kind && *of == direction
        };
        let cells = row
            .exceptions
            .iter()
            .find(exception)
            .map_or(cells, |(_, _, cells)| *cells);
        if cells == "-" {
            continue;
        }
        for (leg, (from, to)) in protocols::legs(topology, row.protocol, direction)
            .into_iter()
            .enumerate()
        {
            for v6 in row.protocol.versions() {
                let frames = exchange(topology, from, to, *v6, numbers.next()).frames(row.protocol);
                let name = format!(
                    "{:?}, {direction}, leg {}, {:?}, {posture}, {}",
                    row.protocol,
                    leg + 1,
                    topology.kind,
                    if *v6 { "IPv6" } else { "IPv4" },
                );
                let endpoints = (&from, &to);
                let mut cell = cell(
                    topology,
                    name,
                    row.protocol,
                    frames,
                    endpoints,
                    Some(direction),
                );
                cell.expected.letter = letter(cells, posture);
                cell.expected.rule = rule_number(topology, row.rule);
                all.push(cell);
            }
        }
    }
    all
}

/// The cells of a guard at a posture.
fn of_guard(
    topology: &Topology,
    posture: Posture,
    guarded: &Guarded,
    attempt: u8,
    numbers: &mut Numbers,
) -> Vec<Cell> {
    let mut all = Vec::new();
    for (cells, protocols) in guarded.cells {
        for protocol in *protocols {
            for v6 in protocol.versions() {
                let (from, to) = guarded.guard.endpoints(topology, *protocol, attempt);
                let exchange = exchange(topology, from, to, *v6, numbers.next());
                let frames = guarded.guard.frames(&exchange, *protocol);
                let name = format!(
                    "{:?}, {protocol:?}, {:?}, {posture}, {}",
                    guarded.guard,
                    topology.kind,
                    if *v6 { "IPv6" } else { "IPv4" },
                );
                let mut cell = cell(topology, name, *protocol, frames, (&from, &to), None);
                cell.expected.letter = letter(cells, posture);
                let row = MATRIX.iter().find(|row| row.protocol == *protocol);
                cell.expected.rule = rule_number(topology, row.map_or("", |row| row.rule));
                all.push(cell);
            }
        }
    }
    all
}

/// A cell without its letter and rule. A frame that violates a guard (no `direction`) has no expected copies.
fn cell(
    topology: &Topology,
    name: String,
    protocol: Protocol,
    (before, sent): Frames,
    (from, to): (&Endpoint, &Endpoint),
    direction: Option<Direction>,
) -> Cell {
    let (to_mac, from_mac) = sent.macs;
    let group = to_mac.0[0] & 1 == 1 || protocol.is_link_control();
    let mut leaving = sent.clone();
    // Through the proxy, a device receives the frame from the gateway's MAC address.
    if to_mac != to.mac && !group {
        leaving.macs = (to.mac, to_mac);
    }
    debug_assert_eq!(from_mac, sent.macs.1);
    let attachments: Vec<Attachment> = match direction {
        None => Vec::new(),
        Some(_) if protocol.is_link_control() => topology
            .open
            .iter()
            .filter(|attachment| **attachment != from.at)
            .copied()
            .collect(),
        Some(_) if group => topology
            .ward
            .iter()
            .filter(|attachment| **attachment != from.at)
            .copied()
            .collect(),
        Some(_) => vec![to.at],
    };
    let outward = direction == Some(Direction::Out);
    let (here, elsewhere) = attachments
        .into_iter()
        .map(|attachment| {
            (
                attachment,
                (attachment.port, leaving.leaving_at(&attachment)),
            )
        })
        .partition::<Vec<_>, _>(|(attachment, _)| !group || attachment.uplink == outward);
    let copies =
        |of: Vec<(Attachment, (u16, Vec<u8>))>| of.into_iter().map(|(_, copy)| copy).collect();
    let expected = Expected {
        letter: ' ',
        rule: 0,
        here: copies(here),
        elsewhere: copies(elsewhere),
        egress: (!group).then_some(to.at),
        ingress: (sent.at, sent.frame()),
    };
    Cell {
        name,
        before,
        sent,
        expected,
    }
}

type CountedCells = Result<(usize, Outcome), String>;

/// Runs the cells of a rate limit at all postures, after frames that use the limit up.
fn rate_limit_cells(
    sides: &mut Sides,
    topology: &Topology,
    guarded: &Guarded,
    attempt: u8,
    numbers: &mut Numbers,
) -> CountedCells {
    sides.set_posture(Posture::Normal);
    let fill = |from: Endpoint, protocol: Protocol| {
        exchange(topology, from, topology.router, false, 0)
            .frames(protocol)
            .1
    };
    let frames: Vec<Sent> = match guarded.guard {
        Guard::Storm => {
            let many = fill(topology.bound, Protocol::Broadcast(Service::Kept));
            vec![many; usize::from(STORM) + 5]
        }
        _ => (1..=64)
            .map(|number| fill(newcomer(topology, attempt, number), Protocol::Report4))
            .collect(),
    };
    for sent in frames {
        let decision = sides.judge(sent.at.port, &sent.frame());
        decision.map_err(|difference| difference.to_string())?;
    }
    let mut outcome = Outcome::default();
    let mut count = 0;
    for posture in Posture::ALL {
        sides.set_posture(posture);
        for cell in of_guard(topology, posture, guarded, attempt, numbers) {
            count += 1;
            outcome.judge(sides, &cell);
        }
    }
    Ok((count, outcome))
}
