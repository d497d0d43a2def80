//! What a policy means, as its README says, read back from the tables.

mod common;

use common::{Tables, day, policy, today};
use cordon_compile::{compile, rule_index, rule_number};
use cordon_policy::Posture::{Contain, Lockdown, Normal};
use cordon_verdict::abi::{
    Admission, CLASS_UNCLASSIFIED, Network, RULE_ARP, RULE_FIRST, RULE_ND, attachment, fdb_key,
};

/// Two zones with segments, one with networks, and the rest of the world.
const SITE: &str = "
segments:
  imaging:  {attach: [access0.210, core0.210], subnets: [10.21.0.0/24, '2001:db8:21::/64'], isolate: true}
  monitors: {attach: [access0.220, core0.220], subnets: [10.22.0.0/24], isolate: true}
  stations: {attach: [access0.230, core0.230], subnets: [10.23.0.0/24]}
  guest:    {attach: [access0, core0.299], subnets: [10.29.0.0/24], isolate: true, unknown: admit}
zones:
  clinical: {segments: [imaging, monitors]}
  wards: {segments: [stations]}
  data-centre: {networks: [10.200.0.0/16, '2001:db8:200::/48']}
  annex: {networks: [10.24.0.0/16], local: true}
  world: {networks: [0.0.0.0/0, '::/0']}
";
const DEVICES: &str = "\
ct-1,02:00:5e:21:00:11,10.21.0.11 2001:db8:21::11,imaging,ct
ct-2,02:00:5e:21:00:12,10.21.0.12,imaging,ct
us-1,02:00:5e:21:00:21,,imaging,ultrasound
monitor-1,02:00:5e:22:00:11,10.22.0.11,monitors,monitor
station-1,02:00:5e:23:00:11,10.23.0.11,stations,workstation
";

fn tables(rules: &str) -> Tables {
    Tables::of(SITE, rules, DEVICES)
}

#[test]
fn rules_have_numbers() {
    assert_eq!((RULE_ARP, RULE_ND), (1, 2));
    assert_eq!([RULE_ARP, RULE_ND].map(rule_index), [None, None]);
    assert_eq!(
        (rule_number(0), rule_index(RULE_FIRST)),
        (RULE_FIRST, Some(0))
    );
    assert_eq!(rule_index(rule_number(4711)), Some(4711));
    let tables = tables("rules: [{name: one, from: any, to: any, service: icmp}]");
    // The one that is written, and that of the segment which is not isolated.
    assert_eq!(tables.compiled.rules, RULE_FIRST as usize + 2);
}

#[test]
fn the_default_of_survives_follows_from_reach() {
    let tables = tables("rules: [{name: all, from: any, to: any, service: any}]");
    for (from, to, course) in [
        ("ct-1", "monitor-1", "aaaa--"),
        ("ct-1", "10.22.0.99", "aaaa--"),
        ("ct-1", "station-1", "aaa---"),
        ("ct-1", "10.24.3.4", "aaa---"),
        ("10.24.3.4", "10.24.3.5", "aaaa--"),
        ("ct-1", "10.200.0.1", "aa----"),
        ("10.200.0.1", "10.200.0.2", "aa----"),
        ("8.8.8.8", "ct-1", "aa----"),
        ("unlisted guest", "10.29.0.3", "aaaa--"),
        // An address of a segment, but on the wider network's side of it.
        ("behind 10.29.0.3", "unlisted guest", "aa----"),
        // A broadcast or multicast goes two ways.
        ("ct-1", "255.255.255.255", "aaii--"),
        ("ct-1", "10.21.0.255", "aaii--"),
        ("ct-1", "239.1.2.3", "aaii--"),
        ("ct-1", "ff02::fb", "aaii--"),
        ("10.200.0.1", "255.255.255.255", "aa----"),
        ("behind 10.29.0.3", "10.29.0.255", "aa----"),
    ] {
        assert_eq!(tables.course(from, to, "ssh"), course, "{from} to {to}");
    }
}

#[test]
fn a_rule_that_says_what_it_survives_does() {
    let tables = tables(
        "rules:
  - {name: vendor, from: world, to: ct-1, service: ssh, survives: normal}
  - {name: kept, from: ct-1, to: data-centre, service: https, survives: lockdown, owner: o, reason: r}
  - {name: announce, from: ct-1, to: broadcast, service: mdns, survives: isolate, owner: o, reason: r}
  - {name: no-smb, from: any, to: any, service: smb, action: deny}
  - {name: station, from: stations, to: ct-1, service: any}",
    );
    assert_eq!(tables.course("8.8.8.8", "ct-1", "ssh"), "a-----");
    assert_eq!(tables.course("ct-1", "10.200.1.1", "https"), "aaaaa-");
    assert_eq!(tables.course("ct-1", "10.21.0.255", "mdns"), "aaaa--");
    assert_eq!(tables.course("ct-1", "8.8.8.8", "https"), "------");
    assert_eq!(tables.course("ct-1", "8.8.8.8", "smb"), "dddddd");
    // The first that matches decides, of those that apply at the posture.
    assert_eq!(tables.course("station-1", "ct-1", "smb"), "dddddd");
    assert_eq!(tables.course("station-1", "ct-1", "rdp"), "aaa---");
    assert_eq!(
        tables.says("station-1", "ct-1", "rdp", Normal),
        "allow station"
    );
}

#[test]
fn what_does_not_apply_any_more_gives_way_to_what_does() {
    let tables = tables(
        "rules:
  - {name: first, from: ct-1, to: world, service: https, survives: normal}
  - {name: second, from: ct-1, to: world, service: https, survives: contain, owner: o, reason: r}
  - {name: never, from: clinical, to: world, service: any, action: deny}",
    );
    assert_eq!(
        tables.says("ct-1", "8.8.8.8", "https", Normal),
        "allow first"
    );
    assert_eq!(
        tables.says("ct-1", "8.8.8.8", "https", Contain),
        "allow second"
    );
    assert_eq!(
        tables.says("ct-1", "8.8.8.8", "https", Lockdown),
        "deny never"
    );
    assert_eq!(tables.says("ct-1", "8.8.8.8", "http", Normal), "deny never");
    assert_eq!(tables.course("ct-1", "8.8.8.8", "https"), "aaaddd");
}

#[test]
fn a_row_for_a_service_holds_what_is_said_of_every_service() {
    let tables = tables(
        "rules:
  - {name: ranges, from: ct-1, to: wards, service: [tcp/100-200, udp/100-200]}
  - {name: part, from: ct-1, to: wards, service: tcp/150, action: deny}
  - {name: all, from: imaging, to: wards, service: any, action: deny}
  - {name: late, from: ct-1, to: wards, service: tcp/150-300}
  - {name: elsewhere, from: wards, to: ct-1, service: tcp/777}",
    );
    for (service, says) in [
        ("tcp/100", "allow ranges"),
        ("tcp/150", "allow ranges"),
        ("tcp/200", "allow ranges"),
        ("tcp/99", "deny all"),
        ("tcp/201", "deny all"),
        ("tcp/300", "deny all"),
        ("tcp/777", "deny all"),
        ("tcp/65535", "deny all"),
        ("udp/200", "allow ranges"),
        ("udp/0", "deny all"),
        ("icmp", "deny all"),
    ] {
        assert_eq!(
            tables.says("ct-1", "station-1", service, Normal),
            says,
            "{service}"
        );
    }
    assert_eq!(
        tables.says("station-1", "ct-1", "tcp/777", Normal),
        "allow elsewhere"
    );
    assert_eq!(
        tables.says("station-1", "ct-1", "tcp/150", Normal),
        "nothing"
    );
}

#[test]
fn ends_are_who_the_policy_says() {
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
    // Bound addresses are the device's, and networks say nothing of a device.
    assert_eq!(tables.class("ct-1"), tables.class("10.21.0.11"));
    assert_eq!(tables.class("ct-1"), tables.class("2001:db8:21::11"));
    assert_ne!(tables.class("ct-1"), tables.class("ct-2"));
    assert_eq!(
        tables.says("ct-1", "10.21.0.99", "dicom", Normal),
        "allow scanners"
    );
    assert_eq!(
        tables.says("ct-1", "10.200.4.9", "dicom", Normal),
        "allow scanners"
    );
    assert_eq!(tables.says("ct-1", "ct-2", "dicom", Normal), "nothing");
    assert_eq!(tables.says("ct-1", "us-1", "dicom", Normal), "nothing");
    assert_eq!(
        tables.says("ct-1", "10.200.5.9", "dicom", Normal),
        "nothing"
    );
    assert_eq!(tables.says("ct-2", "239.0.0.1", "ntp", Normal), "allow one");
    assert_eq!(
        tables.says("us-1", "station-1", "https", Normal),
        "allow odd"
    );
    assert_eq!(
        tables.says("10.23.0.77", "ct-2", "https", Normal),
        "allow odd"
    );
    assert_eq!(tables.says("ct-1", "station-1", "https", Normal), "nothing");
    // An address that is in a group keeps it behind an uplink, where it is in no segment.
    assert_eq!(
        tables.says("ct-1", "behind 10.21.0.99", "dicom", Normal),
        "allow scanners"
    );
    assert_eq!(tables.course("ct-1", "10.21.0.99", "dicom"), "aaaa--");
    assert_eq!(
        tables.course("ct-1", "behind 10.21.0.99", "dicom"),
        "aa----"
    );
    assert_eq!(tables.class("behind 10.23.0.77"), CLASS_UNCLASSIFIED);
}

#[test]
fn of_nested_networks_the_longest_is_the_zone_and_all_are_groups() {
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
        // A subnet's addresses are in its segment's zone, whatever networks say.
        ("10.1.2.1", "all some lab"),
        ("10.1.2.129", "all some lab"),
        ("10.1.2.193", "all some few lab"),
        ("behind 10.1.2.193", "all some few"),
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
    // The directed broadcast lies in the subnet, and so do the addresses of longer networks in it.
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
fn ipv6_networks_hold_no_ipv4_address() {
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
    for (from, says) in [
        ("2001:db8::1", "allow six"),
        ("::1.2.3.4", "allow six"),
        ("1.2.3.4", "nothing"),
        ("10.0.0.1", "allow ten"),
        ("2001:db8:1::5", "nothing"),
    ] {
        assert_eq!(
            tables.says(from, "2001:db8::2", "ssh", Normal),
            says,
            "{from}"
        );
    }
    assert_eq!(tables.class("1.2.3.4"), CLASS_UNCLASSIFIED);
    // `0.0.0.0/0` is all of IPv4, and nothing of IPv6.
    let tables = Tables::of(
        "
segments: {lab: {attach: [access0, core0], isolate: true}}
zones: {four: {networks: [0.0.0.0/0]}}
",
        "rules: [{name: four, from: four, to: any, service: any}]",
        "",
    );
    assert_eq!(tables.says("1.2.3.4", "::5", "ssh", Normal), "allow four");
    assert_eq!(tables.says("::5", "1.2.3.4", "ssh", Normal), "nothing");
}

#[test]
fn group_addresses_are_destinations_of_their_own() {
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
    let says = |to: &str, service: &str| tables.says("station-1", to, service, Normal);
    assert_eq!(says("239.255.1.1", "udp/1"), "allow discovery");
    assert_eq!(says("ff02::fb", "udp/1"), "allow discovery");
    // Then the rule of the segment itself: what floods in it.
    for to in ["239.0.0.1", "ff02::fc", "10.23.0.255", "255.255.255.255"] {
        for service in ["udp/1", "udp/2", "udp/3"] {
            assert_eq!(
                says(to, service),
                "allow segment:stations",
                "{to} {service}"
            );
        }
    }
    assert_eq!(says("10.23.0.255", "udp/4"), "deny broadcast");
    assert_eq!(says("255.255.255.255", "udp/4"), "deny broadcast");
    assert_eq!(says("239.0.0.1", "udp/4"), "allow segment:stations");
    // Another segment's broadcast is not what floods in this one.
    assert_eq!(says("10.21.0.255", "udp/1"), "nothing");
    // 240.0.0.0/4 is no multicast.
    assert_eq!(says("240.0.0.1", "udp/2"), "allow wide");
    assert_eq!(tables.course("station-1", "239.0.0.1", "udp/9"), "aaii--");
    assert_eq!(tables.course("station-1", "10.23.0.12", "udp/9"), "aaaa--");
}

#[test]
fn multicast_may_be_in_a_zone() {
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
    // In a zone it has one reach.
    assert_eq!(tables.course("10.23.0.1", "239.1.1.1", "ssh"), "aaaa--");
    assert_eq!(tables.course("10.23.0.1", "239.1.5.1", "ssh"), "aa----");
    assert_eq!(tables.course("10.23.0.1", "232.1.1.1", "ssh"), "aa----");
    assert_eq!(tables.course("10.23.0.1", "239.2.1.1", "ssh"), "aaii--");
}

#[test]
fn an_inner_refusal_refuses_outside_too() {
    let tables = tables(
        "rules:
  - {name: few, from: ct-1, to: broadcast, service: udp/5, survives: normal}
  - {name: kept, from: ct-1, to: broadcast, service: udp/5}
  - {name: no, from: imaging, to: any, service: any, action: deny}
  - {name: lost, from: ct-1, to: broadcast, service: udp/5, survives: lockdown, owner: o, reason: r}",
    );
    assert_eq!(tables.course("ct-1", "255.255.255.255", "udp/5"), "aaiidd");
    assert_eq!(
        tables.says("ct-1", "10.21.0.255", "udp/5", Contain),
        "inside kept"
    );
    assert_eq!(
        tables.says("ct-1", "10.21.0.255", "udp/5", Lockdown),
        "deny no"
    );
}

#[test]
fn a_rule_applies_up_to_its_last_day() {
    let rules = "rules:
  - {name: until, from: ct-1, to: world, service: ssh, expires: 2026-12-31}
  - {name: then, from: imaging, to: world, service: any, action: deny}
  - {name: other, from: ct-1, to: wards, service: ssh}";
    let says = |day: &str| {
        let tables = Tables::on(common::day(day), SITE, rules, DEVICES);
        // Numbers do not move when a rule expires.
        assert_eq!(
            tables.says("ct-1", "station-1", "ssh", Normal),
            "allow other"
        );
        tables.says("ct-1", "8.8.8.8", "ssh", Normal)
    };
    assert_eq!(says("2026-12-31"), "allow until");
    assert_eq!(says("2027-01-01"), "deny then");
}

#[test]
fn an_observed_segment_is_let_be_but_no_posture_is_weakened() {
    let tables = Tables::of(
        "
segments:
  seen:  {attach: [access0.1, core0.1], subnets: [10.1.0.0/24], isolate: true, mode: observe, unknown: admit}
  also:  {attach: [access0.2, core0.2], subnets: [10.2.0.0/24], isolate: true, mode: observe, unknown: admit}
  plain: {attach: [access0.3, core0.3], subnets: [10.3.0.0/24], isolate: true}
zones:
  here: {segments: [seen, also]}
  world: {networks: [0.0.0.0/0]}
",
        "rules:
  - {name: briefly, from: seen, to: world, service: ssh, survives: normal}
  - {name: long, from: seen, to: world, service: dicom, survives: lockdown, owner: o, reason: r}
  - {name: no, from: any, to: world, service: smb, action: deny}",
        "",
    );
    // As if a rule allowed it with the default of its reach, denied or not.
    assert_eq!(tables.course("10.1.0.1", "10.1.0.2", "https"), "aaaa--");
    assert_eq!(tables.course("10.1.0.1", "10.3.0.2", "https"), "aaa---");
    assert_eq!(tables.course("10.3.0.1", "10.1.0.2", "https"), "aaa---");
    assert_eq!(tables.course("10.1.0.1", "8.8.8.8", "https"), "aa----");
    assert_eq!(tables.course("10.1.0.1", "8.8.8.8", "smb"), "aadddd");
    assert_eq!(tables.course("10.1.0.1", "10.1.0.255", "https"), "aaii--");
    assert_eq!(tables.course("8.8.8.8", "10.1.0.1", "https"), "aa----");
    // What a rule allows at normal is that rule's, and ends with it.
    assert_eq!(tables.course("10.1.0.1", "8.8.8.8", "ssh"), "a-----");
    assert_eq!(tables.course("10.1.0.1", "8.8.8.8", "dicom"), "aaaaa-");
    assert_eq!(tables.course("10.3.0.1", "8.8.8.8", "smb"), "dddddd");
    assert_eq!(tables.course("10.3.0.1", "8.8.8.8", "https"), "------");
    // Behind an uplink nobody is in the segment; but whom it speaks to is.
    assert_eq!(
        tables.says("behind 10.1.0.9", "8.8.8.8", "https", Normal),
        "nothing"
    );
    let says = |from: &str, to: &str| tables.says(from, to, "https", Normal);
    assert_eq!(says("10.1.0.1", "10.2.0.1"), "allow observe:seen");
    assert_eq!(says("10.2.0.1", "10.1.0.1"), "allow observe:seen-inbound");
    assert_eq!(
        says("behind 10.1.0.9", "unlisted also"),
        "allow observe:also-inbound"
    );
}

#[test]
fn segments_are_attached_and_their_members_known() {
    let tables = tables("rules: [{name: guest, from: guest, to: world, service: https}]");
    let [imaging, stations, guest] =
        ["imaging", "stations", "guest"].map(|name| tables.number(name));
    let generation = &tables.compiled.generation;
    let admitted = generation.admissions[&attachment(0, 0)];
    assert_eq!(
        (admitted.segment, admitted.flags),
        (guest, Admission::IN_USE | Admission::ADMIT_UNKNOWN)
    );
    assert_eq!(
        tables.says("unlisted guest", "8.8.8.8", "https", Normal),
        "allow guest"
    );
    let admitted = generation.admissions[&attachment(1, 210)];
    assert_eq!(
        (admitted.segment, admitted.flags),
        (imaging, Admission::IN_USE | Admission::UPLINK)
    );
    assert_eq!(generation.admissions.len(), 8);
    assert_eq!(generation.floods[&(guest, 0)], attachment(0, 0));
    assert_eq!(generation.floods[&(guest, 1)], attachment(1, 299));
    assert_eq!(generation.floods.len(), 8);

    let us = generation.devices[&fdb_key(imaging, 0x0200_5e21_0021)];
    assert!(us.is(cordon_verdict::abi::Device::ANY_ADDRESS));
    let ct = generation.devices[&fdb_key(imaging, 0x0200_5e21_0011)];
    assert_eq!((ct.word, ct.bound_to), (0, 0));
    let station = generation.devices[&fdb_key(stations, 0x0200_5e23_0011)];
    let address = generation.addresses[&cordon_verdict::Ip::v4(0x0a17_000b)];
    assert_eq!(
        (address.device, address.segment, address.class),
        (station.id(), stations, station.class)
    );
    assert_eq!(generation.addresses.len(), 5);
}

#[test]
fn what_no_rule_tells_apart_is_one_class() {
    let tables = tables("rules: [{name: all, from: clinical, to: world, service: https}]");
    assert_eq!(tables.class("ct-1"), tables.class("us-1"));
    assert_eq!(tables.class("ct-1"), tables.class("monitor-1"));
    assert_ne!(tables.class("ct-1"), tables.class("station-1"));
    assert_eq!(tables.class("8.8.8.8"), tables.class("::8"));
    assert_eq!(tables.class("10.200.0.1"), CLASS_UNCLASSIFIED);
}

#[test]
fn the_same_policy_gives_the_same_tables() {
    let rules = "rules:
  - {name: a, from: clinical, to: world, service: [dicom, tcp/1-1000]}
  - {name: b, from: any, to: any, service: active-directory}
  - {name: c, from: ct-1, to: any, service: any, expires: 2026-01-01}";
    let policy = policy(SITE, rules, DEVICES);
    let compiled = |day| compile(&policy, day).expect("is right").generation;
    assert!(compiled(today()) == compiled(today()));
    assert!(compiled(day("2025-12-31")) != compiled(today()));
}
