//! ICMP errors: about a packet that went through here, from where it went.

use std::net::IpAddr;

use cordon_policy::Attachment;
use cordon_verdict::Reason;

use crate::flow::{End, Flow, FlowKey, Kind};
use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::transport::{self, ICMP, ICMP6, SCTP, TCP, UDP};
use crate::{Decided, Ingress, Leaves, Oracle, Refused};

/// What an error quotes.
struct Quoted {
    kind: Kind,
    from: End,
    to: End,
}

impl Oracle {
    pub(crate) fn error(
        &self,
        at: Ingress,
        here: Attachment,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> Result<(Leaves, Decided), Refused> {
        if packet.source.is_unspecified() {
            return Err((Reason::AddressBinding, Decided::Nothing));
        }
        self.speaker(at, link.source, packet.source)
            .map_err(|reason| (reason, Decided::Nothing))?;
        let refused = (Reason::IcmpError, Decided::Nothing);
        let quoted = self.quoted_flow(at, packet, message);
        let (flow, sender) = quoted.ok_or(refused)?;
        let way = flow.ways.get(&sender).ok_or(refused)?;
        let present = flow.epoch == self.epoch && way.epoch == self.epoch;
        let back = way.to.1 == here && way.from.0 == link.destination;
        match present && back {
            true => Ok((Leaves::By(way.from.1), flow.rule)),
            false => Err(refused),
        }
    }

    /// The flow of the quoted packet, and who sent it.
    fn quoted_flow(&self, at: Ingress, packet: &Packet, message: &[u8]) -> Option<(&Flow, End)> {
        let quoted = match packet.source {
            IpAddr::V4(_) => quoted4(&message[8..]),
            IpAddr::V6(_) => quoted6(&message[8..]),
        }?;
        if quoted.from.0 != packet.destination {
            return None;
        }
        let key = FlowKey::new(at.segment, quoted.kind, quoted.from, quoted.to);
        Some((self.flows.get(&key)?, quoted.from))
    }
}

fn quoted4(bytes: &[u8]) -> Option<Quoted> {
    let header = usize::from(bytes.first()? & 0x0f) * 4;
    let whole = header >= 20 && bytes.len() >= header + 8;
    if !whole || bytes[0] >> 4 != 4 || frame::word(bytes, 6) & 0x1fff != 0 {
        return None;
    }
    let ends = (frame::ipv4(bytes, 12).into(), frame::ipv4(bytes, 16).into());
    let start = &bytes[header..header + 8];
    match (bytes[9], start[0], start[1]) {
        (ICMP, 8, 0) => Some(echo(start, ends, Kind::EchoRequest)),
        (ICMP, 0, 0) => Some(echo(start, ends, Kind::EchoReply)),
        (protocol, ..) => with_ports(protocol, start, ends),
    }
}

fn quoted6(bytes: &[u8]) -> Option<Quoted> {
    if bytes.len() < 48 || bytes[0] >> 4 != 6 {
        return None;
    }
    let ends = (frame::ipv6(bytes, 8).into(), frame::ipv6(bytes, 24).into());
    let start = &bytes[40..48];
    match (bytes[6], start[0], start[1]) {
        (ICMP6, 128, 0) => Some(echo(start, ends, Kind::EchoRequest)),
        (ICMP6, 129, 0) => Some(echo(start, ends, Kind::EchoReply)),
        (protocol, ..) => with_ports(protocol, start, ends),
    }
}

fn echo(start: &[u8], (from, to): (IpAddr, IpAddr), kind: Kind) -> Quoted {
    let identifier = frame::word(start, 4);
    Quoted {
        kind,
        from: (from, identifier),
        to: (to, identifier),
    }
}

fn with_ports(protocol: u8, start: &[u8], (from, to): (IpAddr, IpAddr)) -> Option<Quoted> {
    let ports = transport::ports(start);
    [TCP, UDP, SCTP].contains(&protocol).then_some(Quoted {
        kind: Kind::Ports(protocol),
        from: (from, ports.source),
        to: (to, ports.destination),
    })
}
