//! The text of a policy by chance. Every one is valid: what is wrong with a policy is tested elsewhere.

use std::collections::HashSet;
use std::fmt::Write;

use cordon_policy::Sources;

use super::{Rng, one, percent};

/// Subnets for segments, with hosts that a device can be bound to. None overlaps another.
const SUBNETS: &[(&str, &[&str])] = &[
    (
        "10.1.0.0/29",
        &["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"],
    ),
    ("10.2.0.0/29", &["10.2.0.1", "10.2.0.2", "10.2.0.5"]),
    ("10.3.0.0/30", &["10.3.0.1", "10.3.0.2"]),
    ("10.4.0.0/31", &["10.4.0.0", "10.4.0.1"]),
    ("10.5.0.1/32", &["10.5.0.1"]),
    ("10.6.0.0/24", &["10.6.0.1", "10.6.0.2"]),
    (
        "2001:db8:1::/64",
        &["2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3"],
    ),
    ("2001:db8:2::/125", &["2001:db8:2::1", "2001:db8:2::2"]),
    ("2001:db8:3::1/128", &["2001:db8:3::1"]),
    ("fe80::/64", &[]),
];

/// Networks for zones and groups: nested in each other and in the segments' subnets, equal to one, wider than all;
/// multicast, wider than multicast, broadcast; all of IPv6 and the part of it in which IPv4 is written.
const NETWORKS: &[&str] = &[
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/1",
    "8000::/1",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.0.0/29",
    "10.1.0.4/30",
    "10.1.0.7/32",
    "10.2.0.0/28",
    "10.3.0.0/31",
    "10.9.0.0/24",
    "10.9.0.0/28",
    "10.9.0.4/30",
    "10.9.0.5/32",
    "192.0.2.0/24",
    "2001:db8::/32",
    "2001:db8:1::/126",
    "2001:db8:9::/48",
    "2001:db8:9::4/126",
    "fe80::/10",
    "224.0.0.0/3",
    "224.0.0.0/4",
    "239.1.0.0/16",
    "239.1.1.1/32",
    "255.255.255.255/32",
    "ff00::/8",
    "fe00::/7",
    "ff02::/16",
    "ff05::5/128",
    "::ffff:0:0/96",
    "::/80",
];

const SERVICES: &[&str] = &[
    "any", "icmp", "tcp/1", "tcp/2", "tcp/1-3", "tcp/any", "udp/1", "udp/2-3", "udp/any", "udp/67",
    "udp/68", "dns", "https", "sctp/1", "sctp/any",
];

const LINK_CONTROL: [&str; 5] = ["stp", "lacp", "eapol", "lldp", "ptp"];
/// PROFINET, GOOSE, the first that is no length, and one that is some port's to pass.
const ETHER_TYPES: [&str; 4] = ["0x8892", "0x88b8", "0x0600", "0x88cc"];

const POSTURES: [&str; 5] = ["normal", "watch", "contain", "isolate", "lockdown"];
const PROFILES: [&str; 3] = ["pa", "pb", "pc"];
/// Around the day the policies are compiled for.
const EXPIRES: [&str; 3] = ["2026-06-14", "2026-06-15", "2027-03-31"];

/// The text of a policy directory, by chance. Port `i` is the network interface `p<i>`. If `storms` may be, some ports
/// have limits that are soon reached.
pub fn sources(rng: &mut Rng, storms: bool) -> Sources {
    let mut text = Text {
        rng,
        storms,
        uplinks: Vec::new(),
        segments: Vec::new(),
        facing: Vec::new(),
        proxied: Vec::new(),
        routers: HashSet::new(),
        zones: 0,
        groups: 0,
        devices: 0,
    };
    let site = text.site();
    let devices = text.devices();
    let policy = text.policy();
    Sources {
        site,
        policy: Some(policy),
        devices: Some(devices),
    }
}

struct Text<'a> {
    rng: &'a mut Rng,
    storms: bool,
    /// Of each port, whether it is one.
    uplinks: Vec<bool>,
    /// The subnets of each, as indices into [`SUBNETS`].
    segments: Vec<Vec<usize>>,
    /// Where the devices of each can be: ports, and attachments.
    facing: Vec<Vec<String>>,
    /// Those in which the gateway stands in for devices.
    proxied: Vec<usize>,
    /// Addresses of routers, which no device is bound to.
    routers: HashSet<&'static str>,
    zones: usize,
    groups: usize,
    devices: usize,
}

/// Into a string nothing fails.
macro_rules! put {
    ($to:expr, $($what:tt)+) => { writeln!($to, $($what)+).expect("there is memory") };
}

impl Text<'_> {
    fn chance(&mut self, share: u8) -> bool {
        percent(self.rng, share)
    }

    /// Several of these, each once, in any order.
    fn some<'t>(&mut self, most: usize, of: &[&'t str]) -> Vec<&'t str> {
        let mut all = of.to_vec();
        self.rng.shuffle(&mut all);
        all.truncate(self.rng.usize(1..=most));
        all
    }

    fn site(&mut self) -> String {
        let mut out = "site: generated\nports:\n".to_owned();
        let ports = match self.chance(6) {
            true => self.rng.usize(5..=15),
            false => self.rng.usize(2..=4),
        };
        for port in 0..ports {
            let uplink = if port == 1 {
                self.chance(90)
            } else {
                self.chance(20)
            };
            self.uplinks.push(uplink);
            let storm = match self.storms && self.chance(20) {
                true => self.rng.u32(1..30),
                false => 0,
            };
            let pass = match self.chance(60) {
                true => self.some(5, &LINK_CONTROL).join(", "),
                false => String::new(),
            };
            let outer = one(
                self.rng,
                &["", ", outer-tag: 802.1q", ", outer-tag: 802.1ad"],
            );
            put!(
                out,
                "  p{port}: {{device: p{port}, uplink: {uplink}, storm: {storm}, pass: [{pass}]{outer}}}"
            );
        }
        self.segments(&mut out);
        self.zones(&mut out);
        if self.chance(55) {
            self.infrastructure(&mut out);
        }
        out
    }

    fn segments(&mut self, out: &mut String) {
        out.push_str("segments:\n");
        let mut taken = HashSet::new();
        let mut subnets: Vec<usize> = (0..SUBNETS.len()).collect();
        self.rng.shuffle(&mut subnets);
        for segment in 0..self.rng.usize(1..=4) {
            let mut attach = Vec::new();
            let mut facing = Vec::new();
            // VLANs of one port are stitched together in some segments.
            let proxy = self.chance(35);
            let most = match self.chance(if proxy { 60 } else { 30 }) {
                true => 3,
                false => 1,
            };
            for port in 0..self.uplinks.len() {
                for _ in 0..self.rng.usize(1..=most) {
                    let vlan = one(self.rng, &[0, 10, 20, 30]);
                    let inner = match vlan != 0 && self.chance(30) {
                        true => one(self.rng, &[10, 20, 30]),
                        false => 0,
                    };
                    let wanted = port < 2 || self.chance(60);
                    if wanted && self.chance(92) && taken.insert((port, vlan, inner)) {
                        let at = match (vlan, inner) {
                            (0, _) => format!("p{port}"),
                            (vlan, 0) => format!("p{port}.{vlan}"),
                            (vlan, inner) => format!("p{port}.{vlan}.{inner}"),
                        };
                        if !self.uplinks[port] {
                            facing.extend([format!("p{port}"), at.clone()]);
                        }
                        attach.push(at);
                    }
                }
            }
            if attach.is_empty() {
                // A VLAN that is nobody else's.
                attach.push(format!("p0.{}", 100 + segment));
            }
            let count = self.rng.usize(0..=3).min(subnets.len());
            let own = subnets.split_off(subnets.len() - count);
            let list: Vec<_> = own
                .iter()
                .map(|at| format!("{:?}", SUBNETS[*at].0))
                .collect();
            let mut routers = Vec::new();
            if self.chance(40) {
                let hosts = own.iter().flat_map(|at| SUBNETS[*at].1.iter().copied());
                let known: Vec<&'static str> = hosts.chain(["fe80::1", "fe80::2"]).collect();
                routers = self.some(2, &known);
                routers.sort_unstable();
                routers.dedup();
            }
            self.routers.extend(&routers);
            let isolate = self.chance(50);
            let unknown = if self.chance(45) { "admit" } else { "drop" };
            let mode = if self.chance(15) {
                "observe"
            } else {
                "enforce"
            };
            let others = match self.chance(50) {
                true => self.some(3, &ETHER_TYPES).join(", "),
                false => String::new(),
            };
            put!(
                out,
                "  s{segment}: {{attach: [{}], subnets: [{}], isolate: {isolate}, unknown: {unknown}, mode: {mode}, ether-types: [{others}]{}{}}}",
                attach.join(", "),
                list.join(", "),
                if proxy { ", proxy: true" } else { "" },
                match routers.is_empty() {
                    true => String::new(),
                    false => format!(", routers: {routers:?}"),
                },
            );
            if proxy {
                self.proxied.push(segment);
            }
            self.segments.push(own);
            self.facing.push(facing);
        }
    }

    fn zones(&mut self, out: &mut String) {
        self.zones = self.rng.usize(1..=5);
        let mut segments = vec![Vec::new(); self.zones];
        for segment in 0..self.segments.len() {
            // A segment that is in no zone is one of its own.
            if self.chance(85) {
                segments[self.rng.usize(..self.zones.min(2))].push(format!("s{segment}"));
            }
        }
        let mut networks = NETWORKS.to_vec();
        self.rng.shuffle(&mut networks);
        out.push_str("zones:\n");
        for (zone, segments) in segments.iter().enumerate() {
            let count = match segments.is_empty() {
                true => self.rng.usize(0..=4),
                false => one(self.rng, &[0, 0, 0, 1, 2]),
            };
            let own = networks.split_off(networks.len() - count);
            let local = match (segments.is_empty(), own.is_empty()) {
                (false, false) => ", local: true",
                (false, true) => "",
                (true, _) if self.chance(25) => ", local: true",
                (true, _) => "",
            };
            put!(
                out,
                "  z{zone}: {{segments: [{}], networks: {own:?}{local}}}",
                segments.join(", "),
            );
        }
    }

    fn infrastructure(&mut self, out: &mut String) {
        out.push_str("infrastructure:\n");
        let servers = ["10.9.0.5", "10.1.0.2", "10.2.0.1", "2001:db8:9::5"];
        for service in ["dhcp", "dns", "ntp"] {
            if self.chance(60) {
                let list = self.some(2, &servers);
                let terms = self.terms();
                put!(out, "  {service}: {{servers: {list:?}{terms}}}");
            }
        }
        if out.ends_with("infrastructure:\n") {
            out.push_str("  dhcp: [10.9.0.5]\n");
        }
    }

    /// `survives`, with what the continuity list asks for.
    fn terms(&mut self) -> String {
        if self.chance(45) {
            return String::new();
        }
        let survives = match self.chance(25) {
            true => "lockdown",
            false => one(self.rng, &POSTURES),
        };
        format!(", survives: {survives}, owner: somebody, reason: some")
    }

    fn devices(&mut self) -> String {
        let mut out = "name,mac,ips,segment,profile,port\n".to_owned();
        let mut taken = HashSet::new();
        let mut bound = HashSet::new();
        // Whoever the gateway stands in for has neighbours.
        let mut segments = [self.proxied.clone(), self.proxied.clone()].concat();
        for _ in 0..self.rng.usize(0..=8) {
            segments.push(self.rng.usize(..self.segments.len()));
        }
        for segment in segments {
            let mac = self.rng.u8(1..=6);
            if !taken.insert((segment, mac)) {
                continue;
            }
            let mut ips = Vec::new();
            let hosts: Vec<&str> = self.segments[segment]
                .iter()
                .flat_map(|at| SUBNETS[*at].1.iter().copied())
                .collect();
            let share = if self.proxied.contains(&segment) {
                95
            } else {
                80
            };
            if !hosts.is_empty() && self.chance(share) {
                for ip in self.some(2, &hosts) {
                    if !self.routers.contains(ip) && bound.insert(ip) {
                        ips.push(ip);
                    }
                }
            }
            let profile = if self.chance(70) {
                one(self.rng, &PROFILES)
            } else {
                ""
            };
            let port = match self.facing[segment].is_empty() || self.chance(75) {
                true => String::new(),
                false => self.facing[segment][self.rng.usize(..self.facing[segment].len())].clone(),
            };
            put!(
                out,
                "d{},02:00:00:00:00:{mac:02x},{},s{segment},{profile},{port}",
                self.devices,
                ips.join(" ")
            );
            self.devices += 1;
        }
        out
    }

    fn policy(&mut self) -> String {
        let mut out = String::new();
        self.groups = self.rng.usize(0..=4);
        if self.groups > 0 {
            out.push_str("groups:\n");
        }
        for group in 0..self.groups {
            let mut fields = Vec::new();
            if self.chance(50) {
                fields.push(format!("profiles: {:?}", self.some(2, &PROFILES)));
            }
            if self.devices > 0 && self.chance(30) {
                fields.push(format!("devices: [d{}]", self.rng.usize(..self.devices)));
            }
            if fields.is_empty() || self.chance(40) {
                fields.push(format!("networks: {:?}", self.some(3, NETWORKS)));
            }
            put!(out, "  g{group}: {{{}}}", fields.join(", "));
        }
        out.push_str("rules:\n");
        for rule in 0..self.rng.usize(1..=10) {
            let from = self.end(false);
            let to = self.end(true);
            let service = self.some(2, SERVICES);
            let deny = self.chance(25);
            let terms = if deny {
                ", action: deny".to_owned()
            } else {
                self.terms()
            };
            let expires = match self.chance(15) {
                true => format!(", expires: {}", one(self.rng, &EXPIRES)),
                false => String::new(),
            };
            put!(
                out,
                "  - {{name: r{rule}, from: [{}], to: [{}], service: {service:?}{terms}{expires}}}",
                from.join(", "),
                to.join(", "),
            );
        }
        out
    }

    fn end(&mut self, destination: bool) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..self.rng.usize(1..=2) {
            let kinds = [
                (12, 1, "any"),
                (if destination { 10 } else { 0 }, 1, "broadcast"),
                (25, self.zones, "z"),
                (25, self.segments.len(), "s"),
                (25, self.groups, "g"),
                (20, self.devices, "d"),
            ];
            let kinds = kinds.map(|(weight, count, name)| (weight * count.min(1), count, name));
            let all: usize = kinds.iter().map(|(weight, ..)| *weight).sum();
            let mut left = self.rng.usize(..all);
            for (weight, count, name) in kinds {
                if left < weight {
                    names.push(match name.len() {
                        1 => format!("{name}{}", self.rng.usize(..count)),
                        _ => name.to_owned(),
                    });
                    break;
                }
                left -= weight;
            }
        }
        names
    }
}
