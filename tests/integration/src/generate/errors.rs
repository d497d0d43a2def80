//! ICMP errors about frames that left.

use std::net::IpAddr;

use cordon_policy::Mac;

use super::frame::{self, ICMP, ICMP6};
use super::offsets::{offsets, packet, tags};
use super::pools::Pools;
use super::{Rng, one, percent};

/// An ICMP error about a frame as it left. Most are as a router or the destination would send them.
pub(super) fn icmp_error(rng: &mut Rng, pools: &Pools, left: &[u8]) -> Option<Vec<u8>> {
    let offsets = offsets(left)?;
    let quoted = packet(left)?;
    let v6 = offsets.version == 6;
    let (source, destination) = addresses(quoted)?;
    let kind = match v6 {
        false => one(rng, &[3, 3, 3, 11, 11, 12, 5]),
        true => one(rng, &[1, 2, 2, 3, 4, 137]),
    };
    let mut message = frame::icmp(kind, rng.u8(..6), 0, quoted);
    match rng.u8(..30) {
        // The quote is cut to the minimum of RFC 792, or shorter.
        0..4 => message.truncate(8 + offsets.transport - offsets.ip + 8),
        4 => message.truncate(8 + offsets.transport - offsets.ip + rng.usize(..8)),
        5 => message.truncate(rng.usize(8..16)),
        6 => message[8 + rng.usize(..quoted.len().min(48))] ^= 1 << rng.u8(..8),
        // The quote is a fragment, the first or a later one.
        7 if !v6 => message[14] |= 0x20,
        8 if !v6 => message[15] |= 1,
        // To the unspecified address: requests to groups are kept in the flow table with it.
        9..11 if v6 => message[8 + 24..8 + 40].fill(0),
        9..11 => message[8 + 16..8 + 20].fill(0),
        _ => {}
    }
    let mac = |at: usize| Mac(std::array::from_fn(|index| left[at + index]));
    let (mut to, mut from) = (mac(6), mac(0));
    if from.0[0] & 1 == 1 {
        from = Mac([2, 0, 0, 0, 0, 9]);
    }
    let mut error_source = destination;
    let mut error_destination = source;
    match rng.u8(..30) {
        // A router on the path sends errors from its own address.
        0..6 => error_source = pools.any_ip(rng, v6),
        6 => error_destination = pools.any_ip(rng, v6),
        7 => to = pools.any_mac(rng),
        8 => from = Mac([2, 0, 0, 0, 0, rng.u8(1..=9)]),
        9 => std::mem::swap(&mut error_source, &mut error_destination),
        _ => {}
    }
    let protocol = if v6 { ICMP6 } else { ICMP };
    let (ether_type, packet) = frame::ip(error_source, error_destination, protocol, 64, &message);
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
