//! Networks: every prefix at which something changes, and whose the addresses are that it is the longest for.

use std::collections::{BTreeMap, btree_map};
use std::net::{IpAddr, Ipv6Addr};

use cordon_policy::{Policy, Selector};
use cordon_portable::{Generation, Prefix};
use cordon_verdict::Ip;
use cordon_verdict::abi::Network;
use ipnet::IpNet;

use crate::classes::Classes;
use crate::ends::Ends;
use crate::identity::{Example, Identities, Identity, Kind};

/// An entry of the networks table, in identities instead of classes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    prefix: Prefix,
    identity: usize,
    behind: usize,
    segment: Option<usize>,
    broadcast: bool,
    router: bool,
}

/// What begins at a prefix.
#[derive(Debug, Default)]
struct Change {
    /// What holds a prefix says nothing of what is in it: only what is said from here on counts.
    afresh: Option<Kind>,
    segment: Option<usize>,
    zone: Option<usize>,
    groups: Vec<usize>,
    /// It is a router's own address; the networks that it is in say all the rest.
    router: bool,
}

/// By address and length: what holds a prefix comes before it.
type Changes = BTreeMap<(u128, u8), Change>;

/// What holds for the addresses of a prefix that are in no longer one.
#[derive(Clone, Debug)]
struct Holds {
    address: u128,
    bits: u8,
    kind: Kind,
    segment: Option<usize>,
    zone: Option<usize>,
    groups: Vec<usize>,
}

/// Where IPv4 addresses are among IPv6 ones.
const MAPPED: u128 = 0xffff << 32;

pub(crate) fn find(policy: &Policy, ends: &Ends, identities: &mut Identities) -> Vec<Entry> {
    let mut stack: Vec<Holds> = Vec::new();
    let mut entries = Vec::new();
    for ((address, bits), change) in changes(policy, ends) {
        while stack
            .last()
            .is_some_and(|outer| !contains(outer.address, outer.bits, address))
        {
            stack.pop();
        }
        let router = change.router;
        let holds = inside(stack.last(), address, bits, change);
        entries.push(Entry {
            router,
            ..entry(&holds, policy, identities)
        });
        stack.push(holds);
    }
    entries
}

fn changes(policy: &Policy, ends: &Ends) -> Changes {
    let mut changes = Changes::new();
    // No IPv6 network holds an IPv4 address, and no wider network a group address.
    for (address, bits, kind) in [
        (MAPPED, 96, Kind::Host),
        (v4(0xe000_0000), 100, Kind::Multicast),
        (0xff << 120, 8, Kind::Multicast),
        (v4(u32::MAX), 128, Kind::Broadcast),
    ] {
        changes.entry((address, bits)).or_default().afresh = Some(kind);
    }
    for (index, segment) in policy.segments.iter().enumerate() {
        for subnet in &segment.subnets {
            at(&mut changes, subnet, |change| change.segment = Some(index));
            if let IpNet::V4(net) = subnet
                && net.prefix_len() <= 30
            {
                let change = changes
                    .entry((v4(net.broadcast().into()), 128))
                    .or_default();
                change.afresh.get_or_insert(Kind::Directed(index));
            }
        }
    }
    for ip in policy.segments.iter().flat_map(|one| &one.routers) {
        changes.entry((value(*ip), 128)).or_default().router = true;
    }
    for (index, zone) in policy.zones.iter().enumerate() {
        for net in &zone.networks {
            at(&mut changes, net, |change| change.zone = Some(index));
        }
    }
    let groups = policy.groups.iter().enumerate();
    for (index, group) in groups.filter(|(index, _)| ends.names(Selector::Group(*index))) {
        for net in &group.networks {
            at(&mut changes, net, |change| change.groups.push(index));
        }
    }
    // Whoever an address is bound to, networks say nothing of it.
    for ip in policy.devices.iter().flat_map(|device| &device.ips) {
        if let btree_map::Entry::Occupied(change) = changes.entry((value(*ip), 128))
            && change.get().afresh.is_none()
        {
            change.remove();
        }
    }
    changes
}

/// Notes what begins at a network. One that is written as IPv6 and lies where IPv4 addresses are holds nobody: such
/// packets are refused.
fn at(changes: &mut Changes, net: &IpNet, note: impl FnOnce(&mut Change)) {
    let key = match net {
        IpNet::V4(net) => (v4(net.network().into()), 96 + net.prefix_len()),
        IpNet::V6(net) => (net.network().to_bits(), net.prefix_len()),
    };
    let mapped = matches!(net, IpNet::V6(_)) && key.1 >= 96 && contains(MAPPED, 96, key.0);
    if !mapped {
        note(changes.entry(key).or_default());
    }
}

fn inside(outer: Option<&Holds>, address: u128, bits: u8, change: Change) -> Holds {
    let segment = change
        .segment
        .or_else(|| outer.and_then(|outer| outer.segment));
    let nothing = |kind| Holds {
        address,
        bits,
        kind,
        segment: None,
        zone: None,
        groups: Vec::new(),
    };
    let mut holds = match change.afresh {
        // Nothing is in them, and no other network says anything of them. That they lie in a subnet still counts
        // for whoever has one as its own address.
        Some(kind @ (Kind::Broadcast | Kind::Directed(_))) => {
            return Holds {
                segment,
                ..nothing(kind)
            };
        }
        Some(kind) => nothing(kind),
        None => Holds {
            address,
            bits,
            ..outer.cloned().unwrap_or_else(|| nothing(Kind::Host))
        },
    };
    if holds.kind == Kind::Host {
        holds.segment = change.segment.or(holds.segment);
    }
    holds.zone = change.zone.or(holds.zone);
    holds.groups.extend(change.groups);
    holds.groups.sort_unstable();
    holds.groups.dedup();
    holds
}

fn entry(holds: &Holds, policy: &Policy, identities: &mut Identities) -> Entry {
    let prefix = Prefix {
        bits: holds.bits,
        address: ip(holds.address),
    };
    let of_kind = Identity::of_kind(holds.kind);
    let broadcast = matches!(holds.kind, Kind::Directed(_));
    let segment = holds.segment.filter(|_| holds.kind == Kind::Host);
    let identity = Identity {
        zone: segment
            .map(|segment| policy.segments[segment].zone)
            .or(holds.zone),
        segment,
        groups: holds.groups.clone(),
        ..of_kind.clone()
    };
    let identity = identities.add(identity, Example::Network(prefix));
    let behind = match segment {
        Some(segment) => identities.add(
            Identity {
                groups: holds.groups.clone(),
                ..of_kind
            },
            Example::Behind(prefix, segment),
        ),
        None => identity,
    };
    Entry {
        prefix,
        identity,
        behind,
        segment: holds.segment,
        broadcast,
        router: false,
    }
}

pub(crate) fn write(
    policy: &Policy,
    entries: &[Entry],
    classes: &Classes,
    generation: &mut Generation,
) {
    for entry in entries {
        let network = Network {
            class: classes.of(entry.identity),
            segment: entry.segment.map_or(Network::NO_SEGMENT, |segment| {
                policy.segments[segment].number
            }),
            flags: match (entry.broadcast, entry.router) {
                (true, _) => Network::BROADCAST,
                (false, true) => Network::ROUTER,
                (false, false) => 0,
            },
            via_uplink: classes.of(entry.behind),
        };
        generation.add_network(entry.prefix, network);
    }
}

fn contains(address: u128, bits: u8, inner: u128) -> bool {
    let differing = address ^ inner;
    differing.leading_zeros() >= u32::from(bits)
}

fn v4(address: u32) -> u128 {
    MAPPED | u128::from(address)
}

/// An address as the tables have it.
pub(crate) fn ip_of(address: IpAddr) -> Ip {
    ip(value(address))
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => v4(address.into()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn ip(address: u128) -> Ip {
    Ip {
        hi: (address >> 64) as u64,
        lo: address as u64,
    }
}

/// A prefix as people write it; a single address without its length.
pub(crate) fn written(prefix: Prefix) -> String {
    let Ip { hi, lo } = prefix.address;
    let address = Ipv6Addr::from(u128::from(hi) << 64 | u128::from(lo));
    let (address, bits) = match address.to_ipv4_mapped() {
        Some(v4) if prefix.bits >= 96 => (IpAddr::V4(v4), prefix.bits - 96),
        _ => (IpAddr::V6(address), prefix.bits),
    };
    match prefix.bits {
        128 => address.to_string(),
        _ => format!("{address}/{bits}"),
    }
}
