//! What can go wrong in a lab.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What this library answers with.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Namespaces, XDP and raw sockets are root's.
    #[error("a lab needs root: run it with sudo")]
    NotRoot,
    /// The machine lacks something.
    #[error("a lab needs {}: on Debian, {remedy}", missing.join(", "))]
    Missing {
        /// What.
        missing: Vec<String>,
        /// What brings it.
        remedy: String,
    },
    /// A command failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command.
        command: String,
        /// What it wrote, or how it ended.
        said: String,
    },
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// There is nothing of that name.
    #[error("there is no {what} named {name}; there is: {}", known.join(", "))]
    Unknown {
        /// What it would have been.
        what: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A name that cannot be one.
    #[error("{name:?} cannot name a host: {why}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// The plan does not make a lab.
    #[error("{0}")]
    Plan(String),
    /// It took too long.
    #[error("{what} did not happen within {after:?}{}", tail(log))]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
        /// What was written meanwhile.
        log: String,
    },
    /// A program ended that should be running.
    #[error("{what} has ended ({status}){}", tail(log))]
    Ended {
        /// The program.
        what: String,
        /// How.
        status: String,
        /// What it wrote.
        log: String,
    },
    /// A tap did not keep up: its counts are not exact.
    #[error("the tap on {interface} lost {frames} frames, so that what it counted is not exact")]
    TapLost {
        /// The interface.
        interface: String,
        /// How many.
        frames: u64,
    },
    /// A program of this workspace has not been built.
    #[error("there is no {}: build it first with `{build}`", path.display())]
    NotBuilt {
        /// Where it should be.
        path: PathBuf,
        /// The command that builds it.
        build: String,
    },
    /// The policy directory is not in order.
    #[error(transparent)]
    Policy(#[from] cordon_policy::Error),
}

impl Error {
    /// Says what was being done when the system refused.
    pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
        let what = what.into();
        move |source| Error::Io {
            what,
            source: source.into(),
        }
    }
}

/// The end of a log, where there is one.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(20)..];
    if last.is_empty() {
        String::new()
    } else {
        format!("; it wrote:\n{}", last.join("\n"))
    }
}
