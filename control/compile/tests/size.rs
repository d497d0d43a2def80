//! Large policies, and policies that exceed a limit.

mod common;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Instant;

use common::large::large;
use common::{lines, policy, today};
use cordon_compile::{Compiled, compile};
use cordon_policy::{Code, Policy, Rejected, Rule, Selector, Service};
use cordon_tables::PolicyTable;
use cordon_verdict::abi::{PolicyKey, RULE_FIRST, RULES};

/// See [`large`].
fn hospital(devices: usize, rules: usize, no_smb_to: &str) -> Policy {
    let large = large(devices, rules, no_smb_to);
    policy(&large.site, &large.policy, &large.devices)
}

fn compiled(policy: &Policy) -> Compiled {
    let started = Instant::now();
    let compiled = match compile(policy, today()) {
        Ok(compiled) => compiled,
        Err(rejected) => panic!("{}", lines(&rejected.problems)),
    };
    println!(
        "{} devices, {} rules: {} classes, {} pairs, {} rows, {} networks, in {:?}",
        policy.devices.len(),
        policy.rules.len(),
        compiled.classes,
        compiled.generation.policy.sets.len(),
        compiled.generation.policy.rows.len(),
        compiled.generation.networks().len(),
        started.elapsed()
    );
    compiled
}

#[test]
fn a_policy_of_100000_devices_compiles_to_consistent_tables() {
    // A rule from any to any matches every pair of classes: that fits for some hundreds of classes, but not for the thousands
    // that the last policy has.
    for (rules, no_smb_to) in [(10, "any"), (1_000, "any"), (10_000, "data-centre")] {
        let policy = hospital(100_000, rules, no_smb_to);
        let compiled = compiled(&policy);
        assert_eq!(compiled.generation.devices.len(), 100_000);
        assert_eq!(compiled.generation.addresses.len(), 100_000);
        // The classes of every pair exist, its set has a row, and every row has a pair and a service class.
        let services = compiled
            .generation
            .services
            .iter()
            .max()
            .expect("is a table");
        let PolicyTable { sets, rows } = &compiled.generation.policy;
        for (pair, set) in sets.iter() {
            let classes = (pair & 0xffff).max(pair >> 16) as usize;
            assert!(classes < compiled.classes, "{pair:#x}");
            let mut kinds = 0..=*services;
            assert!(
                kinds.any(|service| rows.get(&PolicyKey::new(*set, service)).is_some()),
                "{set}"
            );
        }
        let numbers: HashSet<u32> = sets.values().copied().collect();
        for key in rows.keys() {
            assert!(
                numbers.contains(&key.set) && key.service <= *services,
                "{key:?}"
            );
        }
    }
}

#[test]
fn the_number_of_rows_does_not_depend_on_the_number_of_devices() {
    let few = compiled(&hospital(25_000, 500, "any"));
    let many = compiled(&hospital(100_000, 500, "any"));
    // Both have the same number of segments, profiles, and devices that a rule names.
    assert_eq!(few.classes, many.classes);
    let size = |policy: &PolicyTable| (policy.sets.len(), policy.rows.len());
    assert_eq!(size(&few.generation.policy), size(&many.generation.policy));
}

fn limit(result: Result<Compiled, Rejected>) -> String {
    let Err(rejected) = result else {
        panic!("is within the limits");
    };
    let [problem] = &rejected.problems[..] else {
        panic!("{}", lines(&rejected.problems));
    };
    assert_eq!(problem.code, Code::Limit);
    problem.to_string()
}

#[test]
fn too_many_pairs_of_classes_are_an_error_at_the_costliest_rule() {
    // 2,100 devices with a class each, and a rule from any to any.
    let mut text = "rules:\n".to_owned();
    let mut listed = String::new();
    for device in 0..2_100 {
        writeln!(
            text,
            "  - {{name: r{device}, from: d{device}, to: lab, service: ssh}}"
        )
        .expect("a string");
        writeln!(
            listed,
            "d{device},02:00:5e:00:{:02x}:{:02x},,lab,",
            device >> 8,
            device & 0xff
        )
        .expect("a string");
    }
    text += "  - {name: all, from: any, to: any, service: https}\n";
    let site = "segments: {lab: {attach: [access0, core0], isolate: true}}\n";
    let mut policy = policy(site, &text, &listed);
    let error = limit(compile(&policy, today()));
    assert!(
        error.starts_with("policy.yaml:2102:5: the rules match more pairs of classes of hosts than the limit of 4000000; rule `all` alone matches 4"),
        "{error}"
    );
    // Without that rule the policy compiles.
    policy.rules.retain(|rule| rule.name != "all");
    policy.rules.truncate(1_000);
    compiled(&policy);
}

#[test]
fn too_many_rows_are_an_error_at_the_costliest_rule() {
    // 2,100 hosts with a class each, and 2,100 services: few pairs, each with a row per service.
    let mut text = "rules:\n".to_owned();
    let mut listed = "w,02:00:5e:00:ff:ff,,ward,\n".to_owned();
    for number in 0..2_100 {
        let port = 10_000 + number;
        writeln!(
            text,
            "  - {{name: r{number}, from: ward, to: d{number}, service: ssh}}\n  \
               - {{name: s{number}, from: ward, to: lab, service: tcp/{port}}}"
        )
        .expect("a string");
        writeln!(
            listed,
            "d{number},02:00:5e:00:{:02x}:{:02x},,lab,",
            number >> 8,
            number & 0xff
        )
        .expect("a string");
    }
    let site = "segments:\n  lab: {attach: [access0.1, core0.1], isolate: true}\n  \
                  ward: {attach: [access0.2, core0.2], isolate: true}\n";
    let mut policy = policy(site, &text, &listed);
    let error = limit(compile(&policy, today()));
    assert!(
        error.contains(
            "the services of the rules need more entries than the limit of 4000000; rule `"
        ) && error.contains("` is in 1"),
        "{error}"
    );
    policy.rules.truncate(2_000);
    compiled(&policy);
}

#[test]
fn rules_that_overlap_in_too_many_combinations_are_an_error() {
    // Every host is in a combination of groups of its own, and each rule names two or three groups: different rules match
    // every host.
    const HOSTS: u32 = 6_000;
    const GROUPS: u32 = 32;
    let mut listed = "w,02:00:5e:00:ff:ff,,ward,\n".to_owned();
    let mut members = vec![String::new(); GROUPS as usize];
    for host in 0..HOSTS {
        writeln!(
            listed,
            "d{host},02:00:5e:00:{:02x}:{:02x},,lab,",
            host >> 8,
            host & 0xff
        )
        .expect("a string");
        for (group, members) in members.iter_mut().enumerate() {
            if host.wrapping_mul(0x9e37_79b1).rotate_left(7) >> group & 1 != 0 {
                write!(members, "d{host}, ").expect("a string");
            }
        }
    }
    let mut text = "groups:\n".to_owned();
    for (group, members) in members.iter().enumerate() {
        writeln!(text, "  g{group}: {{devices: [{members}]}}").expect("a string");
    }
    text += "rules:\n";
    let mut number = 0;
    for a in 0..GROUPS {
        for b in 0..a {
            for c in 0..=b {
                writeln!(
                    text,
                    "  - {{name: r{number}, from: ward, to: [g{a}, g{b}, g{c}], service: ssh}}"
                )
                .expect("a string");
                number += 1;
            }
        }
    }
    let site = "segments:\n  lab: {attach: [access0.1, core0.1], isolate: true}\n  \
                  ward: {attach: [access0.2, core0.2], isolate: true}\n";
    let error = limit(compile(&policy(site, &text, &listed), today()));
    assert!(
        error.contains("overlap in more combinations than the compiler has memory for"),
        "{error}"
    );
}

/// The number of rules with a counter, without the built-in ones.
const ROOM: usize = RULES - RULE_FIRST as usize;

#[test]
fn more_rules_than_counters_are_an_error() {
    let site = "segments: {lab: {attach: [access0, core0], isolate: true}}\n";
    let text = "rules: [{name: one, from: lab, to: lab, service: ssh}]\ninvariants:\n  - {from: lab, to: lab, service: ssh, expect: deny}\n";
    let mut policy = policy(
        site,
        text,
        "a,02:00:00:00:00:01,,lab,\nb,02:00:00:00:00:02,,lab,\n",
    );
    let rule = policy.rules[0].clone();
    policy.rules.resize(ROOM, rule.clone());
    assert_eq!(
        compile(&policy, today())
            .expect_err("breaks its invariant")
            .problems
            .len(),
        1
    );
    policy.rules.push(rule);
    let problems = compile(&policy, today())
        .expect_err("has one too many")
        .problems;
    let codes: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(
        codes,
        [Code::Limit, Code::Invariant],
        "{}",
        lines(&problems)
    );
    assert!(
        problems[0]
            .message
            .contains(&format!("the policy has {} rules", ROOM + 1)),
        "{}",
        problems[0]
    );
}

#[test]
fn more_classes_than_numbers_are_an_error() {
    let site = "segments: {lab: {attach: [access0, core0], isolate: true}}\n";
    let mut listed = String::new();
    for device in 0..66_000 {
        let [_, a, b, c] = u32::to_be_bytes(device);
        writeln!(listed, "d{device},02:00:00:{a:02x}:{b:02x}:{c:02x},,lab,").expect("a string");
    }
    let mut policy = policy(
        site,
        "rules: [{name: one, from: lab, to: d0, service: ssh}]\n",
        &listed,
    );
    // 33,000 rules, each of which distinguishes two devices from all others.
    let one = policy.rules[0].clone();
    policy.rules = (0..33_000)
        .map(|index| Rule {
            from: vec![Selector::Device(2 * index)],
            to: vec![Selector::Device(2 * index + 1)],
            ..one.clone()
        })
        .collect();
    let error = limit(compile(&policy, today()));
    assert!(
        error.contains("distinguish 66002 classes of devices and networks"),
        "{error}"
    );
}

#[test]
fn more_service_classes_than_numbers_are_an_error() {
    let site = "segments: {lab: {attach: [access0, core0], isolate: true}}\n";
    let text = "rules: [{name: one, from: lab, to: any, service: ssh}]\n";
    let mut policy = policy(site, text, "");
    let one = policy.rules[0].clone();
    const APART: u16 = 65_500;
    policy.rules = (0..APART)
        .map(|port| Rule {
            services: vec![Service::Tcp(port, port)],
            ..one.clone()
        })
        .collect();
    let compiled = compile(&policy, today()).expect("has a number for each, and for the rest");
    assert_eq!(compiled.generation.services.iter().max(), Some(&APART));
    // Each overlap of two of these ranges is a service class of its own.
    for (first, rule) in (0..).step_by(10).zip(&mut policy.rules[..40]) {
        rule.services.push(Service::Udp(first, first + 14));
    }
    let error = limit(compile(&policy, today()));
    let message = format!("distinguish {} classes of services", u32::from(APART) + 40);
    assert!(error.contains(&message), "{error}");
}
