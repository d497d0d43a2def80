//! The error type.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The result type of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not root: namespaces, XDP and raw sockets need it.
    #[error("a lab needs root: run it with sudo")]
    NotRoot,
    /// Programs or files are missing on this machine.
    #[error("a lab needs {}: on Debian, {remedy}", missing.join(", "))]
    Missing {
        /// The missing programs and files.
        missing: Vec<String>,
        /// The command that installs them.
        remedy: String,
    },
    /// A command failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command.
        command: String,
        /// Its output, or its exit status.
        output: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// The operation.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no such host.
    #[error("there is no {what} named {name}; known: {}", known.join(", "))]
    Unknown {
        /// The kind of thing that was looked up.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// An invalid name.
    #[error("{name:?} cannot be the name of a host: {why}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// The plan or the call is not valid.
    #[error("{0}")]
    Plan(String),
    /// A time limit was exceeded.
    #[error("{what} did not happen within {after:?}{}", tail(log))]
    TimedOut {
        /// The event that was waited for.
        what: String,
        /// The time limit.
        after: Duration,
        /// Output of the program in the meantime.
        log: String,
    },
    /// A program ended that should still run.
    #[error("{what} has ended ({status}){}", tail(log))]
    Ended {
        /// The program.
        what: String,
        /// Its exit status.
        status: String,
        /// Its output.
        log: String,
    },
    /// A tap missed frames: its counts are not exact.
    #[error("the tap on {interface} missed {frames} frames, so its counts are not exact")]
    TapLost {
        /// The interface.
        interface: String,
        /// Number of frames that it missed.
        frames: u64,
    },
    /// A program of this workspace is not built.
    #[error("there is no {}: build it first with `{build}`", path.display())]
    NotBuilt {
        /// Where it should be.
        path: PathBuf,
        /// The command that builds it.
        build: String,
    },
    /// The policy directory is not valid.
    #[error(transparent)]
    Policy(#[from] cordon_policy::Error),
}

impl Error {
    /// Makes an [`Error::Io`] of a system error, with the operation that failed.
    pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
        let what = what.into();
        move |source| Error::Io {
            what,
            source: source.into(),
        }
    }
}

/// The end of a log, if it is not empty.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(20)..];
    if last.is_empty() {
        String::new()
    } else {
        format!("; it wrote:\n{}", last.join("\n"))
    }
}
