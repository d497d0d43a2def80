//! What the ledger records: flows between the same two hosts to the same service, summed up.

use std::net::IpAddr;

use cordon_protocol::ObservedEnd;
use serde::{Deserialize, Serialize};

use crate::probe::packet::Packet;

/// An end of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Host {
    /// The device's name, if it is a listed device.
    pub device: Option<String>,
    /// Its IP address.
    pub ip: IpAddr,
}

/// Flows between the same two hosts to the same service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conversation {
    /// The observed segment.
    pub segment: String,
    /// Which end is in that segment.
    pub inside: ObservedEnd,
    /// The initiator.
    pub from: Host,
    /// The responder.
    pub to: Host,
    /// IP protocol.
    pub protocol: u8,
    /// Destination port; 0 for ICMP.
    pub port: u16,
}

impl Conversation {
    /// The end in the observed segment.
    pub fn host(&self) -> &Host {
        match self.inside {
            ObservedEnd::From => &self.from,
            ObservedEnd::To => &self.to,
        }
    }

    /// The first packet of its flows; none if policies have no services of its protocol.
    pub fn packet(&self) -> Option<Packet> {
        Packet::new(self.protocol, self.port)
    }
}

/// What is recorded of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The rule that would deny it; none if no rule matches.
    pub rule: Option<String>,
    /// Number of flows.
    pub flows: u64,
    /// Bytes, both ways.
    pub bytes: u64,
    /// When the first flow was seen, in seconds since 1970.
    pub first: u64,
    /// When the last packet was seen, in seconds since 1970.
    pub last: u64,
    /// Seconds of the daemon's running time since the last packet was seen.
    #[serde(default)]
    pub unseen: u64,
}

/// Flows and bytes of a segment since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Flows.
    pub flows: u64,
    /// Bytes, both ways.
    pub bytes: u64,
}
