//! The identity of an endpoint in terms of the policy: zone, segment, groups, device.

use std::net::IpAddr;

use cordon_policy::{Device, Mac, Policy, Selector};
use ipnet::IpNet;

use crate::protocol::LIMITED_BROADCAST;

/// One endpoint of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub zone: Option<usize>,
    pub segment: Option<usize>,
    pub groups: Vec<usize>,
    pub device: Option<usize>,
    /// The address, if it is a group address (multicast or broadcast).
    pub group: Option<IpAddr>,
}

/// The index of the device that has this MAC address in this segment.
pub(crate) fn listed(policy: &Policy, segment: usize, mac: Mac) -> Option<usize> {
    let here = |device: &Device| device.segment == segment && device.mac == mac;
    policy.devices.iter().position(here)
}

/// The index of the device that an address is bound to.
pub(crate) fn bound(policy: &Policy, ip: IpAddr) -> Option<usize> {
    policy
        .devices
        .iter()
        .position(|device| device.ips.contains(&ip))
}

/// Whether it is the address of a router of any segment.
pub(crate) fn is_router_address(policy: &Policy, ip: IpAddr) -> bool {
    policy.segments.iter().any(|one| one.routers.contains(&ip))
}

pub(crate) fn in_subnets(policy: &Policy, segment: usize, ip: IpAddr) -> bool {
    let subnets = &policy.segments[segment].subnets;
    subnets.iter().any(|subnet| holds(subnet, ip))
}

/// Whether an address can be a neighbour's in a segment: in its subnets, or link-local.
pub(crate) fn is_on_link(policy: &Policy, segment: usize, ip: IpAddr) -> bool {
    is_usable_link_local(ip) || (in_subnets(policy, segment, ip) && !is_group(policy, ip))
}

/// Whether a network says something about an address. A link-local address is in the networks of link-local addresses
/// only, since it belongs to the segment in which it is used.
fn holds(net: &IpNet, ip: IpAddr) -> bool {
    net.contains(&ip) && (!is_link_local(ip) || is_link_local_net(net))
}

/// Whether an address is the directed broadcast of one of a segment's subnets.
fn is_directed_broadcast(policy: &Policy, segment: usize, ip: IpAddr) -> bool {
    policy.segments[segment].subnets.iter().any(
        |subnet| matches!(subnet, IpNet::V4(net) if net.prefix_len() <= 30 && net.broadcast() == ip),
    )
}

fn is_limited_broadcast(ip: IpAddr) -> bool {
    ip == LIMITED_BROADCAST
}

/// Whether it is a group address: multicast, 255.255.255.255, or the directed broadcast of any segment.
pub(crate) fn is_group(policy: &Policy, ip: IpAddr) -> bool {
    let directed = (0..policy.segments.len()).any(|one| is_directed_broadcast(policy, one, ip));
    ip.is_multicast() || is_limited_broadcast(ip) || directed
}

/// Whether it is in fe80::/10 or 169.254.0.0/16.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(_) => is_link_local6(ip),
    }
}

/// Whether it is a link-local address that a host may use: in fe80::/64 or 169.254.0.0/16.
pub(crate) fn is_usable_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[..4] == [0xfe80, 0, 0, 0],
    }
}

/// Whether it is in fe80::/10.
pub(crate) fn is_link_local6(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.segments()[0] & 0xffc0 == 0xfe80)
}

/// Whether a network contains only link-local addresses.
fn is_link_local_net(net: &IpNet) -> bool {
    let least = if net.addr().is_ipv4() { 16 } else { 10 };
    net.prefix_len() >= least && is_link_local(net.network())
}

/// Whether a link-local address is in no network that the policy writes.
pub(crate) fn is_unwritten_link_local(policy: &Policy, ip: IpAddr) -> bool {
    let zones = policy.zones.iter().flat_map(|zone| &zone.networks);
    let groups = policy.groups.iter().flat_map(|group| &group.networks);
    let subnets = policy.segments.iter().flat_map(|segment| &segment.subnets);
    let mut all = zones.chain(groups).chain(subnets);
    is_link_local(ip) && !all.any(|net| holds(net, ip))
}

/// Whether a network contains only multicast addresses.
fn is_multicast_net(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.prefix_len() >= 4 && net.network().is_multicast(),
        IpNet::V6(net) => net.prefix_len() >= 8 && net.network().is_multicast(),
    }
}

/// A listed device.
pub(crate) fn device(policy: &Policy, index: usize) -> Identity {
    let device = &policy.devices[index];
    let lists = |group: &cordon_policy::Group| {
        let profile = device.profile.as_ref();
        group.devices.contains(&index)
            || profile.is_some_and(|profile| group.profiles.contains(profile))
    };
    let groups = (0..policy.groups.len()).filter(|group| lists(&policy.groups[*group]));
    Identity {
        zone: Some(policy.segments[device.segment].zone),
        segment: Some(device.segment),
        groups: groups.collect(),
        device: Some(index),
        group: None,
    }
}

/// A sender without an address of its segment, which admits unlisted devices.
pub(crate) fn member(policy: &Policy, segment: usize) -> Identity {
    Identity {
        zone: Some(policy.segments[segment].zone),
        segment: Some(segment),
        ..Identity::default()
    }
}

/// The identity of an address.
pub(crate) fn address(policy: &Policy, ip: IpAddr) -> Identity {
    if let Some(index) = bound(policy, ip) {
        return device(policy, index);
    }
    if is_group(policy, ip) {
        return group(policy, ip);
    }
    let segment = (0..policy.segments.len()).find(|segment| in_subnets(policy, *segment, ip));
    let zone = match segment {
        Some(segment) => Some(policy.segments[segment].zone),
        None => longest_zone(policy, |net| holds(net, ip)),
    };
    Identity {
        zone,
        segment,
        groups: groups(policy, |net| holds(net, ip)),
        device: None,
        group: None,
    }
}

/// An address of the segment's own subnets that is reached through an uplink.
pub(crate) fn via_uplink(policy: &Policy, ip: IpAddr) -> Identity {
    Identity {
        groups: groups(policy, |net| holds(net, ip)),
        ..Identity::default()
    }
}

/// A group address. It matches only networks of multicast addresses; broadcast matches none.
fn group(policy: &Policy, ip: IpAddr) -> Identity {
    let matches = |net: &IpNet| ip.is_multicast() && is_multicast_net(net) && net.contains(&ip);
    Identity {
        zone: longest_zone(policy, matches),
        segment: None,
        groups: groups(policy, matches),
        device: None,
        group: Some(ip),
    }
}

/// The zone of the longest network that matches.
fn longest_zone(policy: &Policy, matches: impl Fn(&IpNet) -> bool) -> Option<usize> {
    let mut longest: Option<(u8, usize)> = None;
    for (index, zone) in policy.zones.iter().enumerate() {
        for net in zone.networks.iter().filter(|net| matches(net)) {
            if longest.is_none_or(|(bits, _)| net.prefix_len() > bits) {
                longest = Some((net.prefix_len(), index));
            }
        }
    }
    longest.map(|(_, zone)| zone)
}

fn groups(policy: &Policy, matches: impl Fn(&IpNet) -> bool) -> Vec<usize> {
    let with = |group: &usize| policy.groups[*group].networks.iter().any(&matches);
    (0..policy.groups.len()).filter(with).collect()
}

impl Identity {
    /// Whether a selector of a rule matches.
    pub(crate) fn matches(&self, policy: &Policy, selector: Selector) -> bool {
        match selector {
            Selector::Any => true,
            Selector::Zone(zone) => self.zone == Some(zone),
            Selector::Segment(segment) => self.segment == Some(segment),
            Selector::Group(group) => self.groups.contains(&group),
            Selector::Device(device) => self.device == Some(device),
            Selector::Broadcast => self.group.is_some_and(|ip| !ip.is_multicast()),
            Selector::Flooded(segment) => self.group.is_some_and(|ip| {
                ip.is_multicast()
                    || is_limited_broadcast(ip)
                    || is_directed_broadcast(policy, segment, ip)
            }),
        }
    }
}
