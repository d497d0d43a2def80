//! Failures.

use serde::{Deserialize, Serialize};

/// The kind of a [`Failure`], for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The request is malformed.
    BadRequest,
    /// The policy is invalid; see [`Failure::problems`]. The previous one stays in force.
    PolicyRejected,
    /// The object does not exist.
    NotFound,
    /// The caller's role does not include the call.
    Forbidden,
    /// The request does not fit the current state: no order to release, or no policy to confirm.
    Conflict,
    /// The change could not be made durable, so it was not made.
    NotDurable,
    /// The data plane reported an error.
    Dataplane,
    /// An error inside the gateway.
    Internal,
}

/// The body of every response with a status of 4xx or 5xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind.
    pub code: FailureCode,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The errors of an invalid policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// An error or a warning about a policy.
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
