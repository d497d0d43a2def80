//! Flows and events.

use serde::{Deserialize, Serialize};

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The device's name, where the address is one's.
    pub device: Option<String>,
    /// Its IP address.
    pub ip: String,
    /// Its port; 0 for ICMP.
    pub port: u16,
}

/// A flow, from its initiator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Who opened it.
    pub from: Endpoint,
    /// To whom.
    pub to: Endpoint,
    /// `tcp`, `udp`, `icmp` or `icmpv6`.
    pub protocol: String,
    /// The segment it was seen in.
    pub segment: String,
    /// The rule that allows it. Where an observed segment lets everything be, still the one that would without that.
    pub rule: String,
    /// In an observed segment: why enforcement would have dropped it. None if it would not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop: Option<WouldDrop>,
    /// Whether it was judged under the policy and posture in force; if not, it is at its next packet.
    pub current: bool,
    /// Whether both ends were heard.
    pub answered: bool,
    /// Bytes from the initiator.
    pub bytes_sent: u64,
    /// Bytes to the initiator.
    pub bytes_received: u64,
    /// Seconds since its last packet.
    pub idle_seconds: u64,
}

/// Some of the flows, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// How many there are.
    pub total: u64,
    /// How many of them are such as were asked for; as many as there are, where nothing was.
    pub matching: u64,
    /// The busiest of those.
    pub flows: Vec<Flow>,
}

/// Which flows are asked for: those of which all that is said here is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowQuery {
    /// How many at most; 100 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// A device's name: it is one of the ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The segment it was seen in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The rule that allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether both ends were heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FlowState>,
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowState {
    /// One end was heard, or, of TCP, the handshake is not over.
    HalfOpen,
    /// Both ends were heard.
    Established,
}

/// Why enforcement would have dropped something that an observed segment lets be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldDrop {
    /// The reason: `rule` or `no-rule`.
    pub reason: String,
    /// The rule that denies it; none if no rule allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where that rule is written, as `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// What an [`Event`] tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A packet was dropped.
    Drop,
    /// A flow was opened.
    Flow,
}

/// Something the data plane did. Sampled: under load, not every one is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: String,
    /// What.
    pub kind: EventKind,
    /// Of a drop, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule that decided, or would have but for the posture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Of a flow in an observed segment: why enforcement would have dropped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_drop: Option<WouldDrop>,
    /// Where it came in, as `port.VLAN`.
    pub ingress: String,
    /// The segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The device that sent it, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Source MAC address.
    pub source_mac: String,
    /// Destination MAC address.
    pub destination_mac: String,
    /// Source, where it is IP; of ARP, the address that was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Endpoint>,
    /// Destination, where it is IP; of ARP, the address that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Endpoint>,
    /// Protocol, where it is IP or ARP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Length of the frame in bytes.
    pub length: u32,
}
