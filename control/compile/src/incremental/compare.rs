//! What differs between two policies.

use std::collections::HashSet;
use std::net::IpAddr;

use cordon_policy::{Device, Group, Invariant, Policy, Rule, Selector};

use super::Edit;

/// Devices that are searched for the point where two lists match again.
const LOOKAHEAD: usize = 16;

/// Whether a device comes soon in the old list: then the old devices before it were removed.
pub(super) fn is_ahead(device: &Device, others: &[Device]) -> bool {
    let mut soon = others.iter().take(LOOKAHEAD);
    soon.any(|other| other.name == device.name)
}

/// Whether two devices are equal in everything that the tables contain.
pub(super) fn same_in_tables(one: &Device, other: &Device) -> bool {
    one.mac == other.mac
        && one.segment == other.segment
        && one.ips == other.ips
        && one.binding == other.binding
        && one.profile == other.profile
}

/// The selectors, with the numbers of devices instead of their indices.
pub(super) fn numbered(selectors: &[Selector], numbers: &[u32]) -> impl Iterator<Item = Selector> {
    selectors.iter().map(|selector| match *selector {
        Selector::Device(index) => Selector::Device(numbers[index] as usize),
        other => other,
    })
}

/// A policy, and the numbers of its devices by index.
type Numbered<'a> = (&'a Policy, &'a [u32]);

/// Whether two policies are equal apart from devices that no rule, group or invariant names.
pub(super) fn same_but_for_devices((old, before): Numbered, (new, now): Numbered) -> bool {
    let ends =
        |one: &[Selector], other: &[Selector]| numbered(one, before).eq(numbered(other, now));
    let rule = |one: &Rule, other: &Rule| {
        ends(&one.from, &other.from)
            && ends(&one.to, &other.to)
            && one.services == other.services
            && one.allow == other.allow
            && one.survives == other.survives
            && one.expires == other.expires
            && one.origin == other.origin
    };
    let group = |one: &Group, other: &Group| {
        let devices = |group: &Group, numbers: &[u32]| -> Vec<u32> {
            group.devices.iter().map(|index| numbers[*index]).collect()
        };
        one.name == other.name
            && one.profiles == other.profiles
            && one.networks == other.networks
            && devices(one, before) == devices(other, now)
    };
    let invariant = |one: &Invariant, other: &Invariant| {
        ends(&one.from, &other.from)
            && ends(&one.to, &other.to)
            && one.services == other.services
            && one.at == other.at
            && one.allow == other.allow
    };
    old.ports == new.ports
        && old.segments == new.segments
        && old.zones == new.zones
        && all(&old.groups, &new.groups, group)
        && all(&old.rules, &new.rules, rule)
        && all(&old.invariants, &new.invariants, invariant)
}

/// Whether a device that differs is in a segment with a proxy: changes do not cover the table of proxies.
pub(super) fn touches_proxies(edits: &[Edit], policy: &Policy) -> bool {
    let has_proxy = |device: &Device| policy.segments[device.segment].proxy;
    edits.iter().any(|edit| {
        edit.before.is_some_and(has_proxy)
            || edit
                .now
                .is_some_and(|index| has_proxy(&policy.devices[index]))
    })
}

fn all<T>(one: &[T], other: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

/// Whether an address that was bound or released is also a /32 or /128 network of the policy: that network is in the tables
/// only while the address is not bound.
pub(super) fn touches_networks(edits: &[Edit], policy: &Policy) -> bool {
    let before: HashSet<IpAddr> = edits
        .iter()
        .filter_map(|edit| edit.before)
        .flat_map(|device| device.ips.iter().copied())
        .collect();
    let now: HashSet<IpAddr> = edits
        .iter()
        .filter_map(|edit| edit.now)
        .flat_map(|index| policy.devices[index].ips.iter().copied())
        .collect();
    let differing: HashSet<&IpAddr> = before.symmetric_difference(&now).collect();
    let subnets = policy.segments.iter().flat_map(|segment| &segment.subnets);
    let zones = policy.zones.iter().flat_map(|zone| &zone.networks);
    let groups = policy.groups.iter().flat_map(|group| &group.networks);
    let mut hosts = subnets
        .chain(zones)
        .chain(groups)
        .filter(|net| net.prefix_len() == net.max_prefix_len());
    hosts.any(|net| differing.contains(&net.addr()))
}
