//! The two ends of a probe packet.

use std::net::{IpAddr, Ipv4Addr};

use cordon_policy::{Binding, Policy};

use crate::active_policy::ActivePolicy;
use crate::refusal::Refusal;

/// A sender or receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A device of the policy, by index.
    Device(usize, IpAddr),
    /// An unlisted host: an address of a segment, by index.
    Member(usize, IpAddr),
    /// An address outside all segments.
    Outside(IpAddr),
    /// A broadcast or multicast address.
    Group(IpAddr),
}

/// Both ends, with addresses of the same IP version.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The initiator.
    pub from: End,
    /// The responder.
    pub to: End,
}

/// The MAC address that probes use for an unlisted host.
const UNLISTED_HOST: [u8; 6] = [0x02, 0xff, 0, 0, 1, 0x01];

impl Ends {
    /// Resolves the names or addresses of the two ends.
    pub fn find(active: &ActivePolicy, from: &str, to: &str) -> Result<Ends, Refusal> {
        let (from_all, to_all) = (resolve(active, from)?, resolve(active, to)?);
        let pairs = from_all
            .iter()
            .flat_map(|from| to_all.iter().map(move |to| (*from, *to)));
        let mut fitting = pairs.filter(|(from, to)| from.ip().is_ipv4() == to.ip().is_ipv4());
        let Some((from_end, to_end)) = fitting.next() else {
            return Err(Refusal::BadRequest {
                message: format!("`{from}` and `{to}` have no addresses of one IP version"),
                hint: "give one of them by an address of the other's IP version",
            });
        };
        if from_end.is_group() {
            return Err(Refusal::BadRequest {
                message: format!("`{from}` is a group, and no packet comes from one"),
                hint: "name a device or a single host's address",
            });
        }
        if from_end.ip() == to_end.ip() {
            return Err(Refusal::BadRequest {
                message: "both ends are the same".to_owned(),
                hint: "a packet to its own sender does not cross the gateway",
            });
        }
        Ok(Ends {
            from: from_end,
            to: to_end,
        })
    }
}

/// The ends that a name or address can mean: a device once for each of its addresses.
fn resolve(active: &ActivePolicy, word: &str) -> Result<Vec<End>, Refusal> {
    let policy = &active.policy;
    if word == "broadcast" {
        return Ok(vec![End::Group(IpAddr::V4(Ipv4Addr::BROADCAST))]);
    }
    if let Ok(ip) = word.parse::<IpAddr>() {
        return Ok(vec![end_of_address(active, ip)]);
    }
    let found = policy.devices.iter().position(|device| device.name == word);
    let Some(index) = found else {
        let hint = "`cordon devices` lists them; IP addresses and `broadcast` are accepted too";
        let known = policy.devices.iter().map(|device| device.name.as_str());
        return Err(Refusal::unknown("device", word, known, hint));
    };
    let device = &policy.devices[index];
    let mut ends: Vec<End> = device
        .ips
        .iter()
        .map(|ip| End::Device(index, *ip))
        .collect();
    if ends.is_empty() {
        let free = free_addresses(active, device.segment);
        ends.extend(free.map(|ip| End::Device(index, ip)));
    }
    if ends.is_empty() {
        return Err(Refusal::NotFound {
            message: format!(
                "device `{word}` has no address, and its segment has no free one to use instead"
            ),
            hint: "bind an address to it in devices.csv, or give its segment subnets".to_owned(),
        });
    }
    Ok(ends)
}

/// The end that has an address.
pub fn end_of_address(active: &ActivePolicy, ip: IpAddr) -> End {
    let policy = &active.policy;
    if ip.is_multicast() || is_broadcast(policy, ip) {
        return End::Group(ip);
    }
    if let Some((index, _)) = active.device_by_ip(ip) {
        return End::Device(index, ip);
    }
    let contains = |segment: &cordon_policy::Segment| {
        segment.subnets.iter().any(|subnet| subnet.contains(&ip))
    };
    match policy.segments.iter().position(contains) {
        Some(segment) => End::Member(segment, ip),
        None => End::Outside(ip),
    }
}

fn is_broadcast(policy: &Policy, ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::BROADCAST)
        || policy.segments.iter().any(|segment| {
            let mut subnets = segment.subnets.iter();
            // A /31 or /32 has no broadcast address (RFC 3021).
            subnets.any(|subnet| match subnet {
                ipnet::IpNet::V4(subnet) => subnet.prefix_len() < 31 && subnet.broadcast() == ip,
                ipnet::IpNet::V6(_) => false,
            })
        })
}

/// An address of each subnet of a segment that is bound to no device and is no router's.
fn free_addresses(active: &ActivePolicy, segment: usize) -> impl Iterator<Item = IpAddr> {
    let is_free = |ip: &IpAddr| active.device_by_ip(*ip).is_none() && !is_router(active, *ip);
    let subnets = active.policy.segments[segment].subnets.iter();
    subnets.filter_map(move |subnet| subnet.hosts().take(1 << 20).find(is_free))
}

/// Whether an address is a router's.
pub fn is_router(active: &ActivePolicy, ip: IpAddr) -> bool {
    let mut segments = active.policy.segments.iter();
    segments.any(|segment| segment.routers.contains(&ip))
}

impl End {
    /// Its IP address.
    pub fn ip(self) -> IpAddr {
        match self {
            End::Device(_, ip) | End::Member(_, ip) | End::Outside(ip) | End::Group(ip) => ip,
        }
    }

    /// Whether it is a broadcast or multicast address.
    pub fn is_group(self) -> bool {
        matches!(self, End::Group(_))
    }

    /// Its segment, by index.
    pub fn segment(self, active: &ActivePolicy) -> Option<usize> {
        match self {
            End::Device(index, _) => Some(active.policy.devices[index].segment),
            End::Member(segment, _) => Some(segment),
            End::Outside(_) | End::Group(_) => None,
        }
    }

    /// The attachments that it is bound to.
    pub fn binding(self, active: &ActivePolicy) -> Option<Binding> {
        match self {
            End::Device(index, _) => active.policy.devices[index].binding,
            End::Member(..) | End::Outside(_) | End::Group(_) => None,
        }
    }

    /// Its MAC address in its segment.
    pub fn mac(self, active: &ActivePolicy) -> [u8; 6] {
        match (self, self.ip()) {
            (End::Device(index, _), _) => active.policy.devices[index].mac.0,
            (End::Member(_, ip), _) if is_router(active, ip) => active.unlisted_mac(super::ROUTER),
            (End::Member(..) | End::Outside(_), _) => active.unlisted_mac(UNLISTED_HOST),
            (End::Group(_), IpAddr::V4(ip)) if ip.is_multicast() => {
                // RFC 1112 §6.4.
                let [_, b, c, d] = ip.octets();
                [0x01, 0x00, 0x5e, b & 0x7f, c, d]
            }
            (End::Group(_), IpAddr::V6(ip)) => {
                // RFC 2464 §7.
                let [.., a, b, c, d] = ip.octets();
                [0x33, 0x33, a, b, c, d]
            }
            (End::Group(_), IpAddr::V4(_)) => [0xff; 6],
        }
    }

    /// Its zone, by index; none if it is in no zone.
    pub fn zone(self, active: &ActivePolicy) -> Option<usize> {
        let policy = &active.policy;
        if let Some(segment) = self.segment(active) {
            return Some(policy.segments[segment].zone);
        }
        let ip = self.ip();
        let networks = policy.zones.iter().enumerate().flat_map(|(zone, listed)| {
            let matching = listed.networks.iter().filter(move |net| net.contains(&ip));
            matching.map(move |net| (net.prefix_len(), zone))
        });
        networks.max().map(|(_, zone)| zone)
    }

    /// A description for people.
    pub fn describe(self, active: &ActivePolicy) -> String {
        let policy = &active.policy;
        let zone = self
            .zone(active)
            .map(|zone| policy.zones[zone].name.as_str());
        match self {
            End::Device(index, ip) => {
                let device = &policy.devices[index];
                let segment = &policy.segments[device.segment].name;
                format!("{} ({ip}, segment {segment})", device.name)
            }
            End::Member(segment, ip) => {
                format!(
                    "{ip} (segment {}, unlisted host)",
                    policy.segments[segment].name
                )
            }
            End::Outside(ip) => match zone {
                Some(zone) => format!("{ip} (zone {zone})"),
                None => format!("{ip} (in no zone)"),
            },
            End::Group(IpAddr::V4(Ipv4Addr::BROADCAST)) => "broadcast".to_owned(),
            End::Group(ip) => format!("{ip} (multicast or broadcast)"),
        }
    }
}
