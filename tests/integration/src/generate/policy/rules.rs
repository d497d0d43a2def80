//! `devices.csv` and `policy.yaml`.

use std::collections::HashSet;
use std::fmt::Write;

use super::{NETWORKS, SUBNETS, Text, one};

const SERVICES: &[&str] = &[
    "any", "icmp", "tcp/1", "tcp/2", "tcp/1-3", "tcp/any", "udp/1", "udp/2-3", "udp/any", "udp/67",
    "udp/68", "dns", "https", "sctp/1", "sctp/any",
];

const PROFILES: [&str; 3] = ["pa", "pb", "pc"];
/// Around the date for which the policies are compiled.
const EXPIRES: [&str; 3] = ["2026-06-14", "2026-06-15", "2027-03-31"];

impl Text<'_> {
    pub(super) fn devices(&mut self) -> String {
        let mut out = "name,mac,ips,segment,profile,port\n".to_owned();
        let mut taken = HashSet::new();
        let mut bound = HashSet::new();
        // At least one device, mostly two, in segments with a proxy.
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

    pub(super) fn policy(&mut self) -> String {
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
