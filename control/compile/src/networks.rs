//! Networks: every prefix at which the attributes of addresses change, with the identity of the addresses for which it is
//! the longest match.

use std::collections::{BTreeMap, btree_map};
use std::net::{IpAddr, Ipv6Addr};

use cordon_policy::{Policy, Selector};
use cordon_tables::{Generation, Prefix};
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
    /// The identity of the same addresses on the uplink side.
    via_uplink: usize,
    segment: Option<usize>,
    broadcast: bool,
    router: bool,
    link_local: bool,
}

/// The attributes that a prefix adds or replaces.
#[derive(Debug, Default)]
struct Change {
    /// The kind of addresses from here on; the attributes of wider prefixes do not apply to them.
    reset: Option<Kind>,
    segment: Option<usize>,
    zone: Option<usize>,
    groups: Vec<usize>,
    /// It is the own address of a router; wider prefixes give the other attributes.
    router: bool,
    /// See [`Attributes::unnamed`].
    unnamed: bool,
}

/// By address and length: a prefix comes after the wider ones that contain it.
type Changes = BTreeMap<(u128, u8), Change>;

/// The attributes of the addresses for which a prefix is the longest match.
#[derive(Clone, Debug)]
struct Attributes {
    address: u128,
    bits: u8,
    kind: Kind,
    segment: Option<usize>,
    zone: Option<usize>,
    groups: Vec<usize>,
    /// Within [`LINK_LOCAL`]: a network of a group that no rule names. It has no other effect than to be written.
    unnamed: bool,
}

impl Attributes {
    /// Whether no network of the policy applies.
    fn is_plain(&self) -> bool {
        let named = self.segment.is_some() || self.zone.is_some() || !self.groups.is_empty();
        self.kind == Kind::Host && !named && !self.unnamed
    }
}

/// The prefix ::ffff:0:0/96 of IPv4-mapped addresses (RFC 4291 §2.5.5.2), by which the tables encode IPv4.
const MAPPED: u128 = 0xffff << 32;

/// `fe80::/10` and 169.254.0.0/16: they belong to the segment in which they are used, and to no wider network.
const LINK_LOCAL: [(u128, u8); 2] = [(0xfe80 << 112, 10), (MAPPED | 0xa9fe_0000, 112)];

pub(crate) fn find(policy: &Policy, ends: &Ends, identities: &mut Identities) -> Vec<Entry> {
    let mut stack: Vec<Attributes> = Vec::new();
    let mut entries = Vec::new();
    for ((address, bits), change) in changes(policy, ends) {
        while stack
            .last()
            .is_some_and(|outer| !contains(outer.address, outer.bits, address))
        {
            stack.pop();
        }
        let router = change.router;
        let attributes = inherit(stack.last(), address, bits, change);
        let link_local = is_link_local(address, bits) && attributes.is_plain();
        entries.push(Entry {
            router,
            link_local,
            ..entry(&attributes, policy, identities)
        });
        stack.push(attributes);
    }
    entries
}

fn changes(policy: &Policy, ends: &Ends) -> Changes {
    let mut changes = Changes::new();
    for key in LINK_LOCAL {
        changes.entry(key).or_default().reset = Some(Kind::Host);
    }
    // Wider IPv6 networks do not apply to IPv4 addresses, and wider networks do not apply to group addresses.
    for (address, bits, kind) in [
        (MAPPED, 96, Kind::Host),
        (v4(0xe000_0000), 100, Kind::Multicast),
        (0xff << 120, 8, Kind::Multicast),
        (v4(u32::MAX), 128, Kind::Broadcast),
    ] {
        changes.entry((address, bits)).or_default().reset = Some(kind);
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
                change.reset.get_or_insert(Kind::Directed(index));
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
    let unnamed = policy.groups.iter().enumerate();
    let unnamed = unnamed.filter(|(index, _)| !ends.names(Selector::Group(*index)));
    for net in unnamed.flat_map(|(_, group)| &group.networks) {
        let (address, bits) = key(net);
        if is_link_local(address, bits) {
            at(&mut changes, net, |change| change.unnamed = true);
        }
    }
    let groups = policy.groups.iter().enumerate();
    for (index, group) in groups.filter(|(index, _)| ends.names(Selector::Group(*index))) {
        for net in &group.networks {
            at(&mut changes, net, |change| change.groups.push(index));
        }
    }
    // Networks do not apply to addresses that are bound to devices.
    for ip in policy.devices.iter().flat_map(|device| &device.ips) {
        if let btree_map::Entry::Occupied(change) = changes.entry((value(*ip), 128))
            && change.get().reset.is_none()
        {
            change.remove();
        }
    }
    changes
}

/// Changes the attributes at a network. A network of IPv4-mapped addresses in IPv6 notation is ignored: packets with such
/// addresses are dropped.
fn at(changes: &mut Changes, net: &IpNet, change: impl FnOnce(&mut Change)) {
    let key = key(net);
    let mapped = matches!(net, IpNet::V6(_)) && key.1 >= 96 && contains(MAPPED, 96, key.0);
    if !mapped {
        change(changes.entry(key).or_default());
    }
}

/// The attributes at a prefix: those of the next wider one with the changes.
/// A network's address and length among IPv6 addresses.
fn key(net: &IpNet) -> (u128, u8) {
    match net {
        IpNet::V4(net) => (v4(net.network().into()), 96 + net.prefix_len()),
        IpNet::V6(net) => (net.network().to_bits(), net.prefix_len()),
    }
}

fn inherit(outer: Option<&Attributes>, address: u128, bits: u8, change: Change) -> Attributes {
    let segment = change
        .segment
        .or_else(|| outer.and_then(|outer| outer.segment));
    let empty = |kind| Attributes {
        address,
        bits,
        kind,
        segment: None,
        zone: None,
        groups: Vec::new(),
        unnamed: false,
    };
    let mut attributes = match change.reset {
        // No other attributes apply to broadcast addresses. The segment stays, for a device that uses one as its own address.
        Some(kind @ (Kind::Broadcast | Kind::Directed(_))) => {
            return Attributes {
                segment,
                ..empty(kind)
            };
        }
        Some(kind) => empty(kind),
        None => Attributes {
            address,
            bits,
            ..outer.cloned().unwrap_or_else(|| empty(Kind::Host))
        },
    };
    if attributes.kind == Kind::Host {
        attributes.segment = change.segment.or(attributes.segment);
    }
    attributes.zone = change.zone.or(attributes.zone);
    attributes.unnamed |= change.unnamed;
    attributes.groups.extend(change.groups);
    attributes.groups.sort_unstable();
    attributes.groups.dedup();
    attributes
}

fn entry(attributes: &Attributes, policy: &Policy, identities: &mut Identities) -> Entry {
    let prefix = Prefix {
        bits: attributes.bits,
        address: ip(attributes.address),
    };
    let of_kind = Identity::of_kind(attributes.kind);
    let broadcast = matches!(attributes.kind, Kind::Directed(_));
    let segment = attributes.segment.filter(|_| attributes.kind == Kind::Host);
    let identity = Identity {
        zone: segment
            .map(|segment| policy.segments[segment].zone)
            .or(attributes.zone),
        segment,
        groups: attributes.groups.clone(),
        ..of_kind.clone()
    };
    let identity = identities.add(identity, Example::Network(prefix));
    let via_uplink = match segment {
        Some(segment) => identities.add(
            Identity {
                groups: attributes.groups.clone(),
                ..of_kind
            },
            Example::ViaUplink(prefix, segment),
        ),
        None => identity,
    };
    Entry {
        prefix,
        identity,
        via_uplink,
        segment: attributes.segment,
        broadcast,
        router: false,
        link_local: false,
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
            flags: flags(entry),
            via_uplink: classes.of(entry.via_uplink),
        };
        generation.add_network(entry.prefix, network);
    }
}

fn flags(entry: &Entry) -> u16 {
    if entry.broadcast {
        return Network::BROADCAST;
    }
    let router = if entry.router { Network::ROUTER } else { 0 };
    let link_local = match entry.link_local {
        true => Network::LINK_LOCAL,
        false => 0,
    };
    router | link_local
}

/// Whether a prefix is one of [`LINK_LOCAL`], or within one.
fn is_link_local(address: u128, bits: u8) -> bool {
    let within =
        |(outer, length): &(u128, u8)| bits >= *length && contains(*outer, *length, address);
    LINK_LOCAL.iter().any(within)
}

fn contains(address: u128, bits: u8, inner: u128) -> bool {
    let differing = address ^ inner;
    differing.leading_zeros() >= u32::from(bits)
}

fn v4(address: u32) -> u128 {
    MAPPED | u128::from(address)
}

/// An address as the tables encode it.
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

/// A prefix in the usual notation; a single address without its length.
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
