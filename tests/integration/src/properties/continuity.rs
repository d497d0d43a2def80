//! Which rules may let a frame of a compromised host out of the site: those that survive the posture.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use cordon_compile::rule_index;
use cordon_policy::{Origin, Policy, Posture, Reach, Rule};
use ipnet::IpNet;

use super::site::today;
use crate::generate::offsets::offsets;

/// Whether a rule survives a posture for a frame that a host of a segment sends out. A rule without `survives` survives
/// as its reach says.
pub fn survives(
    policy: &Policy,
    posture: Posture,
    number: u32,
    segment: usize,
    frame: &[u8],
) -> bool {
    let Some(rule) = rule_index(number).and_then(|index| policy.rules.get(index)) else {
        return false;
    };
    let survives = rule.survives.unwrap_or_else(|| {
        let from = Some(policy.segments[segment].zone);
        let to = destination(frame).and_then(|ip| zone(policy, segment, ip));
        Reach::between(policy, from, to).default_survives()
    });
    if rule.allow && rule.in_force(today()) && survives >= posture {
        return true;
    }
    // Of a packet to a group one rule may decide for the inside, and be named, and a later one for the uplinks.
    let to_group = frame.first().is_some_and(|first| first & 1 == 1);
    let matches = |rule: &Rule| {
        let survives = rule.survives.is_some_and(|survives| survives >= posture);
        let (protocol, ports) = service(frame).unwrap_or((0, 0..=0));
        let mut services = rule.services.iter();
        rule.allow
            && rule.in_force(today())
            && survives
            && services.any(|one| ports.clone().any(|port| one.matches(protocol, port)))
    };
    to_group && policy.rules.iter().any(matches)
}

/// The protocol of a packet and its possible destination ports: any of a later fragment, which passes as its first did.
fn service(frame: &[u8]) -> Option<(u8, RangeInclusive<u16>)> {
    let headers = offsets(frame)?;
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let offset = match headers.fragment {
        Some(fragment) => word(fragment + 2)? & 0xfff8,
        None if headers.version == 4 => word(headers.ip + 6)? & 0x1fff,
        None => 0,
    };
    if offset != 0 {
        return Some((headers.protocol, 0..=u16::MAX));
    }
    let port = word(headers.transport + 2)?;
    Some((headers.protocol, port..=port))
}

/// Whether a rule lets members of an isolated segment talk to each other: any but that of the segment itself.
pub fn is_explicit(policy: &Policy, number: u32) -> bool {
    let rule = rule_index(number).and_then(|index| policy.rules.get(index));
    rule.is_some_and(|rule| rule.origin != Origin::Segment)
}

/// The destination of an IP packet.
pub fn destination(frame: &[u8]) -> Option<IpAddr> {
    addresses(frame).map(|(_, destination)| destination)
}

/// Source and destination of an IP packet.
pub fn addresses(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let headers = offsets(frame)?;
    let at = headers.ip;
    Some(match headers.version {
        4 => {
            let ip = |at: usize| frame.get(at..at + 4)?.first_chunk::<4>().copied();
            (ip(at + 12)?.into(), ip(at + 16)?.into())
        }
        _ => {
            let ip = |at: usize| frame.get(at..at + 16)?.first_chunk::<16>().copied();
            (ip(at + 8)?.into(), ip(at + 24)?.into())
        }
    })
}

/// The zone of an address that is reached through an uplink of a segment: none for the segment's own addresses, which are
/// then not where they belong.
fn zone(policy: &Policy, ingress: usize, ip: IpAddr) -> Option<usize> {
    if let Some(device) = policy.devices.iter().find(|one| one.ips.contains(&ip)) {
        return (device.segment != ingress).then(|| policy.segments[device.segment].zone);
    }
    let contains = |net: &IpNet| net.contains(&ip);
    let mut subnets = policy.segments.iter().enumerate();
    let found = subnets.find(|(_, segment)| segment.subnets.iter().any(contains));
    if let Some((segment, settings)) = found {
        return (segment != ingress).then_some(settings.zone);
    }
    let shortest = match ip {
        IpAddr::V4(ip) if ip.is_multicast() => 4,
        IpAddr::V4(ip) if ip.is_link_local() => 16,
        IpAddr::V4(ip) if ip.is_broadcast() => return None,
        IpAddr::V6(ip) if ip.is_multicast() => 8,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => 10,
        _ => 0,
    };
    let zones = policy.zones.iter().enumerate();
    let networks =
        zones.flat_map(|(index, zone)| zone.networks.iter().map(move |net| (net, index)));
    networks
        .filter(|(net, _)| contains(net) && net.prefix_len() >= shortest)
        .max_by_key(|(net, _)| net.prefix_len())
        .map(|(_, index)| index)
}
