//! What went wrong.

use serde::{Deserialize, Serialize};

/// The kind of a [`Failure`], for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The request is not well formed.
    BadRequest,
    /// The policy is refused; see [`Failure::problems`]. What was in force stays in force.
    PolicyRejected,
    /// There is no such thing.
    NotFound,
    /// It does not fit what is the case: nothing to release, nothing to confirm.
    Conflict,
    /// It could not be made durable, so it was not done.
    NotDurable,
    /// The data plane could not do it.
    Dataplane,
    /// A fault of the gateway's own.
    Internal,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind.
    pub code: FailureCode,
    /// What happened, in one sentence.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Of a refused policy: everything that is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a policy, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// File, relative to the policy directory.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Its kind, such as `unknown-name`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
