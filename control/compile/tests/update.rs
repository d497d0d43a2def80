//! Which changes of a policy are compiled incrementally, and which take a full compilation.

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

fn update_tables(
    (old, before): (&Policy, &mut Compiled),
    new: &Policy,
    today: Date,
) -> Option<Updated> {
    update(&mut before.basis, &before.generation, old, new, today)
}

/// The update from `DEVICES` to other devices under the same rules.
fn update_devices(devices: &str, rules: &str) -> Option<Updated> {
    let old = policy(SITE, rules, DEVICES);
    let mut before = compile(&old, today()).expect("compiles");
    let new = policy(SITE, rules, devices);
    update_tables((&old, &mut before), &new, today())
}

#[test]
fn an_update_writes_the_entries_of_changed_devices_only() {
    // What changes, the devices, the number of entries written, the numbers of new pairs of classes and rows.
    for (what, devices, entries, rows) in [
        ("no change", DEVICES.to_owned(), 0, (0, 0)),
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
            "a device added",
            format!("{DEVICES}fourth,02:00:00:00:00:04,10.1.0.4,lab,ct\n"),
            2,
            (0, 0),
        ),
        (
            "a device added in front",
            format!("fourth,02:00:00:00:00:04,10.1.0.4,lab,ct\n{DEVICES}"),
            2,
            (0, 0),
        ),
        (
            "a device removed",
            DEVICES.replace("second,02:00:00:00:00:02,10.1.0.2,lab,ct\n", ""),
            2,
            (0, 0),
        ),
        (
            "a device with a new class",
            DEVICES.replace("10.2.0.3,ward,us", "10.2.0.3,ward,ct"),
            2,
            (8, 2),
        ),
    ] {
        let updated =
            update_devices(&devices, RULES).unwrap_or_else(|| panic!("{what}: no update"));
        let change = updated.change;
        assert_eq!(
            change.devices.len() + change.addresses.len(),
            entries,
            "{what}"
        );
        let added = (change.sets.len(), change.rows.len());
        assert_eq!(added, rows, "{what}: {change:?}");
    }
}

#[test]
fn binding_an_address_that_is_also_a_network_takes_a_full_compilation() {
    let bound = DEVICES.replace("10.1.0.2", "10.1.0.9");
    assert!(
        update_devices(&bound, RULES).is_none(),
        "the address becomes bound"
    );
    let old = policy(SITE, RULES, &bound);
    let mut before = compile(&old, today()).expect("compiles");
    let new = policy(SITE, RULES, DEVICES);
    assert!(
        update_tables((&old, &mut before), &new, today()).is_none(),
        "the address becomes free"
    );
}

#[test]
fn a_second_device_of_an_identity_that_breaks_an_invariant_takes_a_full_compilation() {
    // The only such device in the ward has no flow to itself.
    let devices = DEVICES.replace("ward,us", "ward,ct");
    let rules = RULES.replace("one, from: special", "one, from: second")
        + "invariants: [{from: ward, to: ward, service: https, expect: deny}]\n";
    let old = policy(SITE, &rules, &devices);
    let compiled = || compile(&old, today()).expect("keeps its invariant");
    let with = |line: &str| policy(SITE, &rules, &format!("{devices}{line}\n"));
    let lab = with("fourth,02:00:00:00:00:04,10.1.0.4,lab,ct");
    assert!(update_tables((&old, &mut compiled()), &lab, today()).is_some());
    let ward = with("fourth,02:00:00:00:00:04,10.2.0.4,ward,ct");
    assert!(update_tables((&old, &mut compiled()), &ward, today()).is_none());
    assert!(compile(&ward, today()).is_err());
}

#[test]
fn every_change_other_than_of_devices_takes_a_full_compilation() {
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
            "an action",
            SITE.to_owned(),
            RULES.replace("service: https", "service: https, action: deny"),
        ),
    ] {
        let new = policy(&site, &rules, DEVICES);
        assert!(
            update_tables((&old, &mut compiled()), &new, today()).is_none(),
            "{what}"
        );
    }
    assert!(update_tables((&old, &mut compiled()), &old, today()).is_some());
    assert!(update_tables((&old, &mut compiled()), &old, day("2026-10-02")).is_none());
    // A rule names a device by its number, and moving the device in the list changes the number.
    let mut lines: Vec<&str> = DEVICES.lines().collect();
    lines.rotate_left(1);
    let rotated = policy(SITE, RULES, &(lines.join("\n") + "\n"));
    assert!(update_tables((&old, &mut compiled()), &rotated, today()).is_none());
    let mut many = DEVICES.to_owned();
    for number in 0..1_001 {
        let [_, _, a, b] = u32::to_be_bytes(number);
        writeln!(many, "more-{number},02:00:00:01:{a:02x}:{b:02x},,lab,ct").expect("a string");
    }
    let many = policy(SITE, RULES, &many);
    assert!(update_tables((&old, &mut compiled()), &many, today()).is_none());
}

#[test]
fn one_changed_device_of_100000_is_compiled_incrementally() {
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
            "one of a new class",
            text(&|lines| lines[70_007] = device(70_007, 70_007 % SEGMENTS, 59)),
        ),
    ] {
        let started = Instant::now();
        let updated = update_tables((&old, &mut before), &new, today()).expect("is incremental");
        let took: Duration = started.elapsed();
        println!("{what}: {took:?}, {} pairs", updated.change.sets.len());
        assert_eq!(updated.generation.devices.len(), new.devices.len());
        before.generation = updated.generation;
        old = new;
    }
}
