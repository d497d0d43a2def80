//! IGMP and MLD messages, most of them valid.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::frame::{self, BROADCAST, ICMP6, IGMP, group_mac};
use super::pools::Pools;
use super::{Rng, one, percent};

/// Destination, source, EtherType, packet.
pub(super) fn membership(
    rng: &mut Rng,
    pools: &Pools,
    segment: usize,
    uplink: bool,
) -> (Mac, Mac, u16, Vec<u8>) {
    match rng.bool() {
        true => igmp(rng, pools, segment, uplink),
        false => mld(rng, pools, segment, uplink),
    }
}

fn igmp(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> (Mac, Mac, u16, Vec<u8>) {
    let from = pools.sender(rng, segment, uplink, false);
    let kind = one(rng, &[0x11, 0x11, 0x12, 0x16, 0x16, 0x17, 0x22, 0x22, 0x13]);
    let mut message = vec![kind, 0, 0, 0, 239, 1, 1, 1];
    message.resize(message.len() + one(rng, &[0, 0, 8]), 0);
    if percent(rng, 3) {
        message.truncate(rng.usize(..8));
    }
    let source = match percent(rng, 10) {
        true => Ipv4Addr::UNSPECIFIED.into(),
        false => from.ip,
    };
    let to: IpAddr = match rng.u8(..20) {
        0 => pools.any_ip(rng, false),
        1 => Ipv4Addr::BROADCAST.into(),
        2 => Ipv4Addr::new(10, 1, 0, 7).into(),
        3..8 => Ipv4Addr::new(224, 0, 0, 1).into(),
        8..14 => Ipv4Addr::new(224, 0, 0, 22).into(),
        _ => Ipv4Addr::new(239, 1, 1, 1).into(),
    };
    let mac = match rng.u8(..20) {
        0 => pools.any_mac(rng),
        1 => BROADCAST,
        _ => group_mac(to),
    };
    let (ether_type, packet) = frame::ip(source, to, IGMP, hop_limit(rng), &message);
    // IGMPv2 and IGMPv3 carry the router alert option (RFC 2236, RFC 3376), IGMPv1 does not.
    let packet = match percent(rng, 60) {
        true => [&[0x46], &packet[1..20], &[148, 4, 0, 0], &packet[20..]].concat(),
        false => packet,
    };
    let mut packet = packet;
    packet[3] = packet.len() as u8;
    (mac, from.mac, ether_type, packet)
}

fn mld(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> (Mac, Mac, u16, Vec<u8>) {
    let from = pools.sender(rng, segment, uplink, true);
    let kind = one(rng, &[130, 130, 131, 131, 132, 143, 143]);
    let code = u8::from(percent(rng, 5));
    let mut message = frame::icmp(kind, code, 0, &[0; 16]);
    if percent(rng, 5) {
        message.truncate(rng.usize(4..24));
    }
    let source: IpAddr = match rng.u8(..10) {
        0..6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, rng.u16(1..=3)).into(),
        6..8 => Ipv6Addr::UNSPECIFIED.into(),
        _ => from.ip,
    };
    let to: IpAddr = match rng.u8(..20) {
        0 => pools.any_ip(rng, true),
        1..8 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
        8..14 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16).into(),
        _ => Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 5).into(),
    };
    let mac = match percent(rng, 4) {
        true => pools.any_mac(rng),
        false => group_mac(to),
    };
    let before: &[u8] = match rng.u8(..20) {
        0 => &[],
        1 => &[ICMP6, 0, 1, 0, 5, 2, 0, 0],
        2 => &[ICMP6, 0, 5, 2, 0, 1, 1, 0],
        3 => &[60, 0, 5, 2, 0, 0, 1, 0, ICMP6, 0, 1, 4, 0, 0, 0, 0],
        4 => &[ICMP6, 1, 5, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        _ => &[ICMP6, 0, 5, 2, 0, 0, 1, 0],
    };
    let first = if before.is_empty() { ICMP6 } else { 0 };
    let payload = [before, &message].concat();
    let (ether_type, packet) = frame::ip(source, to, first, hop_limit(rng), &payload);
    (mac, from.mac, ether_type, packet)
}

fn hop_limit(rng: &mut Rng) -> u8 {
    if percent(rng, 4) { 2 } else { 1 }
}
