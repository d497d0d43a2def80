//! The output of commands that change no state, as a table and as JSON.

use crate::fake::{Fake, Reply};
use crate::run::cordon;
use crate::{snapshot, values};

/// Runs a command with each form of output.
fn both(name: &str, line: &str, replies: &[(&str, Reply)]) {
    let table = cordon(&Fake::new(replies), line);
    snapshot::text(name, &table.transcript);
    let json = cordon(&Fake::new(replies), &format!("{line} --output json"));
    assert_eq!(
        (json.code, json.stderr.as_str()),
        (table.code, ""),
        "{line}"
    );
    snapshot::json(name, &json.stdout);
}

/// With --output json, the answer is printed unchanged.
#[test]
fn json_is_the_unchanged_answer() {
    for (path, line, reply) in [
        ("GET /v1/status", "status", values::status_contained()),
        ("GET /v1/devices", "devices", values::devices()),
        ("GET /v1/rules", "rules", values::rules()),
        ("GET /v1/orders", "orders", values::orders()),
        ("GET /v1/flows?limit=20", "flows", values::flows()),
        (
            "POST /v1/explain",
            "explain ct-1 10.200.4.7 dicom",
            values::explanation(),
        ),
    ] {
        let Reply::Json(_, body) = &reply else {
            unreachable!("it is JSON")
        };
        // A field of a newer gateway is kept.
        let mut want: serde_json::Value = serde_json::from_str(body).expect("is JSON");
        match &mut want {
            serde_json::Value::Array(list) => list[0]["new"] = 1.into(),
            document => document["new"] = 1.into(),
        }
        let fake = Fake::new(&[(path, Reply::Json(200, want.to_string()))]);
        let ran = cordon(&fake, &format!("{line} --output json"));
        let got: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one document");
        assert_eq!((got, ran.code), (want, 0), "{line}");
        assert!(ran.stdout.ends_with("\n"), "{line}");
    }
}

#[test]
fn status() {
    both("status", "status", &[("GET /v1/status", values::status())]);
    both(
        "status-contained",
        "status",
        &[("GET /v1/status", values::status_contained())],
    );
    both(
        "status-empty",
        "status",
        &[("GET /v1/status", values::status_empty())],
    );
}

#[test]
fn devices() {
    let replies = [("GET /v1/devices", values::devices())];
    both("devices", "devices", &replies);
    both("devices-unseen", "devices --unseen", &replies);
    both(
        "devices-none",
        "devices",
        &[("GET /v1/devices", Reply::Json(200, "[]".to_owned()))],
    );
}

#[test]
fn rules() {
    let replies = [("GET /v1/rules", values::rules())];
    both("rules", "rules", &replies);
    both("rules-continuity", "rules --continuity", &replies);
}

#[test]
fn flows() {
    both(
        "flows",
        "flows",
        &[("GET /v1/flows?limit=20", values::flows())],
    );
    both(
        "flows-limit",
        "flows --limit 2",
        &[("GET /v1/flows?limit=2", values::flows_of_station())],
    );
    both(
        "flows-device",
        "flows --device station-1",
        &[(
            "GET /v1/flows?limit=20&device=station-1",
            values::flows_of_station(),
        )],
    );
    // The gateway does the filtering. (The simulated gateway lowers the case of the path.)
    let fake = Fake::new(&[]);
    cordon(
        &fake,
        "flows --limit 3 --device \"a b&c\" --segment imaging --rule observe:x --state half-open",
    );
    assert_eq!(
        fake.calls(),
        ["GET /v1/flows?limit=3&device=a%20b%26c&segment=imaging&rule=observe%3ax&state=half-open"]
    );
}

#[test]
fn flows_that_would_be_dropped() {
    let observed = [
        ("GET /v1/observed", values::observed()),
        ("GET /v1/devices", values::devices()),
        ("GET /v1/rules", values::rules()),
    ];
    for (name, line) in [
        ("would-drop", "flows --would-drop"),
        ("would-drop-limit", "flows --would-drop --limit 1"),
        ("would-drop-by", "flows --would-drop --by device,rule"),
        ("would-drop-rule", "flows --would-drop --rule no-rule"),
        (
            "would-drop-denied",
            "flows --would-drop --rule no-smb --by service",
        ),
        (
            "would-drop-device",
            "flows --would-drop --device station-1 --by service",
        ),
    ] {
        both(name, line, &observed);
    }
    let none = [("GET /v1/observed", values::observed_none())];
    both("would-drop-unobserved", "flows --would-drop", &none);
    let empty = [("GET /v1/observed", values::observed_empty())];
    both("would-drop-empty", "flows --would-drop", &empty);
    both(
        "status-observed",
        "status",
        &[("GET /v1/status", values::status_observed())],
    );
    both(
        "devices-observed",
        "devices",
        &[("GET /v1/devices", values::devices_observed())],
    );
}

#[test]
fn orders() {
    both("orders", "orders", &[("GET /v1/orders", values::orders())]);
    both(
        "orders-none",
        "orders",
        &[("GET /v1/orders", Reply::Json(200, "[]".to_owned()))],
    );
}

#[test]
fn explain() {
    both(
        "explain",
        "explain ct-1 10.200.4.7 dicom",
        &[("POST /v1/explain", values::explanation())],
    );
    both(
        "explain-dropped",
        "explain 10.29.0.50 station-1 smb",
        &[("POST /v1/explain", values::explanation_dropped())],
    );
    both(
        "explain-inside",
        "explain station-1 broadcast ws-discovery",
        &[("POST /v1/explain", values::explanation_inside())],
    );
    both(
        "explain-observed",
        "explain 10.29.0.50 station-1 smb",
        &[("POST /v1/explain", values::explanation_observed())],
    );
}

#[test]
fn explain_sends_its_arguments() {
    let fake = Fake::new(&[("POST /v1/explain", values::explanation())]);
    cordon(&fake, "explain ct-1 10.200.4.7 dicom");
    let want = serde_json::json!({"from": "ct-1", "to": "10.200.4.7", "service": "dicom"});
    assert_eq!(fake.body("POST /v1/explain"), want);
}
