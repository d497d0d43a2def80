//! Frames: whatever comes in, user space and the oracle say the same of it, after whatever came before.
//!
//! An input is a policy and then steps, each a byte that says what, and bytes that say which. Every byte means
//! something, so that most of what a fuzzer does to an input leads somewhere else.

mod policies;

use std::collections::BTreeSet;

use cordon_integration::differential::{Difference, Fault, Said, Sides, Step, Verdict, shrink};
use cordon_integration::generate::{Rng, Talk};
use cordon_policy::{Mac, Posture};
use cordon_verdict::Reason;

use policies::WithSources;

/// More steps than this tell nothing that fewer would not.
const STEPS: usize = 300;
/// The step from which on someone may open no more flows.
const HOLD: u8 = 0xf7;
/// The first policy that is none.
const NONE: u8 = 0xfe;
/// How many frames are remembered, to be sent again.
const MEMORY: usize = 16;

/// Lets an input happen to a gateway. Answers for what frames were dropped: a fuzzer that comes to few of the reasons
/// proves little.
///
/// # Panics
/// If user space and the oracle differ, or one of them panics.
pub fn frames(input: &[u8]) -> BTreeSet<Reason> {
    run(input, None).unwrap_or_else(|report| panic!("{report}"))
}

/// Whether an input shows a fault that is put into user space.
pub fn finds(input: &[u8], fault: Fault) -> bool {
    run(input, Some(fault)).is_err()
}

fn run(input: &[u8], fault: Option<Fault>) -> Result<BTreeSet<Reason>, String> {
    let mut input = Input(input);
    let mut world = World::new(input.byte(), fault);
    for _ in 0..STEPS {
        if input.0.is_empty() {
            break;
        }
        world.step(&mut input)?;
    }
    Ok(world.reasons)
}

/// What is left of an input; zeros behind its end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct World {
    sides: Sides,
    /// What would be said next under the policy in force.
    talk: Option<Talk>,
    /// The last frames, and the ports they came in by.
    recent: Vec<(u16, Vec<u8>)>,
    /// What happened since the policy in force came into it.
    history: Vec<Step>,
    /// Whether someone is: no step of a history says so, and it cannot be shortened.
    held: bool,
    reasons: BTreeSet<Reason>,
}

impl World {
    fn new(policy: u8, fault: Option<Fault>) -> World {
        let ready = policies::ready(policy);
        let talk = Some(Talk::new(&ready.policy.1, None));
        let mut sides = match fault {
            None => ready.sides.fork(),
            Some(_) => Sides::new(None, fault),
        };
        let mut history = vec![Step::Install(ready.policy.clone(), Posture::Normal)];
        if policy == NONE {
            sides = Sides::new(None, fault);
            history.clear();
        } else if fault.is_some() {
            sides.install(&ready.policy.1, Posture::Normal);
        }
        World {
            sides,
            talk,
            recent: Vec::new(),
            history,
            held: false,
            reasons: BTreeSet::new(),
        }
    }

    fn step(&mut self, input: &mut Input) -> Result<(), String> {
        let what = input.byte();
        if what == HOLD {
            self.hold(input.byte());
            return Ok(());
        }
        match what % 8 {
            0..3 => {
                let mut rng = Rng::with_seed(input.short().into());
                if let Some(talk) = &mut self.talk {
                    let (port, frame) = talk.next(&mut rng);
                    self.frame(port, frame)?;
                }
            }
            3 => {
                let port = port(input.byte());
                let length = input.byte().into();
                self.frame(port, input.take(length).to_vec())?;
            }
            4 => self.again(input)?,
            5 => {
                let posture = posture(input.byte());
                self.sides.set_posture(posture);
                self.history.push(Step::Posture(posture));
            }
            6 => {
                let ticks = input.byte().into();
                self.sides.pass_time(ticks);
                self.history.push(Step::Time(ticks));
            }
            _ => {
                let ready = policies::ready(input.byte());
                self.install(&ready.policy, posture(input.byte()));
            }
        }
        Ok(())
    }

    /// A frame that came lately, by the same port or another, with some bytes changed.
    fn again(&mut self, input: &mut Input) -> Result<(), String> {
        let (which, how) = (input.byte(), input.byte());
        if self.recent.is_empty() {
            return Ok(());
        }
        let (mut port_, mut frame) = self.recent[usize::from(which) % self.recent.len()].clone();
        if how & 0x80 != 0 {
            port_ = port(input.byte());
        }
        if how & 0x40 != 0 {
            let length = usize::from(input.byte());
            frame.resize(length, 0);
        }
        for _ in 0..how & 7 {
            let (at, value) = (usize::from(input.byte()), input.byte());
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        self.frame(port_, frame)
    }

    /// Who sent the last frame has as many flows as it may, in a segment.
    fn hold(&mut self, segment: u8) {
        let last = self.recent.last().and_then(|(_, frame)| frame.get(6..12));
        if let Some(mac) = last.and_then(|mac| mac.try_into().ok()) {
            self.sides.hold(u16::from(segment) % 4, Mac(mac));
            self.held = true;
        }
    }

    fn install(&mut self, policy: &WithSources, posture: Posture) {
        self.sides.install(&policy.1, posture);
        self.talk = Some(Talk::new(&policy.1, self.talk.take()));
        self.history.clear();
        self.history.push(Step::Install(policy.clone(), posture));
    }

    fn frame(&mut self, port: u16, frame: Vec<u8>) -> Result<(), String> {
        self.history.push(Step::Frame(port, frame.clone()));
        let said = match self.sides.judge(port, &frame) {
            Ok(said) => said,
            Err(difference) => return Err(self.report(&difference)),
        };
        if let Verdict::Drop(reason) = said.verdict {
            self.reasons.insert(reason);
        }
        let leaving = leaving(said);
        if let (false, Some(talk)) = (leaving.is_empty(), &mut self.talk) {
            let mut rng = Rng::with_seed(self.history.len() as u64);
            talk.passed(&mut rng, port, &frame, &leaving);
        }
        if self.recent.len() == MEMORY {
            self.recent.remove(0);
        }
        self.recent.push((port, frame));
        Ok(())
    }

    fn report(&self, difference: &Difference) -> String {
        let shrunk = match self.held {
            false => shrink(&self.history),
            true => None,
        };
        let (steps, difference) = match shrunk {
            Some((steps, shrunk)) => (steps, *shrunk),
            None => (self.history.clone(), difference.clone()),
        };
        let steps: String = steps.iter().map(ToString::to_string).collect();
        format!("judged differently:\n{steps}{difference}")
    }
}

fn leaving(said: Said) -> Vec<(u16, Vec<u8>)> {
    match said.verdict {
        Verdict::Leaves { at, frame } => vec![((at >> 24) as u16, frame)],
        Verdict::Flood { copies, .. } => copies.unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// One of those that policies by chance have and one that few have; or an interface that is none.
fn port(byte: u8) -> u16 {
    match byte {
        255 => u16::MAX,
        other => u16::from(other) % 5,
    }
}

fn posture(byte: u8) -> Posture {
    Posture::ALL[usize::from(byte) % Posture::ALL.len()]
}
