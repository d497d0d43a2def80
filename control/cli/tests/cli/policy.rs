//! `check`, `services`, `apply` and `confirm`.

use serde_json::json;

use crate::fake::Fake;
use crate::run::{cordon, program};
use crate::{snapshot, values};

#[test]
fn check_summarises_a_valid_policy() {
    let fake = Fake::new(&[]);
    snapshot::text("check", &cordon(&fake, "check good").transcript);
    snapshot::json("check", &cordon(&fake, "check good --output json").stdout);
    assert_eq!(fake.calls(), [""; 0], "no call is made");
}

#[test]
fn check_lists_every_error_with_its_position() {
    let fake = Fake::new(&[]);
    snapshot::text("check-wrong", &cordon(&fake, "check wrong").transcript);
    let json = cordon(&fake, "check wrong --output json");
    assert_eq!(json.code, 1);
    snapshot::json("check-wrong", &json.stdout);
}

#[test]
fn services_are_listed_with_their_ports() {
    let fake = Fake::new(&[]);
    snapshot::text("services", &cordon(&fake, "services").transcript);
    let clinic = "../../../policy/examples/crozer-outpatient";
    let own = cordon(&fake, &format!("services {clinic}"));
    let hl7 = own.stdout.lines().find(|line| line.starts_with("hl7 "));
    let hl7 = hl7.unwrap_or_else(|| panic!("{}", own.stdout));
    let words: Vec<&str> = hl7.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "hl7",
            "policy.yaml,",
            "idle",
            "for",
            "up",
            "to",
            "1day",
            "tcp/2575"
        ]
    );
    let json = cordon(&fake, "services --output json").stdout;
    let listed: Vec<serde_json::Value> = serde_json::from_str(&json).expect("is JSON");
    let dicom = listed.iter().find(|one| one["name"] == "dicom");
    assert_eq!(
        dicom.expect("is listed")["ports"],
        json!(["tcp/104", "tcp/11112"])
    );
    assert_eq!(cordon(&fake, "services missing").code, 1);
    assert_eq!(fake.calls(), [""; 0], "no call is made");
}

/// `check` compiles the policy too, and so finds broken invariants.
#[test]
fn check_lists_broken_invariants() {
    let ran = cordon(&Fake::new(&[]), "check broken-invariant");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("broken-invariant/policy.yaml:8:5: error:"),
        "{}",
        ran.stderr
    );
    assert!(
        !ran.stderr.contains("policy.yaml:9"),
        "the other invariant holds: {}",
        ran.stderr
    );
}

#[test]
fn check_of_a_missing_directory_is_an_error() {
    snapshot::text(
        "check-no-directory",
        &cordon(&Fake::new(&[]), "check missing").transcript,
    );
}

#[test]
fn apply_sends_the_files_of_the_directory() {
    let warnings = json!([{"file": "site.yaml", "line": 7, "column": 3, "code": "warning",
        "message": "segment `guest` is attached once: no frame can leave it", "hint": "attach it twice"}]);
    let fake = Fake::new(&[("POST /v1/policy", values::applied(json!(null), warnings))]);
    snapshot::text("apply", &cordon(&fake, "apply good").transcript);
    let read = |file: &str| {
        std::fs::read_to_string(
            program(&fake.socket())
                .get_current_dir()
                .expect("is set")
                .join("good")
                .join(file),
        )
        .expect("is there")
    };
    let want = json!({"sources": {"site": read("site.yaml"), "policy": read("policy.yaml"),
        "devices": read("devices.csv")}, "confirm_seconds": null});
    assert_eq!(fake.body("POST /v1/policy"), want);
    snapshot::json("apply", &cordon(&fake, "apply good --output json").stdout);
}

#[test]
fn apply_with_confirm_prints_the_deadline() {
    let fake = Fake::new(&[(
        "POST /v1/policy",
        values::applied(json!("2026-03-01T03:30:00Z"), json!([])),
    )]);
    snapshot::text(
        "apply-confirm",
        &cordon(&fake, "apply good --confirm 10m").transcript,
    );
    assert_eq!(fake.body("POST /v1/policy")["confirm_seconds"], 600);
    // The gateway ignored --confirm: the user, who relies on it, is warned.
    let fake = Fake::new(&[("POST /v1/policy", values::applied(json!(null), json!([])))]);
    snapshot::text(
        "apply-confirm-ignored",
        &cordon(&fake, "apply good --confirm 10m").transcript,
    );
}

#[test]
fn a_policy_with_errors_is_not_sent() {
    let fake = Fake::new(&[]);
    let ran = cordon(&fake, "apply wrong");
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("wrong/policy.yaml:"), "{}", ran.stderr);
    assert_eq!(fake.calls(), [""; 0]);
}

#[test]
fn errors_found_by_the_gateway_are_printed_with_their_lines() {
    let problems = json!([{"file": "policy.yaml", "line": 5, "column": 5, "code": "limit",
        "message": "this gateway has no room for it", "hint": "use another"}]);
    let failure = json!({"code": "policy-rejected", "message": "the policy has 1 error", "problems": problems});
    let fake = Fake::new(&[("POST /v1/policy", values::failure(422, failure))]);
    snapshot::text("apply-rejected", &cordon(&fake, "apply good").transcript);
    let json = cordon(&fake, "apply good --output json");
    assert_eq!(json.code, 1);
    snapshot::json("apply-rejected", &json.stdout);
}

#[test]
fn apply_refuses_a_wrong_duration() {
    let fake = Fake::new(&[]);
    snapshot::text(
        "usage-confirm",
        &cordon(&fake, "apply good --confirm soon").transcript,
    );
    assert_eq!(fake.calls(), [""; 0]);
}

#[test]
fn confirm_prints_the_policy_that_stays() {
    let fake = Fake::new(&[(
        "POST /v1/policy/confirm",
        values::applied(json!(null), json!([])),
    )]);
    snapshot::text("confirm", &cordon(&fake, "confirm").transcript);
    snapshot::json("confirm", &cordon(&fake, "confirm --output json").stdout);
    let failure = values::failure(
        409,
        json!({"code": "conflict", "message": "no policy waits to be confirmed"}),
    );
    let fake = Fake::new(&[("POST /v1/policy/confirm", failure)]);
    snapshot::text("confirm-refused", &cordon(&fake, "confirm").transcript);
}
