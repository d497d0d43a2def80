//! `cordon check`.

use std::path::{Path, PathBuf};

use clap::Args;
use cordon_policy::{Policy, Sources};
use cordon_protocol::{Failure, FailureCode, Problem};
use serde::Serialize;

use crate::App;
use crate::error::{Error, Exit};
use crate::render::{Ink, Severity, clean, count, problems};

/// Whether a policy directory is right, without a gateway.
#[derive(Args)]
pub struct Check {
    /// The directory with site.yaml, policy.yaml and devices.csv.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// What `--output json` prints of a policy that is right. Of one that is not, the API's `Failure`.
#[derive(Serialize)]
struct Checked {
    site: String,
    segments: usize,
    zones: usize,
    devices: usize,
    rules: usize,
    continuity: usize,
    warnings: Vec<Problem>,
}

impl Check {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let Good {
            sources,
            policy,
            warnings,
        } = validated(app, &self.directory)?;
        let checked = Checked {
            site: policy.site,
            segments: policy.segments.len(),
            zones: policy.zones.len(),
            devices: policy.devices.len(),
            rules: policy.rules.len(),
            continuity: policy.rules.iter().filter(|rule| rule.continuity()).count(),
            warnings,
        };
        if app.json {
            app.out.json(&serde_json::json!(checked))?;
            return Ok(Exit::Good);
        }
        let texts = crate::render::Sources {
            directory: &self.directory,
            texts: &sources,
        };
        problems(&mut app.err, &texts, Severity::Warning, &checked.warnings)?;
        let good = app.out.ink(Ink::Good, "good");
        app.out.line(format_args!(
            "{}: {good}, {}, {} in {}, {}, {} on the continuity list",
            clean(&checked.site),
            count(checked.devices, "device"),
            count(checked.segments, "segment"),
            count(checked.zones, "zone"),
            count(checked.rules, "rule"),
            checked.continuity
        ))?;
        Ok(Exit::Good)
    }
}

/// A policy that is right.
pub struct Good {
    /// Its files.
    pub sources: Sources,
    /// What they say.
    pub policy: Policy,
    /// What is worth a look.
    pub warnings: Vec<Problem>,
}

/// Reads and validates a policy directory; prints everything that is wrong with it.
pub fn validated(app: &mut App, directory: &Path) -> Result<Good, Error> {
    let sources = cordon_policy::read(directory).map_err(|error| match error {
        cordon_policy::Error::Read { path, error } => Error::Read {
            path,
            source: error,
        },
        cordon_policy::Error::Rejected(rejected) => Error::Policy(rejected.problems.len()),
    })?;
    match cordon_policy::from_sources(&sources) {
        Ok(validated) => {
            let warnings = validated.warnings.iter().map(wire).collect();
            Ok(Good {
                sources,
                policy: validated.policy,
                warnings,
            })
        }
        Err(rejected) => {
            let list: Vec<Problem> = rejected.problems.iter().map(wire).collect();
            Err(reject(app, directory, &sources, list)?)
        }
    }
}

/// Prints what is wrong with a policy; answers the error to end with.
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

/// As it crosses a wire.
fn wire(problem: &cordon_policy::Problem) -> Problem {
    Problem {
        file: problem.place.file.name().to_owned(),
        line: problem.place.line,
        column: problem.place.column,
        code: problem.code.name().to_owned(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}
