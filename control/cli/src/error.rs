//! What can go wrong, in words that say what to do about it.

use std::io;
use std::path::PathBuf;

use cordon_protocol::{Failure, FailureCode};

/// How `cordon` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Good = 0,
    /// Refused, failed, or called off.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The gateway is not reachable, or gives no answer that can be used.
    Unreachable = 3,
    /// `explain`: dropped at the posture in force.
    Dropped = 4,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("no gateway answers at {}: {source}{nothing}", socket.display())]
    Unreachable {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
        /// What became of the call, where someone may wonder.
        nothing: &'static str,
    },
    /// So many call that the kernel lets nobody else in.
    #[error("so many call the gateway at {} that it cannot be reached; nothing was done", socket.display())]
    Crowded {
        /// Where.
        socket: PathBuf,
    },
    /// The socket is not for this user.
    #[error("permission denied: you may not use {}", socket.display())]
    Permission {
        /// Where.
        socket: PathBuf,
        /// The group that may, where it can be seen.
        group: Option<String>,
    },
    /// The connection ended before the answer did.
    #[error("the gateway hung up before its answer was complete{}", outcome.words())]
    Cut {
        /// What became of the call.
        outcome: Outcome,
    },
    /// No answer.
    #[error("the gateway did not answer within {}{}", humantime::format_duration(*after), outcome.words())]
    Silent {
        /// How long it was waited for.
        after: std::time::Duration,
        /// What became of the call.
        outcome: Outcome,
    },
    /// The stream of events ended.
    #[error("the gateway ended the stream of events")]
    StreamEnded,
    /// An answer of another version, or of something else.
    #[error("the gateway's answer to {call} is not what this cordon understands: {why}{}", outcome.words())]
    NotUnderstood {
        /// The call.
        call: String,
        /// What is wrong with the answer.
        why: String,
        /// What became of the call.
        outcome: Outcome,
    },
    /// The gateway says no.
    #[error("{}", .0.message)]
    Refused(Box<Failure>),
    /// A policy directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The policy is wrong; the problems are printed already.
    #[error("the policy has {}", crate::render::count(*.0, "error"))]
    Policy(usize),
    /// A name that nothing has.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Under which name.
        name: String,
        /// What was perhaps meant, or where to look.
        hint: String,
    },
    /// A person said no.
    #[error("nothing was done")]
    CalledOff,
    /// A terminal, a file or the runtime fails.
    #[error("{what}: {source}")]
    Io {
        /// At what.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// What became of a call whose answer is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It changes nothing anyhow.
    Harmless,
    /// Perhaps it was done.
    Unknown,
    /// It was done.
    Done,
}

impl Outcome {
    const fn words(self) -> &'static str {
        match self {
            Outcome::Harmless => "",
            Outcome::Unknown => "; whether it was done is not known",
            Outcome::Done => "; it was done all the same",
        }
    }
}

impl Error {
    /// What the person can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Unreachable { .. } => {
                "is cordond running? `sudo systemctl restart cordond` starts it, `journalctl -u cordond` says why it \
                 stopped; what was in force stays in force without it. If it listens elsewhere, say where with --socket"
            }
            Error::Crowded { .. } => {
                "try again; `ss -xp | grep cordon` shows who calls, `sudo systemctl restart cordond` hangs up on all of \
                 them, and what was in force stays in force"
            }
            Error::Permission {
                group: Some(group), ..
            } => {
                return Some(format!(
                    "its group is `{group}`: use sudo, or `sudo usermod -aG {group} $USER` and log in again"
                ));
            }
            Error::Permission { group: None, .. } => {
                "use sudo, or have yourself added to the group that gateway.toml names under [socket]"
            }
            Error::Cut {
                outcome: Outcome::Unknown,
            }
            | Error::Silent {
                outcome: Outcome::Unknown,
                ..
            }
            | Error::NotUnderstood {
                outcome: Outcome::Unknown | Outcome::Done,
                ..
            } => "`cordon status` shows what is in force, `journalctl -u cordond` what happened",
            Error::Cut { .. } | Error::StreamEnded => {
                "cordond stopped or was restarted? `systemctl status cordond`, `journalctl -u cordond`"
            }
            Error::Silent { .. } => {
                "`journalctl -u cordond` may say why; --timeout 5m waits longer"
            }
            Error::NotUnderstood { .. } => {
                "is cordond of another version? compare `cordon --version` and `cordond --version`"
            }
            Error::Refused(failure) => {
                return failure
                    .hint
                    .clone()
                    .or_else(|| own_hint(failure.code).map(str::to_owned));
            }
            Error::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "a policy is a directory with site.yaml, and mostly policy.yaml and devices.csv"
            }
            Error::Unknown { hint, .. } => hint,
            Error::Policy(_) | Error::CalledOff | Error::Read { .. } | Error::Io { .. } => {
                return None;
            }
        };
        Some(text.to_owned())
    }

    /// How the program ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Unreachable { .. }
            | Error::Crowded { .. }
            | Error::Permission { .. }
            | Error::Cut { .. }
            | Error::Silent { .. }
            | Error::StreamEnded
            | Error::NotUnderstood { .. } => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

/// For a gateway that does not say what to do.
fn own_hint(code: FailureCode) -> Option<&'static str> {
    match code {
        FailureCode::NotDurable => Some(
            "nothing was changed. Is the gateway's disk full? `df -h /var/lib/cordon`; make room and try again",
        ),
        FailureCode::Dataplane | FailureCode::Internal => {
            Some("`cordon status` shows what is in force, `journalctl -u cordond` what happened")
        }
        FailureCode::BadRequest => Some(
            "is cordond of another version? compare `cordon --version` and `cordond --version`",
        ),
        FailureCode::PolicyRejected | FailureCode::NotFound | FailureCode::Conflict => None,
    }
}
