//! Frames: whatever comes in, user space and the oracle say the same of it, after whatever came before.
//!
//! An input is a policy and then steps, each a byte that says what, and bytes that say which. Every byte means
//! something, so that most of what a fuzzer does to an input leads somewhere else.

mod policies;

use cordon_integration::differential::{Difference, Said, Sides, Step, Verdict, shrink};
use cordon_integration::generate::{Rng, Talk};
use cordon_policy::Posture;

use policies::{Ready, WithSources};

/// More steps than this tell nothing that fewer would not.
const STEPS: usize = 300;
/// How many frames are remembered, to be sent again.
const MEMORY: usize = 16;

/// Lets an input happen to a gateway.
///
/// # Panics
/// If user space and the oracle differ, or one of them panics.
pub fn frames(input: &[u8]) {
    let mut input = Input(input);
    let mut world = World::new(input.byte());
    for _ in 0..STEPS {
        if input.0.is_empty() {
            return;
        }
        world.step(&mut input);
    }
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
}

impl World {
    fn new(policy: u8) -> World {
        let Ready { policy, sides } = &*policies::ready(policy);
        World {
            sides: sides.fork(),
            talk: Some(Talk::new(&policy.1, None)),
            recent: Vec::new(),
            history: vec![Step::Install(policy.clone(), Posture::Normal)],
        }
    }

    fn step(&mut self, input: &mut Input) {
        match input.byte() % 8 {
            0..3 => {
                let mut rng = Rng::with_seed(input.short().into());
                if let Some(talk) = &mut self.talk {
                    let (port, frame) = talk.next(&mut rng);
                    self.frame(port, frame);
                }
            }
            3 => {
                let port = port(input.byte());
                let length = input.byte().into();
                self.frame(port, input.take(length).to_vec());
            }
            4 => self.again(input),
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
    }

    /// A frame that came lately, by the same port or another, with some bytes changed.
    fn again(&mut self, input: &mut Input) {
        let (which, how) = (input.byte(), input.byte());
        if self.recent.is_empty() {
            return;
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
        self.frame(port_, frame);
    }

    fn install(&mut self, policy: &WithSources, posture: Posture) {
        self.sides.install(&policy.1, posture);
        self.talk = Some(Talk::new(&policy.1, self.talk.take()));
        self.history.clear();
        self.history.push(Step::Install(policy.clone(), posture));
    }

    fn frame(&mut self, port: u16, frame: Vec<u8>) {
        self.history.push(Step::Frame(port, frame.clone()));
        let said = match self.sides.judge(port, &frame) {
            Ok(said) => said,
            Err(difference) => panic!("{}", self.report(&difference)),
        };
        let leaving = leaving(said);
        if let (false, Some(talk)) = (leaving.is_empty(), &mut self.talk) {
            let mut rng = Rng::with_seed(self.history.len() as u64);
            talk.passed(&mut rng, port, &frame, &leaving);
        }
        if self.recent.len() == MEMORY {
            self.recent.remove(0);
        }
        self.recent.push((port, frame));
    }

    fn report(&self, difference: &Difference) -> String {
        let (steps, difference) = match shrink(&self.history) {
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
