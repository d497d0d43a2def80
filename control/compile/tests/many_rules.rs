//! The maximum number of rules, between groups: the cost must grow in proportion to their number.

mod common;

use std::fmt::Write as _;
use std::time::Instant;

use common::{Tables, lines, policy, today};
use cordon_compile::{compile, rule_number};
use cordon_policy::{Policy, Posture};

const PROFILES: usize = 250;
const NETWORKS: usize = 200;

/// The profile, network and port of a rule: every pair once, then again with another port.
fn flow(rule: usize) -> (usize, usize, usize) {
    let round = rule / (PROFILES * NETWORKS);
    let port = 1000 + round * 1000 + rule % 400;
    (rule % PROFILES, rule / PROFILES % NETWORKS, port)
}

/// A policy with `rules` rules, each from one profile to one network by one service.
fn between_groups(rules: usize) -> Policy {
    let site = "segments: {lab: {attach: [access0, core0], subnets: [10.0.0.0/16], isolate: true}}\n\
                zones: {data-centre: {networks: [10.200.0.0/14]}}\n";
    let mut text = "groups:\n".to_owned();
    let mut listed = String::new();
    for at in 0..PROFILES {
        writeln!(text, "  p{at}: {{profile: profile-{at}}}").expect("a string takes it");
        writeln!(
            listed,
            "d{at},02:00:5e:00:00:{at:02x},10.0.1.{at},lab,profile-{at}"
        )
        .expect("a string takes it");
    }
    for at in 0..NETWORKS {
        writeln!(text, "  n{at}: {{networks: [10.201.{at}.0/24]}}").expect("a string takes it");
    }
    text += "rules:\n";
    for rule in 0..rules {
        let (from, to, port) = flow(rule);
        writeln!(
            text,
            "  - {{name: r{rule}, from: p{from}, to: n{to}, service: tcp/{port}}}"
        )
        .expect("a string takes it");
    }
    policy(site, &text, &listed)
}

#[test]
fn each_of_118000_rules_has_its_number_and_a_row() {
    // Superlinear cost would make the larger policy take hours.
    for rules in [10_000, 118_000] {
        let started = Instant::now();
        let policy = between_groups(rules);
        let read = started.elapsed();
        let started = Instant::now();
        let compiled = match compile(&policy, today()) {
            Ok(compiled) => compiled,
            Err(rejected) => panic!("{}", lines(&rejected.problems)),
        };
        let took = started.elapsed();
        println!("{rules} rules: read in {read:?}, compiled in {took:?}");
        assert_eq!(compiled.generation.policy.rows.len(), rules);
        let tables = Tables { policy, compiled };
        for rule in [0, 1, rules / 2, rules - 1] {
            let (from, to, port) = flow(rule);
            let (from, to) = (format!("d{from}"), format!("10.201.{to}.7"));
            let service = format!("tcp/{port}");
            let ruling = tables.ruling(&from, &to, &service, Posture::Normal);
            assert!(ruling.allows());
            assert_eq!(ruling.rule(), rule_number(rule));
            assert!((ruling.rule() as usize) < tables.compiled.rules);
        }
    }
}
