//! Every cell is judged on all sides, and compared with the table.

use std::collections::BTreeMap;
use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use cordon_policy::Posture;

use super::expect::{Expected, REASONS, alphabet, rule_number};
use super::guards::{Guard, newcomer};
use super::protocols::{self, Frames, Protocol, Sent, Service, Talk};
use super::table::{Guarded, MATRIX, Row};
use super::world::{Direction, Kind, Party, Place, STORM, World};
use crate::differential::{Said, Sides};

/// One frame, and what is to become of it.
#[derive(Clone, Debug)]
struct Cell {
    /// Which one it is.
    name: String,
    /// What has to come before.
    before: Vec<Sent>,
    /// What the cell is about.
    sent: Sent,
    /// What the table says.
    expected: Expected,
}

/// The tables that a run is compared with.
#[derive(Clone, Copy)]
pub struct Tables<'a> {
    /// Where nothing is violated.
    pub rows: &'a [Row],
    /// Where something is.
    pub guards: &'a [Guarded],
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Cells, by attachment kind: without and with a guard violated.
    pub cells: BTreeMap<String, (usize, usize)>,
    /// Cells that are not as the table says.
    pub wrong: Vec<String>,
    /// What else a cell would have been taken for, had the table said so.
    pub blind: Vec<String>,
}

impl Outcome {
    /// All cells.
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

/// Numbers the cells, so that none knows of another's flows.
#[derive(Default)]
struct Numbers(u16);

impl Numbers {
    fn next(&mut self) -> u16 {
        self.0 += 1;
        assert!(
            self.0 < 50_000,
            "there are no more ports to tell cells apart"
        );
        self.0
    }
}

/// Has all cells of both tables judged.
pub fn run(sides: &mut Sides, tables: Tables) -> Outcome {
    let mut outcome = Outcome::default();
    let mut numbers = Numbers::default();
    for kind in Kind::ALL {
        let world = World::new(kind);
        // What was counted of the one before is over.
        next_tick(sides);
        sides.install(&world.policy, Posture::Normal);
        acquaint(sides, &world);
        let (mut plain, mut guarded) = (0, 0);
        for posture in Posture::ALL {
            sides.set_posture(posture);
            sides.pass_time(1);
            for row in tables.rows {
                for cell in of_row(&world, posture, row, &mut numbers) {
                    plain += 1;
                    outcome.judge(sides, &cell);
                }
            }
            for one in tables.guards.iter().filter(|one| !one.guard.counts()) {
                for cell in of_guard(&world, posture, one, 0, &mut numbers) {
                    guarded += 1;
                    outcome.judge(sides, &cell);
                }
            }
        }
        for one in tables.guards.iter().filter(|one| one.guard.counts()) {
            let (count, judged) = in_one_tick(sides, |sides, attempt| {
                counted(sides, &world, one, attempt, &mut numbers)
            });
            guarded += count;
            outcome.wrong.extend(judged.wrong);
            outcome.blind.extend(judged.blind);
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
                Ok(said) => last = Some(said),
                Err(difference) => {
                    self.wrong
                        .push(format!("{}: the sides differ\n{difference}", cell.name));
                    return;
                }
            }
        }
        let Some(said) = last else { return };
        if let Err(wrong) = cell.expected.check(&said) {
            self.wrong
                .push(format!("{}: {wrong}, and is {said}", cell.name));
        }
        self.blind.extend(blind(cell, &said));
    }
}

/// What a cell would have been taken for as well: it is to fail as soon as the table says something else of it.
fn blind(cell: &Cell, said: &Said) -> Vec<String> {
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
        .filter(|other| other.check(said).is_ok())
        .map(|other| {
            format!(
                "{}: passes for `{}` (rule {})",
                cell.name, other.letter, other.rule
            )
        })
        .collect()
}

/// Everybody says something, so that it is known where they are.
fn acquaint(sides: &mut Sides, world: &World) {
    let said = [
        (world.pump, Protocol::Report4),
        (world.monitor, Protocol::Report4),
        (world.bound, Protocol::Report4),
        (world.router, Protocol::Query4),
        (world.guest_outside, Protocol::Report4),
    ];
    for (from, protocol) in said {
        let (_, sent) = talk(world, from, world.router, false, 0).frames(protocol);
        let said = sides.judge(sent.at.port, &sent.frame());
        let said = said.unwrap_or_else(|difference| panic!("the sides differ\n{difference}"));
        assert_ne!(said.rule, 0, "{from:?} is not let speak: {said}");
    }
}

fn talk(world: &World, from: Party, to: Party, v6: bool, number: u16) -> Talk<'_> {
    Talk {
        world,
        from,
        to,
        v6,
        number,
    }
}

fn letter(cells: &str, posture: Posture) -> char {
    let letters: Vec<char> = cells.chars().collect();
    assert_eq!(letters.len(), Posture::ALL.len(), "`{cells}` is no cell");
    letters[posture as usize]
}

/// The cells of a row at a posture.
fn of_row(world: &World, posture: Posture, row: &Row, numbers: &mut Numbers) -> Vec<Cell> {
    let mut all = Vec::new();
    for (direction, cells) in Direction::ALL.into_iter().zip(row.cells) {
        let exception = |(kind, of, _): &&(Kind, Direction, &'static str)| {
            *kind == world.kind && *of == direction
        };
        let cells = row
            .but
            .iter()
            .find(exception)
            .map_or(cells, |(_, _, cells)| *cells);
        if cells == "-" {
            continue;
        }
        for (leg, (from, to)) in protocols::legs(world, row.protocol, direction)
            .into_iter()
            .enumerate()
        {
            for v6 in row.protocol.versions() {
                let frames = talk(world, from, to, *v6, numbers.next()).frames(row.protocol);
                let name = format!(
                    "{:?}, {direction}, leg {}, {:?}, {posture}, {}",
                    row.protocol,
                    leg + 1,
                    world.kind,
                    if *v6 { "IPv6" } else { "IPv4" },
                );
                let parties = (&from, &to);
                let mut cell = cell(world, name, row.protocol, frames, parties, Some(direction));
                cell.expected.letter = letter(cells, posture);
                cell.expected.rule = rule_number(world, row.rule);
                all.push(cell);
            }
        }
    }
    all
}

/// The cells of a guard at a posture.
fn of_guard(
    world: &World,
    posture: Posture,
    guarded: &Guarded,
    attempt: u8,
    numbers: &mut Numbers,
) -> Vec<Cell> {
    let mut all = Vec::new();
    for (cells, protocols) in guarded.cells {
        for protocol in *protocols {
            for v6 in protocol.versions() {
                let (from, to) = guarded.guard.parties(world, *protocol, attempt);
                let talk = talk(world, from, to, *v6, numbers.next());
                let frames = guarded.guard.frames(&talk, *protocol);
                let name = format!(
                    "{:?}, {protocol:?}, {:?}, {posture}, {}",
                    guarded.guard,
                    world.kind,
                    if *v6 { "IPv6" } else { "IPv4" },
                );
                let mut cell = cell(world, name, *protocol, frames, (&from, &to), None);
                cell.expected.letter = letter(cells, posture);
                let row = MATRIX.iter().find(|row| row.protocol == *protocol);
                cell.expected.rule = rule_number(world, row.map_or("", |row| row.rule));
                all.push(cell);
            }
        }
    }
    all
}

/// A cell whose letter and rule are not filled in. Of what violates a guard, nothing is to arrive anywhere.
fn cell(
    world: &World,
    name: String,
    protocol: Protocol,
    (before, sent): Frames,
    (from, to): (&Party, &Party),
    direction: Option<Direction>,
) -> Cell {
    let (to_mac, from_mac) = sent.macs;
    let group = to_mac.0[0] & 1 == 1 || protocol.is_link_control();
    let mut leaving = sent.clone();
    // Who is known as the gateway gets what is sent to it from the gateway.
    if to_mac != to.mac && !group {
        leaving.macs = (to.mac, to_mac);
    }
    debug_assert_eq!(from_mac, sent.macs.1);
    let places: Vec<Place> = match direction {
        None => Vec::new(),
        Some(_) if protocol.is_link_control() => world
            .open
            .iter()
            .filter(|place| **place != from.at)
            .copied()
            .collect(),
        Some(_) if group => world
            .ward
            .iter()
            .filter(|place| **place != from.at)
            .copied()
            .collect(),
        Some(_) => vec![to.at],
    };
    let outward = direction == Some(Direction::Out);
    let (here, elsewhere) = places
        .into_iter()
        .map(|place| (place, (place.port, leaving.leaving_at(&place))))
        .partition::<Vec<_>, _>(|(place, _)| !group || place.uplink == outward);
    let copies = |of: Vec<(Place, (u16, Vec<u8>))>| of.into_iter().map(|(_, copy)| copy).collect();
    let expected = Expected {
        letter: ' ',
        rule: 0,
        here: copies(here),
        elsewhere: copies(elsewhere),
        one: (!group).then_some(to.at),
        from: (sent.at, sent.frame()),
    };
    Cell {
        name,
        before,
        sent,
        expected,
    }
}

type Counted = Result<(usize, Outcome), String>;

/// The cells of a guard that counts, at all postures: first so many frames that the next is one too many.
fn counted(
    sides: &mut Sides,
    world: &World,
    guarded: &Guarded,
    attempt: u8,
    numbers: &mut Numbers,
) -> Counted {
    sides.set_posture(Posture::Normal);
    let fill = |from: Party, protocol: Protocol| {
        talk(world, from, world.router, false, 0).frames(protocol).1
    };
    let frames: Vec<Sent> = match guarded.guard {
        Guard::Storm => {
            let many = fill(world.bound, Protocol::Broadcast(Service::Kept));
            vec![many; usize::from(STORM) + 5]
        }
        _ => (1..=64)
            .map(|number| fill(newcomer(world, attempt, number), Protocol::Report4))
            .collect(),
    };
    for sent in frames {
        let said = sides.judge(sent.at.port, &sent.frame());
        said.map_err(|difference| difference.to_string())?;
    }
    let mut outcome = Outcome::default();
    let mut count = 0;
    for posture in Posture::ALL {
        sides.set_posture(posture);
        for cell in of_guard(world, posture, guarded, attempt, numbers) {
            count += 1;
            outcome.judge(sides, &cell);
        }
    }
    Ok((count, outcome))
}

/// The clock that the program in the kernel reads, in ticks.
fn clock() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE).expect("ticks");
    let now = now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64;
    now >> 30
}

/// Waits for the next tick of the kernel's clock, and sets the others'.
fn next_tick(sides: &mut Sides) {
    let before = clock();
    while sides.has_kernel() && clock() == before {
        sleep(Duration::from_millis(5));
    }
    sides.pass_time(1);
}

/// Does something within a tick, so that the kernel counts what the others count: from the start of one, and once more
/// if it took longer. It is told how often it has been done.
fn in_one_tick(
    sides: &mut Sides,
    mut attempt: impl FnMut(&mut Sides, u8) -> Counted,
) -> (usize, Outcome) {
    for number in 0..20 {
        next_tick(sides);
        let start = clock();
        let result = attempt(sides, number);
        if !sides.has_kernel() || clock() == start {
            return result.unwrap_or_else(|wrong| panic!("{wrong}"));
        }
    }
    panic!("this machine never gets through with it within a second");
}
