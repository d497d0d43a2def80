//! Frames that do not follow from earlier ones.

use super::frame::{self, ACK, FIN, ICMP, ICMP6, RST, SCTP, SYN, TCP, UDP};
use super::headers::add_headers;
use super::pools::{self, Pools};
use super::{Layers, Rng, control, edit, membership, one, percent, resolve};

/// A frame and its ingress port.
pub(super) fn fresh(rng: &mut Rng, pools: &Pools) -> (u16, Vec<u8>) {
    let (at, segment, uplink) = pools.attachment(rng);
    let v6 = percent(rng, 35);
    // In a segment with a proxy, more ARP and neighbour discovery, which the gateway answers.
    let what = match pools.is_proxied(segment) && percent(rng, 10) {
        true => rng.u8(..10),
        false => rng.u8(..100),
    };
    let (destination, source, ether_type, payload) = match what {
        0..4 => resolve::arp(rng, pools, segment, uplink),
        4..10 => resolve::discovery(rng, pools, segment, uplink),
        10..14 => resolve::dhcp(rng, pools, segment, uplink),
        14..18 => membership::membership(rng, pools, segment, uplink),
        18..21 => {
            let (to, ether_type, payload) = control::link_control(rng);
            let frame = frame::ethernet(to, pools.any_mac(rng), None, ether_type, &payload);
            return (pools.any_port(rng), with_stray_tags(rng, pools, 3, frame));
        }
        21..25 => control::other(rng, pools, segment, uplink),
        25..26 => {
            let payload = vec![0; rng.usize(..40)];
            let ether_type = one(rng, &[0x88cc, 0x86dd, 0x0800, 0x0806, 0x88a8, 0x05dc]);
            let (to, from) = (pools.any_mac(rng), pools.any_mac(rng));
            (to, from, ether_type, payload)
        }
        _ => ruled_packet(rng, pools, segment, uplink, v6),
    };
    let tags = pools.tags(rng, at);
    let destination = pools.or_gateway(rng, segment, destination);
    let mut frame = frame::stacked(destination, source, &tags, ether_type, &payload);
    if percent(rng, 8)
        && let Some(extended) = add_headers(rng, &frame)
    {
        frame = extended;
    }
    if percent(rng, 30) {
        frame.resize(frame.len().max(64), 0);
    }
    (at.port as u16, frame)
}

/// Adds the tags of some attachment to a share of the frames.
fn with_stray_tags(rng: &mut Rng, pools: &Pools, share: u8, frame: Vec<u8>) -> Vec<u8> {
    match percent(rng, share) {
        true => {
            let (at, ..) = pools.attachment(rng);
            edit::with_tags(&frame, &pools.tags(rng, at))
        }
        false => frame,
    }
}

/// A packet that rules decide on.
fn ruled_packet(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool, v6: bool) -> Layers {
    let from = pools.sender(rng, segment, uplink, v6);
    let to = pools.receiver(rng, segment, v6);
    let (protocol, payload) = transport(rng, v6);
    let (ether_type, packet) = frame::ip(from.ip, to.ip, protocol, 64, &payload);
    (
        to.mac,
        from.mac,
        ether_type,
        with_odd_header(rng, v6, packet),
    )
}

/// A protocol number and a payload.
fn transport(rng: &mut Rng, v6: bool) -> (u8, Vec<u8>) {
    let data = vec![0xda; rng.usize(..12)];
    let ports = pools::ports(rng);
    let identifier = pools::echo_identifier(rng);
    let (request, reply) = if v6 { (128, 129) } else { (8, 0) };
    let echo = if v6 { ICMP6 } else { ICMP };
    match rng.u8(..100) {
        0..42 => {
            let flags = match rng.u8(..20) {
                0..9 => SYN,
                9..14 => ACK,
                14..16 => SYN | ACK,
                16 => FIN | ACK,
                17 => RST,
                18 => SYN | FIN,
                _ => 0,
            };
            let mut segment = frame::tcp(ports, flags, &data);
            edit::set_tcp_numbers(rng, &mut segment);
            (TCP, segment)
        }
        42..47 => (SCTP, frame::sctp(ports, rng.bool(), &data)),
        47..75 => (UDP, frame::udp(ports, &data)),
        75..87 => (echo, frame::icmp(request, 0, identifier, &data)),
        87..92 => (echo, frame::icmp(reply, 0, identifier, &data)),
        92..95 => {
            let kind = one(rng, &[3, 5, 8, 11, 12, 13, 128, 1, 4, 133, 137]);
            (echo, frame::icmp(kind, rng.u8(..2), identifier, &data))
        }
        95..97 => {
            let other = one(
                rng,
                &[0, 1, 2, 43, 44, 47, 50, 51, 58, 60, 132, 135, 139, 140, 255],
            );
            (other, frame::udp(ports, &data))
        }
        // Inconsistent headers.
        _ => {
            let (protocol, mut payload) = match rng.u8(..7) {
                0..3 => (TCP, frame::tcp(ports, ACK, &data)),
                3..6 => (UDP, frame::udp(ports, &data)),
                _ => (SCTP, frame::sctp(ports, false, &data)),
            };
            match (protocol, rng.u8(..3)) {
                (_, 0) => payload.truncate(rng.usize(..payload.len())),
                (TCP, _) => payload[12] = rng.u8(..16) << 4,
                (UDP, _) => payload[5] = rng.u8(..24),
                _ => payload.truncate(rng.usize(10..14).min(payload.len())),
            }
            (protocol, payload)
        }
    }
}

/// Changes a checked field of a few IP headers.
fn with_odd_header(rng: &mut Rng, v6: bool, mut packet: Vec<u8>) -> Vec<u8> {
    match rng.u8(..60) {
        0 if !v6 => packet[0] = 0x40 | rng.u8(..16),
        1 if !v6 => packet[6] = one(rng, &[0x20, 0x80, 0x60, 0x00]),
        2 if !v6 => packet[7] = rng.u8(..3),
        3 => {
            let at = if v6 { 5 } else { 3 };
            packet[at] = packet[at].wrapping_add(rng.u8(..5)).wrapping_sub(2);
        }
        4 => packet[0] ^= 1 << rng.u8(4..8),
        _ => {}
    }
    packet
}
