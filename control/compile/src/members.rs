//! Members of segments: devices and their addresses, and unlisted hosts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use cordon_policy::{Binding, Device, Mac, Policy, Selector, Unknown};
use cordon_tables::Generation;
use cordon_verdict::Ip;
use cordon_verdict::abi::{self, Address};

use crate::attachments::number;
use crate::classes::Classes;
use crate::ends::Ends;
use crate::identity::{Example, Identities, Identity, Kind};
use crate::networks::ip_of;

/// The identities of members of segments.
#[derive(Debug)]
pub(crate) struct Members {
    /// By device.
    devices: Vec<usize>,
    /// By segment: of unlisted hosts, where they are admitted.
    unlisted: Vec<Option<usize>>,
}

impl Members {
    /// The identity of unlisted hosts in a segment; none where they are not admitted.
    pub fn unlisted(&self, segment: usize) -> Option<usize> {
        self.unlisted[segment]
    }
}

pub(crate) fn find(policy: &Policy, ends: &Ends, identities: &mut Identities) -> Members {
    let groups = Groups::new(policy, ends);
    // Segment and profile are the whole identity of most devices.
    let mut common: HashMap<(usize, Option<&str>), usize> = HashMap::new();
    let mut devices = Vec::with_capacity(policy.devices.len());
    for (index, device) in policy.devices.iter().enumerate() {
        let named = ends.names(Selector::Device(index));
        let key = (device.segment, device.profile.as_deref());
        let plain = !named && !groups.by_device.contains_key(&index);
        if plain && let Some(identity) = common.get(&key) {
            identities.add_holder(*identity);
            devices.push(*identity);
            continue;
        }
        let identity = groups.identity(policy, ends, index, index);
        let identity = identities.add(identity, Example::Device(index));
        if plain {
            common.insert(key, identity);
        }
        devices.push(identity);
    }
    let unlisted = policy.segments.iter().enumerate().map(|(index, segment)| {
        let admitted = segment.unknown == Unknown::Admit;
        admitted.then(|| identities.add(segment_member(policy, index), Example::Unlisted(index)))
    });
    Members {
        devices,
        unlisted: unlisted.collect(),
    }
}

/// The identity of a member of a segment that is in no group.
fn segment_member(policy: &Policy, segment: usize) -> Identity {
    Identity {
        zone: Some(policy.segments[segment].zone),
        segment: Some(segment),
        ..Identity::of_kind(Kind::Host)
    }
}

/// The groups of each profile and device.
pub(crate) struct Groups<'a> {
    by_profile: HashMap<&'a str, Vec<usize>>,
    by_device: HashMap<usize, Vec<usize>>,
}

impl<'a> Groups<'a> {
    pub fn new(policy: &'a Policy, ends: &Ends) -> Groups<'a> {
        let mut groups = Groups {
            by_profile: HashMap::new(),
            by_device: HashMap::new(),
        };
        let named = policy
            .groups
            .iter()
            .enumerate()
            .filter(|(index, _)| ends.names(Selector::Group(*index)));
        for (index, group) in named {
            for profile in &group.profiles {
                groups.by_profile.entry(profile).or_default().push(index);
            }
            for device in &group.devices {
                groups.by_device.entry(*device).or_default().push(index);
            }
        }
        groups
    }

    /// The identity of a device, by its index in the policy and its number in `ends`.
    pub fn identity(&self, policy: &Policy, ends: &Ends, index: usize, number: usize) -> Identity {
        let device = &policy.devices[index];
        let by_profile = device.profile.as_deref();
        let by_profile = by_profile.and_then(|profile| self.by_profile.get(profile));
        let listed = self.by_device.get(&index).into_iter();
        let mut groups: Vec<usize> = listed.chain(by_profile).flatten().copied().collect();
        groups.sort_unstable();
        groups.dedup();
        Identity {
            groups,
            device: ends.names(Selector::Device(number)).then_some(number),
            ..segment_member(policy, device.segment)
        }
    }
}

/// The addresses of the DHCP servers of the infrastructure.
pub(crate) fn dhcp_servers(policy: &Policy) -> HashSet<IpAddr> {
    let groups = policy.groups.iter();
    groups
        .filter(|group| group.name == "infrastructure:dhcp")
        .flat_map(|group| group.networks.iter().map(|network| network.addr()))
        .collect()
}

/// The key and record of a device in the tables.
pub(crate) fn record(
    policy: &Policy,
    device: &Device,
    id: u32,
    class: u16,
    dhcp_servers: &HashSet<IpAddr>,
    stacks: &BTreeMap<u32, u16>,
) -> (u64, abi::Device) {
    let mut word = id;
    if device.ips.is_empty() {
        word |= abi::Device::ANY_ADDRESS;
    }
    if device.ips.iter().any(|ip| dhcp_servers.contains(ip)) {
        word |= abi::Device::DHCP_SERVER;
    }
    let (flag, place) = match device.binding {
        None => (0, 0),
        Some(Binding::Port(port)) => (abi::Device::AT_PORT, port as u16),
        Some(Binding::Attachment(at)) => (abi::Device::AT_ATTACHMENT, number(stacks, at)),
    };
    word |= flag;
    let address = device.ips.first().copied().map_or(Ip::UNSPECIFIED, ip_of);
    let record = abi::Device {
        word,
        class,
        bound_to: place,
        address,
    };
    (key(policy, device), record)
}

/// The key of a device in the tables.
pub(crate) fn key(policy: &Policy, device: &Device) -> u64 {
    abi::fdb_key(policy.segments[device.segment].number, mac(device.mac))
}

pub(crate) fn write(
    policy: &Policy,
    members: &Members,
    classes: &Classes,
    generation: &mut Generation,
) {
    let dhcp_servers = dhcp_servers(policy);
    generation.devices.reserve(policy.devices.len());
    generation.addresses.reserve(policy.devices.len());
    for (index, (device, identity)) in policy.devices.iter().zip(&members.devices).enumerate() {
        let (id, segment) = (index as u32, policy.segments[device.segment].number);
        let class = classes.of(*identity);
        let (key, record) = record(policy, device, id, class, &dhcp_servers, &generation.stacks);
        generation.devices.insert(key, record);
        for ip in &device.ips {
            let address = Address {
                device: id,
                segment,
                class,
            };
            generation.addresses.insert(ip_of(*ip), address);
            if policy.segments[device.segment].proxy {
                generation
                    .proxies
                    .insert((segment, ip_of(*ip)), mac(device.mac));
            }
        }
    }
}

/// A MAC address as the tables encode it.
pub(crate) const fn mac(mac: Mac) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}
