//! Which devices and addresses an end of a rule matches.

use cordon_policy::Posture::Normal;
use cordon_verdict::abi::{CLASS_UNCLASSIFIED, Network};

use crate::common::{self, Tables};
use crate::tables;

#[test]
fn groups_match_devices_by_profile_or_name_and_addresses_by_network() {
    let tables = tables(
        "groups:
  scanners: {profile: ct}
  odd: {devices: [us-1]}
  addresses: {networks: [10.21.0.0/16, 10.200.4.0/24]}
rules:
  - {name: scanners, from: scanners, to: addresses, service: dicom}
  - {name: one, from: ct-2, to: any, service: ntp}
  - {name: odd, from: [odd, stations], to: [wards, scanners], service: https}",
    );
    // A bound address has the class of its device, and networks do not match listed devices.
    assert_eq!(tables.class("ct-1"), tables.class("10.21.0.11"));
    assert_eq!(tables.class("ct-1"), tables.class("2001:db8:21::11"));
    assert_ne!(tables.class("ct-1"), tables.class("ct-2"));
    assert_eq!(
        tables.decision("ct-1", "10.21.0.99", "dicom", Normal),
        "allow scanners"
    );
    assert_eq!(
        tables.decision("ct-1", "10.200.4.9", "dicom", Normal),
        "allow scanners"
    );
    assert_eq!(tables.decision("ct-1", "ct-2", "dicom", Normal), "no rule");
    assert_eq!(tables.decision("ct-1", "us-1", "dicom", Normal), "no rule");
    assert_eq!(
        tables.decision("ct-1", "10.200.5.9", "dicom", Normal),
        "no rule"
    );
    assert_eq!(
        tables.decision("ct-2", "239.0.0.1", "ntp", Normal),
        "allow one"
    );
    assert_eq!(
        tables.decision("us-1", "station-1", "https", Normal),
        "allow odd"
    );
    assert_eq!(
        tables.decision("10.23.0.77", "ct-2", "https", Normal),
        "allow odd"
    );
    assert_eq!(
        tables.decision("ct-1", "station-1", "https", Normal),
        "no rule"
    );
    // On the uplink side, an address is in its groups but in no segment.
    assert_eq!(
        tables.decision("ct-1", "uplink 10.21.0.99", "dicom", Normal),
        "allow scanners"
    );
    assert_eq!(tables.postures("ct-1", "10.21.0.99", "dicom"), "aaaa--");
    assert_eq!(
        tables.postures("ct-1", "uplink 10.21.0.99", "dicom"),
        "aa----"
    );
    assert_eq!(tables.class("uplink 10.23.0.77"), CLASS_UNCLASSIFIED);
}

#[test]
fn of_nested_networks_the_longest_gives_the_zone_and_all_give_groups() {
    let tables = Tables::of(
        "
segments:
  lab: {attach: [access0, core0], subnets: [10.1.2.0/24], isolate: true}
zones:
  wide: {networks: [10.0.0.0/8]}
  narrow: {networks: [10.1.0.0/16, 10.1.2.128/25]}
",
        "
groups:
  all: {networks: [10.0.0.0/7]}
  some: {networks: [10.1.2.0/23]}
  few: {networks: [10.1.2.192/26, 10.1.3.3]}
rules:
  - {name: all, from: all, to: any, service: tcp/1}
  - {name: some, from: some, to: any, service: tcp/2}
  - {name: few, from: few, to: any, service: tcp/3}
  - {name: wide, from: wide, to: any, service: tcp/4}
  - {name: narrow, from: narrow, to: any, service: tcp/5}
  - {name: lab, from: lab, to: any, service: tcp/6}",
        "",
    );
    for (from, rules) in [
        ("11.0.0.1", "all"),
        ("10.2.0.1", "all wide"),
        ("10.1.0.1", "all narrow"),
        ("10.1.3.1", "all some narrow"),
        ("10.1.3.3", "all some few narrow"),
        // The addresses of a subnet are in the zone of the segment, whatever networks contain them.
        ("10.1.2.1", "all some lab"),
        ("10.1.2.129", "all some lab"),
        ("10.1.2.193", "all some few lab"),
        ("uplink 10.1.2.193", "all some few"),
        ("10.1.2.255", ""),
        ("12.0.0.1", ""),
        ("2001:db8::1", ""),
    ] {
        let allowed: Vec<&str> = ["all", "some", "few", "wide", "narrow", "lab"]
            .into_iter()
            .zip(1..)
            .filter(|(_, port)| {
                let service = format!("tcp/{port}");
                tables.ruling(from, "12.0.0.2", &service, Normal).allows()
            })
            .map(|(name, _)| name)
            .collect();
        assert_eq!(allowed.join(" "), rules, "{from}");
    }
    let lab = tables.policy.segments[0].number;
    // The directed broadcast and the addresses of longer networks within the subnet keep the segment.
    let network = |text: &str| {
        let address = common::ip(text.parse().expect("an address"));
        tables.compiled.generation.network(address)
    };
    let broadcast = network("10.1.2.255").expect("is there");
    assert_eq!(
        (broadcast.segment, broadcast.flags),
        (lab, Network::BROADCAST)
    );
    assert_eq!(
        network("10.1.2.193").map(|network| network.segment),
        Some(lab)
    );
    assert_eq!(
        network("10.1.3.3").map(|network| network.segment),
        Some(Network::NO_SEGMENT)
    );
}

#[test]
fn ipv6_networks_match_no_ipv4_address() {
    let site = "
segments:
  lab: {attach: [access0, core0], subnets: ['2001:db8:1::/64'], isolate: true}
zones:
  six: {networks: ['::/0', '::ffff:0:0/97', '::fffe:0:0/95']}
  ten: {networks: [10.0.0.0/8]}
";
    let rules = "
groups: {mapped: {networks: ['::ffff:10.0.0.0/104', '::ffff:10.0.0.1']}}
rules:
  - {name: six, from: six, to: any, service: any}
  - {name: mapped, from: mapped, to: any, service: any}
  - {name: ten, from: ten, to: any, service: any}";
    let tables = Tables::of(site, rules, "");
    for (from, decision) in [
        ("2001:db8::1", "allow six"),
        ("::1.2.3.4", "allow six"),
        ("1.2.3.4", "no rule"),
        ("10.0.0.1", "allow ten"),
        ("2001:db8:1::5", "no rule"),
    ] {
        assert_eq!(
            tables.decision(from, "2001:db8::2", "ssh", Normal),
            decision,
            "{from}"
        );
    }
    assert_eq!(tables.class("1.2.3.4"), CLASS_UNCLASSIFIED);
    // `0.0.0.0/0` matches all of IPv4, and no IPv6 address.
    let tables = Tables::of(
        "
segments: {lab: {attach: [access0, core0], isolate: true}}
zones: {four: {networks: [0.0.0.0/0]}}
",
        "rules: [{name: four, from: four, to: any, service: any}]",
        "",
    );
    assert_eq!(
        tables.decision("1.2.3.4", "::5", "ssh", Normal),
        "allow four"
    );
    assert_eq!(tables.decision("::5", "1.2.3.4", "ssh", Normal), "no rule");
}

#[test]
fn group_addresses_match_only_multicast_networks_and_broadcast() {
    let tables = tables(
        "
groups:
  discovery: {networks: [239.255.0.0/16, 'ff02::fb']}
  wide: {networks: [224.0.0.0/3, 0.0.0.0/0, 'fe00::/7', 255.255.255.255, 10.23.0.255]}
rules:
  - {name: discovery, from: stations, to: discovery, service: udp/1}
  - {name: wide, from: stations, to: wide, service: udp/2}
  - {name: world, from: stations, to: world, service: udp/3}
  - {name: broadcast, from: stations, to: broadcast, service: udp/4, action: deny}",
    );
    let decision = |to: &str, service: &str| tables.decision("station-1", to, service, Normal);
    assert_eq!(decision("239.255.1.1", "udp/1"), "allow discovery");
    assert_eq!(decision("ff02::fb", "udp/1"), "allow discovery");
    // The implicit rule of the segment matches the rest of what is flooded in it.
    for to in ["239.0.0.1", "ff02::fc", "10.23.0.255", "255.255.255.255"] {
        for service in ["udp/1", "udp/2", "udp/3"] {
            assert_eq!(
                decision(to, service),
                "allow segment:stations",
                "{to} {service}"
            );
        }
    }
    assert_eq!(decision("10.23.0.255", "udp/4"), "deny broadcast");
    assert_eq!(decision("255.255.255.255", "udp/4"), "deny broadcast");
    assert_eq!(decision("239.0.0.1", "udp/4"), "allow segment:stations");
    // The directed broadcast of another segment is not flooded in this one.
    assert_eq!(decision("10.21.0.255", "udp/1"), "no rule");
    // 240.0.0.0/4 is not multicast.
    assert_eq!(decision("240.0.0.1", "udp/2"), "allow wide");
    assert_eq!(tables.postures("station-1", "239.0.0.1", "udp/9"), "aaii--");
    assert_eq!(
        tables.postures("station-1", "10.23.0.12", "udp/9"),
        "aaaa--"
    );
}

#[test]
fn multicast_in_a_zone_has_one_reach() {
    let tables = Tables::of(
        "
segments: {stations: {attach: [access0, core0], subnets: [10.23.0.0/24], isolate: true}}
zones:
  wards: {segments: [stations], networks: [239.1.0.0/16], local: true}
  feeds: {networks: [232.0.0.0/8, 239.1.5.0/24]}
",
        "rules: [{name: all, from: stations, to: any, service: any}]",
        "",
    );
    assert_eq!(tables.postures("10.23.0.1", "239.1.1.1", "ssh"), "aaaa--");
    assert_eq!(tables.postures("10.23.0.1", "239.1.5.1", "ssh"), "aa----");
    assert_eq!(tables.postures("10.23.0.1", "232.1.1.1", "ssh"), "aa----");
    assert_eq!(tables.postures("10.23.0.1", "239.2.1.1", "ssh"), "aaii--");
}
