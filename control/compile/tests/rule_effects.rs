//! Warnings about rules without effect.

use cordon_compile::{RuleEffects, compile};
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

/// The warnings, each with its line.
fn warnings(mode: &str, rules: &str) -> Vec<String> {
    let sources = Sources {
        site: SITE.replace("MODE", mode),
        policy: Some(format!(
            "groups:\n  pumps: {{profile: pump}}\n  empty: {{profile: pum}}\nrules:\n{rules}"
        )),
        devices: Some(DEVICES.to_owned()),
    };
    let policy = from_sources(&sources).expect("is a policy").policy;
    let today = Date::new(2026, 11, 27).expect("is a day");
    let compiled = compile(&policy, today).expect("can be compiled");
    let effects = RuleEffects::new(&compiled.generation, compiled.rules);
    let warnings = effects.warnings(&policy, today);
    warnings
        .iter()
        .map(|one| format!("{}: {}", one.position.line, one.message))
        .collect()
}

#[test]
fn rules_with_an_effect_give_no_warning() {
    let rules = "  - {name: no-telnet, from: any, to: any, service: tcp/23, action: deny}
  - {name: until-today, from: pumps, to: world, service: https, expires: 2026-11-27}
  - {name: vendor, from: world, to: pumps, service: ssh, survives: normal}
  - {name: inside, from: pumps, to: pumps, service: http}
";
    assert_eq!(warnings("enforce", rules), [""; 0]);
}

#[test]
fn expired_shadowed_and_unmatched_rules_give_a_warning() {
    let rules = "  - {name: all, from: pumps, to: world, service: any, survives: lockdown, owner: o, reason: r}
  - {name: over, from: pumps, to: world, service: https, expires: 2026-11-26}
  - {name: shadowed, from: pump, to: world, service: https}
  - {name: no-smb, from: pumps, to: world, service: smb, action: deny}
  - {name: unmatched, from: empty, to: world, service: https}
";
    let no_effect = |line, name| format!("{line}: rule `{name}` has no effect");
    let expected = [
        "6: rule `over` expired after 2026-11-26: it has no effect".to_owned(),
        no_effect(7, "shadowed"),
        no_effect(8, "no-smb"),
        no_effect(9, "unmatched"),
    ];
    assert_eq!(warnings("enforce", rules), expected);
    // In an observed segment a rule that denies does not drop, so there is no warning about it.
    let expected = [
        expected[0].clone(),
        expected[1].clone(),
        expected[3].clone(),
    ];
    assert_eq!(warnings("observe", rules), expected);
}
