//! Frames: user space and the oracle decide the same on every frame, in every state.
//!
//! An input is the number of a policy and a sequence of steps: each a byte for the kind of step, and bytes for its
//! arguments. Every byte has a meaning, so that most mutations of an input change what it does.

mod policies;

use std::collections::BTreeSet;

use cordon_integration::differential::{Decision, Difference, Fault, Sides, Step, Verdict, shrink};
use cordon_integration::generate::{FrameGenerator, Rng};
use cordon_policy::{Mac, Posture};
use cordon_verdict::Reason;

use policies::WithSources;

/// Steps after these are ignored.
const MAX_STEPS: usize = 300;
/// The step after which a host is at its flow limit.
const FLOW_LIMIT: u8 = 0xf7;
/// The policy number that stands for no policy at the start.
const NO_POLICY: u8 = 0xfe;
/// Number of recent frames that can be repeated.
const MEMORY: usize = 16;

/// Runs an input. Returns the reasons for which frames were dropped: the seeds should reach nearly all of them.
///
/// # Panics
/// If user space and the oracle differ, or one of them panics.
pub fn frames(input: &[u8]) -> BTreeSet<Reason> {
    run(input, None).unwrap_or_else(|report| panic!("{report}"))
}

/// Whether an input detects a fault that is injected into user space.
pub fn finds(input: &[u8], fault: Fault) -> bool {
    run(input, Some(fault)).is_err()
}

fn run(input: &[u8], fault: Option<Fault>) -> Result<BTreeSet<Reason>, String> {
    let mut input = Input(input);
    let mut world = World::new(input.byte(), fault);
    for _ in 0..MAX_STEPS {
        if input.0.is_empty() {
            break;
        }
        world.step(&mut input)?;
    }
    Ok(world.reasons)
}

/// The rest of an input. Zeros follow its end.
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

    fn u16(&mut self) -> u16 {
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
    /// The generator of frames for the active policy.
    talk: Option<FrameGenerator>,
    /// The last frames, with their ingress ports.
    recent: Vec<(u16, Vec<u8>)>,
    /// The steps since the active policy was installed.
    history: Vec<Step>,
    /// Whether a host is at its flow limit. The history has no such step, so it cannot be shrunk.
    has_flow_limit: bool,
    reasons: BTreeSet<Reason>,
}

impl World {
    fn new(policy: u8, fault: Option<Fault>) -> World {
        let ready = policies::ready(policy);
        let talk = Some(FrameGenerator::new(&ready.policy.1, None));
        let mut sides = match fault {
            None => ready.sides.fork(),
            Some(_) => Sides::new(None, fault),
        };
        let mut history = vec![Step::Install(ready.policy.clone(), Posture::Normal)];
        if policy == NO_POLICY {
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
            has_flow_limit: false,
            reasons: BTreeSet::new(),
        }
    }

    fn step(&mut self, input: &mut Input) -> Result<(), String> {
        let what = input.byte();
        if what == FLOW_LIMIT {
            self.reach_flow_limit(input.byte());
            return Ok(());
        }
        match what % 8 {
            0..3 => {
                let mut rng = Rng::with_seed(input.u16().into());
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
            4 => self.repeat(input)?,
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

    /// Repeats a recent frame, on the same port or another, with some bytes changed.
    fn repeat(&mut self, input: &mut Input) -> Result<(), String> {
        let (which, how) = (input.byte(), input.byte());
        if self.recent.is_empty() {
            return Ok(());
        }
        let (mut ingress, mut frame) = self.recent[usize::from(which) % self.recent.len()].clone();
        if how & 0x80 != 0 {
            ingress = port(input.byte());
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
        self.frame(ingress, frame)
    }

    /// Sets the sender of the last frame to its flow limit in a segment.
    fn reach_flow_limit(&mut self, segment: u8) {
        let last = self.recent.last().and_then(|(_, frame)| frame.get(6..12));
        if let Some(mac) = last.and_then(|mac| mac.try_into().ok()) {
            self.sides.throttle(u16::from(segment) % 4, Mac(mac));
            self.has_flow_limit = true;
        }
    }

    fn install(&mut self, policy: &WithSources, posture: Posture) {
        self.sides.install(&policy.1, posture);
        self.talk = Some(FrameGenerator::new(&policy.1, self.talk.take()));
        self.history.clear();
        self.history.push(Step::Install(policy.clone(), posture));
    }

    fn frame(&mut self, port: u16, frame: Vec<u8>) -> Result<(), String> {
        self.history.push(Step::Frame(port, frame.clone()));
        let outcome = match self.sides.judge(port, &frame) {
            Ok(outcome) => outcome,
            Err(difference) => return Err(self.report(&difference)),
        };
        if let Verdict::Drop(reason) = outcome.verdict {
            self.reasons.insert(reason);
        }
        let leaving = leaving(outcome);
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
        let shrunk = match self.has_flow_limit {
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

fn leaving(outcome: Decision) -> Vec<(u16, Vec<u8>)> {
    match outcome.verdict {
        Verdict::Leaves { at, frame } => vec![((at >> 24) as u16, frame)],
        Verdict::Flood { copies, .. } => copies.unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// A port of the generated policies, one that few of them have, or an interface that is no port.
fn port(byte: u8) -> u16 {
    match byte {
        255 => u16::MAX,
        other => u16::from(other) % 5,
    }
}

fn posture(byte: u8) -> Posture {
    Posture::ALL[usize::from(byte) % Posture::ALL.len()]
}
