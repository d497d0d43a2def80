//! A compromised host changes nothing that others send out of a closed site, and sends nothing out itself but what the
//! continuity list allows.
//!
//! `CORDON_SEED` and `CORDON_RUNS` repeat and scale a run.

use cordon_integration::properties::exhaustion::{ATTACHMENTS, STORM, copies, storm};
use cordon_integration::properties::{interference, setting};
use cordon_policy::Posture;

#[test]
fn a_compromised_host_does_not_interfere() {
    let seed = setting("CORDON_SEED", 20_261_130);
    let runs = setting("CORDON_RUNS", 100_000) as usize;
    let tally = interference::check(seed, runs).unwrap_or_else(|wrong| panic!("{wrong}"));
    println!("CORDON_SEED={seed}\n{tally}");
    // The check has seen frames of every kind that it permits.
    for what in ["crossed: address resolution", "crossed: continuity"] {
        let seen = tally.hostile.get(what).copied().unwrap_or_default();
        assert!(seen > runs / 1000, "{what}: only {seen} frames");
    }
    assert!(
        tally.honest > runs,
        "only {} honest frames left",
        tally.honest
    );
}

#[test]
fn false_mac_addresses_do_not_use_up_the_storm_limit_of_listed_devices() {
    for posture in [Posture::Normal, Posture::Contain] {
        let left = storm(posture);
        println!("storm limit {STORM} at {posture}: {left:?}");
        assert!(
            left.attacked >= STORM / 2,
            "the limit was not reached: {left:?}"
        );
        // A quarter of the limit for one host.
        assert_eq!(left.passed, STORM / 4, "{left:?}");
    }
}

#[test]
fn false_mac_addresses_do_not_use_up_the_copies_of_listed_devices() {
    for posture in [Posture::Normal, Posture::Contain] {
        let left = copies(posture);
        println!("{ATTACHMENTS} copies of a frame at {posture}: {left:?}");
        assert!(
            left.attacked >= 32768 / ATTACHMENTS,
            "the limit was not reached: {left:?}"
        );
        assert_eq!(left.passed, 16384 / ATTACHMENTS, "{left:?}");
    }
}
