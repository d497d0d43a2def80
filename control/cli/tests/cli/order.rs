//! Quarantine and release without a terminal.

use serde_json::json;

use crate::fake::{Fake, Reply};
use crate::run::cordon;
use crate::{snapshot, values};

#[test]
fn a_quarantine_is_ordered_first_and_explained_afterwards() {
    let fake = Fake::new(&[
        ("POST /v1/orders", values::order()),
        ("GET /v1/rules", values::rules()),
    ]);
    let ran = cordon(
        &fake,
        "quarantine site --reason \"ransomware seen at Rockville\" --ticket INC-4711",
    );
    snapshot::text("quarantine", &ran.transcript);
    assert_eq!(
        fake.calls(),
        ["POST /v1/orders", "GET /v1/rules"],
        "the order goes first"
    );
    let want = json!({"kind": "quarantine", "scope": "site", "posture": "contain",
        "reason": "ransomware seen at Rockville", "ticket": "INC-4711", "by": "dana", "seconds": null});
    assert_eq!(fake.body("POST /v1/orders"), want);
}

#[test]
fn a_quarantine_as_json_prints_the_order() {
    let fake = Fake::new(&[("POST /v1/orders", values::order())]);
    let ran = cordon(&fake, "quarantine site --reason x --output json");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&ran.stdout).expect("JSON"),
        values::order_value()
    );
    assert_eq!(fake.calls(), ["POST /v1/orders"]);
}

#[test]
fn every_option_is_part_of_the_order() {
    let fake = Fake::new(&[
        ("POST /v1/orders", values::order()),
        ("GET /v1/rules", values::rules()),
    ]);
    cordon(
        &fake,
        "quarantine site --posture lockdown --reason x --for 1h30m --by \"Li Wei\" --yes",
    );
    let want = json!({"kind": "quarantine", "scope": "site", "posture": "lockdown", "reason": "x", "ticket": null,
        "by": "Li Wei", "seconds": 5400});
    assert_eq!(fake.body("POST /v1/orders"), want);
}

#[test]
fn each_posture_lists_what_continues_and_what_stops() {
    for posture in ["watch", "contain", "isolate", "lockdown", "sever"] {
        let order = values::order_with(
            json!({"posture": posture, "ticket": null, "until": "2026-03-01T05:12:44Z"}),
        );
        let fake = Fake::new(&[
            ("POST /v1/orders", order),
            ("GET /v1/rules", values::rules()),
        ]);
        let ran = cordon(
            &fake,
            &format!("quarantine site --posture {posture} --reason x --for 2h"),
        );
        snapshot::text(&format!("quarantine-{posture}"), &ran.transcript);
    }
}

#[test]
fn the_preview_works_with_an_older_gateway() {
    let replies = [
        ("POST /v1/orders", values::order()),
        ("GET /v1/rules", values::rules_of_an_older_gateway()),
    ];
    let ran = cordon(&Fake::new(&replies), "quarantine site --reason x");
    snapshot::text("quarantine-older-gateway", &ran.transcript);
}

/// The order is in force, so an error while reading the rules is no failure.
#[test]
fn a_quarantine_succeeds_even_if_the_rules_cannot_be_read() {
    let order = values::order_with(
        json!({"warning": "it is in force but could not be made durable: disk full"}),
    );
    let fake = Fake::new(&[
        ("POST /v1/orders", order),
        ("GET /v1/rules", Reply::Bytes(b"HTTP/1.1 200 OK\r\n".into())),
    ]);
    snapshot::text(
        "quarantine-no-rules",
        &cordon(&fake, "quarantine site --reason x").transcript,
    );
}

/// The posture is in force although the disk is full: the exit code is 0, and the warning says what a reboot would do.
#[test]
fn a_quarantine_that_is_not_durable_prints_the_warning() {
    let order = values::order_with(json!({
        "warning": "it is in force, but a reboot would undo it, because it could not be made durable: \
                    /var/lib/cordon/state.json: No space left on device; the disk of the gateway may be full: check \
                    `df -h /var/lib/cordon`. Storing it is retried",
    }));
    let fake = Fake::new(&[
        ("POST /v1/orders", order),
        ("GET /v1/rules", values::rules()),
    ]);
    let ran = cordon(&fake, "quarantine site --reason x");
    assert_eq!(ran.code, 0);
    snapshot::text("quarantine-not-durable", &ran.transcript);
}

#[test]
fn an_order_that_is_not_in_force_yet_is_a_failure() {
    let order = values::order_with(json!({"in_force_milliseconds": null}));
    let fake = Fake::new(&[
        ("POST /v1/orders", order),
        ("GET /v1/rules", values::rules()),
    ]);
    let ran = cordon(&fake, "quarantine site --reason x");
    assert!(ran.stdout.contains("NOT YET IN FORCE"), "{}", ran.stdout);
    assert_eq!(ran.code, 1, "a script must not take it for done");
}

#[test]
fn a_release_prints_the_new_posture() {
    let fake = Fake::new(&[("POST /v1/orders", values::released())]);
    snapshot::text(
        "release",
        &cordon(&fake, "release site --reason \"hosts cleaned\"").transcript,
    );
    let want = json!({"kind": "release", "scope": "site", "posture": "normal", "reason": "hosts cleaned",
        "ticket": null, "by": "dana", "seconds": null});
    assert_eq!(fake.body("POST /v1/orders"), want);
}

#[test]
fn a_refused_release_is_an_error() {
    let failure = values::failure(
        409,
        json!({"code": "conflict", "message": "the site is at normal: there is nothing to release"}),
    );
    let fake = Fake::new(&[("POST /v1/orders", failure)]);
    snapshot::text(
        "release-refused",
        &cordon(&fake, "release site --reason x").transcript,
    );
}

/// A wrong command line is explained, and no order is given.
#[test]
fn a_wrong_command_line_gives_no_order() {
    let fake = Fake::new(&[]);
    for (name, line) in [
        ("no-reason", "quarantine site"),
        ("empty-reason", "quarantine site --reason \" \""),
        ("no-posture", "quarantine site --posture contian --reason x"),
        (
            "posture-normal",
            "quarantine site --posture normal --reason x",
        ),
        ("no-duration", "quarantine site --reason x --for 2hours30"),
        ("no-unit", "quarantine site --reason x --for 10"),
        ("no-time", "quarantine site --reason x --for 0s"),
        ("no-scope", "quarantine ward-3 --reason x"),
    ] {
        let ran = cordon(&fake, line);
        assert_eq!(ran.code, 2, "{line}");
        snapshot::text(&format!("usage-{name}"), &ran.transcript);
    }
    assert_eq!(fake.calls(), [""; 0]);
}
