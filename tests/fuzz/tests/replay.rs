//! Every seed, and everything that a fuzzer has found: it holds now.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use cordon_integration::differential::{FAULTS, Fault};
use cordon_verdict::Reason;

/// What was found, and what was wrong.
const FOUND: &[(&str, &str)] = &[
    (
        "api/listens-and-says-more",
        "who listened to events with a body or another call behind it, and hung up, kept its place",
    ),
    (
        "frames/a-first-fragment-beyond-the-limit",
        "a first fragment that was dropped for opening a flow too many was followed all the same",
    ),
    (
        "frames/held-in-a-segment-of-another-policy",
        "the oracle took a segment for the one in the same place of the policy before, whatever its name",
    ),
    (
        "frames/posture-without-a-policy",
        "a posture without a policy made frames be judged, by tables that were empty",
    ),
    (
        "policy/fewer-fields-than-the-header",
        "what a line of devices.csv lacks was told one character behind its end",
    ),
    (
        "policy/unclosed-in-a-last-line-without-an-end",
        "what is unclosed at the end of a YAML file was told in a line behind the last",
    ),
    (
        "policy/unprintable-behind-a-directive",
        "a column of YAML was told in bytes, behind the end of its line",
    ),
];

/// What user space has room for without end, and what takes very many frames.
const SELDOM: &[Reason] = &[
    Reason::FlowTableFull,
    Reason::Retag,
    Reason::StationLimit,
    Reason::FloodLimit,
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("can be listed").path();
            let file = path.file_name().expect("has one").to_string_lossy();
            (
                format!("{name}/{file}"),
                fs::read(&path).expect("can be read"),
            )
        })
        .collect();
    inputs.sort();
    inputs
}

/// Says which input it was, should it panic.
fn hold(mut target: impl FnMut(&[u8]), folder: &str) {
    let inputs = inputs(folder);
    assert!(!inputs.is_empty(), "{folder} is empty");
    for (name, input) in inputs {
        println!("{name}");
        target(&input);
    }
}

#[test]
fn the_seeds_of_policy_hold() {
    hold(cordon_fuzz::policy, "seeds/policy");
}

#[test]
fn what_was_found_in_policy_holds() {
    hold(cordon_fuzz::policy, "found/policy");
}

#[test]
fn the_seeds_of_api_hold() {
    hold(cordon_fuzz::api, "seeds/api");
}

#[test]
fn what_was_found_in_api_holds() {
    hold(cordon_fuzz::api, "found/api");
}

#[test]
fn the_seeds_of_frames_hold() {
    let mut reasons = BTreeSet::new();
    hold(
        |input| reasons.extend(cordon_fuzz::frames(input)),
        "seeds/frames",
    );
    let missed: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !reasons.contains(reason) && !SELDOM.contains(reason))
        .collect();
    assert!(missed.is_empty(), "no seed comes to {missed:?}");
}

#[test]
fn what_was_found_in_frames_holds() {
    hold(|input| drop(cordon_fuzz::frames(input)), "found/frames");
}

#[test]
fn the_seeds_of_frames_find_faults() {
    let seeds = inputs("seeds/frames");
    // Some faults are made for whole frames only, and panic themselves.
    let shows = |seed: &[u8], fault| catch_unwind(|| cordon_fuzz::finds(seed, fault));
    let finds = |fault: &Fault| {
        let mut shown = seeds.iter().map(|(_, seed)| shows(seed, *fault));
        shown.any(|shown| shown.unwrap_or(false))
    };
    let missed: Vec<_> = FAULTS
        .iter()
        .filter(|fault| !finds(fault))
        .map(|fault| fault.name)
        .collect();
    println!("of {} faults are missed: {missed:#?}", FAULTS.len());
    assert!(missed.len() < FAULTS.len() / 4, "{missed:#?}");
}

#[test]
fn of_everything_that_was_found_is_said_what_was_wrong() {
    let mut files = Vec::new();
    for target in fs::read_dir(folder("found")).expect("is there") {
        let target = target.expect("can be listed").file_name();
        let target = target.to_string_lossy().into_owned();
        let of_target = inputs(&format!("found/{target}"));
        files.extend(of_target.into_iter().map(|(name, _)| name));
    }
    files.sort();
    let mut said: Vec<_> = FOUND
        .iter()
        .map(|(name, _)| format!("found/{name}"))
        .collect();
    said.sort();
    assert_eq!(files, said);
}
