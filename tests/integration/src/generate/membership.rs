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
    let message = message(rng, kind, false);
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
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    (mac, from.mac, ether_type, packet)
}

fn mld(rng: &mut Rng, pools: &Pools, segment: usize, uplink: bool) -> (Mac, Mac, u16, Vec<u8>) {
    let from = pools.sender(rng, segment, uplink, true);
    let kind = one(rng, &[130, 130, 131, 131, 132, 143, 143]);
    let mut message = message(rng, kind, true);
    if percent(rng, 5)
        && let Some(code) = message.get_mut(1)
    {
        *code = 1;
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

/// A message, most of them of the length that its type and its numbers ask for.
fn message(rng: &mut Rng, kind: u8, v6: bool) -> Vec<u8> {
    let group: IpAddr = match v6 {
        true => Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 5).into(),
        false => Ipv4Addr::new(239, 1, 1, 1).into(),
    };
    let (plain, query, source) = if v6 { (24, 28, 16) } else { (8, 12, 4) };
    let sources = one(rng, &[0, 0, 0, 1, 1, 2, 5, 20]);
    let mut message = match kind {
        0x11 | 130 if percent(rng, 60) => {
            let mut message = vec![kind, 0, 0, 0];
            message.resize(query, 0);
            message[query - 1] = sources as u8;
            message.resize(query + source * sources, 10);
            message
        }
        0x22 | 143 => report(rng, kind, group),
        _ => {
            let mut message = vec![kind, 0, 0, 0];
            message.resize(plain, 0);
            message
        }
    };
    match rng.u8(..50) {
        0 => message.truncate(rng.usize(..message.len())),
        1 => message.extend(vec![0; rng.usize(1..20)]),
        2 => _ = message.pop(),
        // A changed number: of records, of sources, or of anything else.
        3 => message[7] = message[7].wrapping_add(one(rng, &[1, 255])),
        4 => message[6] = 1,
        5 if message.len() > 11 => {
            let at = one(rng, &[9, 10, 11]);
            message[at] = message[at].wrapping_add(one(rng, &[1, 255]));
        }
        _ => {}
    }
    message
}

/// A report of up to 40 records, of which 32 are allowed. Some records start at the last byte that is allowed, or after it.
fn report(rng: &mut Rng, kind: u8, group: IpAddr) -> Vec<u8> {
    let records = match rng.u8(..20) {
        0..10 => 1,
        10..16 => rng.usize(2..6),
        16 => 0,
        17 => rng.usize(31..=33),
        _ => rng.usize(6..=40),
    };
    let source = match group {
        IpAddr::V4(_) => Ipv4Addr::new(10, 1, 0, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1).into(),
    };
    let most = one(rng, &[0, 0, 1, 3, 12, 50]);
    let record = |_| (group, vec![source; rng.usize(..=most)]);
    let records: Vec<_> = (0..records).map(record).collect();
    frame::membership_report(kind, &records)
}

fn hop_limit(rng: &mut Rng) -> u8 {
    if percent(rng, 4) { 2 } else { 1 }
}
