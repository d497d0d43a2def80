//! `cordon apply` and `cordon confirm`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use cordon_policy::Posture;
use cordon_protocol::{Applied, Apply as Request, FailureCode, Sources, Status};

use super::check::{Good, reject, validated};
use super::status::{classes, hash};
use crate::App;
use crate::args::duration;
use crate::error::{Error, Exit};
use crate::render::{
    Clock, Ink, Severity, clean, count, milliseconds, posture, posture_help, problems,
};

const AFTER: &str = "\
Examples:
  cordon apply /etc/cordon/policy
  cordon apply /etc/cordon/policy --confirm 10m    then, if you can still reach what you must: cordon confirm

A policy with errors is refused whole, and the one in force stays.";

/// Put a policy into force.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Apply {
    /// The directory with site.yaml, policy.yaml and devices.csv.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Go back to the policy before after this time (90s, 10m, 2h), unless `cordon confirm` is said.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    confirm: Option<Duration>,
}

impl Apply {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let Good {
            sources, policy, ..
        } = validated(app, &self.directory)?;
        let request = Request {
            sources: Sources {
                site: sources.site.clone(),
                policy: sources.policy.clone(),
                devices: sources.devices.clone(),
            },
            confirm_seconds: self.confirm.map(|confirm| confirm.as_secs()),
        };
        let answer = match app.gateway.post("/v1/policy", &request) {
            // A gateway of another version may be stricter.
            Err(Error::Refused(failure))
                if failure.code == FailureCode::PolicyRejected && !app.json =>
            {
                return Err(reject(app, &self.directory, &sources, failure.problems)?);
            }
            other => other?,
        };
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Good);
        }
        let applied: Applied = answer.read()?;
        let texts = crate::render::Sources {
            directory: &self.directory,
            texts: &sources,
        };
        problems(&mut app.err, &texts, Severity::Warning, &applied.warnings)?;
        app.out.line(format_args!(
            "{}: the policy is in force",
            clean(&policy.site)
        ))?;
        told(app, &applied)?;
        beside(app)?;
        match (&applied.policy.reverts, self.confirm) {
            (Some(reverts), _) => {
                let not = app.out.ink(Ink::Warn, "Not confirmed");
                let when = Clock(answer.now).when(reverts);
                app.out.line(format_args!(
                    "{not}: the policy before it comes back at {when}, unless you say"
                ))?;
                app.out.line("  cordon confirm")
            }
            (None, Some(_)) => {
                let alarm = app.out.ink(Ink::Alarm, "It will not go back by itself");
                app.out.line(format_args!(
                    "{alarm}: the gateway does not know of --confirm"
                ))
            }
            (None, None) => Ok(()),
        }?;
        Ok(Exit::Good)
    }
}

fn told(app: &mut App, applied: &Applied) -> Result<(), Error> {
    let policy = &applied.policy;
    app.out.line(format_args!(
        "  generation {}, hash {}",
        policy.generation,
        hash(policy)
    ))?;
    app.out.line(format_args!(
        "  {}, {}, {}",
        count(policy.devices, "device"),
        count(policy.rules, "rule"),
        classes(policy.classes)
    ))?;
    app.out.line(format_args!(
        "  compiled in {}, put into force in {}",
        milliseconds(applied.compile_milliseconds),
        milliseconds(applied.install_milliseconds)
    ))
}

/// What else whoever applied it should know: what is out of service, and what is closed all the same. That it cannot be
/// asked for makes the policy no less applied.
fn beside(app: &mut App) -> Result<(), Error> {
    let status = app
        .gateway
        .get("/v1/status")
        .and_then(|answer| answer.read::<Status>());
    let Ok(status) = status else {
        return Ok(());
    };
    if status.posture != Posture::Normal.name() {
        let (name, ink) = posture(&status.posture);
        let name = app.out.ink(ink, format!("*** {name} ***"));
        app.out.line(format_args!(
            "  the posture is {name} as before: {}",
            posture_help(&status.posture)
        ))?;
    }
    let word = app.out.ink(Ink::Warn, "warning");
    for warning in &status.warnings {
        app.out.line(format_args!("{word}  {}", clean(warning)))?;
    }
    Ok(())
}

/// Keep the policy that was applied with --confirm.
#[derive(Args)]
pub struct Confirm {}

impl Confirm {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app
            .gateway
            .post("/v1/policy/confirm", &serde_json::Value::Null)?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Good);
        }
        let Applied { policy, .. } = answer.read()?;
        app.out.line(format_args!(
            "confirmed: generation {}, hash {}, stays in force",
            policy.generation,
            hash(&policy)
        ))?;
        Ok(Exit::Good)
    }
}
