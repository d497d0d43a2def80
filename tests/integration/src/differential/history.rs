//! What happens to a gateway, one thing after the other: policies, postures, frames. The same from the same seed.

use std::fmt;

use cordon_policy::{Policy, Posture, Sources, from_sources};

use super::said::{Said, Verdict, hex, port_of};
use super::sides::{Difference, Sides};
use super::tally::Tally;
use crate::generate::{Rng, Talk, one, sources};

/// So many frames come before there is any policy.
const WITHOUT_POLICY: usize = 300;

/// How much happens.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where chance begins.
    pub seed: u64,
    /// How many frames in all.
    pub frames: usize,
    /// How many under one policy.
    pub per_policy: usize,
    /// Whether time goes by, and storms rise. It does not where the kernel judges, whose clock nobody sets.
    pub timed: bool,
}

impl Settings {
    /// A million frames, or what `CORDON_SEED` and `CORDON_FRAMES` ask for.
    pub fn from_environment() -> Settings {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")),
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

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A policy comes into force.
    Install(Box<(Sources, Policy)>, Posture),
    /// The posture changes.
    Posture(Posture),
    /// The clock goes on by so many ticks.
    Time(u32),
    /// A frame comes in by a port.
    Frame(u16, Vec<u8>),
}

/// A run that can be told from its beginning under the present policy.
pub struct Scenario {
    settings: Settings,
    rng: Rng,
    talk: Option<Talk>,
    done: usize,
    /// What happened since the policy in force was installed.
    pub history: Vec<Step>,
}

impl Scenario {
    /// Nothing has happened yet.
    pub fn new(settings: Settings) -> Scenario {
        Scenario {
            settings,
            rng: Rng::with_seed(settings.seed),
            talk: None,
            done: 0,
            history: Vec::new(),
        }
    }

    /// Has everything happen, until there is a difference.
    ///
    /// # Errors
    /// The number of the frame, counted from 0, and the difference.
    pub fn run(
        &mut self,
        sides: &mut Sides,
        tally: &mut Tally,
    ) -> Result<(), (usize, Box<Difference>)> {
        while self.done < self.settings.frames {
            // The first frames find no policy in force.
            if self.done.is_multiple_of(self.settings.per_policy) || self.done == WITHOUT_POLICY {
                let next = self.generate();
                if self.done > 0 {
                    self.take(next, sides, tally);
                }
            } else if self.rng.usize(..1000) == 0 && self.done > WITHOUT_POLICY {
                let posture = self.posture();
                self.take(Step::Posture(posture), sides, tally);
            } else if self.settings.timed && self.rng.usize(..30) == 0 {
                let ticks = one(&mut self.rng, &[1, 1, 1, 2, 5, 10, 11, 20, 31]);
                self.take(Step::Time(ticks), sides, tally);
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

    /// The next policy, of which is talked from now on.
    fn generate(&mut self) -> Step {
        let sources = sources(&mut self.rng, self.settings.timed);
        let policy = match from_sources(&sources) {
            Ok(validated) => validated.policy,
            Err(rejected) => panic!("generated a policy that is refused: {rejected}\n{sources:#?}"),
        };
        let posture = match self.rng.u8(..3) {
            0 => self.posture(),
            _ => Posture::Normal,
        };
        self.talk = Some(Talk::new(&policy, self.talk.take()));
        self.history.clear();
        Step::Install(Box::new((sources, policy)), posture)
    }

    fn take(&mut self, step: Step, sides: &mut Sides, tally: &mut Tally) {
        match &step {
            Step::Install(policy, posture) => {
                sides.install(&policy.1, *posture);
                tally.installed(&policy.1, *posture);
            }
            Step::Posture(posture) => {
                sides.set_posture(*posture);
                tally.turned(*posture);
            }
            Step::Time(ticks) => sides.pass_time(*ticks),
            Step::Frame(..) => {}
        }
        self.history.push(step);
    }

    fn frame(&mut self, sides: &mut Sides, tally: &mut Tally) -> Result<(), Box<Difference>> {
        let talk = self.talk.as_mut().expect("has been made");
        let (port, frame) = talk.next(&mut self.rng);
        // An interface that is no port.
        let port = if self.rng.u16(..2000) == 0 {
            u16::MAX
        } else {
            port
        };
        self.history.push(Step::Frame(port, frame.clone()));
        let said = sides.judge(port, &frame)?;
        tally.said(port, &frame, &said);
        let leaving = leaving(&said);
        if !leaving.is_empty() {
            let talk = self.talk.as_mut().expect("has been made");
            talk.passed(&mut self.rng, port, &frame, &leaving);
        }
        Ok(())
    }
}

fn leaving(said: &Said) -> Vec<(u16, Vec<u8>)> {
    match &said.verdict {
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
