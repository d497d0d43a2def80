//! What a compromised host sends: frames drawn without knowledge of the rules, hostile ones, and real ones changed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::{Mac, Unknown};

use super::host::{Host, ROUTER};
use super::repair::repair;
use super::site::Site;
use super::traffic::{framed, ordinary};
use crate::generate::frame::{self, BROADCAST, group_mac};
use crate::generate::offsets::{network, offsets};
use crate::generate::{FrameGenerator, Rng, edit, one};

/// The next frame of a compromised host, which may have seen `seen`.
pub fn hostile(
    rng: &mut Rng,
    site: &Site,
    hosts: &[Host],
    attacker: &Host,
    generator: &mut FrameGenerator,
    seen: &[(u16, Vec<u8>)],
) -> Option<(u16, Vec<u8>)> {
    let (_, mut frame) = match rng.u8(..100) {
        0..40 => {
            let to = &hosts[rng.usize(..hosts.len())];
            let mut made = ordinary(rng, site, attacker, to)?;
            if rng.u8(..3) != 0 {
                mutate(rng, &mut made.1);
            }
            made
        }
        40..60 => {
            let (_, frame) = generator.next(rng);
            taken(rng, site, attacker, &frame)?
        }
        60..75 => {
            let frame = &seen.get(rng.usize(..seen.len().max(1)))?.1;
            let frame = match rng.bool() {
                true => frame.clone(),
                false => edit::answer(rng, frame)?,
            };
            taken(rng, site, attacker, &frame)?
        }
        75..95 => drawn(rng, site, hosts, attacker),
        _ => {
            let packet: Vec<u8> = (0..rng.usize(..90)).map(|_| rng.u8(..)).collect();
            let ether_type = one(rng, &[0x0806, 0x86dd, 0x0800, 0x8892, 0x88cc, 0x9000]);
            let to = one(rng, &[BROADCAST, ROUTER]);
            framed(site, attacker, to, (ether_type, packet))
        }
    };
    if rng.u8(..5) == 0 {
        let padding = rng.usize(..30);
        frame.extend((0..padding).map(|_| rng.u8(..)));
    }
    if rng.u8(..8) == 0 {
        let source = false_source(rng, site, attacker);
        frame.get_mut(6..12)?.copy_from_slice(&source.0);
    }
    if rng.bool() {
        repair(&mut frame);
    }
    Some((attacker.at.port as u16, frame))
}

/// A source MAC address that is not the attacker's: an unlisted one, the router's, or that of a device that is bound to
/// another place. A device that is not bound can be impersonated by its MAC and IP addresses.
fn false_source(rng: &mut Rng, site: &Site, attacker: &Host) -> Mac {
    let elsewhere = |device: &&cordon_policy::Device| {
        device.segment != attacker.segment
            || device
                .binding
                .is_some_and(|binding| !binding.allows(attacker.at))
    };
    let mut listed: Vec<Mac> = site
        .policy
        .devices
        .iter()
        .filter(elsewhere)
        .map(|device| device.mac)
        .collect();
    // A device of this segment may have the MAC address of one elsewhere.
    let here = |mac: &Mac| {
        site.policy
            .devices
            .iter()
            .any(|one| one.mac == *mac && !elsewhere(&one))
    };
    listed.retain(|mac| !here(mac));
    listed.push(ROUTER);
    match rng.bool() {
        true => Mac([0x02, 0, 0, 0, 0x20, rng.u8(..8)]),
        false => one(rng, &listed),
    }
}

/// Another host's frame, sent by the attacker.
fn taken(rng: &mut Rng, site: &Site, attacker: &Host, frame: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut frame = edit::with_tags(frame, &site.tags(attacker.at));
    frame.get_mut(6..12)?.copy_from_slice(&attacker.mac.0);
    if rng.u8(..3) != 0
        && let Some(version) = edit::version(&frame)
        && let Some(ip) = attacker.ip(rng, version == 6)
    {
        edit::set_source(&mut frame, ip);
    }
    let at = network(&frame)?;
    if frame[at - 2..at] == [0x08, 0x06]
        && rng.bool()
        && let Some(IpAddr::V4(ip)) = attacker.ip(rng, false)
    {
        frame
            .get_mut(at + 14..at + 18)?
            .copy_from_slice(&ip.octets());
    }
    repair(&mut frame);
    Some((attacker.at.port as u16, frame))
}

/// Flips bits or replaces bytes, but not in the source MAC address and the tags.
fn mutate(rng: &mut Rng, frame: &mut Vec<u8>) {
    let network = network(frame).unwrap_or(frame.len());
    for _ in 0..rng.usize(1..=3) {
        let at = rng.usize(..frame.len().min(110));
        if (6..12).contains(&at) || (12..network).contains(&at) {
            continue;
        }
        match rng.u8(..3) {
            0 => frame[at] = rng.u8(..),
            _ => frame[at] ^= 1 << rng.u8(..8),
        }
    }
    if rng.u8(..4) == 0
        && let Some(headers) = offsets(frame)
    {
        // More data than the message needs, inside the packet.
        frame.extend([0xda; 8]);
        let (at, by) = match headers.version {
            4 => (headers.ip + 3, 8),
            _ => (headers.ip + 5, 8),
        };
        frame[at] = frame[at].wrapping_add(by);
        repair(frame);
    }
}

/// A packet of any protocol between any addresses.
fn drawn(rng: &mut Rng, site: &Site, hosts: &[Host], attacker: &Host) -> (u16, Vec<u8>) {
    let v6 = rng.bool();
    let any = |rng: &mut Rng| {
        let host = &hosts[rng.usize(..hosts.len())];
        match (rng.u8(..6), v6) {
            (0, true) => Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, rng.u16(..)).into()),
            (0, false) => Some(Ipv4Addr::new(169, 254, rng.u8(..), rng.u8(..)).into()),
            (1, true) => Some(Ipv6Addr::from(rng.u128(..)).into()),
            (1, false) => Some(Ipv4Addr::from(rng.u32(..)).into()),
            _ => host.ip(rng, v6),
        }
    };
    let unspecified: IpAddr = match v6 {
        true => Ipv6Addr::UNSPECIFIED.into(),
        false => Ipv4Addr::UNSPECIFIED.into(),
    };
    let source = match rng.u8(..4) {
        0 => any(rng),
        _ => attacker.ip(rng, v6),
    };
    let (source, to) = (
        source.unwrap_or(unspecified),
        any(rng).unwrap_or(unspecified),
    );
    let mac = match rng.u8(..8) {
        0 => group_mac(to),
        1 => BROADCAST,
        2 => Mac([0x02, 0, 0, 0, 0x21, rng.u8(..4)]),
        3..6 => ROUTER,
        _ => hosts[rng.usize(..hosts.len())].mac,
    };
    let mac = if to.is_multicast() {
        group_mac(to)
    } else {
        mac
    };
    let protocol = one(rng, &[1, 2, 6, 6, 17, 17, 17, 58, 58, 132, 47]);
    let mut payload: Vec<u8> = (0..rng.usize(8..60)).map(|_| rng.u8(..)).collect();
    if protocol == 6 {
        payload.resize(payload.len().max(20), 0);
        payload[12] = 0x50;
    }
    if protocol == 17 {
        let length = payload.len() as u16;
        payload[4..6].copy_from_slice(&length.to_be_bytes());
    }
    let hops = one(rng, &[1, 64, 255]);
    let packet = frame::ip(source, to, protocol, hops, &payload);
    framed(site, attacker, mac, packet)
}

/// Whether hosts that are not listed may send in a segment.
pub fn admits_unlisted(site: &Site, segment: usize) -> bool {
    site.policy.segments[segment].unknown == Unknown::Admit
}
