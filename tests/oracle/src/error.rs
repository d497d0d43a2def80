//! ICMP errors: about a packet that went through here, from where it went.

use std::net::IpAddr;

use cordon_verdict::Reason;

use crate::flow::{End, Flow, FlowKey, Kind, WINDOW};
use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::transport::{self, ICMP, ICMP6, SCTP, TCP, UDP};
use crate::{Decided, Ingress, Leaves, Oracle, Refused, who};

/// What an error quotes.
struct Quoted {
    kind: Kind,
    from: End,
    to: End,
    /// Of TCP.
    number: Option<u32>,
}

impl Oracle {
    pub(crate) fn error(
        &self,
        at: Ingress,
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
        let (flow, sender, number) = quoted.ok_or(refused)?;
        let way = flow.ways.get(&sender).ok_or(refused)?;
        let present = flow.epoch == self.epoch && way.epoch == self.epoch;
        let back = way.to.1 == at.attachment && way.from.0 == link.destination;
        let told_by_receiver = at.uplink || way.to.0 == link.source;
        match present && back && told_by_receiver && was_sent(flow, sender, number) {
            true => Ok((Leaves::By(way.from.1), flow.rule)),
            false => Err(refused),
        }
    }

    /// The flow of the quoted packet, who sent it, and its number, if it has one.
    fn quoted_flow(
        &self,
        at: Ingress,
        packet: &Packet,
        message: &[u8],
    ) -> Option<(&Flow, End, Option<u32>)> {
        let longest = if packet.source.is_ipv4() { 576 } else { 1280 };
        if message.len() > longest || takes_too_little(packet, message) {
            return None;
        }
        let quoted = match packet.source {
            IpAddr::V4(_) => quoted4(&message[8..]),
            IpAddr::V6(_) => quoted6(&message[8..]),
        }?;
        let to_nobody = quoted.to.0.is_unspecified() || who::is_group(&self.policy, quoted.to.0);
        if quoted.from.0 != packet.destination || to_nobody {
            return None;
        }
        let key = FlowKey::new(at.segment, quoted.kind, quoted.from, quoted.to);
        Some((self.flows.get(&key)?, quoted.from, quoted.number))
    }
}

/// Whether it says that a path takes less than every path must.
fn takes_too_little(packet: &Packet, message: &[u8]) -> bool {
    let mtu = frame::long(message, 4);
    match (packet.source, message[0], message[1]) {
        (IpAddr::V4(_), 3, 4) => (1..576).contains(&(mtu & 0xffff)),
        (IpAddr::V6(_), 2, _) => mtu < 1280,
        _ => false,
    }
}

/// Whether a number is no further than a window from what the other end acknowledged last.
fn was_sent(flow: &Flow, sender: End, number: Option<u32>) -> bool {
    let others = |(end, _): &(&End, &u32)| **end != sender;
    let acknowledged = flow.acknowledged.iter().find(others).map(|(_, last)| *last);
    let (Some(number), Some(last @ 1..)) = (number, acknowledged) else {
        return true;
    };
    let ahead = number.wrapping_sub(last);
    ahead < WINDOW || ahead.wrapping_neg() <= WINDOW
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
        number: None,
    }
}

fn with_ports(protocol: u8, start: &[u8], (from, to): (IpAddr, IpAddr)) -> Option<Quoted> {
    let ports = transport::ports(start);
    [TCP, UDP, SCTP].contains(&protocol).then_some(Quoted {
        kind: Kind::Ports(protocol),
        from: (from, ports.source),
        to: (to, ports.destination),
        number: (protocol == TCP).then(|| frame::long(start, 4)),
    })
}
