//! What is brought up to date, and what is not.

mod common;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use common::large::{SEGMENTS, device, large};
use common::{day, policy, today};
use cordon_compile::{Compiled, Updated, compile, update};
use cordon_policy::{Date, Policy};

const SITE: &str = "segments:\n  \
    lab: {attach: [access0.1, core0.1], subnets: [10.1.0.0/24], isolate: true}\n  \
    ward: {attach: [access0.2, core0.2], subnets: [10.2.0.0/24], isolate: true}\n\
    zones: {a: {segments: [lab]}, b: {segments: [ward]}, c: {networks: [10.9.0.0/16]}}\n";
const RULES: &str = "groups:\n  \
    ct: {profile: ct}\n  \
    nodes: {networks: [10.9.0.9/32, 10.1.0.9/32]}\n\
    rules:\n  \
    - {name: pictures, from: ct, to: nodes, service: dicom}\n  \
    - {name: talk, from: ct, to: ct, service: https}\n  \
    - {name: one, from: special, to: c, service: ssh}\n";
const DEVICES: &str = "special,02:00:00:00:00:01,10.1.0.1,lab,ct\n\
    second,02:00:00:00:00:02,10.1.0.2,lab,ct\n\
    third,02:00:00:00:00:03,10.2.0.3,ward,us\n";

fn bring((old, before): (&Policy, &mut Compiled), new: &Policy, today: Date) -> Option<Updated> {
    update(&mut before.basis, &before.generation, old, new, today)
}

/// What becomes of `DEVICES`, under the rules, when they are these.
fn becomes(devices: &str, rules: &str) -> Option<Updated> {
    let old = policy(SITE, rules, DEVICES);
    let mut before = compile(&old, today()).expect("compiles");
    let new = policy(SITE, rules, devices);
    bring((&old, &mut before), &new, today())
}

#[test]
fn what_changes_is_what_is_written() {
    // devices, the entries that are written, the pairs of classes and rows that come with them
    for (what, devices, entries, rows) in [
        ("nothing", DEVICES.to_owned(), 0, (0, 0)),
        (
            "an address",
            DEVICES.replace("10.1.0.2", "10.1.0.22"),
            3,
            (0, 0),
        ),
        (
            "a MAC address",
            DEVICES.replace("00:02,", "00:22,"),
            3,
            (0, 0),
        ),
        (
            "one more",
            format!("{DEVICES}fourth,02:00:00:00:00:04,10.1.0.4,lab,ct\n"),
            2,
            (0, 0),
        ),
        (
            "one more in front",
            format!("fourth,02:00:00:00:00:04,10.1.0.4,lab,ct\n{DEVICES}"),
            2,
            (0, 0),
        ),
        (
            "one less",
            DEVICES.replace("second,02:00:00:00:00:02,10.1.0.2,lab,ct\n", ""),
            2,
            (0, 0),
        ),
        (
            "another place, kind of its own",
            DEVICES.replace("10.2.0.3,ward,us", "10.2.0.3,ward,ct"),
            2,
            (8, 2),
        ),
    ] {
        let updated = becomes(&devices, RULES).unwrap_or_else(|| panic!("{what}: nothing"));
        let change = updated.change;
        assert_eq!(
            change.devices.len() + change.addresses.len(),
            entries,
            "{what}"
        );
        let come = (change.sets.len(), change.rows.len());
        assert_eq!(come, rows, "{what}: {change:?}");
    }
}

#[test]
fn an_address_that_is_a_network_of_its_own_takes_the_whole() {
    let there = DEVICES.replace("10.1.0.2", "10.1.0.9");
    assert!(becomes(&there, RULES).is_none(), "it is bound");
    let old = policy(SITE, RULES, &there);
    let mut before = compile(&old, today()).expect("compiles");
    let new = policy(SITE, RULES, DEVICES);
    assert!(
        bring((&old, &mut before), &new, today()).is_none(),
        "it is free"
    );
}

#[test]
fn a_second_one_of_a_kind_may_break_what_the_first_could_not() {
    // There is one in the ward, which does not talk to itself.
    let devices = DEVICES.replace("ward,us", "ward,ct");
    let rules = RULES.replace("one, from: special", "one, from: second")
        + "invariants: [{from: ward, to: ward, service: https, expect: deny}]\n";
    let old = policy(SITE, &rules, &devices);
    let compiled = || compile(&old, today()).expect("keeps its invariant");
    let with = |line: &str| policy(SITE, &rules, &format!("{devices}{line}\n"));
    let lab = with("fourth,02:00:00:00:00:04,10.1.0.4,lab,ct");
    assert!(bring((&old, &mut compiled()), &lab, today()).is_some());
    let ward = with("fourth,02:00:00:00:00:04,10.2.0.4,ward,ct");
    assert!(bring((&old, &mut compiled()), &ward, today()).is_none());
    assert!(compile(&ward, today()).is_err());
}

#[test]
fn whatever_else_changes_takes_the_whole() {
    let old = policy(SITE, RULES, DEVICES);
    let compiled = || compile(&old, today()).expect("compiles");
    for (what, site, rules) in [
        (
            "a segment",
            SITE.replace("10.2.0.0/24, isolate: true", "10.2.0.0/24, isolate: false")
                .replace(
                    "[10.2.0.0/24], isolate: true",
                    "[10.2.0.0/24], isolate: false",
                ),
            RULES.to_owned(),
        ),
        (
            "a zone",
            SITE.replace("10.9.0.0/16", "10.8.0.0/16"),
            RULES.to_owned(),
        ),
        (
            "a group",
            SITE.to_owned(),
            RULES.replace("profile: ct", "profile: us"),
        ),
        ("a service", SITE.to_owned(), RULES.replace("dicom", "hl7")),
        (
            "an end",
            SITE.to_owned(),
            RULES.replace("from: special", "from: second"),
        ),
        (
            "a posture",
            SITE.to_owned(),
            RULES.replace("service: ssh", "service: ssh, survives: normal"),
        ),
        (
            "an order",
            SITE.to_owned(),
            RULES.replace("service: https", "service: https, action: deny"),
        ),
    ] {
        let new = policy(&site, &rules, DEVICES);
        assert!(
            bring((&old, &mut compiled()), &new, today()).is_none(),
            "{what}"
        );
    }
    assert!(bring((&old, &mut compiled()), &old, today()).is_some());
    assert!(bring((&old, &mut compiled()), &old, day("2026-10-02")).is_none());
    // Who is named one by one is told by number, wherever in the list it is.
    let mut lines: Vec<&str> = DEVICES.lines().collect();
    lines.rotate_left(1);
    let turned = policy(SITE, RULES, &(lines.join("\n") + "\n"));
    assert!(bring((&old, &mut compiled()), &turned, today()).is_none());
    let mut many = DEVICES.to_owned();
    for number in 0..1_001 {
        let [_, _, a, b] = u32::to_be_bytes(number);
        writeln!(many, "more-{number},02:00:00:01:{a:02x}:{b:02x},,lab,ct").expect("a string");
    }
    let many = policy(SITE, RULES, &many);
    assert!(bring((&old, &mut compiled()), &many, today()).is_none());
}

#[test]
fn one_device_of_a_hundred_thousand() {
    let large = large(100_000, 10_000, "data-centre");
    let text = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = large
            .devices
            .lines()
            .map(|line| format!("{line}\n"))
            .collect();
        change(&mut lines);
        policy(&large.site, &large.policy, &lines.concat())
    };
    let mut old = text(&|_| {});
    let mut before = compile(&old, today()).expect("compiles");
    let elsewhere = device(60_001, 2, 3).replace("10.0.4.241", "10.0.5.250");
    for (what, new) in [
        ("moved", text(&|lines| lines[60_001].clone_from(&elsewhere))),
        ("removed", text(&|lines| drop(lines.remove(50_003)))),
        (
            "one of a new kind",
            text(&|lines| lines[70_007] = device(70_007, 70_007 % SEGMENTS, 59)),
        ),
    ] {
        let started = Instant::now();
        let updated = bring((&old, &mut before), &new, today()).expect("is brought up to date");
        let took: Duration = started.elapsed();
        println!("{what}: {took:?}, {} pairs", updated.change.sets.len());
        assert_eq!(updated.generation.devices.len(), new.devices.len());
        before.generation = updated.generation;
        old = new;
    }
}
