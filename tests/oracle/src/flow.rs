//! What is remembered of flows.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use cordon_policy::{Attachment, Mac};

use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::transport::{Content, SCTP, Sctp, TCP, Tcp, UDP};
use crate::{Decided, Leaves, Oracle};

/// A reset is less than this ahead of what was acknowledged.
pub(crate) const WINDOW: u32 = 1 << 22;

/// One end of a flow: address and port, or address and echo identifier.
pub(crate) type End = (IpAddr, u16);

/// What tells flows of the same two ends apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The protocol number.
    Ports(u8),
    EchoRequest,
    EchoReply,
}

/// What makes two packets parts of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    pub segment: usize,
    /// Of TCP, UDP and SCTP.
    protocol: Option<u8>,
    /// The lesser end first.
    ends: [End; 2],
    /// Of echo: who asks.
    asks: Option<End>,
}

impl FlowKey {
    pub(crate) fn new(segment: usize, kind: Kind, from: End, to: End) -> FlowKey {
        let (protocol, asks) = match kind {
            Kind::Ports(protocol) => (Some(protocol), None),
            Kind::EchoRequest => (None, Some(from)),
            Kind::EchoReply => (None, Some(to)),
        };
        FlowKey {
            segment,
            protocol,
            ends: if from < to { [from, to] } else { [to, from] },
            asks,
        }
    }

    /// The same in another segment.
    pub(crate) fn in_segment(self, segment: usize) -> FlowKey {
        FlowKey { segment, ..self }
    }
}

/// A flow.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Which of its ends have opened it.
    pub opened: HashSet<End>,
    /// The last rule that let a packet of it pass, and when that was.
    pub rule: Decided,
    pub epoch: u64,
    /// How packets went that were judged, by their sender.
    pub ways: HashMap<End, Way>,
    /// Which of its ends have been heard.
    heard: HashSet<End>,
    /// Of TCP: an end has spoken to one that was heard before.
    answered: bool,
    /// No more half-open.
    established: bool,
    /// Of TCP: who asks for a new connection.
    asked: Option<End>,
    /// Of TCP: what an end acknowledged last.
    pub acknowledged: HashMap<End, u32>,
}

/// How a direction of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
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
        Content::Discovery(_) | Content::Membership(_) | Content::Error(_) | Content::Later => {
            (0, 0)
        }
    };
    ((packet.source, from), (packet.destination, to))
}

/// The flow that a packet belongs to, if it belongs to one.
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
        Content::Discovery(_) | Content::Membership(_) | Content::Error(_) | Content::Later => {
            return None;
        }
    };
    let (from, to) = ends(packet);
    Some(FlowKey::new(segment, kind, from, to))
}

impl Flow {
    fn new(rule: Decided) -> Flow {
        Flow {
            opened: HashSet::new(),
            rule,
            epoch: 0,
            ways: HashMap::new(),
            heard: HashSet::new(),
            answered: false,
            established: false,
            asked: None,
            acknowledged: HashMap::new(),
        }
    }

    /// What a packet that passes makes of it.
    fn hear(&mut self, packet: &Packet) {
        let (from, to) = ends(packet);
        let other_was_heard = self.heard.contains(&to);
        match packet.content.tcp() {
            Some(tcp) => self.hear_tcp(tcp, from, other_was_heard),
            None => self.established |= other_was_heard,
        }
        self.heard.insert(from);
    }

    fn hear_tcp(&mut self, tcp: &Tcp, from: End, other_was_heard: bool) {
        if !tcp.syn && !tcp.rst {
            self.established |= self.answered;
            self.asked = None;
        }
        if !tcp.rst {
            self.answered |= other_was_heard;
        }
        if tcp.opens() {
            self.answered = false;
            self.asked = Some(from);
        }
        if tcp.ack {
            self.acknowledged.insert(from, tcp.acknowledgement);
        }
    }
}

impl Oracle {
    /// The short cut: a packet that goes the way its direction went goes on so.
    pub(crate) fn settled(
        &mut self,
        here: Attachment,
        link: &Link,
        packet: &Packet,
        key: FlowKey,
    ) -> Option<(Leaves, Decided)> {
        if packet.adorned || packet.is_first() || self.forged_reset(packet, key).is_some() {
            return None;
        }
        let flow = self.flows.get_mut(&key)?;
        let way = *flow.ways.get(&ends(packet).0)?;
        let opens = packet.content.opens();
        let same = way.from == (link.source, here) && way.to.0 == link.destination;
        if !flow.established || !same || way.epoch != self.epoch || opens {
            return None;
        }
        flow.hear(packet);
        Some((Leaves::By(way.to.1), flow.rule))
    }

    /// A reset that is not what its receiver waits for, of an established flow or of none; by which rule that was let pass
    /// so far, if it was under this policy and posture.
    pub(crate) fn forged_reset(&self, packet: &Packet, key: FlowKey) -> Option<Decided> {
        let tcp = packet.content.tcp().filter(|tcp| tcp.rst)?;
        let Some(flow) = self.flows.get(&key) else {
            return Some(Decided::Nothing);
        };
        if !flow.established {
            return None;
        }
        let (from, to) = ends(packet);
        let acknowledged = *flow.acknowledged.get(&to)?;
        let fits = acknowledged == 0 || tcp.sequence.wrapping_sub(acknowledged) < WINDOW;
        let refuses = tcp.sequence == 0 && flow.asked.is_some_and(|asks| asks != from);
        let rule = match flow.epoch == self.epoch {
            true => flow.rule,
            false => Decided::Nothing,
        };
        (!fits && !refuses).then_some(rule)
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
        let flow = self.flows.entry(key).or_insert_with(|| Flow::new(rule));
        flow.opened.extend(opener);
        flow.rule = rule;
        flow.epoch = self.epoch;
        flow.hear(packet);
        match leaves {
            Leaves::By(egress) => {
                let way = Way {
                    from: (link.source, here),
                    to: (link.destination, egress),
                    epoch: self.epoch,
                };
                flow.ways.insert(from, way);
            }
            Leaves::Flood { .. } | Leaves::LinkControl(_) | Leaves::Answered(_) => {
                flow.ways.remove(&from);
            }
        }
        // What comes back goes where this came from.
        if flow.ways.get(&to).is_some_and(|back| back.to.1 != here) {
            flow.ways.remove(&to);
        }
    }
}
