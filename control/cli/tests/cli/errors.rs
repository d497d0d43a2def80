//! What goes wrong between `cordon` and the gateway.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::json;

use crate::fake::{Fake, Reply};
use crate::run::{cordon, program, ran, split};
use crate::{snapshot, values};

const ORDER: &str = "quarantine site --reason x";

#[test]
fn the_daemon_is_down() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("socket");
    let run = |name: &str| {
        let output = program(&socket).arg("status").output().expect("it runs");
        let ran = ran("status", &socket, &output);
        assert_eq!(ran.code, 3);
        snapshot::text(name, &ran.transcript);
    };
    run("error-no-socket");
    // What a daemon that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    run("error-nobody-listens");
}

/// Every command fails alike where there is no gateway.
#[test]
fn no_command_needs_less_than_a_gateway() {
    let nowhere = Path::new("/nonexistent/socket");
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
        let output = program(nowhere)
            .args(split(line))
            .output()
            .expect("it runs");
        let ran = ran(line, nowhere, &output);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{line}");
        assert!(
            ran.stderr.contains("is cordond running?"),
            "{line}: {}",
            ran.stderr
        );
    }
}

#[test]
fn the_socket_is_for_a_group() {
    let fake = Fake::new(&[("GET /v1/status", values::status())]);
    let socket = fake.socket();
    let chmod = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("can be set")
    };
    chmod(socket.parent().expect("has one"), 0o755);
    chmod(&socket, 0o660);
    let (uid, me) = (65_534, nix::unistd::getuid());
    // Root may use every socket, so it has to become somebody else, who can see the program.
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
        "nobody is sent into root's group: {}",
        ran.stderr
    );
}

/// The connection is cut at every byte of an answer: never a table of half of it, never a success.
#[test]
fn half_an_answer() {
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
            ran.stderr.contains("hung up"),
            "after {length} bytes: {}",
            ran.stderr
        );
    }
    let cut = Reply::Bytes(whole.as_bytes()[..whole.len() - 3].into());
    let fake = Fake::new(&[("GET /v1/status", cut.clone()), ("POST /v1/orders", cut)]);
    snapshot::text("error-cut", &cordon(&fake, "status").transcript);
    // Of an order nobody knows whether it was taken: that is said.
    snapshot::text("error-cut-order", &cordon(&fake, ORDER).transcript);
}

#[test]
fn silence() {
    let fake = Fake::new(&[
        ("GET /v1/status", Reply::Silence),
        ("POST /v1/orders", Reply::Silence),
        ("GET /v1/events", Reply::Silence),
    ]);
    snapshot::text(
        "error-silence",
        &cordon(&fake, "status --timeout 1s").transcript,
    );
    snapshot::text(
        "error-silence-order",
        &cordon(&fake, "quarantine site --reason x --timeout 1s").transcript,
    );
    assert_eq!(cordon(&fake, "watch --timeout 1s").code, 3);
}

#[test]
fn another_version() {
    let bad = |body: &str| Fake::new(&[("GET /v1/status", Reply::Json(200, body.to_owned()))]);
    snapshot::text(
        "error-older",
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
    // A kind of order that only a newer gateway knows, in an answer to an order that it took.
    let Reply::Json(_, order) = values::order() else {
        unreachable!("it is JSON")
    };
    let newer = Fake::new(&[(
        "POST /v1/orders",
        Reply::Json(200, order.replace("\"site\"", "\"ward\"")),
    )]);
    snapshot::text("error-newer-order", &cordon(&newer, ORDER).transcript);
}

/// A posture that only a newer gateway knows is shown, and loudly.
#[test]
fn a_posture_of_tomorrow() {
    let mut status = values::status_value();
    status["posture"] = json!("quiet");
    let fake = Fake::new(&[("GET /v1/status", Reply::Json(200, status.to_string()))]);
    let ran = cordon(&fake, "status");
    assert!(ran.stdout.contains("*** QUIET ***"), "{}", ran.stdout);
    assert_eq!(ran.code, 0);
}

#[test]
fn an_unknown_device() {
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

    // A program gets the API's answer as it is.
    let before = fake.heard().len();
    let ran = cordon(&fake, "explain ct1 10.200.4.7 dicom --output json");
    snapshot::json("error-explain-device", &ran.stdout);
    assert_eq!(ran.code, 1);
    assert_eq!(fake.heard()[before..], ["POST /v1/explain"]);
}

#[test]
fn what_cannot_be_made_durable() {
    let failure = json!({"code": "not-durable", "message": "/var/lib/cordon/state.json: No space left on device"});
    let fake = Fake::new(&[
        ("POST /v1/policy", values::failure(507, failure.clone())),
        ("POST /v1/orders", values::failure(507, failure)),
    ]);
    snapshot::text(
        "error-not-durable-apply",
        &cordon(&fake, "apply good").transcript,
    );
    snapshot::text("error-not-durable-order", &cordon(&fake, ORDER).transcript);
}

#[test]
fn the_data_plane_fails() {
    let failure =
        json!({"code": "dataplane", "message": "the posture could not be written: EPERM"});
    let fake = Fake::new(&[("POST /v1/orders", values::failure(500, failure))]);
    snapshot::text("error-dataplane", &cordon(&fake, ORDER).transcript);
}

/// What others wrote cannot drive the terminal of whoever reads it.
#[test]
fn no_escapes_from_others() {
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
