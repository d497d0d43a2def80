//! Errors between `cordon` and the gateway.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::json;

use crate::fake::{Fake, Reply};
use crate::run::{cordon, program, ran, split};
use crate::{snapshot, values};

const ORDER: &str = "quarantine site --reason x";

#[test]
fn a_stopped_daemon_is_reported_with_what_to_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("socket");
    let run = |name: &str| {
        let output = program(&socket).arg("status").output().expect("it runs");
        let ran = ran("status", &socket, &output);
        assert_eq!(ran.code, 3);
        snapshot::text(name, &ran.transcript);
    };
    run("error-no-socket");
    // The socket of a killed daemon still exists.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    run("error-no-listener");
}

/// Without a gateway, every command ends with the same error.
#[test]
fn every_command_fails_without_a_gateway() {
    let missing = Path::new("/nonexistent/socket");
    for line in [
        "status",
        "devices",
        "flows",
        "flows --device ct-1",
        "flows --would-drop",
        "watch",
        "watch --device ct-1",
        "rules",
        "orders",
        "explain a b c",
        ORDER,
        "release site --reason x",
        "apply good",
        "confirm",
    ] {
        let output = program(missing)
            .args(split(line))
            .output()
            .expect("it runs");
        let ran = ran(line, missing, &output);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{line}");
        assert!(
            ran.stderr.contains("is cordond running?"),
            "{line}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_socket_without_permission_names_the_group_to_join() {
    let fake = Fake::new(&[("GET /v1/status", values::status())]);
    let socket = fake.socket();
    let chmod = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("can be set")
    };
    chmod(socket.parent().expect("has one"), 0o755);
    chmod(&socket, 0o660);
    let (uid, me) = (65_534, nix::unistd::getuid());
    // Root may open every socket, so the program runs as another user, from a folder which that user can read.
    let copy = socket.with_file_name("cordon");
    std::fs::copy(env!("CARGO_BIN_EXE_cordon"), &copy).expect("can be copied");
    let run = || {
        let mut command = std::process::Command::new(&copy);
        command
            .env_clear()
            .arg("status")
            .arg("--socket")
            .arg(&socket);
        if me.is_root() {
            command.uid(uid).gid(uid);
        }
        ran("status", &socket, &command.output().expect("it runs"))
    };
    if me.is_root() {
        let group = nix::unistd::Group::from_name("adm")
            .expect("can be looked up")
            .expect("Debian has it");
        nix::unistd::chown(&socket, None, Some(group.gid)).expect("can be given");
        let ran = run();
        assert_eq!(ran.code, 3);
        snapshot::text("error-permission-group", &ran.transcript);
        nix::unistd::chown(&socket, None, Some(0.into())).expect("can be given");
    } else {
        chmod(&socket, 0o000);
    }
    let ran = run();
    assert_eq!(ran.code, 3);
    assert!(
        ran.stderr.contains("you may not use SOCKET"),
        "{}",
        ran.stderr
    );
    assert!(
        !ran.stderr.contains("group is `root`"),
        "joining root's group is not suggested: {}",
        ran.stderr
    );
}

/// The connection ends after each possible number of bytes: always an error, and no table.
#[test]
fn an_incomplete_answer_is_an_error() {
    let body = r#"[{"name":"a"}]"#;
    let whole = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for length in 0..whole.len() {
        let fake = Fake::new(&[(
            "GET /v1/orders",
            Reply::Bytes(whole.as_bytes()[..length].into()),
        )]);
        let ran = cordon(&fake, "orders");
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (3, ""),
            "after {length} bytes"
        );
        assert!(
            ran.stderr.contains("closed the connection"),
            "after {length} bytes: {}",
            ran.stderr
        );
    }
    let cut = Reply::Bytes(whole.as_bytes()[..whole.len() - 3].into());
    let fake = Fake::new(&[("GET /v1/status", cut.clone()), ("POST /v1/orders", cut)]);
    snapshot::text("error-disconnected", &cordon(&fake, "status").transcript);
    // The order may have been carried out: the error says that this is unknown.
    snapshot::text("error-disconnected-order", &cordon(&fake, ORDER).transcript);
}

#[test]
fn a_missing_answer_is_a_timeout() {
    let fake = Fake::new(&[
        ("GET /v1/status", Reply::NoAnswer),
        ("POST /v1/orders", Reply::NoAnswer),
        ("GET /v1/events", Reply::NoAnswer),
    ]);
    snapshot::text(
        "error-timeout",
        &cordon(&fake, "status --timeout 1s").transcript,
    );
    snapshot::text(
        "error-timeout-order",
        &cordon(&fake, "quarantine site --reason x --timeout 1s").transcript,
    );
    assert_eq!(cordon(&fake, "watch --timeout 1s").code, 3);
}

#[test]
fn answers_of_other_versions_are_reported() {
    let bad = |body: &str| Fake::new(&[("GET /v1/status", Reply::Json(200, body.to_owned()))]);
    snapshot::text(
        "error-older-gateway",
        &cordon(&bad(r#"{"version":"0.0.9"}"#), "status").transcript,
    );
    assert_eq!(cordon(&bad("<html>"), "status").code, 3);
    assert_eq!(cordon(&bad(""), "status --output json").code, 3);
    let none = Fake::new(&[("POST /v1/policy/confirm", Reply::Json(404, String::new()))]);
    snapshot::text("error-unknown-call", &cordon(&none, "confirm").transcript);
    let no_http = Fake::new(&[(
        "GET /v1/status",
        Reply::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".into()),
    )]);
    assert_eq!(cordon(&no_http, "status").code, 3);
    // The answer to an accepted order has a scope that only a newer gateway knows.
    let Reply::Json(_, order) = values::order() else {
        unreachable!("it is JSON")
    };
    let newer = Fake::new(&[(
        "POST /v1/orders",
        Reply::Json(200, order.replace("\"site\"", "\"ward\"")),
    )]);
    snapshot::text("error-newer-order", &cordon(&newer, ORDER).transcript);
}

/// A posture that only a newer gateway knows is shown, in the style of an alarm.
#[test]
fn an_unknown_posture_is_shown() {
    let mut status = values::status_value();
    status["posture"] = json!("quiet");
    let fake = Fake::new(&[("GET /v1/status", Reply::Json(200, status.to_string()))]);
    let ran = cordon(&fake, "status");
    assert!(ran.stdout.contains("*** QUIET ***"), "{}", ran.stdout);
    assert_eq!(ran.code, 0);
}

#[test]
fn unknown_names_come_with_a_suggestion() {
    let failure = |name: &str, near: &str| {
        let hint = format!("did you mean `{near}`? `cordon devices` lists them");
        let message = format!("there is no device `{name}`");
        values::failure(
            404,
            json!({"code": "not-found", "message": message, "hint": hint}),
        )
    };
    let fake = Fake::new(&[
        ("GET /v1/devices", values::devices()),
        ("GET /v1/observed", values::observed()),
        ("GET /v1/rules", values::rules()),
        ("POST /v1/explain", failure("ct1", "ct-1")),
        (
            "GET /v1/flows?limit=20&device=staton-1",
            failure("staton-1", "station-1"),
        ),
    ]);
    snapshot::text(
        "error-explain-device",
        &cordon(&fake, "explain ct1 10.200.4.7 dicom").transcript,
    );
    snapshot::text(
        "error-flows-device",
        &cordon(&fake, "flows --device staton-1").transcript,
    );
    for (name, line) in [
        (
            "error-would-drop-device",
            "flows --would-drop --device Staton-1",
        ),
        (
            "error-would-drop-segment",
            "flows --would-drop --segment gust",
        ),
        ("error-would-drop-rule", "flows --would-drop --rule no-smd"),
    ] {
        snapshot::text(name, &cordon(&fake, line).transcript);
    }
    snapshot::text(
        "error-watch-device",
        &cordon(&fake, "watch --device refrigerator").transcript,
    );

    // With --output json, the API's answer is printed unchanged.
    let before = fake.calls().len();
    let ran = cordon(&fake, "explain ct1 10.200.4.7 dicom --output json");
    snapshot::json("error-explain-device", &ran.stdout);
    assert_eq!(ran.code, 1);
    assert_eq!(fake.calls()[before..], ["POST /v1/explain"]);
}

#[test]
fn a_full_disk_is_reported_with_what_to_do() {
    let failure = json!({"code": "not-durable", "message": "/var/lib/cordon/state.json: No space left on device"});
    let fake = Fake::new(&[
        ("POST /v1/policy", values::failure(507, failure.clone())),
        ("POST /v1/orders", values::failure(507, failure)),
    ]);
    snapshot::text(
        "error-not-durable-apply",
        &cordon(&fake, "apply good").transcript,
    );
    // A quarantine is never refused for this: see `a_quarantine_that_is_not_durable_prints_the_warning`.
    snapshot::text(
        "error-not-durable-release",
        &cordon(&fake, "release site --reason x").transcript,
    );
}

#[test]
fn a_failure_of_the_data_plane_is_reported() {
    let failure =
        json!({"code": "dataplane", "message": "the posture could not be written: EPERM"});
    let fake = Fake::new(&[("POST /v1/orders", values::failure(500, failure))]);
    snapshot::text("error-dataplane", &cordon(&fake, ORDER).transcript);
}

/// Terminal control characters in a reason are escaped.
#[test]
fn control_characters_from_the_gateway_are_escaped() {
    let order = values::order_with(json!({"reason": "\u{1b}[2J\u{1b}[1mall is well\r"}));
    let fake = Fake::new(&[
        ("POST /v1/orders", order),
        ("GET /v1/rules", values::rules()),
    ]);
    let ran = cordon(&fake, ORDER);
    assert!(
        ran.stdout.contains(r"\u{1b}[2J\u{1b}[1mall is well\u{d}"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains('\u{1b}'));
}

#[test]
fn a_call_outside_the_role_says_so_and_has_its_own_exit_code() {
    let failure = json!({"code": "forbidden", "message": "this takes the role `all`, and you have `contain`: nothing was changed",
        "hint": "root and members of `engineers` have it"});
    let fake = Fake::new(&[("POST /v1/orders", Reply::Json(403, failure.to_string()))]);
    let ran = cordon(&fake, "release site --reason x");
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("takes the role `all`"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("members of `engineers`"),
        "{}",
        ran.stderr
    );
}
