//! Policies: to apply one, and the result.

use serde::{Deserialize, Serialize};

/// The files of a policy directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// `site.yaml`.
    pub site: String,
    /// `policy.yaml`.
    #[serde(default)]
    pub policy: Option<String>,
    /// `devices.csv`.
    #[serde(default)]
    pub devices: Option<String>,
}

/// A request to apply a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Its files.
    pub sources: Sources,
    /// Seconds after which the gateway rolls back to the previous policy, unless it is confirmed.
    #[serde(default)]
    pub confirm_seconds: Option<u64>,
}

/// The result of applying a policy, which is in force now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Its status.
    pub policy: crate::PolicyStatus,
    /// Milliseconds to validate and compile it.
    pub compile_milliseconds: f64,
    /// Milliseconds to write the tables and switch to them.
    pub install_milliseconds: f64,
    /// Likely mistakes in it.
    pub warnings: Vec<crate::Problem>,
}
