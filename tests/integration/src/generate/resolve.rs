//! ARP, neighbour discovery and DHCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::frame::{self, BROADCAST, ICMP6, SYN, TCP, UDP, group_mac};
use super::pools::Pools;
use super::{Layers, Rng, one, percent};

pub(super) fn arp(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> Layers {
    let ip4 = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let from = pools.sender(rng, segment, uplink, false);
    let to = pools.receiver(rng, segment, false);
    let operation = one(rng, &[1, 1, 1, 2, 2, 3]);
    let sender = match rng.u8(..20) {
        0 => pools.any_mac(rng),
        _ => from.mac,
    };
    let ip = match rng.u8(..12) {
        0 => Ipv4Addr::UNSPECIFIED,
        _ => ip4(from.ip),
    };
    // A host that checks for a duplicate of its address asks for the address itself.
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
    let from = pools.sender(rng, segment, uplink, true);
    let to = pools.receiver(rng, segment, true);
    let kind = one(rng, &[133, 134, 135, 135, 136, 136]);
    // In a segment with a proxy, most solicitations ask for another host.
    let is_request = kind == 135 && pools.is_proxied(segment);
    let about = match percent(rng, if is_request { 20 } else { 70 }) {
        true => from,
        false => to,
    };
    let target = match is_request && percent(rng, 50) {
        true => pools.neighbour(rng, segment, true),
        false => about.ip,
    };
    let fixed = match (kind, target) {
        (135 | 136, IpAddr::V6(ip)) => ip.octets().to_vec(),
        (134, _) => vec![0; 8],
        _ => Vec::new(),
    };
    let option_mac = if percent(rng, 90) { from.mac } else { to.mac };
    let expected = if kind == 136 { 2 } else { 1 };
    let options = match rng.u8(..20) {
        0..8 => Vec::new(),
        8..15 => frame::link_address_option(expected, option_mac),
        15 => frame::link_address_option(3 - expected, option_mac),
        16..18 => vec![14, 1, 1, 2, 3, 4, 5, 6],
        18 => vec![expected, 2, 0, 0, 0, 0, 0, 0],
        _ => frame::link_address_option(expected, option_mac).repeat(2),
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
        // Random traffic class and flow label.
        packet[0] |= rng.u8(..16);
        (packet[1], packet[2], packet[3]) = (rng.u8(..), rng.u8(..), rng.u8(..));
    }
    (mac, from.mac, ether_type, packet)
}

pub(super) fn dhcp(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> Layers {
    if percent(rng, 25) {
        return dhcp6(rng, pools, segment, uplink);
    }
    let sender = pools.sender(rng, segment, uplink, false);
    let broadcast = IpAddr::V4(Ipv4Addr::BROADCAST);
    let ports = match rng.u8(..10) {
        0..5 => (68, 67),
        5..9 => (67, 68),
        _ => (68, 68),
    };
    let source = match ports.0 {
        68 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => sender.ip,
    };
    let receiver = pools.receiver(rng, segment, false);
    let (to, mac) = match rng.u8(..20) {
        0 => (pools.any_ip(rng, false), BROADCAST),
        1 => (broadcast, pools.any_mac(rng)),
        2..8 if ports.0 == 67 => (receiver.ip, receiver.mac),
        _ => (broadcast, BROADCAST),
    };
    let (protocol, payload) = match percent(rng, 10) {
        true => (TCP, frame::tcp(ports, SYN, &[])),
        false => (UDP, frame::udp(ports, &[0; 12])),
    };
    let (ether_type, packet) = frame::ip(source, to, protocol, 64, &payload);
    (mac, sender.mac, ether_type, packet)
}

fn dhcp6(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> Layers {
    let sender = pools.sender(rng, segment, uplink, true);
    let all = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2));
    let receiver = pools.receiver(rng, segment, true);
    let (ports, to, mac) = match percent(rng, 50) {
        true => ((546, 547), all, group_mac(all)),
        false => ((547, 546), receiver.ip, receiver.mac),
    };
    let payload = frame::udp(ports, &[0; 12]);
    let (ether_type, packet) = frame::ip(sender.ip, to, UDP, 64, &payload);
    (mac, sender.mac, ether_type, packet)
}
