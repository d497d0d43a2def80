//! Flows and events.

use serde::{Deserialize, Serialize};

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The name of the device with this address, if there is one.
    pub device: Option<String>,
    /// Its IP address.
    pub ip: String,
    /// Its port; 0 for ICMP.
    pub port: u16,
}

/// A flow, seen from its initiator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The initiator.
    pub from: Endpoint,
    /// The responder.
    pub to: Endpoint,
    /// The name of the IP protocol, such as `tcp` or `icmpv6`.
    pub protocol: String,
    /// The segment that it was seen in.
    pub segment: String,
    /// The rule that allows it; in an observed segment, the rule that would allow it if the segment were enforced.
    pub rule: String,
    /// In an observed segment: why enforcement would have dropped it. None if it would not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop: Option<WouldDrop>,
    /// Whether it was judged under the policy and posture in force. If not, its next packet is judged again.
    pub current: bool,
    /// Whether both ends have sent packets.
    pub answered: bool,
    /// Bytes from the initiator.
    pub bytes_sent: u64,
    /// Bytes to the initiator.
    pub bytes_received: u64,
    /// Seconds since its last packet.
    pub idle_seconds: u64,
}

/// The answer to a [`FlowQuery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// The number of flows in the table.
    pub total: u64,
    /// The number of flows that match the query.
    pub matching: u64,
    /// The busiest of the matching flows, up to the limit of the query.
    pub flows: Vec<Flow>,
}

/// A query for flows: those that match all given fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowQuery {
    /// The maximum number of flows in the answer; 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The name of a device that is one of the ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The segment it was seen in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The rule that allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The state of the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FlowState>,
}

/// The state of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowState {
    /// Only one end has sent packets, or the TCP handshake is not complete.
    HalfOpen,
    /// Both ends have sent packets.
    Established,
}

/// Why enforcement would drop something that an observed segment forwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldDrop {
    /// The reason: `rule` or `no-rule`.
    pub reason: String,
    /// The rule that denies it; none if no rule matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where that rule is written, as `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// The kind of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A packet was dropped.
    Drop,
    /// A flow was opened.
    Flow,
}

/// A drop or a new flow, as the data plane reports it. Events are sampled: under load, not every one is emitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    pub time: String,
    /// What happened.
    pub kind: EventKind,
    /// The reason of a drop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule that decided, or that would have decided at posture `normal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// For a flow in an observed segment: why enforcement would have dropped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop: Option<WouldDrop>,
    /// The ingress attachment, as `port.VLAN`.
    pub ingress: String,
    /// The segment, if the attachment belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The name of the device that sent it, if it is a listed device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Source MAC address.
    pub source_mac: String,
    /// Destination MAC address.
    pub destination_mac: String,
    /// Source of an IP packet; sender protocol address of an ARP packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Endpoint>,
    /// Destination of an IP packet; target protocol address of an ARP packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Endpoint>,
    /// The name of the IP protocol, or `arp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Length of the frame in bytes.
    pub length: u32,
}
