//! The flows of observed segments that enforcement would have dropped.

use serde::{Deserialize, Serialize};

use crate::WouldDrop;

/// The flows of observed segments that enforcement would have dropped, since the segments are observed. Entries expire 30
/// days after the last flow. Flows that the policy in force allows are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The observed segments, by name.
    pub segments: Vec<ObservedSegment>,
    /// The would-drop flows, summed up by host pair and service; the newest first.
    pub talks: Vec<ObservedConversation>,
    /// The number of flows that were not recorded because the table was full.
    pub unnoted: u64,
}

/// The totals of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedSegment {
    /// The segment.
    pub segment: String,
    /// The number of its hosts with such flows.
    pub hosts: u64,
    /// The number of flows that enforcement would have dropped.
    pub flows: u64,
    /// Their bytes in both directions.
    pub bytes: u64,
}

/// Flows between the same two hosts to the same service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedConversation {
    /// The observed segment.
    pub segment: String,
    /// Which end is in that segment: `from` or `to`.
    pub inside: ObservedEnd,
    /// The initiator.
    pub from: Party,
    /// The responder.
    pub to: Party,
    /// Protocol and port, as `tcp/104`.
    pub service: String,
    /// The name of that service in the policy, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Why enforcement would drop it.
    pub would_drop: WouldDrop,
    /// The number of flows.
    pub flows: u64,
    /// Their bytes in both directions.
    pub bytes: u64,
    /// When the first flow was seen.
    pub first: String,
    /// When the last flow was seen.
    pub last: String,
}

/// An end of an [`ObservedConversation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObservedEnd {
    /// The initiator.
    From,
    /// The responder.
    To,
}

/// A host that is an end of an [`ObservedConversation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The name of the device, if it is a listed one.
    pub device: Option<String>,
    /// Its IP address.
    pub ip: String,
    /// Its zone, if it is in one.
    pub zone: Option<String>,
}
