//! The hospital that Cordon is given: its policy, as the text of the files an operator would write.

use std::fmt::Write as _;

use cordon_policy::Sources;

use crate::traffic::{Device, KINDS, Kind, Segment};

/// The policy directory of a site with so many devices.
pub fn sources(devices: u32) -> Sources {
    Sources {
        site: site(devices),
        policy: Some(policy()),
        devices: Some(inventory(devices)),
    }
}

fn site(devices: u32) -> String {
    let mut text = String::from(
        "site: benchmark-general\n\
         ports:\n  access0: {device: eth1}\n  core0: {device: eth2, uplink: true}\n\
         segments:\n",
    );
    let mut names = Vec::new();
    for segment in Segment::all(devices) {
        let (name, vlan) = (name_of(segment), segment.vlan());
        let network = segment.network();
        let _ = writeln!(
            text,
            "  {name}: {{attach: [access0.{vlan}, core0.{vlan}], subnets: [{network}/21], isolate: true}}"
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

/// Each kind of device may send to its own servers and fetch updates, each server may ask its devices; some of it
/// survives a quarantine.
fn policy() -> String {
    let mut text = String::from("services:\n");
    for (number, kind) in KINDS.iter().enumerate() {
        let _ = writeln!(
            text,
            "  {}: {{udp: [{}]}}",
            kind.service,
            Kind::port(number)
        );
    }
    text.push_str("groups:\n");
    for (number, Kind { profile, .. }) in KINDS.iter().enumerate() {
        let server = Kind::server(number);
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

fn inventory(devices: u32) -> String {
    let mut text = String::from("name,mac,ips,segment,profile,function,criticality\n");
    for device in Device::all(devices) {
        let profile = KINDS[device.kind()].profile;
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

    #[test]
    fn the_policy_is_one_that_an_operator_could_apply() {
        let validated = match cordon_policy::from_sources(&sources(3000)) {
            Ok(validated) => validated,
            Err(rejected) => panic!("{rejected}"),
        };
        assert!(validated.warnings.is_empty(), "{:?}", validated.warnings);
        assert_eq!(validated.policy.devices.len(), 3000);
        assert_eq!(validated.policy.segments.len(), 3);
    }
}
