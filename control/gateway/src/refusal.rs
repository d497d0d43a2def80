//! Why a request is refused. Each refusal becomes a [`Failure`] of the API here.

use cordon_policy::Rejected;
use cordon_protocol::{Failure, FailureCode};

use crate::convert;
use crate::store::StoreError;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is invalid.
    #[error("{message}")]
    BadRequest {
        /// What is wrong with it.
        message: String,
        /// What is valid.
        hint: &'static str,
    },
    /// The policy is invalid.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The request names something that does not exist.
    #[error("{message}")]
    NotFound {
        /// What does not exist.
        message: String,
        /// Where to look it up.
        hint: String,
    },
    /// The caller's role does not include the call.
    #[error("{message}")]
    Forbidden {
        /// The role that the call takes, and the one that the caller has.
        message: String,
        /// Which group has it.
        hint: String,
    },
    /// The request conflicts with the current state.
    #[error("{message}")]
    Conflict {
        /// The conflict.
        message: String,
        /// What to do instead.
        hint: String,
    },
    /// The change could not be made durable, so it was not made.
    #[error("{what}: {source}")]
    NotDurable {
        /// The change that was not made.
        what: &'static str,
        /// The cause.
        source: StoreError,
    },
    /// The state cannot be read.
    #[error("{0}")]
    Store(StoreError),
    /// The data plane failed.
    #[error("{what}: {source}")]
    Dataplane {
        /// The resulting state.
        what: &'static str,
        /// The cause.
        source: cordon_kernel::Error,
    },
    /// An internal error.
    #[error("{0}")]
    Internal(String),
}

impl Refusal {
    /// An unknown name, with the most similar `known` name as a hint.
    pub fn unknown<'a>(
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
        hint: &str,
    ) -> Refusal {
        let near = nearest(name, known).map(|near| format!("did you mean `{near}`? "));
        Refusal::NotFound {
            message: format!("there is no {what} `{name}`"),
            hint: near.unwrap_or_default() + hint,
        }
    }

    /// The data plane did not answer a query.
    pub fn unreadable(source: cordon_kernel::Error) -> Refusal {
        Refusal::Dataplane {
            what: "the data plane cannot be read",
            source,
        }
    }

    /// The failure that the API returns.
    pub fn into_failure(self) -> Failure {
        let message = self.to_string();
        let (code, hint) = match self {
            Refusal::BadRequest { hint, .. } => (FailureCode::BadRequest, hint.to_owned()),
            Refusal::Rejected(rejected) => {
                let hint =
                    "the policy in force is unchanged; `cordon check DIR` shows the same errors";
                return Failure {
                    code: FailureCode::PolicyRejected,
                    message,
                    hint: Some(hint.to_owned()),
                    problems: rejected.problems.iter().map(convert::problem).collect(),
                };
            }
            Refusal::NotFound { hint, .. } => (FailureCode::NotFound, hint),
            Refusal::Forbidden { hint, .. } => (FailureCode::Forbidden, hint),
            Refusal::Conflict { hint, .. } => (FailureCode::Conflict, hint),
            Refusal::NotDurable { source, .. } => (FailureCode::NotDurable, source.hint()),
            Refusal::Store(source) => (FailureCode::Internal, source.hint()),
            Refusal::Dataplane { .. } => (
                FailureCode::Dataplane,
                "`cordon status` shows what is in force; `journalctl -u cordond` has details"
                    .to_owned(),
            ),
            Refusal::Internal(_) => (
                FailureCode::Internal,
                "policy and posture are unchanged; `journalctl -u cordond` has details".to_owned(),
            ),
        };
        Failure {
            code,
            message,
            hint: Some(hint),
            problems: Vec::new(),
        }
    }
}

/// The most similar name by edit distance, if it is similar enough.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    // Skips names whose length alone rules them out: the distance takes quadratic time.
    let candidates = known.filter(|name| name.len().abs_diff(word.len()) <= 1 + word.len() / 4);
    let distance = |name: &'a str| {
        let distance = strsim::damerau_levenshtein(&word, &name.to_lowercase());
        (distance, name)
    };
    let near = candidates.map(distance).min()?;
    (near.0 <= 1 + word.chars().count() / 4).then_some(near.1)
}
