//! `cordon apply` and `cordon confirm`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use cordon_policy::Posture;
use cordon_protocol::{Applied, Apply as Request, FailureCode, Sources, Status};

use super::check::{ValidPolicy, reject, validate};
use super::status::hash;
use crate::app::App;
use crate::error::{Error, Exit};
use crate::parse::duration;
use crate::render::{Clock, Severity, Style, posture, posture_help, problems};
use crate::text::{classes, clean, count, milliseconds};

const AFTER: &str = "\
Examples:
  cordon apply /etc/cordon/policy
  cordon apply /etc/cordon/policy --confirm 10m    then, if everything still works: cordon confirm

A policy with errors is refused as a whole, and the policy in force stays.";

/// Put a policy into force.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Apply {
    /// The directory with site.yaml, policy.yaml and devices.csv.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Return to the previous policy after this time (90s, 10m, 2h), unless `cordon confirm` is run before.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    confirm: Option<Duration>,
}

impl Apply {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let ValidPolicy {
            sources, policy, ..
        } = validate(app, &self.directory)?;
        let request = Request {
            sources: Sources {
                site: sources.site.clone(),
                policy: sources.policy.clone(),
                devices: sources.devices.clone(),
            },
            confirm_seconds: self.confirm.map(|confirm| confirm.as_secs()),
        };
        let answer = match app.gateway.post("/v1/policy", &request) {
            // A gateway of another version may refuse what this one accepts.
            Err(Error::Refused(failure))
                if failure.code == FailureCode::PolicyRejected && !app.json =>
            {
                return Err(reject(app, &self.directory, &sources, failure.problems)?);
            }
            other => other?,
        };
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Success);
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
        print_applied(app, &applied)?;
        print_state(app)?;
        match (&applied.policy.reverts, self.confirm) {
            (Some(reverts), _) => {
                let not = app.out.style(Style::Warn, "Not confirmed");
                let when = Clock(answer.now).when(reverts);
                app.out.line(format_args!(
                    "{not}: the previous policy returns at {when}, unless you run"
                ))?;
                app.out.line("  cordon confirm")
            }
            (None, Some(_)) => {
                let alarm = app.out.style(Style::Alarm, "It will not be reverted");
                app.out.line(format_args!(
                    "{alarm}: this version of the gateway ignores --confirm"
                ))
            }
            (None, None) => Ok(()),
        }?;
        Ok(Exit::Success)
    }
}

fn print_applied(app: &mut App, applied: &Applied) -> Result<(), Error> {
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

/// Prints a posture other than `normal`, and the warnings of the gateway. An error here does not make the apply fail.
fn print_state(app: &mut App) -> Result<(), Error> {
    let status = app
        .gateway
        .get("/v1/status")
        .and_then(|answer| answer.read::<Status>());
    let Ok(status) = status else {
        return Ok(());
    };
    if status.posture != Posture::Normal.name() {
        let (name, style) = posture(&status.posture);
        let name = app.out.style(style, format!("*** {name} ***"));
        app.out.line(format_args!(
            "  the posture is still {name}: {}",
            posture_help(&status.posture)
        ))?;
    }
    let word = app.out.style(Style::Warn, "warning");
    for warning in &status.warnings {
        app.out.line(format_args!("{word}  {}", clean(warning)))?;
    }
    Ok(())
}

/// Keep a policy that was applied with --confirm.
#[derive(Args)]
pub struct Confirm {}

impl Confirm {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app
            .gateway
            .post("/v1/policy/confirm", &serde_json::Value::Null)?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Success);
        }
        let Applied { policy, .. } = answer.read()?;
        app.out.line(format_args!(
            "confirmed: generation {}, hash {}, stays in force",
            policy.generation,
            hash(&policy)
        ))?;
        Ok(Exit::Success)
    }
}
