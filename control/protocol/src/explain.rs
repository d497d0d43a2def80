//! Why a packet would pass, or not.

use serde::{Deserialize, Serialize};

/// What would become of a packet?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// A device's name, or an IP address.
    pub from: String,
    /// A device's name, an IP address, or `broadcast`.
    pub to: String,
    /// A service's name, or `tcp/104`, `udp/53`, `icmp`.
    pub service: String,
}

/// The answer at one posture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtPosture {
    /// The posture.
    pub posture: String,
    /// Whether it passes.
    pub allowed: bool,
    /// Of a broadcast or multicast that passes: whether it does to device-facing ports only, and by no uplink.
    #[serde(default)]
    pub inside: bool,
    /// Of what passes for an observed segment only: why it would be dropped if that were enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop: Option<crate::WouldDrop>,
    /// Why not.
    pub reason: Option<String>,
    /// The rule that decides, or would but for the posture.
    pub rule: Option<String>,
    /// Where the rule is written, as `file:line`.
    pub place: Option<String>,
}

/// The answer for one packet; there is one for each protocol and port that the service names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Who it is from, in words.
    pub from: String,
    /// Who it is to, in words.
    pub to: String,
    /// The packet, as `tcp/104`.
    pub packet: String,
    /// `within the zone`, `between zones` or `across the site boundary`.
    pub reach: String,
    /// Where it enters, as `port.VLAN`.
    pub ingress: String,
    /// The posture in force.
    pub posture: String,
    /// At each posture, in order.
    pub postures: Vec<AtPosture>,
}
