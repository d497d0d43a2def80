//! What is remembered of flows.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use cordon_policy::{Attachment, Mac};

use crate::frame::{self, Content, Link, Packet};
use crate::{Decided, Leaves, Oracle};

/// One end of a flow: address and port, or address and echo identifier.
pub(crate) type End = (IpAddr, u16);

/// What makes two packets parts of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    segment: usize,
    protocol: u8,
    /// The lesser end first.
    ends: [End; 2],
    /// Of echo: who asks.
    asks: Option<End>,
}

/// A flow.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Which of its ends have opened it.
    pub opened: HashSet<End>,
    /// The last rule that let a packet of it pass.
    rule: Decided,
    /// How packets went that were judged, by their sender.
    ways: HashMap<End, Way>,
}

/// How a direction of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    from: (Mac, Attachment),
    to: (Mac, Attachment),
    epoch: u64,
}

/// Sender and receiver of a packet.
pub(crate) fn ends(packet: &Packet) -> (End, End) {
    let (from, to) = match packet.content {
        Content::Tcp {
            source,
            destination,
            ..
        }
        | Content::Udp {
            source,
            destination,
        } => (source, destination),
        Content::EchoRequest { identifier } | Content::EchoReply { identifier } => {
            (identifier, identifier)
        }
        Content::Discovery(_) => (0, 0),
    };
    ((packet.source, from), (packet.destination, to))
}

/// The flow that a packet belongs to, if it belongs to one.
pub(crate) fn key(segment: usize, link: &Link, packet: &Packet) -> Option<FlowKey> {
    if frame::is_group_mac(link.destination) {
        return None;
    }
    let (from, to) = ends(packet);
    let (protocol, asks) = match packet.content {
        Content::Tcp { .. } => (6, None),
        Content::Udp { .. } => (17, None),
        Content::EchoRequest { .. } => (1, Some(from)),
        Content::EchoReply { .. } => (1, Some(to)),
        Content::Discovery(_) => return None,
    };
    Some(FlowKey {
        segment,
        protocol,
        ends: if from < to { [from, to] } else { [to, from] },
        asks,
    })
}

impl Oracle {
    /// The short cut: a packet that goes the way its direction went goes on so.
    pub(crate) fn settled(
        &self,
        here: Attachment,
        link: &Link,
        packet: &Packet,
        key: FlowKey,
    ) -> Option<(Leaves, Decided)> {
        let flow = self.flows.get(&key)?;
        let way = flow.ways.get(&ends(packet).0)?;
        let opens = matches!(packet.content, Content::Tcp { opens: true, .. });
        let same = way.from == (link.source, here) && way.to.0 == link.destination;
        (same && way.epoch == self.epoch && !opens).then_some((Leaves::By(way.to.1), flow.rule))
    }

    /// Remembers a packet that was judged and passed.
    pub(crate) fn remember(
        &mut self,
        here: Attachment,
        link: &Link,
        packet: &Packet,
        key: FlowKey,
        (opener, rule, leaves): (Option<End>, Decided, Leaves),
    ) {
        let (from, to) = ends(packet);
        let flow = self.flows.entry(key).or_insert_with(|| Flow {
            opened: HashSet::new(),
            rule,
            ways: HashMap::new(),
        });
        flow.opened.extend(opener);
        flow.rule = rule;
        match leaves {
            Leaves::By(egress) => {
                let way = Way {
                    from: (link.source, here),
                    to: (link.destination, egress),
                    epoch: self.epoch,
                };
                flow.ways.insert(from, way);
            }
            Leaves::Flood { .. } => {
                flow.ways.remove(&from);
            }
        }
        // What comes back goes where this came from.
        if flow.ways.get(&to).is_some_and(|back| back.to.1 != here) {
            flow.ways.remove(&to);
        }
    }
}
