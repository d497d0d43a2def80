//! The hosts of a site: its listed devices, unlisted hosts, and routers with what is beyond them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::{Attachment, Mac, Unknown};

use super::site::Site;
use crate::generate::{Rng, one};

/// The MAC address of the router of every segment.
pub const ROUTER: Mac = Mac([0x02, 0, 0, 0, 0, 9]);

/// Addresses on the far side of the router.
const REMOTE: [&str; 7] = [
    "10.9.0.5",
    "10.9.0.6",
    "192.0.2.1",
    "203.0.113.9",
    "2001:db8:9::5",
    "2001:db8:7::1",
    "2600::1",
];

/// A host at its attachment.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its MAC address; the router's for a host on the far side of it.
    pub mac: Mac,
    /// Its own addresses.
    pub ips: Vec<IpAddr>,
    /// Where it is.
    pub at: Attachment,
    /// The index of its segment.
    pub segment: usize,
    /// Whether it is in the list of devices.
    pub listed: bool,
    /// Whether it is on the uplink side.
    pub remote: bool,
}

impl Host {
    /// One of its addresses of a family.
    pub fn ip(&self, rng: &mut Rng, v6: bool) -> Option<IpAddr> {
        let own: Vec<IpAddr> = self
            .ips
            .iter()
            .filter(|ip| ip.is_ipv6() == v6)
            .copied()
            .collect();
        (!own.is_empty()).then(|| one(rng, &own))
    }
}

/// The link-local addresses that a host makes of its MAC address: RFC 4291 appendix A, RFC 3927 §2.1.
fn link_locals(mac: Mac) -> [IpAddr; 2] {
    let [a, b, c, d, e, f] = mac.0.map(u16::from);
    let v6 = Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        (a ^ 2) << 8 | b,
        c << 8 | 0xff,
        0xfe00 | d,
        e << 8 | f,
    );
    [
        v6.into(),
        Ipv4Addr::new(169, 254, mac.0[4] | 1, mac.0[5]).into(),
    ]
}

/// All hosts of a site, each at an attachment where it may be.
pub fn hosts(rng: &mut Rng, site: &Site) -> Vec<Host> {
    let mut hosts = Vec::new();
    for device in &site.policy.devices {
        let mut facing = site.attachments(device.segment, false);
        facing.retain(|at| device.binding.is_none_or(|binding| binding.allows(*at)));
        if facing.is_empty() {
            continue;
        }
        let mut ips = device.ips.clone();
        if ips.is_empty() {
            ips = free_addresses(site, device.segment);
            rng.shuffle(&mut ips);
            ips.truncate(2);
        }
        ips.extend(link_locals(device.mac));
        hosts.push(Host {
            mac: device.mac,
            ips,
            at: one(rng, &facing),
            segment: device.segment,
            listed: true,
            remote: false,
        });
    }
    for (segment, settings) in site.policy.segments.iter().enumerate() {
        let facing = site.attachments(segment, false);
        // Each has addresses of its own: two hosts with one address disturb each other in any network.
        let mut free = free_addresses(site, segment);
        free.retain(|ip| !hosts.iter().any(|host| host.ips.contains(ip)));
        rng.shuffle(&mut free);
        if settings.unknown == Unknown::Admit && !facing.is_empty() {
            for number in 0..2 {
                let mac = Mac([0x02, 0, 0, 0, 0x10 + segment as u8, 1 + number]);
                let mut ips: Vec<IpAddr> = free.split_off(free.len().saturating_sub(2));
                ips.extend(link_locals(mac));
                hosts.push(Host {
                    mac,
                    ips,
                    at: one(rng, &facing),
                    segment,
                    listed: false,
                    remote: false,
                });
            }
        }
        let uplinks = site.attachments(segment, true);
        if let [first, ..] = uplinks[..] {
            let mut ips: Vec<IpAddr> = settings.routers.clone();
            ips.extend(link_locals(ROUTER));
            ips.extend(
                REMOTE
                    .iter()
                    .map(|ip| ip.parse::<IpAddr>().expect("the address is valid")),
            );
            ips.retain(|ip| site.policy.devices.iter().all(|one| !one.ips.contains(ip)));
            hosts.push(Host {
                mac: ROUTER,
                ips,
                at: first,
                segment,
                listed: false,
                remote: true,
            });
        }
    }
    hosts
}

/// Hosts of a segment's subnets that are bound to no device and are no router's.
pub fn free_addresses(site: &Site, segment: usize) -> Vec<IpAddr> {
    let subnets = site.policy.segments[segment].subnets.iter();
    let mut all: Vec<IpAddr> = subnets.flat_map(|net| net.hosts().take(6)).collect();
    let bound = |ip: &IpAddr| site.policy.devices.iter().any(|one| one.ips.contains(ip));
    let router = |ip: &IpAddr| {
        site.policy
            .segments
            .iter()
            .any(|one| one.routers.contains(ip))
    };
    all.retain(|ip| !bound(ip) && !router(ip));
    all
}
