//! `cordon check`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use cordon_compile::RuleEffects;
use cordon_policy::{Mode, Policy, Sources};
use cordon_protocol::{Failure, FailureCode, Problem};
use serde::Serialize;

use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Clock, Severity, Style, problems};
use crate::text::{self, clean, count};

/// Validate a policy directory, without a gateway.
#[derive(Args)]
pub struct Check {
    /// The directory with site.yaml, policy.yaml and devices.csv.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// What `--output json` prints for a valid policy. For one with errors, it prints the API's `Failure`.
#[derive(Serialize)]
struct Checked {
    site: String,
    segments: usize,
    zones: usize,
    devices: usize,
    rules: usize,
    continuity: usize,
    classes: usize,
    observed: Vec<String>,
    warnings: Vec<Problem>,
}

impl Check {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let ValidPolicy {
            sources,
            policy,
            classes,
            warnings,
        } = validate(app, &self.directory)?;
        let observed = policy.segments.iter();
        let observed = observed.filter(|segment| segment.mode == Mode::Observe);
        let observed = observed.map(|segment| segment.name.clone()).collect();
        let checked = Checked {
            site: policy.site,
            segments: policy.segments.len(),
            zones: policy.zones.len(),
            devices: policy.devices.len(),
            rules: policy.rules.len(),
            continuity: policy.rules.iter().filter(|rule| rule.continuity()).count(),
            classes,
            observed,
            warnings,
        };
        if app.json {
            app.out.json(&serde_json::json!(checked))?;
            return Ok(Exit::Success);
        }
        let texts = crate::render::Sources {
            directory: &self.directory,
            texts: &sources,
        };
        problems(&mut app.err, &texts, Severity::Warning, &checked.warnings)?;
        let good = app.out.style(Style::Good, "valid");
        app.out.line(format_args!(
            "{}: {good}. {}, {} in {}, {}, {} on the continuity list, {}",
            clean(&checked.site),
            count(checked.devices, "device"),
            count(checked.segments, "segment"),
            count(checked.zones, "zone"),
            count(checked.rules, "rule"),
            checked.continuity,
            text::classes(checked.classes)
        ))?;
        if !checked.observed.is_empty() {
            app.out.line(format_args!(
                "observed: {}. Traffic that no rule allows passes there, and `cordon flows --would-drop` lists it. Guards \
                 (bindings, ARP, DHCP, router advertisements, unknown devices) are enforced as everywhere",
                clean(&checked.observed.join(", "))
            ))?;
        }
        Ok(Exit::Success)
    }
}

/// A valid policy.
pub struct ValidPolicy {
    /// Its files.
    pub sources: Sources,
    /// The policy itself.
    pub policy: Policy,
    /// The number of classes that it is compiled to.
    pub classes: usize,
    /// Problems that are no errors.
    pub warnings: Vec<Problem>,
}

/// Reads, validates and compiles a policy directory, as the gateway will. Prints every error.
pub fn validate(app: &mut App, directory: &Path) -> Result<ValidPolicy, Error> {
    let sources = cordon_policy::read(directory).map_err(|error| match error {
        cordon_policy::Error::Read { path, error } => Error::Read {
            path,
            source: error,
        },
        cordon_policy::Error::Rejected(rejected) => Error::Policy(rejected.problems.len()),
    })?;
    // Which rules have expired depends on the date, and which invariants hold depends on the rules.
    let today = Clock(SystemTime::now())
        .today()
        .parse()
        .map_err(|()| Error::Io {
            what: "the clock of this machine shows no valid date",
            source: io::ErrorKind::InvalidData.into(),
        })?;
    let compiled = cordon_policy::from_sources(&sources).and_then(|validated| {
        let compiled = cordon_compile::compile(&validated.policy, today)?;
        let decided = RuleEffects::new(&compiled.generation, compiled.rules);
        let unused = decided.warnings(&validated.policy, today);
        Ok((validated, compiled, unused))
    });
    match compiled {
        Ok((validated, compiled, unused)) => Ok(ValidPolicy {
            policy: validated.policy,
            classes: compiled.classes,
            warnings: validated
                .warnings
                .iter()
                .chain(&unused)
                .map(to_protocol)
                .collect(),
            sources,
        }),
        Err(rejected) => {
            let list: Vec<Problem> = rejected.problems.iter().map(to_protocol).collect();
            Err(reject(app, directory, &sources, list)?)
        }
    }
}

/// Prints the errors of a policy, and returns the error for the command to end with.
pub fn reject(
    app: &mut App,
    directory: &Path,
    sources: &Sources,
    list: Vec<Problem>,
) -> Result<Error, Error> {
    let error = Error::Policy(list.len());
    if app.json {
        let failure = Failure {
            code: FailureCode::PolicyRejected,
            message: error.to_string(),
            hint: None,
            problems: list,
        };
        app.out.json(&serde_json::json!(failure))?;
    } else {
        let texts = crate::render::Sources {
            directory,
            texts: sources,
        };
        problems(&mut app.err, &texts, Severity::Error, &list)?;
    }
    Ok(error)
}

/// A problem as a type of the protocol.
fn to_protocol(problem: &cordon_policy::Problem) -> Problem {
    Problem {
        file: problem.position.file.name().to_owned(),
        line: problem.position.line,
        column: problem.position.column,
        code: problem.code.name().to_owned(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}
