//! `cordon check`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use cordon_compile::Decided;
use cordon_policy::{Mode, Policy, Sources};
use cordon_protocol::{Failure, FailureCode, Problem};
use serde::Serialize;

use crate::App;
use crate::error::{Error, Exit};
use crate::render::{Clock, Ink, Severity, clean, count, problems};

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
    classes: usize,
    observed: Vec<String>,
    warnings: Vec<Problem>,
}

impl Check {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let Good {
            sources,
            policy,
            classes,
            warnings,
        } = validated(app, &self.directory)?;
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
            return Ok(Exit::Good);
        }
        let texts = crate::render::Sources {
            directory: &self.directory,
            texts: &sources,
        };
        problems(&mut app.err, &texts, Severity::Warning, &checked.warnings)?;
        let good = app.out.ink(Ink::Good, "good");
        app.out.line(format_args!(
            "{}: {good}, {}, {} in {}, {}, {} on the continuity list, {}",
            clean(&checked.site),
            count(checked.devices, "device"),
            count(checked.segments, "segment"),
            count(checked.zones, "zone"),
            count(checked.rules, "rule"),
            checked.continuity,
            super::status::classes(checked.classes)
        ))?;
        if !checked.observed.is_empty() {
            app.out.line(format_args!(
                "observed: {}. What no rule allows passes there, and `cordon flows --would-drop` lists it; guards (bindings, \
                 ARP, DHCP, router advertisements, unknown devices) drop as everywhere",
                clean(&checked.observed.join(", "))
            ))?;
        }
        Ok(Exit::Good)
    }
}

/// A policy that is right.
pub struct Good {
    /// Its files.
    pub sources: Sources,
    /// What they say.
    pub policy: Policy,
    /// How many classes it is compiled to.
    pub classes: usize,
    /// What is worth a look.
    pub warnings: Vec<Problem>,
}

/// Reads, validates and compiles a policy directory, as the gateway will; prints everything that is wrong with it.
pub fn validated(app: &mut App, directory: &Path) -> Result<Good, Error> {
    let sources = cordon_policy::read(directory).map_err(|error| match error {
        cordon_policy::Error::Read { path, error } => Error::Read {
            path,
            source: error,
        },
        cordon_policy::Error::Rejected(rejected) => Error::Policy(rejected.problems.len()),
    })?;
    // Which rules have expired depends on the day, and with them which invariants hold.
    let today = Clock(SystemTime::now())
        .today()
        .parse()
        .map_err(|()| Error::Io {
            what: "no day can be told by this machine's clock",
            source: io::ErrorKind::InvalidData.into(),
        })?;
    let compiled = cordon_policy::from_sources(&sources).and_then(|validated| {
        let compiled = cordon_compile::compile(&validated.policy, today)?;
        let decided = Decided::new(&compiled.generation, compiled.rules);
        let unused = decided.warnings(&validated.policy, today);
        Ok((validated, compiled, unused))
    });
    match compiled {
        Ok((validated, compiled, unused)) => Ok(Good {
            policy: validated.policy,
            classes: compiled.classes,
            warnings: validated.warnings.iter().chain(&unused).map(wire).collect(),
            sources,
        }),
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
