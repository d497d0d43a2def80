//! Invariants that hold and invariants that are broken, with their messages and hints.

mod common;

use common::{day, lines, policy, today};
use cordon_compile::compile;
use cordon_policy::{Code, Date};

const SITE: &str = "
segments:
  imaging:  {attach: [access0.210, core0.210], subnets: [10.21.0.0/24], isolate: true}
  stations: {attach: [access0.230, core0.230], subnets: [10.23.0.0/24]}
  guest:    {attach: [access0.299, core0.299], isolate: true, unknown: admit, mode: observe}
zones:
  wards: {segments: [stations]}
  data-centre: {networks: [10.200.0.0/16]}
infrastructure: {ntp: [10.200.0.123]}
";
const DEVICES: &str = "\
ct-1,02:00:5e:21:00:11,10.21.0.11,imaging,ct
us-1,02:00:5e:21:00:21,10.21.0.21,imaging,ultrasound
us-2,02:00:5e:21:00:22,10.21.0.22,imaging,ultrasound
";
const RULES: &str = "
groups:
  ct: {profile: ct}
  ultrasound: {profile: ultrasound}
  pacs: {networks: [10.200.4.0/24]}
  printers: {networks: [10.23.0.64/26]}
rules:
  - {name: ct-to-pacs, from: ct, to: pacs, service: dicom,
     survives: lockdown, owner: o, reason: r}
  - {name: us-to-pacs, from: ultrasound, to: pacs, service: dicom}
  - {name: no-smb, from: any, to: any, service: smb, action: deny}
  - {name: all-to-stations, from: imaging, to: stations, service: any}
  - {name: ct-calls, from: ct, to: broadcast, service: mdns}
  - {name: vendor, from: pacs, to: ct, service: ssh, expires: 2026-03-31}
  - {name: print, from: stations, to: printers, service: ipp}
";

/// The message and hint for one invariant; none if it holds.
fn error(invariant: &str) -> Option<(String, String)> {
    error_on(today(), invariant)
}

fn error_on(day: Date, invariant: &str) -> Option<(String, String)> {
    let rules = format!("{RULES}invariants:\n  - {{{invariant}}}\n");
    let policy = policy(SITE, &rules, DEVICES);
    let Err(rejected) = compile(&policy, day) else {
        return None;
    };
    let [problem] = &rejected.problems[..] else {
        panic!("{}", lines(&rejected.problems));
    };
    assert_eq!(
        (problem.position, problem.code),
        (policy.invariants[0].position, Code::Invariant)
    );
    Some((problem.message.clone(), problem.hint.clone()?))
}

#[test]
fn invariants_that_the_rules_keep_give_no_error() {
    for invariant in [
        "from: ct, to: pacs, service: dicom, at: lockdown, expect: allow",
        "from: [ct, ultrasound], to: pacs, service: dicom, at: watch, expect: allow",
        "from: ct, to: pacs, service: dicom, at: sever, expect: deny",
        "from: any, to: any, at: sever, expect: deny",
        "from: ultrasound, to: pacs, service: dicom, at: contain, expect: deny",
        "from: imaging, to: any, service: smb, expect: deny",
        "from: imaging, to: stations, service: [https, icmp], at: contain, expect: allow",
        "from: ct, to: broadcast, service: mdns, at: watch, expect: allow",
        "from: ct, to: broadcast, service: mdns, at: lockdown, expect: deny",
        "from: data-centre, to: imaging, expect: deny",
        // The segment is observed: the flow passes, but the rules do not allow it.
        "from: guest, to: [pacs, imaging], expect: deny",
        "from: imaging, to: guest, expect: deny",
        // A group address is not a sender.
        "from: stations, to: stations, service: https, at: isolate, expect: allow",
        // A single device has no flow to itself.
        "from: ct-1, to: ct, expect: allow",
        "from: ct, to: ct, expect: allow",
        "from: ultrasound, to: ultrasound, expect: deny",
    ] {
        assert_eq!(error(invariant), None, "{invariant}");
    }
}

#[test]
fn broken_invariants_give_a_message_with_an_example_and_a_hint() {
    for (invariant, message, hint) in [
        (
            "from: any, to: pacs, service: dicom, expect: deny",
            "device `ct-1` may open tcp/104 to 10.200.4.0/24 (zone `data-centre`) at normal: rule `ct-to-pacs` (policy.yaml:8) allows it",
            "narrow that rule, or put one with `action: deny` before it",
        ),
        (
            "from: ultrasound, to: pacs, at: watch, expect: deny",
            "device `us-1` may open tcp/104 to 10.200.4.0/24 (zone `data-centre`) at watch: rule `us-to-pacs` (policy.yaml:10) allows it",
            "narrow that rule, or set its `survives` to a posture before watch",
        ),
        (
            "from: ultrasound, to: pacs, service: dicom, at: contain, expect: allow",
            "device `us-1` may not open tcp/104 to 10.200.4.0/24 (zone `data-centre`) at contain: rule `us-to-pacs` (policy.yaml:10) allows it up to watch only, the default across the site boundary",
            "set `survives: contain` in that rule, with `owner` and `reason`",
        ),
        (
            "from: ct, to: pacs, service: dicom, at: sever, expect: allow",
            "device `ct-1` may not open tcp/104 to 10.200.4.0/24 (zone `data-centre`) at sever: rule `ct-to-pacs` (policy.yaml:8) allows it up to lockdown only",
            "no rule survives sever: require this at lockdown at most",
        ),
        (
            "from: ct, to: pacs, service: [dicom, hl7], expect: allow",
            "device `ct-1` may not open tcp/2575 to 10.200.4.0/24 (zone `data-centre`) at normal: no rule allows it",
            "write a rule that allows it, or narrow the invariant",
        ),
        (
            "from: ct, to: stations, expect: allow",
            "device `ct-1` may not open tcp/445 to 10.23.0.0/24 (segment `stations`) at normal: rule `no-smb` (policy.yaml:11) denies it",
            "narrow that rule, or put one that allows this before it",
        ),
        (
            "from: ct, to: broadcast, service: mdns, at: contain, expect: allow",
            "device `ct-1` may not open udp/5353 to 10.21.0.255 at contain: rule `ct-calls` (policy.yaml:13) allows it to device-facing ports only; copies by an uplink cross the site boundary",
            "set `survives: contain` in that rule, with `owner` and `reason`",
        ),
        (
            "from: ct, to: broadcast, service: mdns, at: contain, expect: deny",
            "device `ct-1` may open udp/5353 to 10.21.0.255 at contain: rule `ct-calls` (policy.yaml:13) allows it",
            "narrow that rule, or set its `survives` to a posture before contain",
        ),
        (
            "from: pacs, to: ct, service: ssh, expect: allow",
            "10.200.4.0/24 (zone `data-centre`) may not open tcp/22 to device `ct-1` at normal: rule `vendor` (policy.yaml:14) allowed it until 2026-03-31",
            "give that rule a later `expires`, or remove the invariant",
        ),
        (
            "from: stations, to: stations, service: https, expect: deny",
            "10.23.0.0/24 (segment `stations`) may open tcp/443 to 10.23.0.0/24 (segment `stations`) at normal: rule `segment:stations` (site.yaml:6) allows it",
            "set `isolate: true` for that segment, or write a rule with `action: deny`",
        ),
        (
            "from: stations, to: stations, service: https, at: lockdown, expect: allow",
            "10.23.0.0/24 (segment `stations`) may not open tcp/443 to 10.23.0.0/24 (segment `stations`) at lockdown: rule `segment:stations` (site.yaml:6) allows it up to isolate only, the default within the zone",
            "write a rule that allows it with `survives: lockdown`",
        ),
        (
            "from: imaging, to: data-centre, service: ntp, expect: deny",
            "10.21.0.0/24 (segment `imaging`) may open udp/123 to 10.200.0.123 (zone `data-centre`) at normal: rule `infrastructure:ntp` (site.yaml:11) allows it",
            "narrow that rule, or put one with `action: deny` before it",
        ),
        // A host with the address of a printer on the uplink side is in the group too.
        (
            "from: stations, to: printers, service: ipp, at: contain, expect: allow",
            "10.23.0.0/24 (segment `stations`) may not open tcp/631 to 10.23.0.64/26 on the uplink side of segment `stations` at contain: rule `print` (policy.yaml:15) allows it up to watch only, the default across the site boundary",
            "set `survives: contain` in that rule, with `owner` and `reason`",
        ),
        // Observing a segment does not count as a rule that allows.
        (
            "from: guest, to: pacs, service: https, expect: allow",
            "an unlisted device of segment `guest` may not open tcp/443 to 10.200.4.0/24 (zone `data-centre`) at normal: no rule allows it",
            "write a rule that allows it, or narrow the invariant",
        ),
        (
            "from: any, to: guest, service: smb, expect: allow",
            "an address outside every zone and group may not open tcp/445 to an unlisted device of segment `guest` at normal: rule `no-smb` (policy.yaml:11) denies it",
            "narrow that rule, or put one that allows this before it",
        ),
    ] {
        let found = error(invariant).unwrap_or_else(|| panic!("no error for {invariant}"));
        let message = format!("the rules break this invariant: {message}");
        assert_eq!(found, (message, hint.to_owned()), "{invariant}");
    }
}

#[test]
fn an_expired_rule_does_not_keep_an_invariant() {
    let invariant = "from: pacs, to: ct, service: ssh, expect: allow";
    assert_eq!(error_on(day("2026-03-31"), invariant), None);
    assert!(error_on(day("2026-04-01"), invariant).is_some());
}

#[test]
fn all_broken_invariants_are_reported_at_once_in_order() {
    let rules = format!(
        "{RULES}invariants:
  - {{from: ct, to: pacs, expect: deny}}
  - {{from: ct, to: pacs, service: dicom, expect: allow}}
  - {{from: guest, to: ct, expect: allow}}
  - {{from: pacs, to: any, expect: allow}}
"
    );
    let policy = policy(SITE, &rules, DEVICES);
    let rejected = compile(&policy, today()).expect_err("three are broken");
    let lines: Vec<u32> = rejected
        .problems
        .iter()
        .map(|problem| problem.position.line)
        .collect();
    assert_eq!(lines, [17, 19, 20]);
}
