//! Applying a policy.

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

/// A policy to be put into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Its files.
    pub sources: Sources,
    /// Go back to the one before after this many seconds, unless confirmed.
    #[serde(default)]
    pub confirm_seconds: Option<u64>,
}

/// A policy that is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Its state.
    pub policy: crate::PolicyStatus,
    /// Milliseconds to validate and compile it.
    pub compile_milliseconds: f64,
    /// Milliseconds to put it into force.
    pub install_milliseconds: f64,
    /// What is worth a look.
    pub warnings: Vec<crate::Problem>,
}
