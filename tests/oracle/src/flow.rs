//! Flow state.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use cordon_policy::{Attachment, Mac};

use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::protocol::{SCTP, TCP, UDP};
use crate::transport::{Content, Sctp, Tcp};
use crate::{Forwarded, MatchedRule, Oracle};

/// A RST is accepted if its sequence number is less than this ahead of the receiver's last acknowledgement number.
pub(crate) const WINDOW: u32 = 1 << 22;

/// One end of a flow: address and port, or address and echo identifier.
pub(crate) type End = (IpAddr, u16);

/// Distinguishes flows between the same two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A protocol with ports, by its IP protocol number.
    Ports(u8),
    EchoRequest,
    EchoReply,
}

/// Packets with equal keys belong to one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    pub segment: usize,
    /// TCP, UDP or SCTP; none for echo.
    protocol: Option<u8>,
    /// The lesser end first.
    ends: [End; 2],
    /// The sender of the requests, echo only.
    requester: Option<End>,
}

impl FlowKey {
    pub(crate) fn new(segment: usize, kind: Kind, from: End, to: End) -> FlowKey {
        let (protocol, requester) = match kind {
            Kind::Ports(protocol) => (Some(protocol), None),
            Kind::EchoRequest => (None, Some(from)),
            Kind::EchoReply => (None, Some(to)),
        };
        FlowKey {
            segment,
            protocol,
            ends: if from < to { [from, to] } else { [to, from] },
            requester,
        }
    }

    /// The same flow key in another segment.
    pub(crate) fn in_segment(self, segment: usize) -> FlowKey {
        FlowKey { segment, ..self }
    }
}

/// A flow.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// The endpoints that have opened it.
    pub opened: HashSet<End>,
    /// The rule that allowed its last judged packet, and the epoch of that decision.
    pub rule: MatchedRule,
    pub epoch: u64,
    /// The path of each direction's last judged packet, by sender.
    pub paths: HashMap<End, Path>,
    /// The endpoints that have sent a packet.
    seen: HashSet<End>,
    /// TCP only: an endpoint has answered one that sent before.
    answered: bool,
    /// No longer half-open.
    established: bool,
    /// TCP only: the sender of an opening SYN, until a packet without SYN and RST follows.
    syn_sender: Option<End>,
    /// TCP only: the last acknowledgement number of each endpoint.
    pub acknowledged: HashMap<End, u32>,
}

/// MAC addresses and attachments of one direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub from: (Mac, Attachment),
    pub to: (Mac, Attachment),
    pub epoch: u64,
}

/// Sender and receiver of a packet.
pub(crate) fn ends(packet: &Packet) -> (End, End) {
    let (from, to) = match packet.content {
        Content::Tcp(Tcp { ports, .. })
        | Content::Udp(ports)
        | Content::Sctp(Sctp { ports, .. }) => (ports.source, ports.destination),
        Content::EchoRequest { identifier } | Content::EchoReply { identifier } => {
            (identifier, identifier)
        }
        Content::Discovery(_)
        | Content::Membership(_)
        | Content::Error(_)
        | Content::LaterFragment => (0, 0),
    };
    ((packet.source, from), (packet.destination, to))
}

/// The key of the flow that a packet belongs to, if it belongs to one.
pub(crate) fn key(segment: usize, link: &Link, packet: &Packet) -> Option<FlowKey> {
    if frame::is_group_mac(link.destination) {
        return None;
    }
    let kind = match packet.content {
        Content::Tcp(_) => Kind::Ports(TCP),
        Content::Udp(_) => Kind::Ports(UDP),
        Content::Sctp(_) => Kind::Ports(SCTP),
        Content::EchoRequest { .. } => Kind::EchoRequest,
        Content::EchoReply { .. } => Kind::EchoReply,
        Content::Discovery(_)
        | Content::Membership(_)
        | Content::Error(_)
        | Content::LaterFragment => {
            return None;
        }
    };
    let (from, to) = ends(packet);
    Some(FlowKey::new(segment, kind, from, to))
}

impl Flow {
    fn new(rule: MatchedRule) -> Flow {
        Flow {
            opened: HashSet::new(),
            rule,
            epoch: 0,
            paths: HashMap::new(),
            seen: HashSet::new(),
            answered: false,
            established: false,
            syn_sender: None,
            acknowledged: HashMap::new(),
        }
    }

    /// Updates the state with a packet that passes.
    fn record(&mut self, packet: &Packet) {
        let (from, to) = ends(packet);
        let other_was_seen = self.seen.contains(&to);
        match packet.content.tcp() {
            Some(tcp) => self.record_tcp(tcp, from, other_was_seen),
            None => self.established |= other_was_seen,
        }
        self.seen.insert(from);
    }

    fn record_tcp(&mut self, tcp: &Tcp, from: End, other_was_seen: bool) {
        if !tcp.syn && !tcp.rst {
            self.established |= self.answered;
            self.syn_sender = None;
        }
        if !tcp.rst {
            self.answered |= other_was_seen;
        }
        if tcp.opens() {
            self.answered = false;
            self.syn_sender = Some(from);
        }
        if tcp.ack {
            self.acknowledged.insert(from, tcp.acknowledgement);
        }
    }
}

impl Oracle {
    /// Forwards a packet of an established flow without judging it again, if it takes the path of its direction.
    pub(crate) fn fast_path(
        &mut self,
        ingress: Attachment,
        link: &Link,
        packet: &Packet,
        key: FlowKey,
    ) -> Option<(Forwarded, MatchedRule)> {
        if packet.has_options || packet.is_first() || self.forged_reset(packet, key).is_some() {
            return None;
        }
        let flow = self.flows.get_mut(&key)?;
        let path = *flow.paths.get(&ends(packet).0)?;
        let opens = packet.content.opens();
        let same = path.from == (link.source, ingress) && path.to.0 == link.destination;
        if !flow.established || !same || path.epoch != self.epoch || opens {
            return None;
        }
        flow.record(packet);
        Some((Forwarded::Unicast(path.to.1), flow.rule))
    }

    /// Recognises a RST with a sequence number that its receiver does not expect, in an established flow, and a RST of
    /// no flow. The result is the flow's rule, if that was decided in this epoch.
    pub(crate) fn forged_reset(&self, packet: &Packet, key: FlowKey) -> Option<MatchedRule> {
        let tcp = packet.content.tcp().filter(|tcp| tcp.rst)?;
        let Some(flow) = self.flows.get(&key) else {
            return Some(MatchedRule::None);
        };
        if !flow.established {
            return None;
        }
        let (from, to) = ends(packet);
        let acknowledged = *flow.acknowledged.get(&to)?;
        let in_window = acknowledged == 0 || tcp.sequence.wrapping_sub(acknowledged) < WINDOW;
        let is_refusal = tcp.sequence == 0 && flow.syn_sender.is_some_and(|sender| sender != from);
        let rule = match flow.epoch == self.epoch {
            true => flow.rule,
            false => MatchedRule::None,
        };
        (!in_window && !is_refusal).then_some(rule)
    }

    /// Updates flow state with a packet that was judged and passes.
    pub(crate) fn update_flow(
        &mut self,
        ingress: Attachment,
        link: &Link,
        packet: &Packet,
        key: FlowKey,
        (opener, rule, forwarded): (Option<End>, MatchedRule, Forwarded),
    ) {
        let (from, to) = ends(packet);
        let flow = self.flows.entry(key).or_insert_with(|| Flow::new(rule));
        flow.opened.extend(opener);
        flow.rule = rule;
        flow.epoch = self.epoch;
        flow.record(packet);
        match forwarded {
            Forwarded::Unicast(egress) => {
                let path = Path {
                    from: (link.source, ingress),
                    to: (link.destination, egress),
                    epoch: self.epoch,
                };
                flow.paths.insert(from, path);
            }
            Forwarded::Flood { .. } | Forwarded::LinkControl(_) | Forwarded::Reply(_) => {
                flow.paths.remove(&from);
            }
        }
        // Packets of the other direction have to leave where this one came in: if they did not, they are judged again.
        if flow.paths.get(&to).is_some_and(|back| back.to.1 != ingress) {
            flow.paths.remove(&to);
        }
    }
}
