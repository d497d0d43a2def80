//! `site.yaml`: ports, segments, zones, infrastructure.

use std::collections::HashSet;
use std::fmt::Write;

use super::{NETWORKS, SUBNETS, Text, one};

const LINK_CONTROL: [&str; 5] = ["stp", "lacp", "eapol", "lldp", "ptp"];
/// PROFINET, GOOSE, the lowest EtherType (lower values are lengths), and LLDP, which ports may pass as link control.
const ETHER_TYPES: [&str; 4] = ["0x8892", "0x88b8", "0x0600", "0x88cc"];

impl Text<'_> {
    pub(super) fn site(&mut self) -> String {
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
            // Some segments stitch VLANs of one port together.
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
                // A VLAN that no other segment uses.
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
            // A segment without a zone becomes its own zone.
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
}
