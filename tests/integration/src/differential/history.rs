//! Random sequences of policies, postures and frames, reproducible from a seed.

use std::fmt;

use cordon_policy::{Policy, Posture, Sources, from_sources};

use super::decision::{Decision, Verdict, hex, port_of};
use super::sides::{Difference, Sides};
use super::tally::Tally;
use crate::generate::{FrameGenerator, Rng, one, sources};

/// The number of frames before the first policy is installed.
const WITHOUT_POLICY: usize = 300;

/// The size of a run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The seed of the random generator.
    pub seed: u64,
    /// Frames in all.
    pub frames: usize,
    /// Frames for each policy.
    pub per_policy: usize,
    /// Whether the clock advances at random and ports have storm limits. Not with the kernel, whose clock cannot be set:
    /// the other sides follow it.
    pub timed: bool,
}

impl Settings {
    /// A million frames, or what `CORDON_SEED` and `CORDON_FRAMES` ask for.
    pub fn from_environment() -> Settings {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("{name} must be a number, not `{text}`")),
            Err(_) => default,
        };
        Settings {
            seed: number("CORDON_SEED", 20_230_803),
            frames: number("CORDON_FRAMES", 1_000_000) as usize,
            per_policy: 5000,
            timed: false,
        }
    }
}

/// One step of a run.
#[derive(Clone, Debug)]
pub enum Step {
    /// A policy is installed.
    Install(Box<(Sources, Policy)>, Posture),
    /// The posture changes.
    Posture(Posture),
    /// The clock advances by a number of ticks.
    Time(u32),
    /// A frame arrives at a port.
    Frame(u16, Vec<u8>),
}

/// A run, with the history that is needed to reproduce a difference.
pub struct Scenario {
    settings: Settings,
    rng: Rng,
    generator: Option<FrameGenerator>,
    done: usize,
    /// The steps since the policy in force was installed, that step included.
    pub history: Vec<Step>,
}

impl Scenario {
    /// A run before its first step.
    pub fn new(settings: Settings) -> Scenario {
        Scenario {
            settings,
            rng: Rng::with_seed(settings.seed),
            generator: None,
            done: 0,
            history: Vec::new(),
        }
    }

    /// Runs all steps, until the sides differ.
    ///
    /// # Errors
    /// The number of the frame, counted from 0, and the difference.
    pub fn run(
        &mut self,
        sides: &mut Sides,
        tally: &mut Tally,
    ) -> Result<(), (usize, Box<Difference>)> {
        while self.done < self.settings.frames {
            // The first frames come before any policy.
            if self.done.is_multiple_of(self.settings.per_policy) || self.done == WITHOUT_POLICY {
                let next = self.generate();
                if self.done > 0 {
                    self.apply(next, sides, tally);
                }
            } else if self.rng.usize(..1000) == 0 && self.done > WITHOUT_POLICY {
                let posture = self.posture();
                self.apply(Step::Posture(posture), sides, tally);
            } else if self.settings.timed && self.rng.usize(..30) == 0 {
                let ticks = one(&mut self.rng, &[1, 1, 1, 2, 5, 10, 11, 20, 31]);
                self.apply(Step::Time(ticks), sides, tally);
            }
            self.frame(sides, tally)
                .map_err(|difference| (self.done, difference))?;
            self.done += 1;
        }
        Ok(())
    }

    fn posture(&mut self) -> Posture {
        match self.rng.u8(..100) {
            0..30 => Posture::Normal,
            30..43 => Posture::Watch,
            43..60 => Posture::Contain,
            60..73 => Posture::Isolate,
            73..95 => Posture::Lockdown,
            _ => Posture::Sever,
        }
    }

    /// The next policy. From now on, frames are generated from its names and addresses.
    fn generate(&mut self) -> Step {
        let sources = sources(&mut self.rng, self.settings.timed);
        let policy = match from_sources(&sources) {
            Ok(validated) => validated.policy,
            Err(rejected) => panic!("the generated policy is invalid: {rejected}\n{sources:#?}"),
        };
        let posture = match self.rng.u8(..3) {
            0 => self.posture(),
            _ => Posture::Normal,
        };
        self.generator = Some(FrameGenerator::new(&policy, self.generator.take()));
        self.history.clear();
        Step::Install(Box::new((sources, policy)), posture)
    }

    fn apply(&mut self, step: Step, sides: &mut Sides, tally: &mut Tally) {
        match &step {
            Step::Install(policy, posture) => {
                sides.install(&policy.1, *posture);
                tally.policy_installed(&policy.1, *posture);
            }
            Step::Posture(posture) => {
                sides.set_posture(*posture);
                tally.posture_changed(*posture);
            }
            Step::Time(ticks) => sides.pass_time(*ticks),
            Step::Frame(..) => {}
        }
        self.history.push(step);
    }

    fn frame(&mut self, sides: &mut Sides, tally: &mut Tally) -> Result<(), Box<Difference>> {
        let generator = self
            .generator
            .as_mut()
            .expect("a policy has been generated");
        let (port, frame) = generator.next(&mut self.rng);
        // An interface that is not a port of the gateway.
        let port = if self.rng.u16(..2000) == 0 {
            u16::MAX
        } else {
            port
        };
        match sides.follow_kernel() {
            0 => {}
            ticks => self.history.push(Step::Time(ticks)),
        }
        self.history.push(Step::Frame(port, frame.clone()));
        let decision = sides.judge(port, &frame)?;
        tally.record(port, &frame, &decision);
        let leaving = leaving(&decision);
        if !leaving.is_empty() {
            let generator = self
                .generator
                .as_mut()
                .expect("a policy has been generated");
            generator.passed(&mut self.rng, port, &frame, &leaving);
        }
        Ok(())
    }
}

fn leaving(decision: &Decision) -> Vec<(u16, Vec<u8>)> {
    match &decision.verdict {
        Verdict::Leaves { at, frame } => vec![(port_of(*at), frame.clone())],
        Verdict::Flood { copies, .. } => copies.clone().unwrap_or_default(),
        _ => Vec::new(),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Install(policy, posture) => {
                let Sources {
                    site,
                    policy,
                    devices,
                } = &policy.0;
                writeln!(f, "policy at posture {posture}:")?;
                for text in [Some(site), policy.as_ref(), devices.as_ref()] {
                    writeln!(f, "{}", text.map_or("", String::as_str))?;
                }
                Ok(())
            }
            Step::Posture(posture) => writeln!(f, "posture {posture}"),
            Step::Time(ticks) => writeln!(f, "{ticks} ticks later"),
            Step::Frame(port, frame) => writeln!(f, "p{port}: {}", hex(frame)),
        }
    }
}
