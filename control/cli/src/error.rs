//! Errors, each with what to do about it, and exit codes.

use std::io;
use std::path::PathBuf;

use cordon_protocol::{Failure, FailureCode};

/// The exit code of `cordon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// Refused, failed, or cancelled.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The gateway is not reachable, or its answer cannot be used.
    Unreachable = 3,
    /// `explain`: dropped at the posture in force.
    Dropped = 4,
    /// The role of the user does not include the call.
    Forbidden = 5,
}

/// An error of any command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No process listens on the socket.
    #[error("no gateway answers at {}: {source}{note}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
        /// That the call changed no state, if it was to change some.
        note: &'static str,
    },
    /// The listen queue of the socket is full.
    #[error("too many programs are calling the gateway at {}: it cannot be reached. NOTHING WAS CHANGED", socket.display())]
    Busy {
        /// The socket.
        socket: PathBuf,
    },
    /// The user may not open the socket.
    #[error("permission denied: you may not use {}", socket.display())]
    Permission {
        /// The socket.
        socket: PathBuf,
        /// The group that may, if it can be determined.
        group: Option<String>,
    },
    /// The connection ended before the answer was complete.
    #[error("the gateway closed the connection before its answer was complete{}", effect.words())]
    Disconnected {
        /// The effect of the call.
        effect: Effect,
    },
    /// No answer came in time.
    #[error("the gateway did not answer within {}{}", humantime::format_duration(*after), effect.words())]
    TimedOut {
        /// How long `cordon` waited.
        after: std::time::Duration,
        /// The effect of the call.
        effect: Effect,
    },
    /// The stream of events ended.
    #[error("the gateway closed the stream of events")]
    StreamEnded,
    /// An answer of another version of the gateway, or of another program.
    #[error("this version of cordon cannot read the gateway's answer to {call}: {why}{}", effect.words())]
    InvalidAnswer {
        /// The call.
        call: String,
        /// What is wrong with the answer.
        why: String,
        /// The effect of the call.
        effect: Effect,
    },
    /// The gateway refused the call.
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
    /// The policy has errors, which are printed already.
    #[error("the policy has {}", crate::text::count(*.0, "error"))]
    Policy(usize),
    /// An unknown name.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What kind of thing has such names.
        what: &'static str,
        /// The name.
        name: String,
        /// A similar name, or the command that lists the names.
        hint: String,
    },
    /// The user answered no.
    #[error("cancelled: nothing was changed")]
    Cancelled,
    /// A terminal, a file or the runtime fails.
    #[error("{what}: {source}")]
    Io {
        /// What failed.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// The effect of a call without a usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call changes no state.
    Unchanged,
    /// The change may have been made.
    Unknown,
    /// The change was made.
    Done,
}

impl Effect {
    const fn words(self) -> &'static str {
        match self {
            Effect::Unchanged => "",
            Effect::Unknown => ". IT IS NOT KNOWN WHETHER THE CHANGE WAS MADE",
            Effect::Done => ". The change was made",
        }
    }
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Unreachable { .. } => {
                "is cordond running? `sudo systemctl restart cordond` starts it, `journalctl -u cordond` shows why it stopped. \
                 Without it, the posture and policy in force stay in force. If it listens on another socket, use --socket"
            }
            Error::Busy { .. } => {
                "try again. `ss -xp | grep cordon` shows the callers; `sudo systemctl restart cordond` disconnects them all, and \
                 the posture and policy in force stay in force"
            }
            Error::Permission {
                group: Some(group), ..
            } => {
                return Some(format!(
                    "it belongs to the group `{group}`: use sudo, or run `sudo usermod -aG {group} $USER` and log in again"
                ));
            }
            Error::Permission { group: None, .. } => {
                "use sudo, or ask to be added to the group that gateway.toml names under [socket]"
            }
            Error::Disconnected {
                effect: Effect::Unknown,
            }
            | Error::TimedOut {
                effect: Effect::Unknown,
                ..
            }
            | Error::InvalidAnswer {
                effect: Effect::Unknown | Effect::Done,
                ..
            } => {
                "`cordon status` shows what is in force, `journalctl -u cordond` shows what happened"
            }
            Error::Disconnected { .. } | Error::StreamEnded => {
                "cordond has stopped or was restarted: see `systemctl status cordond` and `journalctl -u cordond`"
            }
            Error::TimedOut { .. } => {
                "`journalctl -u cordond` may show why; --timeout 5m waits longer"
            }
            Error::InvalidAnswer { .. } => {
                "cordon and cordond may be of different versions: compare `cordon --version` and `cordond --version`"
            }
            Error::Refused(failure) => {
                return failure
                    .hint
                    .clone()
                    .or_else(|| default_hint(failure.code).map(str::to_owned));
            }
            Error::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "a policy is a directory with site.yaml, and usually policy.yaml and devices.csv"
            }
            Error::Unknown { hint, .. } => hint,
            Error::Policy(_) | Error::Cancelled | Error::Read { .. } | Error::Io { .. } => {
                return None;
            }
        };
        Some(text.to_owned())
    }

    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Unreachable { .. }
            | Error::Busy { .. }
            | Error::Permission { .. }
            | Error::Disconnected { .. }
            | Error::TimedOut { .. }
            | Error::StreamEnded
            | Error::InvalidAnswer { .. } => Exit::Unreachable,
            Error::Refused(failure) if failure.code == FailureCode::Forbidden => Exit::Forbidden,
            _ => Exit::Failed,
        }
    }
}

/// The hint for a failure that comes without one.
fn default_hint(code: FailureCode) -> Option<&'static str> {
    match code {
        FailureCode::NotDurable => Some(
            "nothing was changed. The gateway's disk may be full: check `df -h /var/lib/cordon`, make room and try again",
        ),
        FailureCode::Dataplane | FailureCode::Internal => Some(
            "`cordon status` shows what is in force, `journalctl -u cordond` shows what happened",
        ),
        FailureCode::BadRequest => Some(
            "cordon and cordond may be of different versions: compare `cordon --version` and `cordond --version`",
        ),
        FailureCode::Forbidden => {
            Some("gateway.toml says under [socket] and [socket.roles] which groups have which role")
        }
        FailureCode::PolicyRejected | FailureCode::NotFound | FailureCode::Conflict => None,
    }
}
