//! The scenario: it runs on the XDP program in the machine, and on the same tables in user space.

mod frames;
mod steps;

use anyhow::{Context, Result};
use cordon_compile::Compiled;
use cordon_policy::{Date, Sources};
use cordon_portable::Portable;
use cordon_verdict::Egress;

use steps::NORMAL;

/// The machine's ports, in order of their numbers.
pub const NICS: [&str; 2] = ["eth1", "eth2"];

fn policy() -> Result<Compiled> {
    let sources = Sources {
        site: include_str!("../policy/site.yaml").to_owned(),
        policy: Some(include_str!("../policy/policy.yaml").to_owned()),
        devices: Some(include_str!("../policy/devices.csv").to_owned()),
    };
    let validated = cordon_policy::from_sources(&sources)?;
    let today = Date::new(2026, 1, 1).context("not a date")?;
    Ok(cordon_compile::compile(&validated.policy, today)?)
}

/// The outcome of a frame.
pub struct Record {
    /// Step and outcome as one line, to print and to compare.
    pub line: String,
    /// Whether the outcome is the expected one.
    pub as_expected: bool,
}

/// Runs all steps on a gateway.
///
/// # Errors
/// Those of the gateway.
pub fn run(gateway: &mut impl Gateway) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let early = steps::basic().remove(1);
    let mut record = |what: &str, outcome: &Outcome, expected: &str| {
        let line = format!("{what}: {outcome}");
        let as_expected = outcome.to_string().starts_with(expected);
        records.push(Record { line, as_expected });
    };
    let outcome = gateway.judge(early.port, &early.frame)?;
    record("before there is a policy", &outcome, "dropped, no-policy");
    gateway.install(policy()?)?;
    let mut posture = NORMAL;
    for step in steps::basic().into_iter().chain(steps::stitched()) {
        if step.posture != posture {
            posture = step.posture;
            gateway.set_posture(posture)?;
        }
        let outcome = gateway.judge(step.port, &step.frame)?;
        record(step.what, &outcome, step.expected);
    }
    Ok(records)
}

/// What a gateway did with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Dropped; the name of the reason.
    Dropped(&'static str),
    /// Sent to every other attachment of the segment.
    Flooded,
    /// Sent to one attachment.
    Forwarded {
        /// The egress port.
        port: u16,
        /// The frame as it leaves.
        frame: Vec<u8>,
    },
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Dropped(reason) => write!(f, "dropped, {reason}"),
            Outcome::Flooded => f.write_str("flooded"),
            Outcome::Forwarded { port, frame } => {
                write!(f, "forwarded by {}: ", NICS[usize::from(*port)])?;
                frame.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A gateway under test.
pub trait Gateway {
    /// Installs a policy at posture `normal`.
    fn install(&mut self, policy: Compiled) -> Result<()>;
    /// Changes the posture.
    fn set_posture(&mut self, posture: u8) -> Result<()>;
    /// Judges a frame.
    fn judge(&mut self, port: u16, frame: &[u8]) -> Result<Outcome>;
}

impl Gateway for Portable {
    fn install(&mut self, policy: Compiled) -> Result<()> {
        Portable::install(self, policy.generation, NORMAL);
        Ok(())
    }

    fn set_posture(&mut self, posture: u8) -> Result<()> {
        Portable::set_posture(self, posture);
        Ok(())
    }

    fn judge(&mut self, port: u16, frame: &[u8]) -> Result<Outcome> {
        let judged = Portable::judge(self, port, frame);
        Ok(match judged.outcome.verdict {
            Err(reason) => Outcome::Dropped(reason.name()),
            Ok(Egress::Flood { .. }) => Outcome::Flooded,
            Ok(Egress::Attachment(_)) => {
                let (port, frame) = judged.leaving.into_iter().next().context("one leaves")?;
                Outcome::Forwarded { port, frame }
            }
        })
    }
}
