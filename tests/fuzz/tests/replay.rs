//! Replays every seed and every input with which a fuzzer has found a fault.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use cordon_integration::differential::{FAULTS, Fault};
use cordon_verdict::Reason;

/// The inputs in `found/`, with the faults that they showed.
const FOUND: &[(&str, &str)] = &[
    (
        "api/event-stream-with-more-input",
        "a caller whose event stream request had a body or was followed by another request kept its place after it disconnected",
    ),
    (
        "frames/first-fragment-over-flow-limit",
        "later fragments passed although the first fragment was dropped by the flow limit",
    ),
    (
        "frames/flow-limit-across-policies",
        "the oracle matched segments of two policies by index instead of by name",
    ),
    (
        "frames/posture-without-policy",
        "a posture without a policy made the gateway judge frames with empty tables",
    ),
    (
        "policy/fewer-fields-than-the-header",
        "the position of a missing field in devices.csv was a character too far",
    ),
    (
        "policy/unclosed-at-end-of-file",
        "an error at the end of a YAML file was reported after the last line",
    ),
    (
        "policy/unprintable-after-directive",
        "a column of a YAML error was counted in bytes, so it was after the end of its line",
    ),
];

/// Reasons that user space does not have, or that need very many frames.
const UNREACHED: &[Reason] = &[
    Reason::FlowTableFull,
    Reason::Retag,
    Reason::StationLimit,
    Reason::FloodLimit,
];

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let directory = directory(name);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{name}: {error}"));
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

/// Runs all inputs of a directory. Prints their names, so that the output shows which one panicked.
fn run_all(mut target: impl FnMut(&[u8]), directory: &str) {
    let inputs = inputs(directory);
    assert!(!inputs.is_empty(), "{directory} is empty");
    for (name, input) in inputs {
        println!("{name}");
        target(&input);
    }
}

#[test]
fn policy_seeds_pass() {
    run_all(cordon_fuzz::policy, "seeds/policy");
}

#[test]
fn found_policy_inputs_pass() {
    run_all(cordon_fuzz::policy, "found/policy");
}

#[test]
fn api_seeds_pass() {
    run_all(cordon_fuzz::api, "seeds/api");
}

#[test]
fn found_api_inputs_pass() {
    run_all(cordon_fuzz::api, "found/api");
}

#[test]
fn frame_seeds_pass_and_reach_the_drop_reasons() {
    let mut reasons = BTreeSet::new();
    run_all(
        |input| reasons.extend(cordon_fuzz::frames(input)),
        "seeds/frames",
    );
    let missed: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !reasons.contains(reason) && !UNREACHED.contains(reason))
        .collect();
    assert!(missed.is_empty(), "no seed reaches {missed:?}");
}

#[test]
fn found_frame_inputs_pass() {
    run_all(|input| drop(cordon_fuzz::frames(input)), "found/frames");
}

#[test]
fn frame_seeds_detect_injected_faults() {
    let seeds = inputs("seeds/frames");
    // Some faults are made for complete frames only, and panic on others.
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
    println!("missed of {} faults: {missed:#?}", FAULTS.len());
    assert!(missed.len() < FAULTS.len() / 4, "{missed:#?}");
}

#[test]
fn every_found_input_is_documented() {
    let mut files = Vec::new();
    for target in fs::read_dir(directory("found")).expect("is there") {
        let target = target.expect("can be listed").file_name();
        let target = target.to_string_lossy().into_owned();
        let of_target = inputs(&format!("found/{target}"));
        files.extend(of_target.into_iter().map(|(name, _)| name));
    }
    files.sort();
    let mut documented: Vec<_> = FOUND
        .iter()
        .map(|(name, _)| format!("found/{name}"))
        .collect();
    documented.sort();
    assert_eq!(files, documented);
}
