//! Reads rulings from the tables of a compiled policy, as text.
#![allow(dead_code)] // Each test program uses a part of it.

pub mod large;

use std::net::IpAddr;

use cordon_compile::{Compiled, compile, rule_index};
use cordon_policy::{Date, Policy, Posture, Problem, Service, Sources, from_sources, protocols};
use cordon_verdict::Ip;
use cordon_verdict::abi::{CLASS_UNCLASSIFIED, PolicyRow, Ruling, SERVICE_OTHER, service_index};

/// Ports `access0` (0) and `core0` (1, the uplink).
pub const PORTS: &str =
    "site: test\nports: {access0: {device: eth1}, core0: {device: eth2, uplink: true}}\n";

pub fn day(text: &str) -> Date {
    text.parse().expect("is a day")
}

/// The day of compilation in most tests.
pub fn today() -> Date {
    day("2026-10-01")
}

/// A policy from [`PORTS`] followed by `site`, `policy.yaml`, and the lines of `devices.csv` below its header.
pub fn policy(site: &str, rules: &str, devices: &str) -> Policy {
    let sources = Sources {
        site: format!("{PORTS}{site}"),
        policy: Some(rules.to_owned()),
        devices: Some(format!("name,mac,ips,segment,profile,port\n{devices}")),
    };
    match from_sources(&sources) {
        Ok(validated) => validated.policy,
        Err(rejected) => panic!("{}", lines(&rejected.problems)),
    }
}

pub fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

pub fn ip(address: IpAddr) -> Ip {
    match address {
        IpAddr::V4(address) => Ip::v4(address.into()),
        IpAddr::V6(address) => Ip {
            hi: (address.to_bits() >> 64) as u64,
            lo: address.to_bits() as u64,
        },
    }
}

/// A policy and its tables.
pub struct Tables {
    pub policy: Policy,
    pub compiled: Compiled,
}

impl Tables {
    pub fn of(site: &str, rules: &str, devices: &str) -> Tables {
        Tables::on(today(), site, rules, devices)
    }

    pub fn on(today: Date, site: &str, rules: &str, devices: &str) -> Tables {
        let policy = policy(site, rules, devices);
        match compile(&policy, today) {
            Ok(compiled) => Tables { policy, compiled },
            Err(rejected) => panic!("{}", lines(&rejected.problems)),
        }
    }

    /// The number of a segment.
    pub fn number(&self, name: &str) -> u16 {
        let mut segments = self.policy.segments.iter();
        let segment = segments.find(|segment| segment.name == name);
        segment.expect("there is such a segment").number
    }

    /// The class of a device by name, of an address, of `unlisted SEGMENT`, or of `uplink ADDRESS`, an address on the uplink
    /// side.
    pub fn class(&self, end: &str) -> u16 {
        let generation = &self.compiled.generation;
        if let Some(name) = end.strip_prefix("unlisted ") {
            let segment = self.number(name);
            let mut all = generation.admissions.values();
            let admission = all.find(|admission| admission.segment == segment);
            return admission.expect("it is attached").unlisted_class;
        }
        if let Some(address) = end.strip_prefix("uplink ") {
            let network = generation.network(ip(address.parse().expect("an address")));
            return network.expect("is in a network").via_uplink;
        }
        if let Ok(address) = end.parse::<IpAddr>() {
            let address = ip(address);
            return match (
                generation.addresses.get(&address),
                generation.network(address),
            ) {
                (Some(owner), _) => owner.class,
                (None, Some(network)) => network.class,
                (None, None) => CLASS_UNCLASSIFIED,
            };
        }
        let found = |device: &cordon_policy::Device| device.name == end;
        let device = self.policy.devices.iter().position(found);
        let device = device.unwrap_or_else(|| panic!("no device `{end}`"));
        let mut all = generation.devices.values();
        let record = all.find(|record| record.id() as usize == device);
        record.expect("is in the table").class
    }

    /// The row that the verdict finds.
    pub fn row(&self, from: u16, to: u16, index: u32) -> Option<PolicyRow> {
        let generation = &self.compiled.generation;
        let class = generation.services[index as usize];
        let row = |service| generation.policy.row(from, to, service).copied();
        row(class).or_else(|| row(SERVICE_OTHER))
    }

    /// The ruling on the first port of a service.
    pub fn ruling(&self, from: &str, to: &str, service: &str, posture: Posture) -> Ruling {
        let services = self.policy.service(service).expect("is a service");
        let index = match (services[0], services[0].ports()) {
            (_, Some((protocol, port, _))) => service_index(protocol, port),
            (Service::IcmpEcho, None) => service_index(protocols::ICMP, 0),
            (_, None) => service_index(protocols::UDP, 9),
        };
        self.row(self.class(from), self.class(to), index)
            .map_or(Ruling::NONE, |row| row.rulings[posture as usize])
    }

    /// `allow RULE`, `inside RULE`, `deny RULE` or `no rule`.
    pub fn decision(&self, from: &str, to: &str, service: &str, posture: Posture) -> String {
        let ruling = self.ruling(from, to, service, posture);
        let verb = match (ruling.allows(), ruling.is_inside()) {
            (true, true) => "inside",
            (true, false) => "allow",
            (false, _) if ruling.rule() == 0 => return "no rule".to_owned(),
            (false, _) => "deny",
        };
        let index = rule_index(ruling.rule()).expect("is not a built-in rule");
        format!("{verb} {}", self.policy.rules[index].name)
    }

    /// One letter for each posture from normal to sever: `a`llowed, `i`nside only, `d`enied by a rule, `-` by no rule.
    pub fn postures(&self, from: &str, to: &str, service: &str) -> String {
        let letter = |posture| match self.ruling(from, to, service, posture) {
            ruling if ruling.allows() && ruling.is_inside() => 'i',
            ruling if ruling.allows() => 'a',
            ruling if ruling.rule() != 0 => 'd',
            _ => '-',
        };
        Posture::ALL.into_iter().map(letter).collect()
    }
}
