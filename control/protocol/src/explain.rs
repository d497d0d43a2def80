//! Explanations: why a packet would be forwarded or dropped.

use serde::{Deserialize, Serialize};

/// The packets to explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The name of a device, or an IP address.
    pub from: String,
    /// The name of a device, an IP address, or `broadcast`.
    pub to: String,
    /// The name of a service, or `tcp/104`, `udp/53`, `icmp`.
    pub service: String,
}

/// The verdict at one posture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtPosture {
    /// The posture.
    pub posture: String,
    /// Whether the packet is forwarded.
    pub allowed: bool,
    /// For a broadcast or multicast that is forwarded: whether it leaves by device-facing ports only.
    #[serde(default)]
    pub inside: bool,
    /// For a packet that is forwarded only because a segment is observed: why enforcement would drop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop: Option<crate::WouldDrop>,
    /// The reason of a drop.
    pub reason: Option<String>,
    /// The rule that decides, or that would decide at posture `normal`.
    pub rule: Option<String>,
    /// Where the rule is written, as `file:line`.
    pub place: Option<String>,
}

/// The explanation for one protocol and port of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The source, as text.
    pub from: String,
    /// The destination, as text.
    pub to: String,
    /// The protocol and port, as `tcp/104`.
    pub packet: String,
    /// `within the zone`, `between zones` or `across the site boundary`.
    pub reach: String,
    /// The ingress attachment, as `port.VLAN`.
    pub ingress: String,
    /// The posture in force.
    pub posture: String,
    /// The verdict at each posture, from `normal` to `sever`.
    pub postures: Vec<AtPosture>,
}
