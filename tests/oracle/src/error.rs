//! ICMP errors: they pass if they quote a packet that the gateway forwarded, and come from the side it went to.

use std::net::IpAddr;

use cordon_verdict::Reason;

use crate::flow::{End, Flow, FlowKey, Kind, WINDOW};
use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::protocol::{
    ECHO_REPLY, ECHO_REPLY6, ECHO_REQUEST, ECHO_REQUEST6, ICMP, ICMP6, SCTP, TCP, UDP,
};
use crate::transport;
use crate::{Forwarded, Ingress, MatchedRule, Oracle, Refusal, identity};

/// The packet that an error quotes.
struct Quoted {
    kind: Kind,
    from: End,
    to: End,
    /// Sequence number, TCP only.
    sequence: Option<u32>,
}

impl Oracle {
    pub(crate) fn error(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> Result<(Forwarded, MatchedRule), Refusal> {
        if packet.source.is_unspecified() {
            return Err((Reason::AddressBinding, MatchedRule::None));
        }
        self.sender_identity(at, link.source, packet.source)
            .map_err(|reason| (reason, MatchedRule::None))?;
        let refused = (Reason::IcmpError, MatchedRule::None);
        let quoted = self.quoted_flow(at, packet, message);
        let (flow, sender, sequence) = quoted.ok_or(refused)?;
        let path = flow.paths.get(&sender).ok_or(refused)?;
        let present = flow.epoch == self.epoch && path.epoch == self.epoch;
        let reverse = path.to.1 == at.attachment && path.from.0 == link.destination;
        let from_receiver = at.uplink || path.to.0 == link.source;
        match present && reverse && from_receiver && was_sent(flow, sender, sequence) {
            true => Ok((Forwarded::Unicast(path.from.1), flow.rule)),
            false => Err(refused),
        }
    }

    /// The flow of the quoted packet, its sender, and its sequence number (TCP only).
    fn quoted_flow(
        &self,
        at: Ingress,
        packet: &Packet,
        message: &[u8],
    ) -> Option<(&Flow, End, Option<u32>)> {
        let max_length = if packet.source.is_ipv4() { 576 } else { 1280 };
        if message.len() > max_length || reports_tiny_mtu(packet, message) {
            return None;
        }
        let quoted = match packet.source {
            IpAddr::V4(_) => quoted4(&message[8..]),
            IpAddr::V6(_) => quoted6(&message[8..]),
        }?;
        let bad_destination =
            quoted.to.0.is_unspecified() || identity::is_group(&self.policy, quoted.to.0);
        if quoted.from.0 != packet.destination || bad_destination {
            return None;
        }
        let key = FlowKey::new(at.segment, quoted.kind, quoted.from, quoted.to);
        Some((self.flows.get(&key)?, quoted.from, quoted.sequence))
    }
}

/// Whether it reports a path MTU below the minimum of its IP version.
fn reports_tiny_mtu(packet: &Packet, message: &[u8]) -> bool {
    let mtu = frame::u32_at(message, 4);
    match (packet.source, message[0], message[1]) {
        (IpAddr::V4(_), 3, 4) => (1..576).contains(&(mtu & 0xffff)),
        (IpAddr::V6(_), 2, _) => mtu < 1280,
        _ => false,
    }
}

/// Whether a quoted sequence number is within a window of the last acknowledgement number of the other end.
fn was_sent(flow: &Flow, sender: End, sequence: Option<u32>) -> bool {
    let from_receiver_end = |(end, _): &(&End, &u32)| **end != sender;
    let acknowledged = flow
        .acknowledged
        .iter()
        .find(from_receiver_end)
        .map(|(_, last)| *last);
    let (Some(sequence), Some(last @ 1..)) = (sequence, acknowledged) else {
        return true;
    };
    let ahead = sequence.wrapping_sub(last);
    ahead < WINDOW || ahead.wrapping_neg() <= WINDOW
}

fn quoted4(bytes: &[u8]) -> Option<Quoted> {
    let header = usize::from(bytes.first()? & 0x0f) * 4;
    let complete = header >= 20 && bytes.len() >= header + 8;
    if !complete || bytes[0] >> 4 != 4 || frame::u16_at(bytes, 6) & 0x1fff != 0 {
        return None;
    }
    let addresses = (frame::ipv4(bytes, 12).into(), frame::ipv4(bytes, 16).into());
    let start = &bytes[header..header + 8];
    match (bytes[9], start[0], start[1]) {
        (ICMP, ECHO_REQUEST, 0) => Some(echo(start, addresses, Kind::EchoRequest)),
        (ICMP, ECHO_REPLY, 0) => Some(echo(start, addresses, Kind::EchoReply)),
        (protocol, ..) => with_ports(protocol, start, addresses),
    }
}

fn quoted6(bytes: &[u8]) -> Option<Quoted> {
    if bytes.len() < 48 || bytes[0] >> 4 != 6 {
        return None;
    }
    let addresses = (frame::ipv6(bytes, 8).into(), frame::ipv6(bytes, 24).into());
    let start = &bytes[40..48];
    match (bytes[6], start[0], start[1]) {
        (ICMP6, ECHO_REQUEST6, 0) => Some(echo(start, addresses, Kind::EchoRequest)),
        (ICMP6, ECHO_REPLY6, 0) => Some(echo(start, addresses, Kind::EchoReply)),
        (protocol, ..) => with_ports(protocol, start, addresses),
    }
}

fn echo(start: &[u8], (from, to): (IpAddr, IpAddr), kind: Kind) -> Quoted {
    let identifier = frame::u16_at(start, 4);
    Quoted {
        kind,
        from: (from, identifier),
        to: (to, identifier),
        sequence: None,
    }
}

fn with_ports(protocol: u8, start: &[u8], (from, to): (IpAddr, IpAddr)) -> Option<Quoted> {
    let ports = transport::ports(start);
    [TCP, UDP, SCTP].contains(&protocol).then_some(Quoted {
        kind: Kind::Ports(protocol),
        from: (from, ports.source),
        to: (to, ports.destination),
        sequence: (protocol == TCP).then(|| frame::u32_at(start, 4)),
    })
}
