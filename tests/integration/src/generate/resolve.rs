//! ARP, neighbour discovery and DHCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::frame::{self, BROADCAST, ICMP6, SYN, TCP, UDP, group_mac};
use super::pools::{Endpoint, GATEWAY, Pools};
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
    let destination = if percent(rng, 60) { BROADCAST } else { to.mac };
    let target_mac = match (operation, rng.u8(..20)) {
        (1, 0..14) => Mac([0; 6]),
        (1, 14..17) => pools.any_mac(rng),
        (2, 0..16) => destination,
        (2, 16) => GATEWAY,
        (_, 17) => Mac([0xff; 6]),
        _ => to.mac,
    };
    let mut packet = frame::arp(operation, (sender, ip), (target_mac, target));
    if percent(rng, 4) {
        packet[rng.usize(..8)] = rng.u8(..8);
    }
    pad(rng, &mut packet);
    (destination, from.mac, 0x0806, packet)
}

/// Appends bytes to some packets: mostly as many as may follow ARP and discovery, which is 26.
fn pad(rng: &mut Rng, packet: &mut Vec<u8>) {
    let count = match rng.u8(..40) {
        0..24 => 0,
        24..34 => rng.usize(1..26),
        34..37 => 26,
        37 => 27,
        _ => rng.usize(28..60),
    };
    let zero = percent(rng, 30);
    packet.extend((0..count).map(|_| if zero { 0 } else { rng.u8(..) }));
}

pub(super) fn discovery(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> Layers {
    let mut from = pools.sender(rng, segment, uplink, true);
    let to = pools.receiver(rng, segment, true);
    let kind = one(rng, &[133, 133, 134, 135, 135, 136, 136]);
    if matches!(kind, 133 | 134) && percent(rng, 50) {
        from.ip = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, rng.u16(1..=3)]);
    }
    // In a segment with a proxy, most solicitations ask for another host.
    let is_request = kind == 135 && pools.is_proxied(segment);
    let asks_for_other = is_request || (kind == 135 && percent(rng, 50));
    let about = match percent(rng, if asks_for_other { 20 } else { 85 }) {
        true => from,
        false => to,
    };
    let target = match rng.u8(..100) {
        0..50 if is_request => pools.neighbour(rng, segment, true),
        50..60 if kind == 135 => pools.neighbour(rng, segment, true),
        60..80 if kind == 135 => pools.host(rng, segment, true),
        _ => about.ip,
    };
    let IpAddr::V6(target) = target else {
        unreachable!("the pools were asked for IPv6");
    };
    let fixed = match kind {
        135 | 136 => target.octets().to_vec(),
        134 => vec![0; 8],
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
    let mut message = frame::discovery(kind, &fixed, &options);
    if percent(rng, 50) {
        // Flags and reserved bits.
        message[4] = one(rng, &[0x20, 0x40, 0x60, 0xe0, 0xff, 0x1f, 0x80]);
    }
    if percent(rng, 20) {
        message[5..8].copy_from_slice(&[rng.u8(..), rng.u8(..), rng.u8(..)]);
    }
    let (mut destination, mut mac) = discovery_destination(rng, pools, kind, target, to);
    let source = match rng.u8(..6) {
        0 => IpAddr::from([0u16; 8]),
        _ => from.ip,
    };
    if source.is_unspecified() && kind == 135 && percent(rng, 70) {
        // A host asks whether another one has its address already.
        if let IpAddr::V6(own) = from.ip {
            message = frame::discovery(kind, &own.octets(), &[]);
            destination = frame::solicited_node(own).into();
            mac = group_mac(destination);
        }
    }
    let hop_limit = if percent(rng, 95) { 255 } else { 254 };
    let (ether_type, mut packet) = frame::ip(source, destination, ICMP6, hop_limit, &message);
    if percent(rng, 30) {
        // Random traffic class and flow label.
        packet[0] |= rng.u8(..16);
        (packet[1], packet[2], packet[3]) = (rng.u8(..), rng.u8(..), rng.u8(..));
    }
    match rng.u8(..10) {
        0..6 => frame::set_checksum6(&mut packet),
        6..8 => (packet[42], packet[43]) = (rng.u8(..), rng.u8(..)),
        _ => {}
    }
    pad(rng, &mut packet);
    (mac, from.mac, ether_type, packet)
}

/// The destination of a discovery message: mostly one that RFC 4861 gives it.
fn discovery_destination(
    rng: &mut Rng,
    pools: &Pools,
    kind: u8,
    target: Ipv6Addr,
    to: Endpoint,
) -> (IpAddr, Mac) {
    let all = |last: u16| IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, last]);
    let link_local = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, rng.u16(1..=3)]);
    let solicited = IpAddr::V6(frame::solicited_node(target));
    let proper = match kind {
        133 => [all(2), link_local],
        134 => [all(1), link_local],
        135 => [solicited, target.into()],
        _ => [all(1), to.ip],
    };
    let ip = match rng.u8(..100) {
        0..45 => proper[0],
        45..75 => proper[1],
        75..79 => all(rng.u16(1..=3)),
        79..82 => IpAddr::from([0xff0e, 0, 0, 0, 0, 0, 0, rng.u16(1..=2)]),
        82..85 => {
            // The solicited-node address of a neighbouring target, or of another scope.
            let IpAddr::V6(ip) = solicited else {
                unreachable!("it is an IPv6 address");
            };
            let bit = one(rng, &[0, 23, 24, 80, 112, 115]);
            Ipv6Addr::from(u128::from(ip) ^ 1 << bit).into()
        }
        85..88 => solicited,
        88..92 => target.into(),
        92..95 => pools.any_ip(rng, true),
        _ => to.ip,
    };
    let mac = match rng.u8(..100) {
        0..92 if ip.is_multicast() => group_mac(ip),
        0..92 if !to.ip.is_multicast() => to.mac,
        0..94 => pools.any_mac(rng),
        94..96 => BROADCAST,
        _ => {
            let mut mac = group_mac(ip);
            mac.0[rng.usize(1..6)] ^= 1 << rng.u8(..8);
            mac
        }
    };
    (ip, mac)
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
