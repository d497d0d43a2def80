//! Reads and validates a policy directory.
//!
//! [`load`] reads `site.yaml`, `policy.yaml` and `devices.csv` from a directory; [`from_sources`] takes their text.
//! Both return a consistent [`Policy`], or [`Rejected`] with every error and its position in the files.

mod addresses;
mod attachments;
mod columns;
mod cursor;
mod devices;
mod directory;
mod fields;
mod implicit;
mod model;
mod numbers;
mod problem;
pub mod protocols;
mod rules;
mod service_names;
mod services;
mod site;
mod unmatched;
mod warnings;
mod yaml;

use std::io;
use std::path::{Path, PathBuf};

use problem::Problems;

pub use attachments::{MAX_COPIES, MAX_DOUBLE_TAGGED};
pub use devices::GATEWAY_MAC;
pub use directory::read;
pub use model::{
    Attachment, Binding, Date, Device, Group, Invariant, LinkControl, Mac, Mode, NamedService,
    Origin, OuterTag, Policy, Port, Posture, Reach, Rule, Segment, Selector, Service, Unknown,
    Zone,
};
pub use problem::{Code, File, Problem, Rejected, SourcePosition};
pub use services::CATALOGUE;
pub use site::{MAX_PORTS, MAX_SEGMENTS};

/// The text of the files of a policy directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `site.yaml`.
    pub site: String,
    /// `policy.yaml`; without it there are only the rules that follow from `site.yaml`.
    pub policy: Option<String>,
    /// `devices.csv`; without it no device is listed.
    pub devices: Option<String>,
}

/// A policy, and warnings about it.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The policy.
    pub policy: Policy,
    /// Likely mistakes. They do not make a policy invalid.
    pub warnings: Vec<Problem>,
}

/// Why a policy directory could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The policy is invalid.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// Reads and validates a policy directory.
///
/// # Errors
/// [`Error::Read`] for a file that cannot be read, [`Error::Rejected`] with every error of an invalid policy.
pub fn load(directory: &Path) -> Result<Validated, Error> {
    Ok(from_sources(&read(directory)?)?)
}

/// Validates a policy.
///
/// # Errors
/// [`Rejected`] with every error.
pub fn from_sources(sources: &Sources) -> Result<Validated, Rejected> {
    let mut problems = Problems::default();
    let site_node = yaml::read(File::Site, &sources.site, &mut problems);
    let policy_node = sources
        .policy
        .as_deref()
        .map(|text| yaml::read(File::Policy, text, &mut problems));
    let Some(site_node) = site_node else {
        // Without the site every name in the other files would be unknown: report the cause only.
        return Err(Rejected {
            problems: problems.into_sorted(),
        });
    };
    let site = site::read(&site_node, &mut problems);
    let devices = sources
        .devices
        .as_deref()
        .map(|text| devices::read(text, &site, &mut problems))
        .unwrap_or_default();
    let policy_node = policy_node.flatten();
    let written = rules::read(policy_node.as_ref(), &site, &devices, &mut problems);
    if !problems.is_empty() {
        return Err(Rejected {
            problems: problems.into_sorted(),
        });
    }
    let policy = Policy {
        site: site.name,
        ports: site.ports,
        segments: site.segments,
        zones: site.zones,
        devices,
        groups: written.groups,
        rules: written.rules,
        invariants: written.invariants,
        services: written.services,
    };
    let warnings = warnings::of(&policy, sources.policy.is_some());
    Ok(Validated { policy, warnings })
}
