//! The state of a gateway, and its devices and rules.

use serde::{Deserialize, Serialize};

/// The state of a gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// The name of the site; none without a policy.
    pub site: Option<String>,
    /// The posture of the site.
    pub posture: String,
    /// The order that set the posture.
    pub order: Option<crate::Order>,
    /// The policy in force.
    pub policy: Option<PolicyStatus>,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// How the daemon started the data plane: `new`, `taken-over` or `replaced`.
    pub dataplane: String,
    /// Ports, by number.
    pub ports: Vec<Port>,
    /// Segments, by number.
    pub segments: Vec<Segment>,
    /// Flows.
    pub flows: FlowCount,
    /// Packets forwarded since the data plane was loaded.
    pub passed_packets: u64,
    /// Dropped packets by reason; reasons without drops are left out.
    pub drops: Vec<DropCount>,
    /// Events that were lost because the event ring was full.
    pub events_lost: u64,
    /// Conditions that an operator should look at.
    pub warnings: Vec<String>,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// SHA-256 of its files, hexadecimal.
    pub hash: String,
    /// Its number, counted from 1 with every change of policy.
    pub generation: u64,
    /// When it was applied.
    pub applied: String,
    /// The number of devices in it.
    pub devices: usize,
    /// The number of rules in it.
    pub rules: usize,
    /// The number of classes that it was compiled to.
    pub classes: usize,
    /// When the gateway rolls back to the previous policy, unless it is confirmed.
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
    /// `up`, `down`, or the reason why it is out of service.
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
    /// For an observed segment: the flows that enforcement would have dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop: Option<crate::ObservedSegment>,
}

/// The number of flows in the flow table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowCount {
    /// Established: both ends have sent packets.
    pub open: u64,
    /// Half-open: only one end has sent packets.
    pub half_open: u64,
    /// Capacity of the table.
    pub limit: u64,
}

/// Dropped packets for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// The reason.
    pub reason: String,
    /// The meaning of the reason.
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
    /// The addresses bound to it; empty: any address of the segment.
    pub ips: Vec<String>,
    /// Its segment.
    pub segment: String,
    /// Its profile.
    pub profile: Option<String>,
    /// The clinical function that it serves.
    pub function: Option<String>,
    /// How critical it is for care.
    pub criticality: Option<String>,
    /// Whether it has been seen.
    pub state: DeviceState,
    /// The attachment where it was last seen, as `port.VLAN`.
    pub attachment: Option<String>,
    /// If its segment is observed: the number of its flows that enforcement would have dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop_flows: Option<u64>,
}

/// Whether a device has been seen since the data plane was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// It has sent frames.
    Seen,
    /// It has not sent frames.
    Unseen,
}

/// A rule and its counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Where it is written, as `file:line`; none for a built-in rule.
    pub place: Option<String>,
    /// The ends that may open flows: names of devices, groups, segments or zones, or `any`; empty for a built-in rule.
    #[serde(default)]
    pub from: Vec<String>,
    /// The ends that flows are opened to; also `broadcast`.
    #[serde(default)]
    pub to: Vec<String>,
    /// The services: names, or as `tcp/104`.
    #[serde(default)]
    pub services: Vec<String>,
    /// `allow` or `deny`.
    pub action: String,
    /// The highest posture at which it applies, or `by reach` for the default of the reach.
    pub survives: String,
    /// Whether it is on the continuity list.
    pub continuity: bool,
    /// The postures at which it allows any flow, given its reach and the rules before it. Of infrastructure, without
    /// those where only broadcasts inside the site are left.
    #[serde(default)]
    pub open_at: Vec<String>,
    /// The person or department responsible for it.
    pub owner: Option<String>,
    /// Why it exists.
    pub reason: Option<String>,
    /// The last day on which it is in force.
    pub expires: Option<String>,
    /// Packets that it decided on.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}
