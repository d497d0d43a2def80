//! ICMP errors about frames that left, from where they went.

use std::net::IpAddr;

use cordon_policy::Mac;

use super::frame::{self, ICMP, ICMP6};
use super::places::{packet, places, tags};
use super::pools::Pools;
use super::{Rng, one, percent};

/// What comes back about a frame as it left: by the same port, if all is in order.
pub(super) fn about(rng: &mut Rng, pools: &Pools, left: &[u8]) -> Option<Vec<u8>> {
    let places = places(left)?;
    let quoted = packet(left)?;
    let v6 = places.version == 6;
    let (source, destination) = addresses(quoted)?;
    let kind = match v6 {
        false => one(rng, &[3, 3, 3, 11, 11, 12, 5]),
        true => one(rng, &[1, 2, 2, 3, 4, 137]),
    };
    let mut message = frame::icmp(kind, rng.u8(..6), 0, quoted);
    match rng.u8(..30) {
        // As little as the oldest routers quote, or less.
        0..4 => message.truncate(8 + places.transport - places.ip + 8),
        4 => message.truncate(8 + places.transport - places.ip + rng.usize(..8)),
        5 => message.truncate(rng.usize(8..16)),
        6 => message[8 + rng.usize(..quoted.len().min(48))] ^= 1 << rng.u8(..8),
        // Of a fragment, the first or a later one.
        7 if !v6 => message[14] |= 0x20,
        8 if !v6 => message[15] |= 1,
        // To nobody, as what is said to groups is remembered.
        9..11 if v6 => message[8 + 24..8 + 40].fill(0),
        9..11 => message[8 + 16..8 + 20].fill(0),
        _ => {}
    }
    let mac = |at: usize| Mac(std::array::from_fn(|index| left[at + index]));
    let (mut to, mut from) = (mac(6), mac(0));
    if from.0[0] & 1 == 1 {
        from = Mac([2, 0, 0, 0, 0, 9]);
    }
    let mut speaker = destination;
    let mut receiver = source;
    match rng.u8(..30) {
        // A router on the way speaks for itself.
        0..6 => speaker = pools.any_ip(rng, v6),
        6 => receiver = pools.any_ip(rng, v6),
        7 => to = pools.any_mac(rng),
        8 => from = Mac([2, 0, 0, 0, 0, rng.u8(1..=9)]),
        9 => std::mem::swap(&mut speaker, &mut receiver),
        _ => {}
    }
    let protocol = if v6 { ICMP6 } else { ICMP };
    let (ether_type, packet) = frame::ip(speaker, receiver, protocol, 64, &message);
    let mut tags = tags(left);
    if tags.is_empty() && percent(rng, 5) {
        tags.push((frame::VLAN_TAG, 0x2000));
    }
    Some(frame::stacked(to, from, &tags, ether_type, &packet))
}

fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let ip = |at: usize| <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok();
            Some((ip(12)?.into(), ip(16)?.into()))
        }
        _ => {
            let ip = |at: usize| <[u8; 16]>::try_from(packet.get(at..at + 16)?).ok();
            Some((ip(8)?.into(), ip(24)?.into()))
        }
    }
}
