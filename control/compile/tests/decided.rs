//! Rules that come to nothing are told of, and no others.

use cordon_compile::{Decided, compile};
use cordon_policy::{Date, Sources, from_sources};

const SITE: &str = "site: s
ports: {a: {device: a}, u: {device: u, uplink: true}}
segments:
  ward: {attach: [a.10, u.10], subnets: [10.1.0.0/24], isolate: true}
  hall: {attach: [a.20, u.20], subnets: [10.2.0.0/24], isolate: true, mode: MODE}
zones:
  clinical: {segments: [ward]}
  visitors: {segments: [hall]}
  world: {networks: [0.0.0.0/0]}
";
const DEVICES: &str = "name,mac,ips,segment,profile
pump,02:00:00:00:00:01,10.1.0.1,ward,pump
";

/// The rules that are told of, with what is said of them.
fn told(mode: &str, rules: &str) -> Vec<String> {
    let sources = Sources {
        site: SITE.replace("MODE", mode),
        policy: Some(format!(
            "groups:\n  pumps: {{profile: pump}}\n  nobody: {{profile: pum}}\nrules:\n{rules}"
        )),
        devices: Some(DEVICES.to_owned()),
    };
    let policy = from_sources(&sources).expect("is a policy").policy;
    let today = Date::new(2026, 11, 27).expect("is a day");
    let compiled = compile(&policy, today).expect("can be compiled");
    let decided = Decided::new(&compiled.generation, compiled.rules);
    let warnings = decided.warnings(&policy, today);
    warnings
        .iter()
        .map(|one| format!("{}: {}", one.place.line, one.message))
        .collect()
}

#[test]
fn what_decides_something_is_not_told_of() {
    let rules = "  - {name: no-telnet, from: any, to: any, service: tcp/23, action: deny}
  - {name: until-today, from: pumps, to: world, service: https, expires: 2026-11-27}
  - {name: vendor, from: world, to: pumps, service: ssh, survives: normal}
  - {name: inside, from: pumps, to: pumps, service: http}
";
    assert_eq!(told("enforce", rules), [""; 0]);
}

#[test]
fn what_decides_nothing_is_told_of() {
    let rules = "  - {name: all, from: pumps, to: world, service: any, survives: lockdown, owner: o, reason: r}
  - {name: over, from: pumps, to: world, service: https, expires: 2026-11-26}
  - {name: behind, from: pump, to: world, service: https}
  - {name: no-smb, from: pumps, to: world, service: smb, action: deny}
  - {name: of-nobody, from: nobody, to: world, service: https}
";
    let nothing = |line, name| format!("{line}: rule `{name}` decides nothing");
    let expected = [
        "6: rule `over` was in force until 2026-11-26: it decides nothing any more".to_owned(),
        nothing(7, "behind"),
        nothing(8, "no-smb"),
        nothing(9, "of-nobody"),
    ];
    assert_eq!(told("enforce", rules), expected);
    // Where a segment is observed, what a rule denies may be let be for that.
    let expected = [
        expected[0].clone(),
        expected[1].clone(),
        expected[3].clone(),
    ];
    assert_eq!(told("observe", rules), expected);
}
