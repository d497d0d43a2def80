//! `cordon watch`.

use std::io::{BufRead, BufReader};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::fake::{Fake, Reply};
use crate::run::{cordon, program, ran, split};
use crate::{snapshot, values};

fn events() -> Vec<String> {
    let event = values::event;
    let dropped = |reason: &str| json!({"reason": reason, "rule": null});
    let mut events = vec![
        values::line(event("flow", 1, 104), json!({"rule": "ct-to-pacs"})),
        values::line(
            event("drop", 2, 445),
            json!({"reason": "posture", "rule": "stations-to-records"}),
        ),
        values::line(
            event("drop", 3, 0),
            json!({"reason": "unknown-device", "device": null, "segment": null, "source_mac": "02:00:00:00:66:66",
                "destination_mac": "ff:ff:ff:ff:ff:ff", "from": null, "to": null, "protocol": null,
                "ingress": "access0.299"}),
        ),
        values::line(
            event("drop", 4, 80),
            json!({"reason": "no-rule", "device": null, "from": {"device": null, "ip": "10.200.9.9", "port": 1},
                "to": {"device": "station-1", "ip": "10.23.0.11", "port": 80}, "ingress": "core0.230"}),
        ),
        values::line(
            event("flow", 5, 9100),
            json!({"rule": "observe:imaging", "would_drop": {"reason": "no-rule"}}),
        ),
    ];
    // A scan of a thousand ports is one line, and one more with the number of repeats.
    events.extend((1..=1000).map(|port| values::line(event("drop", 5, port), dropped("no-rule"))));
    events
}

/// Reads the output until a line contains `last`, then presses Ctrl-C.
fn watch(fake: &Fake, line: &str, last: &str) -> crate::run::Ran {
    let mut child = program(&fake.socket())
        .args(split(line))
        .spawn()
        .expect("it runs");
    let mut reader = BufReader::new(child.stdout.take().expect("is piped"));
    let mut stdout = String::new();
    while !stdout.contains(last) {
        assert!(
            reader.read_line(&mut stdout).expect("a line") > 0,
            "it ended early: {stdout}"
        );
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("can be signalled");
    std::io::Read::read_to_string(&mut reader, &mut stdout).expect("text");
    let mut output = child.wait_with_output().expect("it ends");
    output.stdout = stdout.into_bytes();
    ran(line, &fake.socket(), &output)
}

/// The transcript without the seconds of repeats, which differ from run to run.
fn without_seconds(transcript: &str) -> String {
    let mut text = transcript.to_owned();
    for seconds in 1..=9 {
        text = text.replace(&format!("in {seconds} s"), "in N s");
    }
    text
}

#[test]
fn events_are_printed_and_repeats_counted() {
    let fake = Fake::new(&[("GET /v1/events", Reply::Stream(events()))]);
    let ran = watch(&fake, "watch", "more in");
    assert_eq!(ran.code, 0);
    snapshot::text("watch", &without_seconds(&ran.transcript));
}

#[test]
fn filters_select_events() {
    let fake = Fake::new(&[
        ("GET /v1/events", Reply::Stream(events())),
        ("GET /v1/devices", values::devices()),
    ]);
    for (name, line, last) in [
        ("drops", "watch --drops", "more in"),
        ("reason", "watch --reason posture", "posture"),
        ("device", "watch --device station-1", "no-rule"),
        ("would-drop", "watch --would-drop", "no rule"),
    ] {
        snapshot::text(
            &format!("watch-{name}"),
            &without_seconds(&watch(&fake, line, last).transcript),
        );
    }
    let wrong = cordon(&fake, "watch --reason postur");
    snapshot::text(
        "usage-watch-reason",
        &snapshot::without_reasons(&wrong.transcript),
    );
}

#[test]
fn json_lines_are_the_unchanged_events() {
    let fake = Fake::new(&[("GET /v1/events", Reply::Stream(events()))]);
    let last = events().pop().expect("has one");
    let ran = watch(&fake, "watch --output json", &last);
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), events());
}

/// An event of a newer gateway is reported as unknown, and the others are still printed.
#[test]
fn an_unknown_event_is_reported() {
    let lines = vec![
        r#"{"kind":"eclipse"}"#.to_owned(),
        String::new(),
        events().remove(0),
    ];
    let fake = Fake::new(&[("GET /v1/events", Reply::Stream(lines))]);
    let ran = watch(&fake, "watch", "ct-to-pacs");
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("eclipse"), "{}", ran.stderr);
    // Without a filter, a program gets unknown events too.
    let ran = watch(&fake, "watch --output json", "ct-to-pacs");
    assert_eq!(
        (ran.stdout.lines().next(), ran.stderr.contains("eclipse")),
        (Some(r#"{"kind":"eclipse"}"#), false)
    );
}

#[test]
fn the_end_of_the_stream_is_an_error() {
    let fake = Fake::new(&[(
        "GET /v1/events",
        Reply::Json(200, format!("{}\n", events()[0])),
    )]);
    snapshot::text("watch-ended", &cordon(&fake, "watch").transcript);
}

/// `cordon watch | head -1`
#[test]
fn it_stops_when_the_pipe_is_closed() {
    let fake = Fake::new(&[("GET /v1/events", Reply::Stream(events()))]);
    let mut child = program(&fake.socket())
        .args(["watch", "--output", "json"])
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).as_ref()
        ),
        (Some(0), "")
    );
}
