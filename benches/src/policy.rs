//! The policy for Cordon, as the text of a policy directory.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use cordon_policy::Sources;

use crate::traffic::{Device, KINDS, Kind, Segment, Site};

/// The policy directory of a site.
pub fn sources(site: Site) -> Sources {
    let policy = match site {
        Site::Rules(_) => many_rules(site),
        _ => policy(),
    };
    Sources {
        site: layout(site),
        policy: Some(policy),
        devices: Some(inventory(site)),
    }
}

fn layout(site: Site) -> String {
    let mut text = String::from(
        "site: benchmark-general\n\
         ports:\n  access0: {device: eth1}\n  core0: {device: eth2, uplink: true}\n\
         segments:\n",
    );
    let mut names = Vec::new();
    for segment in Segment::all(site.devices()) {
        let name = name_of(segment);
        let network = segment.network();
        let router = Ipv4Addr::from_bits(network.to_bits() + 1);
        let vlan = match site {
            Site::Hosts => String::new(),
            _ => format!(".{}", segment.vlan()),
        };
        let _ = writeln!(
            text,
            "  {name}: {{attach: [access0{vlan}, core0{vlan}], subnets: [{network}/21], \
             routers: [{router}], isolate: true}}"
        );
        names.push(name);
    }
    let names = names.join(", ");
    let _ = writeln!(
        text,
        "zones:\n  wards: {{segments: [{names}]}}\n  data-centre: {{networks: [10.200.0.0/16]}}\n  \
         world: {{networks: [0.0.0.0/0, \"::/0\"]}}\n\
         infrastructure:\n  dns: [10.200.100.53]\n  ntp: [10.200.100.123]"
    );
    text
}

fn name_of(segment: Segment) -> String {
    format!("ward-{:03}", segment.0)
}

/// Each kind of device may send to its own servers and fetch updates, and each server may query its devices. Some rules
/// survive a lockdown.
fn policy() -> String {
    let mut text = String::from("services:\n");
    for (number, kind) in KINDS.iter().enumerate() {
        let _ = writeln!(
            text,
            "  {}: {{udp: [{}]}}",
            kind.service,
            Kind::port(number as u32)
        );
    }
    text.push_str("groups:\n");
    for (number, Kind { profile, .. }) in KINDS.iter().enumerate() {
        let server = Kind::server(number as u32);
        let _ = writeln!(text, "  {profile}s: {{profile: {profile}}}");
        let _ = writeln!(text, "  {profile}-servers: {{networks: [{server}/32]}}");
    }
    text.push_str("rules:\n");
    for Kind { profile, service } in &KINDS {
        let _ = writeln!(
            text,
            "  - {{name: {service}, from: {profile}s, to: {profile}-servers, service: {service},\n     \
             survives: lockdown, owner: clinical-engineering, reason: bedside care depends on it}}\n  \
             - {{name: {profile}-updates, from: {profile}s, to: {profile}-servers, service: https}}\n  \
             - {{name: {profile}-queries, from: {profile}-servers, to: {profile}s, service: hl7}}"
        );
    }
    text.push_str(
        "  - {name: vendor-support, from: world, to: wards, service: ssh, survives: normal}\n\
         invariants:\n  - {from: wards, to: world, service: smb, expect: deny}\n",
    );
    text
}

/// Each kind of device may send to its own servers, with one rule for each service.
fn many_rules(site: Site) -> String {
    let mut text = String::from("services:\n");
    for kind in 0..site.kinds().min(8) {
        for service in 0..site.services() {
            let (name, port) = (service_of(kind, service), Kind::port_of(kind, service));
            let _ = writeln!(text, "  {name}: {{udp: [{port}]}}");
        }
    }
    text.push_str("groups:\n");
    for kind in 0..site.kinds() {
        let server = Kind::server(kind);
        let _ = writeln!(
            text,
            "  kind-{kind}: {{profile: kind-{kind}}}\n  kind-{kind}-server: {{networks: [{server}/32]}}"
        );
    }
    text.push_str("rules:\n");
    for kind in 0..site.kinds() {
        for service in 0..site.services() {
            let name = service_of(kind, service);
            let _ = writeln!(
                text,
                "  - {{name: kind-{kind}-{service}, from: kind-{kind}, to: kind-{kind}-server, service: {name}}}"
            );
        }
    }
    text
}

fn service_of(kind: u32, service: u32) -> String {
    format!("service-{}-{service}", kind & 7)
}

fn inventory(site: Site) -> String {
    let mut text = String::from("name,mac,ips,segment,profile,function,criticality\n");
    for device in Device::all(site.devices()) {
        let kind = site.kind(device);
        let profile = match site {
            Site::Rules(_) => format!("kind-{kind}"),
            _ => KINDS[kind as usize].profile.to_owned(),
        };
        let _ = writeln!(
            text,
            "device-{},{},{},{},{profile},bedside,high",
            device.0,
            device.mac(),
            device.ip(),
            name_of(device.segment())
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(site: Site) -> cordon_policy::Policy {
        let validated = match cordon_policy::from_sources(&sources(site)) {
            Ok(validated) => validated,
            Err(rejected) => panic!("{rejected}"),
        };
        assert!(validated.warnings.is_empty(), "{:?}", validated.warnings);
        validated.policy
    }

    #[test]
    fn the_policies_are_valid_without_warnings() {
        let policy = validated(Site::Devices(3000));
        assert_eq!((policy.devices.len(), policy.segments.len()), (3000, 3));
        assert_eq!(validated(Site::Hosts).devices.len(), 10);
    }

    #[test]
    fn a_policy_has_the_requested_number_of_rules() {
        assert_eq!(validated(Site::Rules(10)).rules.len(), 10);
        let policy = validated(Site::Rules(5000));
        assert!((5000..6024).contains(&policy.rules.len()));
        assert_eq!(policy.devices.len(), 1024);
    }
}
