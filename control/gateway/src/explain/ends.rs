//! The two ends of a question.

use std::net::{IpAddr, Ipv4Addr};

use cordon_policy::{Binding, Policy};

use crate::names::Named;
use crate::refusal::Refusal;

/// Who speaks, or is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A listed device, by index.
    Device(usize, IpAddr),
    /// An address of a segment, by index, that is no listed device's.
    Member(usize, IpAddr),
    /// An address that is in no segment.
    Outside(IpAddr),
    /// Broadcast or multicast.
    Everyone(IpAddr),
}

/// Both ends, with addresses of one family.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Who opens.
    pub from: End,
    /// To whom.
    pub to: End,
}

/// What stands in for the MAC address of a host that is no listed device.
const ANYONE: [u8; 6] = [0x02, 0xff, 0, 0, 1, 0x01];

impl Ends {
    /// Finds out what two words mean.
    pub fn find(named: &Named, from: &str, to: &str) -> Result<Ends, Refusal> {
        let (from_all, to_all) = (meanings(named, from)?, meanings(named, to)?);
        let pairs = from_all
            .iter()
            .flat_map(|from| to_all.iter().map(move |to| (*from, *to)));
        let mut fitting = pairs.filter(|(from, to)| from.ip().is_ipv4() == to.ip().is_ipv4());
        let Some((from_end, to_end)) = fitting.next() else {
            return Err(Refusal::BadRequest {
                message: format!("`{from}` and `{to}` have no addresses of one IP version"),
                hint: "name one of them by an address of the other's version",
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
                hint: "a packet to oneself does not cross the gateway",
            });
        }
        Ok(Ends {
            from: from_end,
            to: to_end,
        })
    }
}

/// What a word means: a device once for each of its addresses.
fn meanings(named: &Named, word: &str) -> Result<Vec<End>, Refusal> {
    let policy = &named.policy;
    if word == "broadcast" {
        return Ok(vec![End::Everyone(IpAddr::V4(Ipv4Addr::BROADCAST))]);
    }
    if let Ok(ip) = word.parse::<IpAddr>() {
        return Ok(vec![of_address(named, ip)]);
    }
    let found = policy.devices.iter().position(|device| device.name == word);
    let Some(index) = found else {
        let hint =
            "`cordon devices` lists them; an IP address or `broadcast` is understood as well";
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
        let free = free_addresses(named, device.segment);
        ends.extend(free.map(|ip| End::Device(index, ip)));
    }
    if ends.is_empty() {
        return Err(Refusal::NotFound {
            message: format!("device `{word}` has no address, and its segment has none to lend"),
            hint: "bind an address to it in devices.csv, or give its segment subnets".to_owned(),
        });
    }
    Ok(ends)
}

/// Who has an address.
pub fn of_address(named: &Named, ip: IpAddr) -> End {
    let policy = &named.policy;
    if ip.is_multicast() || is_broadcast(policy, ip) {
        return End::Everyone(ip);
    }
    if let Some((index, _)) = named.device_by_ip(ip) {
        return End::Device(index, ip);
    }
    let in_it = |segment: &cordon_policy::Segment| {
        segment.subnets.iter().any(|subnet| subnet.contains(&ip))
    };
    match policy.segments.iter().position(in_it) {
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

/// Of each of a segment's subnets, an address that is bound to nobody.
fn free_addresses(named: &Named, segment: usize) -> impl Iterator<Item = IpAddr> {
    let subnets = named.policy.segments[segment].subnets.iter();
    subnets.filter_map(|subnet| {
        let mut hosts = subnet.hosts().take(1 << 20);
        hosts.find(|ip| named.device_by_ip(*ip).is_none())
    })
}

impl End {
    /// Its address.
    pub fn ip(self) -> IpAddr {
        match self {
            End::Device(_, ip) | End::Member(_, ip) | End::Outside(ip) | End::Everyone(ip) => ip,
        }
    }

    /// Whether it is many.
    pub fn is_group(self) -> bool {
        matches!(self, End::Everyone(_))
    }

    /// The segment it is in, by index.
    pub fn segment(self, named: &Named) -> Option<usize> {
        match self {
            End::Device(index, _) => Some(named.policy.devices[index].segment),
            End::Member(segment, _) => Some(segment),
            End::Outside(_) | End::Everyone(_) => None,
        }
    }

    /// Where it must be.
    pub fn binding(self, named: &Named) -> Option<Binding> {
        match self {
            End::Device(index, _) => named.policy.devices[index].binding,
            End::Member(..) | End::Outside(_) | End::Everyone(_) => None,
        }
    }

    /// Its MAC address in its segment.
    pub fn mac(self, named: &Named) -> [u8; 6] {
        match (self, self.ip()) {
            (End::Device(index, _), _) => named.policy.devices[index].mac.0,
            (End::Member(..) | End::Outside(_), _) => named.free_mac(ANYONE),
            (End::Everyone(_), IpAddr::V4(ip)) if ip.is_multicast() => {
                // RFC 1112 §6.4.
                let [_, b, c, d] = ip.octets();
                [0x01, 0x00, 0x5e, b & 0x7f, c, d]
            }
            (End::Everyone(_), IpAddr::V6(ip)) => {
                // RFC 2464 §7.
                let [.., a, b, c, d] = ip.octets();
                [0x33, 0x33, a, b, c, d]
            }
            (End::Everyone(_), IpAddr::V4(_)) => [0xff; 6],
        }
    }

    /// The zone it is in, by index; none for what no zone names.
    pub fn zone(self, named: &Named) -> Option<usize> {
        let policy = &named.policy;
        if let Some(segment) = self.segment(named) {
            return Some(policy.segments[segment].zone);
        }
        let ip = self.ip();
        let networks = policy.zones.iter().enumerate().flat_map(|(zone, listed)| {
            let matching = listed.networks.iter().filter(move |net| net.contains(&ip));
            matching.map(move |net| (net.prefix_len(), zone))
        });
        networks.max().map(|(_, zone)| zone)
    }

    /// For people.
    pub fn in_words(self, named: &Named) -> String {
        let policy = &named.policy;
        let zone = self
            .zone(named)
            .map(|zone| policy.zones[zone].name.as_str());
        match self {
            End::Device(index, ip) => {
                let device = &policy.devices[index];
                let segment = &policy.segments[device.segment].name;
                format!("{} ({ip}, segment {segment})", device.name)
            }
            End::Member(segment, ip) => {
                format!(
                    "{ip} (segment {}, no listed device)",
                    policy.segments[segment].name
                )
            }
            End::Outside(ip) => match zone {
                Some(zone) => format!("{ip} (zone {zone})"),
                None => format!("{ip} (in no zone)"),
            },
            End::Everyone(IpAddr::V4(Ipv4Addr::BROADCAST)) => "broadcast".to_owned(),
            End::Everyone(ip) => format!("{ip} (everyone who listens)"),
        }
    }
}
