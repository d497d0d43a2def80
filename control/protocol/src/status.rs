//! The state of a gateway.

use serde::{Deserialize, Serialize};

/// The state of a gateway, on one screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// The site, if there is a policy.
    pub site: Option<String>,
    /// The posture of the site.
    pub posture: String,
    /// The order that set it, if one did.
    pub order: Option<crate::Order>,
    /// The policy in force.
    pub policy: Option<PolicyStatus>,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// How the data plane was found at the start: `new`, `taken-over` or `replaced`.
    pub dataplane: String,
    /// Ports, by number.
    pub ports: Vec<Port>,
    /// Segments, by number.
    pub segments: Vec<Segment>,
    /// Flows.
    pub flows: FlowCount,
    /// Packets that passed since the data plane was loaded.
    pub passed_packets: u64,
    /// Packets that were dropped, by reason; reasons that dropped none are left out.
    pub drops: Vec<DropCount>,
    /// Events that could not be told of.
    pub events_lost: u64,
    /// What an operator should look at.
    pub warnings: Vec<String>,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// SHA-256 of its files, hexadecimal.
    pub hash: String,
    /// Number of the change, from 1.
    pub generation: u64,
    /// When it was applied.
    pub applied: String,
    /// How many devices it lists.
    pub devices: usize,
    /// How many rules it has.
    pub rules: usize,
    /// How many classes it was compiled to.
    pub classes: usize,
    /// When it goes back to the one before, unless confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<String>,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name in the policy.
    pub name: String,
    /// Its network interface.
    pub device: String,
    /// Whether it faces the wider network.
    pub uplink: bool,
    /// `up`, `down`, or why it is out of service.
    pub state: String,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its attachments, as `port.VLAN`.
    pub attachments: Vec<String>,
    /// Whether its devices are kept apart from each other.
    pub isolate: bool,
    /// `enforce` or `observe`.
    pub mode: String,
    /// Of an observed one: what enforcement would have dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop: Option<crate::ObservedSegment>,
}

/// Flows, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowCount {
    /// Both ends heard.
    pub open: u64,
    /// One end heard.
    pub half_open: u64,
    /// Room.
    pub limit: u64,
}

/// Dropped packets of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// The reason.
    pub reason: String,
    /// What it means.
    pub help: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: String,
    /// The addresses bound to it; none means any of the segment's.
    pub ips: Vec<String>,
    /// Its segment.
    pub segment: String,
    /// Its profile.
    pub profile: Option<String>,
    /// What care it serves.
    pub function: Option<String>,
    /// How much depends on it.
    pub criticality: Option<String>,
    /// Whether it was seen.
    pub state: DeviceState,
    /// Where it was last seen, as `port.VLAN`.
    pub attachment: Option<String>,
    /// Where its segment is observed: how many of its flows enforcement would have dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop_flows: Option<u64>,
}

/// Whether a device was seen since the data plane was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// It was.
    Seen,
    /// Not yet.
    Unseen,
}

/// A rule, with what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Where it is written, as `file:line`; none for what is built in.
    pub place: Option<String>,
    /// Who opens flows: devices, groups, segments or zones by name, `any`; none for what is built in.
    #[serde(default)]
    pub from: Vec<String>,
    /// To whom; `broadcast` too.
    #[serde(default)]
    pub to: Vec<String>,
    /// By what: services by name, or as `tcp/104`.
    #[serde(default)]
    pub services: Vec<String>,
    /// `allow` or `deny`.
    pub action: String,
    /// The highest posture at which it applies, or `by reach`.
    pub survives: String,
    /// Whether it is on the continuity list.
    pub continuity: bool,
    /// The postures at which it lets something through: what it comes to with its reach and the rules before it.
    #[serde(default)]
    pub open_at: Vec<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Why it is there.
    pub reason: Option<String>,
    /// After which day it is not in force.
    pub expires: Option<String>,
    /// Packets it decided on.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}
