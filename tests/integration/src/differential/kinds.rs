//! Classifies frames, to count which kinds a run has covered.

use cordon_verdict::abi::RULE_LINK_CONTROL;

use super::decision::{Decision, Verdict};
use crate::generate::GATEWAY;
use crate::generate::frame::SERVICE_TAG;
use crate::generate::offsets::{Offsets, network, offsets, tags};

/// All kinds.
pub const KINDS: [&str; 36] = [
    "arp",
    "one tag",
    "two tags, the outer 0x88a8",
    "two tags, the outer 0x8100",
    "to the gateway",
    "tcp",
    "tcp reset",
    "udp",
    "udp to a group",
    "sctp",
    "echo",
    "discovery",
    "igmp",
    "mld",
    "icmp error, IPv4",
    "icmp error, IPv6",
    "dhcp answer",
    "options",
    "extension headers",
    "fragment, first, IPv4",
    "fragment, first, IPv6",
    "fragment, later, IPv4",
    "fragment, later, IPv6",
    "arp, with padding",
    "router solicitation",
    "router advertisement",
    "neighbour solicitation",
    "neighbour solicitation of ::",
    "neighbour advertisement",
    "discovery, to a unicast address",
    "discovery, with padding",
    "igmp, report of records",
    "mld, report of records",
    "link-local, IPv4",
    "link-local, IPv6",
    "link control",
];

/// The kinds of a frame.
pub fn kinds(frame: &[u8], decision: &Decision) -> Vec<&'static str> {
    if decision.rule == RULE_LINK_CONTROL {
        return match decision.verdict {
            Verdict::Drop(_) => Vec::new(),
            _ => vec!["link control"],
        };
    }
    let mut kinds = link_kinds(frame);
    let ether_type = network(frame).and_then(|at| frame.get(at - 2..at));
    match ether_type {
        Some([0x08, 0x06]) => {
            kinds.push("arp");
            if network(frame).is_some_and(|at| frame.len() > at + 28) {
                kinds.push("arp, with padding");
            }
        }
        Some([0x08, 0x00] | [0x86, 0xdd]) => {
            if let Some(offsets) = offsets(frame) {
                let (packet_kinds, later) = packet_kinds(frame, &offsets);
                kinds.extend(packet_kinds);
                if !later {
                    kinds.extend(payload_kinds(frame, &offsets));
                    kinds.extend(link_local_kind(frame, &offsets));
                }
            }
        }
        _ => {}
    }
    kinds
}

fn link_kinds(frame: &[u8]) -> Vec<&'static str> {
    let mut kinds = match tags(frame)[..] {
        [_] => vec!["one tag"],
        [(SERVICE_TAG, _), _] => vec!["two tags, the outer 0x88a8"],
        [_, _] => vec!["two tags, the outer 0x8100"],
        _ => Vec::new(),
    };
    if frame.starts_with(&GATEWAY) {
        kinds.push("to the gateway");
    }
    kinds
}

/// The kinds of an IP packet, and whether it is a fragment other than the first.
fn packet_kinds(frame: &[u8], offsets: &Offsets) -> (Vec<&'static str>, bool) {
    let mut kinds = Vec::new();
    let byte = |at: usize| frame.get(at).copied().unwrap_or_default();
    let Offsets { ip, transport, .. } = *offsets;
    let (more, offset) = if offsets.version == 4 {
        if transport > ip + 20 {
            kinds.push("options");
        }
        let field = u16::from_be_bytes([byte(ip + 6), byte(ip + 7)]);
        (field & 0x2000 != 0, field & 0x1fff)
    } else {
        if transport > ip + 40 {
            kinds.push("extension headers");
        }
        match offsets.fragment {
            Some(at) => (
                byte(at + 3) & 1 != 0,
                u16::from_be_bytes([byte(at + 2), byte(at + 3)]) >> 3,
            ),
            None => (false, 0),
        }
    };
    let four = offsets.version == 4;
    match (offset != 0, more) {
        (true, _) if four => kinds.push("fragment, later, IPv4"),
        (true, _) => kinds.push("fragment, later, IPv6"),
        (false, true) if four => kinds.push("fragment, first, IPv4"),
        (false, true) => kinds.push("fragment, first, IPv6"),
        _ => {}
    }
    (kinds, offset != 0)
}

fn discovery_kinds(frame: &[u8], offsets: &Offsets, kind: u8) -> Vec<&'static str> {
    let ip = offsets.ip;
    let is_unspecified = frame.get(ip + 8..ip + 24) == Some(&[0; 16]);
    let mut kinds = vec!["discovery"];
    kinds.push(match kind {
        133 => "router solicitation",
        134 => "router advertisement",
        135 if is_unspecified => "neighbour solicitation of ::",
        135 => "neighbour solicitation",
        _ => "neighbour advertisement",
    });
    if frame.get(ip + 24) != Some(&0xff) {
        kinds.push("discovery, to a unicast address");
    }
    let length = usize::from(frame[ip + 4]) << 8 | usize::from(frame[ip + 5]);
    if frame.len() > ip + 40 + length {
        kinds.push("discovery, with padding");
    }
    kinds
}

/// Whether rules judge a packet from or to a link-local address.
fn link_local_kind(frame: &[u8], offsets: &Offsets) -> Option<&'static str> {
    let ip = offsets.ip;
    let starts = |at: usize, with: [u8; 2]| frame.get(at..at + 2) == Some(&with);
    match (offsets.version, offsets.protocol) {
        (4, 6 | 17 | 132) if [12, 16].iter().any(|at| starts(ip + at, [169, 254])) => {
            Some("link-local, IPv4")
        }
        (6, 6 | 17 | 132) if [8, 24].iter().any(|at| starts(ip + at, [0xfe, 0x80])) => {
            Some("link-local, IPv6")
        }
        _ => None,
    }
}

fn payload_kinds(frame: &[u8], offsets: &Offsets) -> Vec<&'static str> {
    let payload = frame.get(offsets.transport..).unwrap_or_default();
    let kind = payload.first().copied().unwrap_or_default();
    match (offsets.version, offsets.protocol) {
        (_, 6) if payload.get(13).is_some_and(|flags| flags & 4 != 0) => vec!["tcp", "tcp reset"],
        (_, 6) => vec!["tcp"],
        (_, 132) => vec!["sctp"],
        (_, 17) => {
            let mut kinds = vec!["udp"];
            if frame[0] & 1 == 1 {
                kinds.push("udp to a group");
            }
            if matches!(payload.get(..4), Some([0, 67, 0, 68] | [2, 35, 2, 34])) {
                kinds.push("dhcp answer");
            }
            kinds
        }
        (4, 2) if kind == 0x22 => vec!["igmp", "igmp, report of records"],
        (4, 2) => vec!["igmp"],
        (4, 1) if [3, 11, 12].contains(&kind) => vec!["icmp error, IPv4"],
        (6, 58) if (1..=4).contains(&kind) => vec!["icmp error, IPv6"],
        (6, 58) if (133..=136).contains(&kind) => discovery_kinds(frame, offsets, kind),
        (6, 58) if kind == 143 => vec!["mld", "mld, report of records"],
        (6, 58) if (130..=132).contains(&kind) => vec!["mld"],
        (4, 1) | (6, 58) => vec!["echo"],
        _ => Vec::new(),
    }
}
