//! The meaning of a policy as its README defines it, evaluated rule by rule without tables.

use std::net::IpAddr;

use cordon_compile::rule_number;
use cordon_policy::{
    Invariant, Mode, Origin, Policy, Posture, Reach, Rule, Selector, Service, Unknown, protocols,
};
use cordon_verdict::abi::{POSTURES, Ruling, service_index};
use ipnet::IpNet;

use crate::common::today;
use crate::generate::{ADDRESSES, indices};

/// An end of a flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Device(usize),
    Address(IpAddr),
    /// An address on the uplink side of its segment.
    ViaUplink(IpAddr),
    /// An unlisted host of a segment.
    Unlisted(usize),
    /// An address that no device or network claims.
    Unclassified,
}

pub fn ends(policy: &Policy) -> Vec<End> {
    let devices = (0..policy.devices.len()).map(End::Device);
    let addresses: Vec<IpAddr> = ADDRESSES
        .iter()
        .map(|text| text.parse().expect("an address"))
        .collect();
    let via_uplink = addresses.clone().into_iter().filter(|address| {
        segment_of(policy, *address).is_some() && owner(policy, *address).is_none()
    });
    let admits = |segment: &usize| policy.segments[*segment].unknown == Unknown::Admit;
    let unlisted = (0..policy.segments.len()).filter(admits);
    devices
        .chain(addresses.iter().copied().map(End::Address))
        .chain(via_uplink.map(End::ViaUplink))
        .chain(unlisted.map(End::Unlisted))
        .collect()
}

pub fn owner(policy: &Policy, address: IpAddr) -> Option<usize> {
    policy
        .devices
        .iter()
        .position(|device| device.ips.contains(&address))
}

pub fn segment_of(policy: &Policy, address: IpAddr) -> Option<usize> {
    let is_inside = |net: &IpNet| net.contains(&address);
    policy
        .segments
        .iter()
        .position(|segment| segment.subnets.iter().any(is_inside))
}

/// The segment with a subnet whose directed broadcast is the address.
pub fn directed(policy: &Policy, address: IpAddr) -> Option<usize> {
    policy.segments.iter().position(|segment| {
        segment.subnets.iter().any(|net| {
            net.prefix_len() <= 30 && matches!(net, IpNet::V4(_)) && net.broadcast() == address
        })
    })
}

/// The attributes of an end that selectors match.
#[derive(Debug, Default)]
pub struct Attributes {
    pub device: Option<usize>,
    pub segment: Option<usize>,
    pub zone: Option<usize>,
    pub groups: Vec<usize>,
    pub multicast: bool,
    pub broadcast: bool,
    pub directed: Option<usize>,
}

pub fn attributes(policy: &Policy, end: End) -> Attributes {
    let in_segment = |segment: usize| Attributes {
        segment: Some(segment),
        zone: Some(policy.segments[segment].zone),
        ..Attributes::default()
    };
    let address = match end {
        End::Unclassified => return Attributes::default(),
        End::Unlisted(segment) => return in_segment(segment),
        End::Device(index) => return device(policy, index),
        End::Address(address) | End::ViaUplink(address) => address,
    };
    if let Some(index) = owner(policy, address) {
        return device(policy, index);
    }
    if address.to_string() == "255.255.255.255" {
        return Attributes {
            broadcast: true,
            ..Attributes::default()
        };
    }
    if let Some(segment) = directed(policy, address) {
        return Attributes {
            directed: Some(segment),
            ..Attributes::default()
        };
    }
    let networks =
        |texts: [&str; 2]| -> [IpNet; 2] { texts.map(|net| net.parse().expect("a network")) };
    let multicast = networks(["224.0.0.0/4", "ff00::/8"]);
    let multicast = multicast.iter().find(|net| net.contains(&address));
    let link_local = networks(["169.254.0.0/16", "fe80::/10"]);
    let link_local = link_local.iter().find(|net| net.contains(&address));
    // Wider networks say nothing about multicast and link-local addresses.
    let is_inside = |net: &&IpNet| {
        net.contains(&address)
            && multicast.is_none_or(|multicast| multicast.contains(*net))
            && link_local.is_none_or(|link_local| link_local.contains(*net))
    };
    let zones = policy.zones.iter().enumerate();
    let nets = zones.flat_map(|(zone, entry)| entry.networks.iter().map(move |net| (zone, net)));
    let longest = nets
        .filter(|(_, net)| is_inside(net))
        .max_by_key(|(_, net)| net.prefix_len());
    let groups = (0..policy.groups.len())
        .filter(|group| {
            policy.groups[*group]
                .networks
                .iter()
                .any(|net| is_inside(&net))
        })
        .collect();
    let segment = segment_of(policy, address).filter(|_| multicast.is_none());
    let base = match (end, segment) {
        (End::ViaUplink(_), _) => Attributes::default(),
        (_, Some(segment)) => in_segment(segment),
        (_, None) => Attributes {
            zone: longest.map(|(zone, _)| zone),
            ..Attributes::default()
        },
    };
    Attributes {
        groups,
        multicast: multicast.is_some(),
        ..base
    }
}

pub fn device(policy: &Policy, index: usize) -> Attributes {
    let device = &policy.devices[index];
    let in_group = |group: &usize| {
        let group = &policy.groups[*group];
        group.devices.contains(&index)
            || device
                .profile
                .as_ref()
                .is_some_and(|profile| group.profiles.contains(profile))
    };
    Attributes {
        device: Some(index),
        segment: Some(device.segment),
        zone: Some(policy.segments[device.segment].zone),
        groups: (0..policy.groups.len()).filter(in_group).collect(),
        ..Attributes::default()
    }
}

pub fn matches(selector: Selector, end: &Attributes) -> bool {
    match selector {
        Selector::Any => true,
        Selector::Broadcast => end.broadcast || end.directed.is_some(),
        Selector::Group(group) => end.groups.contains(&group),
        Selector::Zone(zone) => end.zone == Some(zone),
        Selector::Segment(segment) => end.segment == Some(segment),
        Selector::Device(device) => end.device == Some(device),
        Selector::Flooded(segment) => {
            end.broadcast || end.multicast || end.directed == Some(segment)
        }
    }
}

pub fn covers(service: Service, index: u32) -> bool {
    let between = |protocol, first, last| {
        (service_index(protocol, first)..=service_index(protocol, last)).contains(&index)
    };
    match (service, service.ports()) {
        (_, Some((protocol, first, last))) => between(protocol, first, last),
        (Service::IcmpEcho, None) => between(protocols::ICMP, 0, 0),
        (_, None) => true,
    }
}

/// The ruling by the matching rules at a posture, for a reach.
pub fn decided(
    policy: &Policy,
    matching: &[(usize, &Rule)],
    posture: Posture,
    reach: Reach,
) -> Ruling {
    let applies = |rule: &Rule, posture: Posture| {
        !rule.allow
            || posture != Posture::Sever
                && posture <= rule.survives.unwrap_or(reach.default_survives())
    };
    let first = |posture: Posture| {
        let mut rules = matching
            .iter()
            .filter(|(_, rule)| rule.origin != Origin::Observe);
        rules.find(|(_, rule)| applies(rule, posture))
    };
    let observe = matching
        .iter()
        .find(|(_, rule)| rule.origin == Origin::Observe);
    if let Some((index, rule)) = observe
        && first(Posture::Normal).is_none_or(|(_, rule)| !rule.allow)
        && applies(rule, posture)
    {
        assert!(
            policy
                .segments
                .iter()
                .any(|segment| segment.mode == Mode::Observe)
        );
        return Ruling::allow(rule_number(*index));
    }
    match first(posture) {
        Some((index, rule)) if rule.allow => Ruling::allow(rule_number(*index)),
        Some((index, _)) => Ruling::deny(rule_number(*index)),
        None => Ruling::NONE,
    }
}

/// The rules in force between two ends, in order.
pub fn between<'a>(
    policy: &'a Policy,
    from: &Attributes,
    to: &Attributes,
) -> Vec<(usize, &'a Rule)> {
    let rules = policy.rules.iter().enumerate();
    rules
        .filter(|(_, rule)| rule.in_force(today()))
        .filter(|(_, rule)| rule.from.iter().any(|selector| matches(*selector, from)))
        .filter(|(_, rule)| rule.to.iter().any(|selector| matches(*selector, to)))
        .collect()
}

pub fn expected(
    policy: &Policy,
    (from, to): (&Attributes, &Attributes),
    between: &[(usize, &Rule)],
    index: u32,
) -> [Ruling; POSTURES] {
    let covered = |rule: &Rule| rule.services.iter().any(|service| covers(*service, index));
    let rules = between.iter().copied();
    let matching: Vec<(usize, &Rule)> = rules.filter(|(_, rule)| covered(rule)).collect();
    let group = to.multicast || to.broadcast || to.directed.is_some();
    let from_inside = from.zone.is_some_and(|zone| policy.zones[zone].local);
    Posture::ALL.map(|posture| {
        if !(group && to.zone.is_none() && from_inside) {
            let reach = Reach::between(policy, from.zone, to.zone);
            return decided(policy, &matching, posture, reach);
        }
        let inside = decided(policy, &matching, posture, Reach::WithinZone);
        let outside = decided(policy, &matching, posture, Reach::AcrossBoundary);
        match (inside.allows(), outside.allows()) {
            (true, false) => Ruling::allow_inside(inside.rule()),
            _ => inside,
        }
    })
}

/// Whether any flow breaks an invariant; and whether a flow does so whose ends are certainly different hosts.
pub fn broken(policy: &Policy, ends: &[(End, Attributes)], invariant: &Invariant) -> (bool, bool) {
    let host = |end: End| match end {
        End::Address(address) => owner(policy, address).map_or(end, End::Device),
        end => end,
    };
    let is_matched = |end: &Attributes, selectors: &[Selector]| {
        selectors.iter().any(|selector| matches(*selector, end))
    };
    let services: Vec<u32> = indices()
        .filter(|index| {
            invariant
                .services
                .iter()
                .any(|service| covers(*service, *index))
        })
        .collect();
    let senders = ends.iter().filter(|(_, end)| {
        let group = end.multicast || end.broadcast || end.directed.is_some();
        !group && is_matched(end, &invariant.from)
    });
    let (mut any, mut certain) = (false, false);
    for (from, from_is) in senders {
        for (to, to_is) in ends
            .iter()
            .filter(|(_, end)| is_matched(end, &invariant.to))
        {
            let between: Vec<(usize, &Rule)> = between(policy, from_is, to_is)
                .into_iter()
                .filter(|(_, rule)| rule.origin != Origin::Observe)
                .collect();
            for index in &services {
                let ruling =
                    expected(policy, (from_is, to_is), &between, *index)[invariant.at as usize];
                let kept = match invariant.allow {
                    true => ruling.allows() && !ruling.is_inside(),
                    false => !ruling.allows(),
                };
                any |= !kept;
                certain |= !kept && host(*from) != host(*to);
            }
        }
    }
    (any, certain)
}
