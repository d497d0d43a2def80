//! Faults in what leaves: verdicts and frames of user space are changed afterwards.

use cordon_portable::Judged;
use cordon_verdict::{Egress, Reason};

use super::{Fault, in_output};
use crate::generate::GATEWAY;
use crate::generate::frame::VLAN_TAG;
use crate::generate::offsets::{network, tags};

/// Each changes user space's result.
pub(super) const FAULTS: [Fault; 14] = [
    in_output(
        "proxy: forwarded frames keep their source MAC",
        |_, frame, judged| {
            for (_, out) in from_gateway(judged) {
                if frame.starts_with(&GATEWAY) {
                    out[6..12].copy_from_slice(&frame[6..12]);
                }
            }
        },
    ),
    in_output("proxy: an ARP probe is answered", |port, frame, judged| {
        let probes = network(frame).filter(|at| {
            let arp = frame.get(at - 2..at + 28).unwrap_or_default();
            arp.starts_with(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]) && arp[16..20] == [0; 4]
        });
        let passed = matches!(judged.outcome.verdict, Ok(Egress::Flood { .. }));
        if let (Some(at), true) = (probes, passed) {
            let mut out = [&frame[6..12], &GATEWAY, &frame[12..]].concat();
            out[at + 7] = 2;
            judged.leaving = vec![(port, out)];
        }
    }),
    in_output(
        "proxy: an advertisement's checksum is wrong",
        |_, _, judged| {
            for (_, out) in from_gateway(judged) {
                if let Some(at) = network(out)
                    && out.get(at + 6) == Some(&58)
                    && out.get(at + 40) == Some(&136)
                {
                    out[at + 43] ^= 1;
                }
            }
        },
    ),
    in_output(
        "proxy: an advertisement sets the override flag",
        |_, _, judged| {
            for (_, out) in from_gateway(judged) {
                if let Some(at) = network(out)
                    && out.get(at + 6) == Some(&58)
                    && out.get(at + 40) == Some(&136)
                {
                    out[at + 44] |= 0x20;
                }
            }
        },
    ),
    in_output(
        "proxy: a frame to an unbound address passes",
        |port, frame, judged| {
            if judged.outcome.verdict == Err(Reason::AddressBinding) && frame.starts_with(&GATEWAY)
            {
                judged.outcome.verdict = Ok(Egress::Attachment(port << 12));
                judged.leaving = vec![(port, frame.to_vec())];
            }
        },
    ),
    in_output("canonical: ARP keeps its padding", |_, frame, judged| {
        for (_, out) in forwarded(judged) {
            if let (Some(from), Some(to)) = (resolution(frame, 0x06), resolution(out, 0x06))
                && frame.len() - from == out.len() - to
            {
                out[to + 28..].copy_from_slice(&frame[from + 28..]);
            }
        }
    }),
    in_output("canonical: a flow label stays", |_, frame, judged| {
        for (_, out) in forwarded(judged) {
            if let (Some(from), Some(to)) = (resolution(frame, 0xdd), resolution(out, 0xdd)) {
                out[to + 1..to + 4].copy_from_slice(&frame[from + 1..from + 4]);
            }
        }
    }),
    in_output(
        "canonical: the checksum is not computed again",
        |_, frame, judged| {
            for (_, out) in forwarded(judged) {
                if let (Some(from), Some(to)) = (resolution(frame, 0xdd), resolution(out, 0xdd)) {
                    out[to + 42..to + 44].copy_from_slice(&frame[from + 42..from + 44]);
                }
            }
        },
    ),
    in_output("boundary: inside floods reach uplinks", |_, _, judged| {
        if let Ok(Egress::Flood { inside, .. }) = &mut judged.outcome.verdict {
            *inside = false;
        }
    }),
    in_output("forward: the priority is lost", |_, _, judged| {
        in_tags(judged, |at, tags| tags[at].1 &= 0x0fff);
    }),
    in_output(
        "forward: both tags get the outer priority",
        |_, _, judged| {
            in_tags(judged, |at, tags| {
                tags[at].1 = tags[at].1 & 0x0fff | tags[0].1 & 0xf000;
            });
        },
    ),
    in_output(
        "forward: the outer tag has the inner type",
        |_, _, judged| {
            in_tags(judged, |at, tags| tags[at].0 = VLAN_TAG);
        },
    ),
    in_output(
        "forward: copies go back to the ingress attachment",
        |port, frame, judged| {
            if let Ok(Egress::Flood { copies, .. }) = judged.outcome.verdict
                && copies.are_per_attachment()
                && !judged
                    .leaving
                    .iter()
                    .any(|(to, out)| *to == port && out == frame)
            {
                judged.leaving.push((port, frame.to_vec()));
            }
        },
    ),
    in_output(
        "forward: no copy leaves by the ingress port",
        |port, _, judged| {
            if let Ok(Egress::Flood { .. }) = judged.outcome.verdict {
                judged.leaving.retain(|(to, _)| *to != port);
            }
        },
    ),
];

/// The leaving frames that are no answer of the gateway.
fn forwarded(judged: &mut Judged) -> impl Iterator<Item = &mut (u16, Vec<u8>)> {
    let leaving = judged.leaving.iter_mut();
    leaving.filter(|(_, out)| out[6..12] != GATEWAY)
}

/// The offset of an ARP packet (`kind` 0x06) or of a discovery message's packet (0xdd) in a frame of that kind.
fn resolution(frame: &[u8], kind: u8) -> Option<usize> {
    let at = network(frame)?;
    let is_discovery =
        || frame.get(at + 6) == Some(&58) && (133..=136).contains(frame.get(at + 40).unwrap_or(&0));
    match (frame.get(at - 2..at)?, kind) {
        ([0x08, 0x06], 0x06) if frame.len() >= at + 28 => Some(at),
        ([0x86, 0xdd], 0xdd) if frame.len() >= at + 48 && is_discovery() => Some(at),
        _ => None,
    }
}

/// The leaving frames with the gateway's MAC address as source.
fn from_gateway(judged: &mut Judged) -> impl Iterator<Item = &mut (u16, Vec<u8>)> {
    let leaving = judged.leaving.iter_mut();
    leaving.filter(|(_, out)| out[6..12] == GATEWAY)
}

/// Changes every tag of every leaving frame.
fn in_tags(judged: &mut Judged, change: impl Fn(usize, &mut [(u16, u16)])) {
    for (_, out) in &mut judged.leaving {
        let mut tags = tags(out);
        for at in 0..tags.len() {
            change(at, &mut tags);
            let (kind, control) = tags[at];
            let tag = [kind.to_be_bytes(), control.to_be_bytes()].concat();
            out[12 + 4 * at..16 + 4 * at].copy_from_slice(&tag);
        }
    }
}
