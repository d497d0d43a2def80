//! Large policies, and such as are too large.

mod common;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Instant;

use common::large::large;
use common::{lines, policy, today};
use cordon_compile::{Compiled, compile};
use cordon_policy::{Code, Policy, Rejected, Rule, Selector, Service};
use cordon_portable::PolicyTable;
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
fn a_hundred_thousand_devices() {
    // From anybody to anybody is every class twice over: it fits for some hundreds of them, and not for the thousands
    // that the last of these has.
    for (rules, no_smb_to) in [(10, "any"), (1_000, "any"), (10_000, "data-centre")] {
        let policy = hospital(100_000, rules, no_smb_to);
        let compiled = compiled(&policy);
        assert_eq!(compiled.generation.devices.len(), 100_000);
        assert_eq!(compiled.generation.addresses.len(), 100_000);
        // The classes of every pair exist, its set has a row, and every row a pair and a service.
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
fn devices_do_not_make_rows() {
    let few = compiled(&hospital(25_000, 500, "any"));
    let many = compiled(&hospital(100_000, 500, "any"));
    // As many segments and profiles, and as many devices that a rule names.
    assert_eq!(few.classes, many.classes);
    let size = |policy: &PolicyTable| (policy.sets.len(), policy.rows.len());
    assert_eq!(size(&few.generation.policy), size(&many.generation.policy));
}

fn limit(result: Result<Compiled, Rejected>) -> String {
    let Err(rejected) = result else {
        panic!("is not too large");
    };
    let [problem] = &rejected.problems[..] else {
        panic!("{}", lines(&rejected.problems));
    };
    assert_eq!(problem.code, Code::Limit);
    problem.to_string()
}

#[test]
fn more_rows_than_there_is_room_for() {
    // 2,100 devices that are each told from the others, and all may speak to all.
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
    let said = limit(compile(&policy, today()));
    assert!(
        said.starts_with("policy.yaml:2102:5: the rules are about more than the 4000000 pairs of kinds of hosts that a gateway holds; rule `all` alone is about 4"),
        "{said}"
    );
    // It is that rule indeed.
    policy.rules.retain(|rule| rule.name != "all");
    policy.rules.truncate(1_000);
    compiled(&policy);
}

#[test]
fn more_services_of_more_hosts_than_there_is_room_for() {
    // 2,100 hosts of which something else is said of each, and 2,100 services: few pairs, and a row for each service at each.
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
    let said = limit(compile(&policy, today()));
    assert!(
        said.contains(
            "services comes to more than the 4000000 entries that a gateway holds; rule `"
        ) && said.contains("` has a part in 1"),
        "{said}"
    );
    policy.rules.truncate(2_000);
    compiled(&policy);
}

#[test]
fn rules_that_overlap_in_too_many_ways() {
    // Hosts that are in a group or not, one by one as in no other, and rules to two or three of the groups at a time: of
    // every host other rules hold.
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
    let said = limit(compile(&policy(site, &text, &listed), today()));
    assert!(
        said.contains("overlap in more ways than a gateway has memory to tell apart"),
        "{said}"
    );
}

/// Rules that have a counter, beside those that are built in.
const ROOM: usize = RULES - RULE_FIRST as usize;

#[test]
fn more_rules_than_have_a_counter() {
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
            .contains(&format!("comes to {} rules", ROOM + 1)),
        "{}",
        problems[0]
    );
}

#[test]
fn more_kinds_than_have_a_number() {
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
    // 33,000 rules, each of which tells two devices from all others.
    let one = policy.rules[0].clone();
    policy.rules = (0..33_000)
        .map(|index| Rule {
            from: vec![Selector::Device(2 * index)],
            to: vec![Selector::Device(2 * index + 1)],
            ..one.clone()
        })
        .collect();
    let said = limit(compile(&policy, today()));
    assert!(
        said.contains("tell 66002 kinds of devices and networks apart"),
        "{said}"
    );
}

#[test]
fn more_services_than_have_a_number() {
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
    // Where two of these overlap is a service of its own.
    for (first, rule) in (0..).step_by(10).zip(&mut policy.rules[..40]) {
        rule.services.push(Service::Udp(first, first + 14));
    }
    let said = limit(compile(&policy, today()));
    let apart = format!("tell {} services apart", u32::from(APART) + 40);
    assert!(said.contains(&apart), "{said}");
}
