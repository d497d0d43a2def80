//! Which rule decides, at which posture.

use cordon_compile::{rule_index, rule_number};
use cordon_policy::Posture::{Contain, Lockdown, Normal};
use cordon_verdict::abi::{RULE_ARP, RULE_FIRST, RULE_ND};

use crate::common::{self, Tables};
use crate::{DEVICES, SITE, tables};

#[test]
fn rules_are_numbered_after_the_built_in_ones() {
    assert_eq!((RULE_ARP, RULE_ND), (1, 2));
    assert_eq!([RULE_ARP, RULE_ND].map(rule_index), [None, None]);
    assert_eq!(
        (rule_number(0), rule_index(RULE_FIRST)),
        (RULE_FIRST, Some(0))
    );
    assert_eq!(rule_index(rule_number(4711)), Some(4711));
    let tables = tables("rules: [{name: one, from: any, to: any, service: icmp}]");
    // The written rule, and the implicit one of the segment that is not isolated.
    assert_eq!(tables.compiled.rules, RULE_FIRST as usize + 2);
}

#[test]
fn the_default_of_survives_follows_from_reach() {
    let tables = tables("rules: [{name: all, from: any, to: any, service: any}]");
    for (from, to, postures) in [
        ("ct-1", "monitor-1", "aaaa--"),
        ("ct-1", "10.22.0.99", "aaaa--"),
        ("ct-1", "station-1", "aaa---"),
        ("ct-1", "10.24.3.4", "aaa---"),
        ("10.24.3.4", "10.24.3.5", "aaaa--"),
        ("ct-1", "10.200.0.1", "aa----"),
        ("10.200.0.1", "10.200.0.2", "aa----"),
        ("8.8.8.8", "ct-1", "aa----"),
        ("unlisted guest", "10.29.0.3", "aaaa--"),
        // An address of a segment, on its uplink side.
        ("uplink 10.29.0.3", "unlisted guest", "aa----"),
        // A broadcast or multicast has two reaches.
        ("ct-1", "255.255.255.255", "aaii--"),
        ("ct-1", "10.21.0.255", "aaii--"),
        ("ct-1", "239.1.2.3", "aaii--"),
        ("ct-1", "ff02::fb", "aaii--"),
        ("10.200.0.1", "255.255.255.255", "aa----"),
        ("uplink 10.29.0.3", "10.29.0.255", "aa----"),
    ] {
        assert_eq!(tables.postures(from, to, "ssh"), postures, "{from} to {to}");
    }
}

#[test]
fn a_rule_with_survives_applies_up_to_that_posture() {
    let tables = tables(
        "rules:
  - {name: vendor, from: world, to: ct-1, service: ssh, survives: normal}
  - {name: kept, from: ct-1, to: data-centre, service: https, survives: lockdown, owner: o, reason: r}
  - {name: announce, from: ct-1, to: broadcast, service: mdns, survives: isolate, owner: o, reason: r}
  - {name: no-smb, from: any, to: any, service: smb, action: deny}
  - {name: station, from: stations, to: ct-1, service: any}",
    );
    assert_eq!(tables.postures("8.8.8.8", "ct-1", "ssh"), "a-----");
    assert_eq!(tables.postures("ct-1", "10.200.1.1", "https"), "aaaaa-");
    assert_eq!(tables.postures("ct-1", "10.21.0.255", "mdns"), "aaaa--");
    assert_eq!(tables.postures("ct-1", "8.8.8.8", "https"), "------");
    assert_eq!(tables.postures("ct-1", "8.8.8.8", "smb"), "dddddd");
    // The first that matches decides, of those that apply at the posture.
    assert_eq!(tables.postures("station-1", "ct-1", "smb"), "dddddd");
    assert_eq!(tables.postures("station-1", "ct-1", "rdp"), "aaa---");
    assert_eq!(
        tables.decision("station-1", "ct-1", "rdp", Normal),
        "allow station"
    );
}

#[test]
fn at_each_posture_the_first_rule_that_still_applies_decides() {
    let tables = tables(
        "rules:
  - {name: first, from: ct-1, to: world, service: https, survives: normal}
  - {name: second, from: ct-1, to: world, service: https, survives: contain, owner: o, reason: r}
  - {name: never, from: clinical, to: world, service: any, action: deny}",
    );
    assert_eq!(
        tables.decision("ct-1", "8.8.8.8", "https", Normal),
        "allow first"
    );
    assert_eq!(
        tables.decision("ct-1", "8.8.8.8", "https", Contain),
        "allow second"
    );
    assert_eq!(
        tables.decision("ct-1", "8.8.8.8", "https", Lockdown),
        "deny never"
    );
    assert_eq!(
        tables.decision("ct-1", "8.8.8.8", "http", Normal),
        "deny never"
    );
    assert_eq!(tables.postures("ct-1", "8.8.8.8", "https"), "aaaddd");
}

#[test]
fn rules_for_any_service_also_decide_for_named_services() {
    let tables = tables(
        "rules:
  - {name: ranges, from: ct-1, to: wards, service: [tcp/100-200, udp/100-200]}
  - {name: part, from: ct-1, to: wards, service: tcp/150, action: deny}
  - {name: all, from: imaging, to: wards, service: any, action: deny}
  - {name: late, from: ct-1, to: wards, service: tcp/150-300}
  - {name: elsewhere, from: wards, to: ct-1, service: tcp/777}",
    );
    for (service, decision) in [
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
            tables.decision("ct-1", "station-1", service, Normal),
            decision,
            "{service}"
        );
    }
    assert_eq!(
        tables.decision("station-1", "ct-1", "tcp/777", Normal),
        "allow elsewhere"
    );
    assert_eq!(
        tables.decision("station-1", "ct-1", "tcp/150", Normal),
        "no rule"
    );
}

#[test]
fn a_multicast_that_is_denied_inside_is_denied_at_uplinks_too() {
    let tables = tables(
        "rules:
  - {name: few, from: ct-1, to: broadcast, service: udp/5, survives: normal}
  - {name: kept, from: ct-1, to: broadcast, service: udp/5}
  - {name: no, from: imaging, to: any, service: any, action: deny}
  - {name: lost, from: ct-1, to: broadcast, service: udp/5, survives: lockdown, owner: o, reason: r}",
    );
    assert_eq!(
        tables.postures("ct-1", "255.255.255.255", "udp/5"),
        "aaiidd"
    );
    assert_eq!(
        tables.decision("ct-1", "10.21.0.255", "udp/5", Contain),
        "inside kept"
    );
    assert_eq!(
        tables.decision("ct-1", "10.21.0.255", "udp/5", Lockdown),
        "deny no"
    );
}

#[test]
fn a_rule_applies_up_to_and_including_its_last_day() {
    let rules = "rules:
  - {name: until, from: ct-1, to: world, service: ssh, expires: 2026-12-31}
  - {name: then, from: imaging, to: world, service: any, action: deny}
  - {name: other, from: ct-1, to: wards, service: ssh}";
    let decision = |day: &str| {
        let tables = Tables::on(common::day(day), SITE, rules, DEVICES);
        // Later rules keep their numbers when a rule expires.
        assert_eq!(
            tables.decision("ct-1", "station-1", "ssh", Normal),
            "allow other"
        );
        tables.decision("ct-1", "8.8.8.8", "ssh", Normal)
    };
    assert_eq!(decision("2026-12-31"), "allow until");
    assert_eq!(decision("2027-01-01"), "deny then");
}

#[test]
fn an_observed_segment_allows_what_enforcement_would_drop_without_weakening_a_posture() {
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
    // Allowed as by a rule with the default `survives` of the reach, even if a rule denies it.
    assert_eq!(tables.postures("10.1.0.1", "10.1.0.2", "https"), "aaaa--");
    assert_eq!(tables.postures("10.1.0.1", "10.3.0.2", "https"), "aaa---");
    assert_eq!(tables.postures("10.3.0.1", "10.1.0.2", "https"), "aaa---");
    assert_eq!(tables.postures("10.1.0.1", "8.8.8.8", "https"), "aa----");
    assert_eq!(tables.postures("10.1.0.1", "8.8.8.8", "smb"), "aadddd");
    assert_eq!(tables.postures("10.1.0.1", "10.1.0.255", "https"), "aaii--");
    assert_eq!(tables.postures("8.8.8.8", "10.1.0.1", "https"), "aa----");
    // A flow that a rule allows at normal ends with that rule.
    assert_eq!(tables.postures("10.1.0.1", "8.8.8.8", "ssh"), "a-----");
    assert_eq!(tables.postures("10.1.0.1", "8.8.8.8", "dicom"), "aaaaa-");
    assert_eq!(tables.postures("10.3.0.1", "8.8.8.8", "smb"), "dddddd");
    assert_eq!(tables.postures("10.3.0.1", "8.8.8.8", "https"), "------");
    // An end on the uplink side is not in the segment, but the other end may be.
    assert_eq!(
        tables.decision("uplink 10.1.0.9", "8.8.8.8", "https", Normal),
        "no rule"
    );
    let decision = |from: &str, to: &str| tables.decision(from, to, "https", Normal);
    assert_eq!(decision("10.1.0.1", "10.2.0.1"), "allow observe:seen");
    assert_eq!(
        decision("10.2.0.1", "10.1.0.1"),
        "allow observe:seen-inbound"
    );
    assert_eq!(
        decision("uplink 10.1.0.9", "unlisted also"),
        "allow observe:also-inbound"
    );
}
