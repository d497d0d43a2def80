//! A policy directory, read and validated whole.
//!
//! [`load`] reads `site.yaml`, `policy.yaml` and `devices.csv` from a directory; [`from_sources`] takes their text.
//! Both answer a [`Policy`] that is consistent in itself, or [`Rejected`] with every error at its place.

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
mod rules;
mod services;
mod site;
mod unmatched;
mod warnings;
mod words;
mod yaml;

use std::io;
use std::path::{Path, PathBuf};

use problem::Problems;

pub use attachments::{COPIES_MOST, STACKS};
pub use devices::GATEWAY_MAC;
pub use directory::read;
pub use model::{
    Attachment, Binding, Date, Device, Group, Invariant, LinkControl, Mac, Mode, NamedService,
    Origin, OuterTag, Policy, Port, Posture, Reach, Rule, Segment, Selector, Service, Unknown,
    Zone,
};
pub use problem::{Code, File, Place, Problem, Rejected};
pub use services::CATALOGUE;
pub use site::{PORTS, SEGMENTS};

/// The text of the files of a policy directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `site.yaml`.
    pub site: String,
    /// `policy.yaml`; without it there are no rules but those of the site.
    pub policy: Option<String>,
    /// `devices.csv`; without it no device is known.
    pub devices: Option<String>,
}

/// A policy, and what is worth a look in it.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The policy.
    pub policy: Policy,
    /// Nothing is refused for these.
    pub warnings: Vec<Problem>,
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is refused.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// Reads and validates a policy directory.
///
/// # Errors
/// [`Error`]: of a policy that is refused, everything that is wrong with it.
pub fn load(directory: &Path) -> Result<Validated, Error> {
    Ok(from_sources(&read(directory)?)?)
}

/// Validates a policy.
///
/// # Errors
/// [`Rejected`] with everything that is wrong with it.
pub fn from_sources(sources: &Sources) -> Result<Validated, Rejected> {
    let mut problems = Problems::default();
    let site_node = yaml::read(File::Site, &sources.site, &mut problems);
    let policy_node = sources
        .policy
        .as_deref()
        .map(|text| yaml::read(File::Policy, text, &mut problems));
    let Some(site_node) = site_node else {
        // Without the site every name in the other files would be unknown: say the one thing that is wrong.
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
