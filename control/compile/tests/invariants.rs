//! Invariants kept and broken, and what is said of those that are broken.

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

/// What is said of one invariant: nothing, or a message and a hint.
fn said(invariant: &str) -> Option<(String, String)> {
    said_on(today(), invariant)
}

fn said_on(day: Date, invariant: &str) -> Option<(String, String)> {
    let rules = format!("{RULES}invariants:\n  - {{{invariant}}}\n");
    let policy = policy(SITE, &rules, DEVICES);
    let Err(rejected) = compile(&policy, day) else {
        return None;
    };
    let [problem] = &rejected.problems[..] else {
        panic!("{}", lines(&rejected.problems));
    };
    assert_eq!(
        (problem.place, problem.code),
        (policy.invariants[0].place, Code::Invariant)
    );
    Some((problem.message.clone(), problem.hint.clone()?))
}

#[test]
fn kept() {
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
        // The segment is observed: the rules do not allow it, though it is let through.
        "from: guest, to: [pacs, imaging], expect: deny",
        "from: imaging, to: guest, expect: deny",
        // Nothing comes from a group address, so that what is flooded in a segment is no sender.
        "from: stations, to: stations, service: https, at: isolate, expect: allow",
        // A device does not speak to itself; the other ultrasound is another matter.
        "from: ct-1, to: ct, expect: allow",
        "from: ct, to: ct, expect: allow",
        "from: ultrasound, to: ultrasound, expect: deny",
    ] {
        assert_eq!(said(invariant), None, "{invariant}");
    }
}

#[test]
fn broken() {
    for (invariant, message, hint) in [
        (
            "from: any, to: pacs, service: dicom, expect: deny",
            "device `ct-1` may open tcp/104 to 10.200.4.0/24 (zone `data-centre`) at normal: rule `ct-to-pacs` (policy.yaml:8) allows it",
            "narrow that rule, or put one with `action: deny` before it",
        ),
        (
            "from: ultrasound, to: pacs, at: watch, expect: deny",
            "device `us-1` may open tcp/104 to 10.200.4.0/24 (zone `data-centre`) at watch: rule `us-to-pacs` (policy.yaml:10) allows it",
            "narrow that rule, or have it end before watch with `survives`",
        ),
        (
            "from: ultrasound, to: pacs, service: dicom, at: contain, expect: allow",
            "device `us-1` may not open tcp/104 to 10.200.4.0/24 (zone `data-centre`) at contain: rule `us-to-pacs` (policy.yaml:10) allows it up to watch only, the default across the site boundary",
            "`survives: contain` there would keep it, with `owner` and `reason`",
        ),
        (
            "from: ct, to: pacs, service: dicom, at: sever, expect: allow",
            "device `ct-1` may not open tcp/104 to 10.200.4.0/24 (zone `data-centre`) at sever: rule `ct-to-pacs` (policy.yaml:8) allows it up to lockdown only",
            "nothing survives sever: ask for this at lockdown at most",
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
            "device `ct-1` may not open udp/5353 to 10.21.0.255 at contain: rule `ct-calls` (policy.yaml:13) allows it to device-facing ports only; what leaves by an uplink crosses the site boundary",
            "`survives: contain` there would keep it, with `owner` and `reason`",
        ),
        (
            "from: ct, to: broadcast, service: mdns, at: contain, expect: deny",
            "device `ct-1` may open udp/5353 to 10.21.0.255 at contain: rule `ct-calls` (policy.yaml:13) allows it",
            "narrow that rule, or have it end before contain with `survives`",
        ),
        (
            "from: pacs, to: ct, service: ssh, expect: allow",
            "10.200.4.0/24 (zone `data-centre`) may not open tcp/22 to device `ct-1` at normal: rule `vendor` (policy.yaml:14) allowed it until 2026-03-31",
            "give that rule a later `expires`, or remove the invariant",
        ),
        (
            "from: stations, to: stations, service: https, expect: deny",
            "10.23.0.0/24 (segment `stations`) may open tcp/443 to 10.23.0.0/24 (segment `stations`) at normal: rule `segment:stations` (site.yaml:6) allows it",
            "write `isolate: true` at that segment, or a rule with `action: deny`",
        ),
        (
            "from: stations, to: stations, service: https, at: lockdown, expect: allow",
            "10.23.0.0/24 (segment `stations`) may not open tcp/443 to 10.23.0.0/24 (segment `stations`) at lockdown: rule `segment:stations` (site.yaml:6) allows it up to isolate only, the default within the zone",
            "write a rule that allows it, with `survives: lockdown`",
        ),
        (
            "from: imaging, to: data-centre, service: ntp, expect: deny",
            "10.21.0.0/24 (segment `imaging`) may open udp/123 to 10.200.0.123 (zone `data-centre`) at normal: rule `infrastructure:ntp` (site.yaml:11) allows it",
            "narrow that rule, or put one with `action: deny` before it",
        ),
        // Whoever has a printer's address on the wrong side of the segment is in the group too.
        (
            "from: stations, to: printers, service: ipp, at: contain, expect: allow",
            "10.23.0.0/24 (segment `stations`) may not open tcp/631 to 10.23.0.64/26 behind an uplink of segment `stations` at contain: rule `print` (policy.yaml:15) allows it up to watch only, the default across the site boundary",
            "`survives: contain` there would keep it, with `owner` and `reason`",
        ),
        // That an observed segment is let be allows nothing.
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
        let said = said(invariant).unwrap_or_else(|| panic!("nothing said of {invariant}"));
        let message = format!("the rules break this: {message}");
        assert_eq!(said, (message, hint.to_owned()), "{invariant}");
    }
}

#[test]
fn the_day_counts() {
    let invariant = "from: pacs, to: ct, service: ssh, expect: allow";
    assert_eq!(said_on(day("2026-03-31"), invariant), None);
    assert!(said_on(day("2026-04-01"), invariant).is_some());
}

#[test]
fn all_that_is_broken_is_said_at_once_in_order() {
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
        .map(|problem| problem.place.line)
        .collect();
    assert_eq!(lines, [17, 19, 20]);
}
