//! The few addresses and ports that frames are made of, most of them from the policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::{Attachment, Mac, OuterTag, Policy};
use ipnet::IpNet;

use super::frame::{BROADCAST, SERVICE_TAG, VLAN_TAG, group_mac};
use super::{Rng, one, percent};

/// The gateway's own address, with which its proxy answers for devices.
pub(super) const GATEWAY: Mac = Mac(super::GATEWAY);

/// Addresses on the far side of the uplinks, some of them in networks of zones and groups.
const REMOTE: &[&str] = &[
    "10.9.0.1",
    "10.9.0.5",
    "10.9.0.6",
    "10.9.1.1",
    "10.1.0.9",
    "192.0.2.1",
    "203.0.113.9",
    "2001:db8:9::1",
    "2001:db8:9::5",
    "2001:db8:7::1",
    "2600::1",
    "8001::1",
    "fe80::99",
    "169.254.0.9",
    "169.254.1.1",
];

const MULTICAST: &[&str] = &[
    "224.0.0.1",
    "224.0.0.251",
    "239.1.1.1",
    "239.1.2.2",
    "ff02::1",
    "ff02::fb",
    "ff02::1:ff00:1",
    "ff05::5",
    "ff0e::9",
];

/// Addresses that are invalid or special.
const ODD: &[&str] = &[
    "0.0.0.0",
    "127.0.0.1",
    "127.1.2.3",
    "10.1.0.0",
    "10.1.0.7",
    "10.2.0.7",
    "10.3.0.3",
    "10.6.0.255",
    "255.255.255.254",
    "223.255.255.255",
    "240.0.0.1",
    "::",
    "::1",
    "::2",
    "::ffff:10.1.0.1",
    "::fffe:0:1",
    "febf::1",
    "fec0::1",
    "fe80::1",
    "fdff::1",
];

const PORTS: [u16; 9] = [1, 2, 3, 4, 53, 67, 68, 123, 443];
const ECHO: [u16; 3] = [1, 7, 300];

/// A sender or receiver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub mac: Mac,
    pub ip: IpAddr,
}

/// The addresses of one policy.
#[derive(Debug)]
pub(super) struct Pools {
    /// Each with the index of its segment, and whether it is an uplink.
    pub attachments: Vec<(Attachment, usize, bool)>,
    /// By segment: the devices listed in it.
    devices: Vec<Vec<(Mac, Vec<IpAddr>)>>,
    /// By segment: hosts of its subnets, and their directed broadcasts.
    hosts: Vec<Vec<IpAddr>>,
    directed: Vec<Vec<IpAddr>>,
    bound: Vec<IpAddr>,
    /// By port: the type of the outer one of two tags.
    outer: Vec<u16>,
    /// By segment: whether the gateway is a proxy for its devices.
    proxies: Vec<bool>,
}

fn parsed(words: &[&str], v6: bool) -> Vec<IpAddr> {
    let ips = words.iter().map(|word| word.parse::<IpAddr>());
    ips.map(|ip| ip.expect("the address is valid"))
        .filter(|ip| ip.is_ipv6() == v6)
        .collect()
}

/// Policies list MAC addresses 1 to 6; 9 is a router, and the others are unlisted.
fn mac(number: u8) -> Mac {
    Mac([0x02, 0, 0, 0, 0, number])
}

impl Pools {
    pub(super) fn new(policy: &Policy) -> Pools {
        let mut attachments = Vec::new();
        let mut hosts = Vec::new();
        let mut directed = Vec::new();
        for (index, segment) in policy.segments.iter().enumerate() {
            let described = |attachment: &Attachment| {
                (*attachment, index, policy.ports[attachment.port].uplink)
            };
            attachments.extend(segment.attachments.iter().map(described));
            hosts.push(segment.subnets.iter().flat_map(first_hosts).collect());
            let broadcast = |net: &IpNet| match net {
                IpNet::V4(net) => Some(IpAddr::V4(net.broadcast())),
                IpNet::V6(_) => None,
            };
            directed.push(segment.subnets.iter().filter_map(broadcast).collect());
        }
        let devices_of = |segment| {
            let mine = policy.devices.iter().filter(|one| one.segment == segment);
            mine.map(|one| (one.mac, one.ips.clone())).collect()
        };
        Pools {
            attachments,
            devices: (0..policy.segments.len()).map(devices_of).collect(),
            hosts,
            directed,
            bound: policy
                .devices
                .iter()
                .flat_map(|one| one.ips.clone())
                .collect(),
            outer: policy
                .ports
                .iter()
                .map(|port| match port.outer_tag {
                    OuterTag::Dot1ad => SERVICE_TAG,
                    OuterTag::Dot1q => VLAN_TAG,
                })
                .collect(),
            proxies: policy.segments.iter().map(|one| one.proxy).collect(),
        }
    }

    pub(super) fn ports(&self) -> usize {
        self.outer.len()
    }

    /// A port, mostly one that the policy has.
    pub(super) fn any_port(&self, rng: &mut Rng) -> u16 {
        match percent(rng, 95) {
            true => rng.u16(..self.outer.len() as u16),
            false => rng.u16(..15),
        }
    }

    /// Whether the gateway is a proxy for the devices of a segment.
    pub(super) fn is_proxied(&self, segment: usize) -> bool {
        self.proxies[segment]
    }

    /// The destination or, often in a segment with a proxy, the gateway's address.
    pub(super) fn or_gateway(&self, rng: &mut Rng, segment: usize, destination: Mac) -> Mac {
        let share = match (self.proxies[segment], destination.0[0] & 1) {
            (true, 0) => 50,
            (true, _) => 3,
            (false, _) => 1,
        };
        if percent(rng, share) {
            GATEWAY
        } else {
            destination
        }
    }

    /// The tags of a frame at an attachment, some of them wrong.
    pub(super) fn tags(&self, rng: &mut Rng, at: Attachment) -> Vec<(u16, u16)> {
        let mut priority = || u16::from(rng.u8(..16)) << 12;
        let (outer, inner) = (priority(), priority());
        let here = self.at(at.port as u16, (at.vlan, at.inner));
        let answers = here.is_some_and(|(segment, _)| self.proxies[segment]);
        match (at.vlan, at.inner) {
            // Priority tags: only the gateway's answers leave with one.
            (0, _) if percent(rng, if answers { 60 } else { 20 }) => vec![(VLAN_TAG, outer)],
            (0, _) => Vec::new(),
            (vlan, 0) => vec![(VLAN_TAG, outer | vlan)],
            (vlan, second) => {
                let mut tags = vec![
                    (self.outer[at.port], outer | vlan),
                    (VLAN_TAG, inner | second),
                ];
                match rng.u8(..50) {
                    0 => tags[0].0 ^= VLAN_TAG ^ SERVICE_TAG,
                    1 => tags[1].0 = SERVICE_TAG,
                    2 => tags[rng.usize(..2)].1 &= 0xf000,
                    3 => tags.swap(0, 1),
                    _ => {}
                }
                tags
            }
        }
    }

    /// A random attachment.
    pub(super) fn attachment(&self, rng: &mut Rng) -> (Attachment, usize, bool) {
        one(rng, &self.attachments)
    }

    /// A random attachment of a segment.
    pub(super) fn attachment_of(&self, rng: &mut Rng, segment: usize) -> (Attachment, usize, bool) {
        let of = |(_, index, _): &&(Attachment, usize, bool)| *index == segment;
        let all: Vec<_> = self.attachments.iter().filter(of).copied().collect();
        one(rng, &all)
    }

    /// The segment of an attachment, and whether the attachment is an uplink.
    pub(super) fn at(&self, port: u16, (vlan, inner): (u16, u16)) -> Option<(usize, bool)> {
        let here = Attachment {
            port: port.into(),
            vlan,
            inner,
        };
        let found = self.attachments.iter().find(|(at, ..)| *at == here);
        found.map(|(_, segment, uplink)| (*segment, *uplink))
    }

    /// Any MAC address with any IP address.
    pub(super) fn any_endpoint(&self, rng: &mut Rng, v6: bool) -> Endpoint {
        Endpoint {
            mac: mac(rng.u8(1..=9)),
            ip: self.any_ip(rng, v6),
        }
    }

    /// A sender at a device-facing or uplink attachment of a segment.
    pub(super) fn sender(&self, rng: &mut Rng, segment: usize, uplink: bool, v6: bool) -> Endpoint {
        if uplink && percent(rng, 85) {
            return self.remote_endpoint(rng, segment, v6);
        }
        self.local_endpoint(rng, segment, v6)
    }

    /// A receiver for a sender of a segment.
    pub(super) fn receiver(&self, rng: &mut Rng, segment: usize, v6: bool) -> Endpoint {
        match rng.u8(..100) {
            0..50 => self.local_endpoint(rng, segment, v6),
            50..78 => self.remote_endpoint(rng, segment, v6),
            78..95 => self.group(rng, segment, v6),
            _ => Endpoint {
                mac: self.any_mac(rng),
                ip: self.any_ip(rng, v6),
            },
        }
    }

    fn local_endpoint(&self, rng: &mut Rng, segment: usize, v6: bool) -> Endpoint {
        let devices = &self.devices[segment];
        if !devices.is_empty() && percent(rng, 75) {
            let (mac, ips) = &devices[rng.usize(..devices.len())];
            let own: Vec<IpAddr> = ips
                .iter()
                .filter(|ip| ip.is_ipv6() == v6)
                .copied()
                .collect();
            let ip = match rng.u8(..100) {
                0..80 if !own.is_empty() => one(rng, &own),
                0..60 => self.host(rng, segment, v6),
                60..80 => link_local(rng, v6),
                80..90 => self.host(rng, segment, v6),
                _ => self.any_ip(rng, v6),
            };
            return Endpoint { mac: *mac, ip };
        }
        let ip = match rng.u8(..100) {
            0..70 => self.host(rng, segment, v6),
            70..85 => link_local(rng, v6),
            _ => self.any_ip(rng, v6),
        };
        // Mostly few unlisted hosts, so that they have flows; in all so many that they use up what a port reserves.
        let number = match percent(rng, 80) {
            true => rng.u8(5..=8),
            false => rng.u8(10..=20),
        };
        Endpoint {
            mac: mac(number),
            ip,
        }
    }

    /// An address that is bound to a device of this segment.
    pub(super) fn neighbour(&self, rng: &mut Rng, segment: usize, v6: bool) -> IpAddr {
        let all = self.devices[segment].iter().flat_map(|(_, ips)| ips);
        let own: Vec<IpAddr> = all.filter(|ip| ip.is_ipv6() == v6).copied().collect();
        match own.is_empty() {
            true => self.host(rng, segment, v6),
            false => one(rng, &own),
        }
    }

    fn remote_endpoint(&self, rng: &mut Rng, segment: usize, v6: bool) -> Endpoint {
        let router = percent(rng, 75);
        let ip = match rng.u8(..100) {
            0..55 => one(rng, &parsed(REMOTE, v6)),
            55..75 => self.host(rng, segment, v6),
            75..90 => {
                let other = rng.usize(..self.hosts.len());
                self.host(rng, other, v6)
            }
            _ => self.any_ip(rng, v6),
        };
        Endpoint {
            mac: if router { mac(9) } else { mac(rng.u8(1..=9)) },
            ip,
        }
    }

    fn group(&self, rng: &mut Rng, segment: usize, v6: bool) -> Endpoint {
        let ip = match rng.u8(..100) {
            0..40 if !v6 => IpAddr::V4(Ipv4Addr::BROADCAST),
            40..65 if !v6 && !self.directed[segment].is_empty() => {
                one(rng, &self.directed[segment])
            }
            _ => one(rng, &parsed(MULTICAST, v6)),
        };
        Endpoint {
            mac: group_mac(ip),
            ip,
        }
    }

    pub(super) fn host(&self, rng: &mut Rng, segment: usize, v6: bool) -> IpAddr {
        let of_version = self.hosts[segment].iter().filter(|ip| ip.is_ipv6() == v6);
        let hosts: Vec<IpAddr> = of_version.copied().collect();
        match hosts.is_empty() {
            true => one(rng, &parsed(REMOTE, v6)),
            false => one(rng, &hosts),
        }
    }

    pub(super) fn any_mac(&self, rng: &mut Rng) -> Mac {
        match rng.u8(..100) {
            0..80 => mac(rng.u8(1..=9)),
            80..92 => BROADCAST,
            92..95 => Mac([0x33, 0x33, 0, 0, 0, 1]),
            95..97 => GATEWAY,
            _ => Mac([0; 6]),
        }
    }

    pub(super) fn any_ip(&self, rng: &mut Rng, v6: bool) -> IpAddr {
        let bound: Vec<IpAddr> = self
            .bound
            .iter()
            .filter(|ip| ip.is_ipv6() == v6)
            .copied()
            .collect();
        match rng.u8(..100) {
            0..45 if !bound.is_empty() => one(rng, &bound),
            0..55 => one(rng, &parsed(REMOTE, v6)),
            55..65 => one(rng, &parsed(MULTICAST, v6)),
            65..70 if !v6 => IpAddr::V4(Ipv4Addr::BROADCAST),
            _ => one(rng, &parsed(ODD, v6)),
        }
    }
}

/// The first six hosts of a network, which include those that policies bind.
fn first_hosts(net: &IpNet) -> Vec<IpAddr> {
    net.hosts().take(6).collect()
}

fn link_local(rng: &mut Rng, v6: bool) -> IpAddr {
    match v6 {
        true => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, rng.u16(1..=3))),
        false => IpAddr::V4(Ipv4Addr::new(169, 254, 0, rng.u8(1..=2))),
    }
}

pub(super) fn ports(rng: &mut Rng) -> (u16, u16) {
    let high = 40000 + rng.u16(..3);
    match rng.u8(..100) {
        0..70 => (high, one(rng, &PORTS)),
        70..85 => (one(rng, &PORTS), high),
        _ => (one(rng, &PORTS), one(rng, &PORTS)),
    }
}

pub(super) fn echo_identifier(rng: &mut Rng) -> u16 {
    one(rng, &ECHO)
}
