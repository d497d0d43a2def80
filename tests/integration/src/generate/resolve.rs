//! What resolves addresses, and what gives them out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::frame::{self, ICMP6, SYN, TCP, UDP};
use super::pools::{BROADCAST, Pools, group_mac};
use super::{Layers, Rng, one, percent};

pub(super) fn arp(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> Layers {
    let ip4 = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let from = pools.speaker(rng, segment, uplink, false);
    let to = pools.listener(rng, segment, false);
    let operation = one(rng, &[1, 1, 1, 2, 2, 3]);
    let sender = match rng.u8(..20) {
        0 => pools.any_mac(rng),
        _ => from.mac,
    };
    let ip = match rng.u8(..12) {
        0 => Ipv4Addr::UNSPECIFIED,
        _ => ip4(from.ip),
    };
    // Who makes sure that nobody else has its address asks for it itself.
    let target = match rng.u8(..100) {
        0..8 => ip,
        8..60 if pools.is_proxied(segment) => ip4(pools.neighbour(rng, segment, false)),
        _ => ip4(to.ip),
    };
    let mut packet = frame::arp(operation, (sender, ip), (Mac([0; 6]), target));
    if percent(rng, 4) {
        packet[rng.usize(..8)] = rng.u8(..8);
    }
    let destination = if percent(rng, 60) { BROADCAST } else { to.mac };
    (destination, from.mac, 0x0806, packet)
}

pub(super) fn discovery(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> Layers {
    let from = pools.speaker(rng, segment, uplink, true);
    let to = pools.listener(rng, segment, true);
    let kind = one(rng, &[133, 134, 135, 135, 136, 136]);
    // Where the gateway answers, most ask for somebody else.
    let asks = kind == 135 && pools.is_proxied(segment);
    let about = match percent(rng, if asks { 20 } else { 70 }) {
        true => from,
        false => to,
    };
    let target = match asks && percent(rng, 50) {
        true => pools.neighbour(rng, segment, true),
        false => about.ip,
    };
    let fixed = match (kind, target) {
        (135 | 136, IpAddr::V6(ip)) => ip.octets().to_vec(),
        (134, _) => vec![0; 8],
        _ => Vec::new(),
    };
    let whose = if percent(rng, 90) { from.mac } else { to.mac };
    let expected = if kind == 136 { 2 } else { 1 };
    let options = match rng.u8(..20) {
        0..8 => Vec::new(),
        8..15 => frame::link_address_option(expected, whose),
        15 => frame::link_address_option(3 - expected, whose),
        16..18 => vec![14, 1, 1, 2, 3, 4, 5, 6],
        18 => vec![expected, 2, 0, 0, 0, 0, 0, 0],
        _ => frame::link_address_option(expected, whose).repeat(2),
    };
    let message = frame::discovery(kind, &fixed, &options);
    let source = match rng.u8(..6) {
        0 => IpAddr::from([0u16; 8]),
        _ => from.ip,
    };
    let (destination, mac) = match rng.u8(..100) {
        0..50 => {
            let all = IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1]);
            (all, group_mac(all))
        }
        50..95 => (to.ip, to.mac),
        _ => (to.ip, pools.any_mac(rng)),
    };
    let hop_limit = if percent(rng, 95) { 255 } else { 254 };
    let (ether_type, mut packet) = frame::ip(source, destination, ICMP6, hop_limit, &message);
    if percent(rng, 30) {
        // Traffic class and flow label.
        packet[0] |= rng.u8(..16);
        (packet[1], packet[2], packet[3]) = (rng.u8(..), rng.u8(..), rng.u8(..));
    }
    (mac, from.mac, ether_type, packet)
}

pub(super) fn dhcp(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> Layers {
    if percent(rng, 25) {
        return dhcp6(rng, pools, segment, uplink);
    }
    let speaker = pools.speaker(rng, segment, uplink, false);
    let everybody = IpAddr::V4(Ipv4Addr::BROADCAST);
    let ports = match rng.u8(..10) {
        0..5 => (68, 67),
        5..9 => (67, 68),
        _ => (68, 68),
    };
    let source = match ports.0 {
        68 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => speaker.ip,
    };
    let listener = pools.listener(rng, segment, false);
    let (to, mac) = match rng.u8(..20) {
        0 => (pools.any_ip(rng, false), BROADCAST),
        1 => (everybody, pools.any_mac(rng)),
        2..8 if ports.0 == 67 => (listener.ip, listener.mac),
        _ => (everybody, BROADCAST),
    };
    let (protocol, payload) = match percent(rng, 10) {
        true => (TCP, frame::tcp(ports, SYN, &[])),
        false => (UDP, frame::udp(ports, &[0; 12])),
    };
    let (ether_type, packet) = frame::ip(source, to, protocol, 64, &payload);
    (mac, speaker.mac, ether_type, packet)
}

fn dhcp6(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> Layers {
    let speaker = pools.speaker(rng, segment, uplink, true);
    let all = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2));
    let listener = pools.listener(rng, segment, true);
    let (ports, to, mac) = match percent(rng, 50) {
        true => ((546, 547), all, group_mac(all)),
        false => ((547, 546), listener.ip, listener.mac),
    };
    let payload = frame::udp(ports, &[0; 12]);
    let (ether_type, packet) = frame::ip(speaker.ip, to, UDP, 64, &payload);
    (mac, speaker.mac, ether_type, packet)
}
