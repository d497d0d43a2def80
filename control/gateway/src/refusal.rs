//! Why something that was asked for is not done. Becomes a [`Failure`] in one place, here.

use cordon_policy::Rejected;
use cordon_protocol::{Failure, FailureCode};

use crate::store::StoreError;
use crate::views;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request makes no sense.
    #[error("{message}")]
    BadRequest {
        /// What is wrong with it.
        message: String,
        /// What would be right.
        hint: &'static str,
    },
    /// The policy is refused.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// There is no such thing.
    #[error("{message}")]
    NotFound {
        /// What there is not.
        message: String,
        /// Where to look.
        hint: String,
    },
    /// It does not fit what is the case.
    #[error("{message}")]
    Conflict {
        /// What is the case.
        message: String,
        /// What can be done instead.
        hint: String,
    },
    /// It could not be made durable, so it was not done.
    #[error("{what}: {source}")]
    NotDurable {
        /// What was not done.
        what: &'static str,
        /// Why.
        source: StoreError,
    },
    /// What is in force cannot be read back.
    #[error("{0}")]
    Store(StoreError),
    /// The data plane could not do it.
    #[error("{what}: {source}")]
    Dataplane {
        /// What is the case now.
        what: &'static str,
        /// Why.
        source: cordon_kernel::Error,
    },
    /// A fault of our own.
    #[error("{0}")]
    Internal(String),
}

impl Refusal {
    /// Nothing has this name; perhaps one that is like it was meant.
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

    /// As it crosses the wire.
    pub fn into_failure(self) -> Failure {
        let message = self.to_string();
        let (code, hint) = match self {
            Refusal::BadRequest { hint, .. } => (FailureCode::BadRequest, hint.to_owned()),
            Refusal::Rejected(rejected) => {
                let hint =
                    "what was in force stays in force; `cordon check DIR` shows the same errors";
                return Failure {
                    code: FailureCode::PolicyRejected,
                    message,
                    hint: Some(hint.to_owned()),
                    problems: rejected.problems.iter().map(views::problem).collect(),
                };
            }
            Refusal::NotFound { hint, .. } => (FailureCode::NotFound, hint),
            Refusal::Conflict { hint, .. } => (FailureCode::Conflict, hint),
            Refusal::NotDurable { source, .. } => (FailureCode::NotDurable, source.hint()),
            Refusal::Store(source) => (FailureCode::Internal, source.hint()),
            Refusal::Dataplane { .. } => (
                FailureCode::Dataplane,
                "`cordon status` shows what is in force; `journalctl -u cordond` has more"
                    .to_owned(),
            ),
            Refusal::Internal(_) => (
                FailureCode::Internal,
                "what is in force stays in force; `journalctl -u cordond` has more".to_owned(),
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

/// The name that is like a word, if one is.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    // What is longer is no slip of the finger, and costs.
    let alike = known.filter(|name| name.len().abs_diff(word.len()) <= 1 + word.len() / 4);
    let distance = |name: &'a str| {
        let distance = strsim::damerau_levenshtein(&word, &name.to_lowercase());
        (distance, name)
    };
    let near = alike.map(distance).min()?;
    (near.0 <= 1 + word.chars().count() / 4).then_some(near.1)
}
