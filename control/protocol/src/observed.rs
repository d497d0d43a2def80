//! What enforcement would have dropped in observed segments.

use serde::{Deserialize, Serialize};

use crate::WouldDrop;

/// What observed segments let be since they are observed, for as long as it is remembered: 30 days from when it was
/// last seen. What the policy in force allows by now is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The observed segments, by name.
    pub segments: Vec<ObservedSegment>,
    /// What they let be: the newest first.
    pub talks: Vec<ObservedTalk>,
    /// Flows that there was no room to note.
    pub unnoted: u64,
}

/// What one segment let be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedSegment {
    /// The segment.
    pub segment: String,
    /// Hosts of it that were party to such flows.
    pub hosts: u64,
    /// Flows that enforcement would have dropped.
    pub flows: u64,
    /// Their bytes, both ways.
    pub bytes: u64,
}

/// Flows between the same two hosts to the same service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedTalk {
    /// The observed segment.
    pub segment: String,
    /// Which end is in that segment: `from` or `to`.
    pub inside: ObservedEnd,
    /// Who opens.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// Protocol and port, as `tcp/104`.
    pub service: String,
    /// What the policy calls that, where it has a name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Why it would be dropped.
    pub would_drop: WouldDrop,
    /// How many flows.
    pub flows: u64,
    /// Their bytes, both ways.
    pub bytes: u64,
    /// When the first was seen.
    pub first: String,
    /// When the last was seen.
    pub last: String,
}

/// Which end of a talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObservedEnd {
    /// The one that opens.
    From,
    /// The other.
    To,
}

/// A host that is party to a talk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The device's name, where it is one.
    pub device: Option<String>,
    /// Its IP address.
    pub ip: String,
    /// Its zone, where it is in one.
    pub zone: Option<String>,
}
