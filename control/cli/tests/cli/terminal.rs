//! At a terminal: colour, width, and confirmation.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};

use crate::fake::Fake;
use crate::run::{program, split};
use crate::{snapshot, values};

/// Runs a program at a terminal with this many columns, and types an answer. Returns the screen and the exit code.
fn at_terminal(mut command: Command, columns: u16, typed: &str) -> (String, Option<i32>) {
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(&size, None).expect("a terminal");
    let slave = || Stdio::from(pty.slave.try_clone().expect("can be cloned"));
    let mut child = command
        .stdin(slave())
        .stdout(slave())
        .stderr(slave())
        .spawn()
        .expect("it runs");
    // Only the child may keep the slave open, or the master would never report the end.
    drop((command, pty.slave));
    let mut master = File::from(pty.master);
    master.write_all(typed.as_bytes()).expect("can be typed");
    let mut screen = Vec::new();
    let mut buffer = [0; 4096];
    // Once the last process closes the slave, reading from the master is an error.
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        screen.extend_from_slice(&buffer[..length]);
    }
    let screen = String::from_utf8(screen)
        .expect("text")
        .replace("\r\n", "\n");
    (screen, child.wait().expect("it ends").code())
}

fn fake() -> Fake {
    Fake::new(&[
        ("GET /v1/status", values::status()),
        ("GET /v1/rules", values::rules()),
        ("POST /v1/orders", values::order()),
    ])
}

fn run(fake: &Fake, line: &str, typed: &str) -> (String, Option<i32>) {
    let mut command = program(&fake.socket());
    command.args(split(line));
    at_terminal(command, 100, typed)
}

#[test]
fn a_quarantine_is_previewed_and_confirmed() {
    let gateway = fake();
    let (screen, code) = run(&gateway, "quarantine site --reason x --no-color", "y\n");
    assert_eq!(code, Some(0));
    // The terminal echoes the answer at an unpredictable moment.
    snapshot::text("terminal-quarantine", &screen.replacen("y\n", "", 1));
    assert_eq!(
        gateway.calls(),
        [
            "GET /v1/status",
            "GET /v1/rules",
            "POST /v1/orders",
            "GET /v1/rules"
        ]
    );
}

#[test]
fn any_answer_except_yes_cancels() {
    for typed in ["n\n", "\n", "yy\n", "\u{4}"] {
        let gateway = fake();
        let (screen, code) = run(&gateway, "quarantine site --reason x --no-color", typed);
        assert_eq!(code, Some(1), "{typed:?}: {screen}");
        assert!(screen.contains("nothing was changed"), "{screen}");
        assert_eq!(
            gateway.calls(),
            ["GET /v1/status", "GET /v1/rules"],
            "no order is given"
        );
    }
}

#[test]
fn with_yes_there_is_no_question() {
    let gateway = fake();
    let (screen, code) = run(&gateway, "quarantine site --reason x --yes", "");
    assert_eq!(code, Some(0));
    assert!(!screen.contains("[y/N]"), "{screen}");
    assert_eq!(gateway.calls(), ["POST /v1/orders", "GET /v1/rules"]);
}

/// If the preview cannot be shown, the order can still be given.
#[test]
fn a_quarantine_works_without_a_preview() {
    let gateway = Fake::new(&[("POST /v1/orders", values::order())]);
    let (screen, code) = run(&gateway, "quarantine site --reason x --no-color", "yes\n");
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("could not find out"), "{screen}");
}

/// A quarantine cannot open the site: the user is warned before the gateway refuses.
#[test]
fn a_posture_below_the_one_in_force_comes_with_a_warning() {
    let gateway = Fake::new(&[
        ("GET /v1/status", values::status_contained()),
        ("GET /v1/rules", values::rules()),
        ("POST /v1/orders", values::order()),
    ]);
    let (screen, _) = run(
        &gateway,
        "quarantine site --posture watch --reason x --no-color",
        "n\n",
    );
    assert!(screen.contains("The order will be refused"), "{screen}");
}

#[test]
fn colour_can_be_disabled() {
    let gateway = fake();
    let screen = |extra: &[&str], environment: (&str, &str)| {
        let mut command = program(&gateway.socket());
        command
            .arg("status")
            .args(extra)
            .env(environment.0, environment.1);
        at_terminal(command, 100, "").0
    };
    assert!(screen(&[], ("TERM", "xterm")).contains("\u{1b}[32mNORMAL\u{1b}[0m"));
    assert!(
        screen(&[], ("NO_COLOR", "")).contains('\u{1b}'),
        "an empty NO_COLOR has no effect"
    );
    assert!(!screen(&[], ("NO_COLOR", "1")).contains('\u{1b}'));
    assert!(!screen(&[], ("TERM", "dumb")).contains('\u{1b}'));
    assert!(!screen(&["--no-color"], ("TERM", "xterm")).contains('\u{1b}'));
}

#[test]
fn a_narrow_terminal_wraps_cells_and_not_lines() {
    for columns in [80, 90] {
        let gateway = fake();
        let mut command = program(&gateway.socket());
        command.args(["rules", "--continuity", "--no-color"]);
        let (screen, code) = at_terminal(command, columns, "");
        assert_eq!(code, Some(0), "{screen}");
        assert!(
            screen
                .lines()
                .all(|line| line.len() <= usize::from(columns)),
            "{screen}"
        );
        snapshot::text(&format!("terminal-{columns}-columns"), &screen);
    }
}

/// Too narrow for any table: the terminal wraps the lines, and all text is printed.
#[test]
fn at_ten_columns_all_text_is_printed() {
    let gateway = fake();
    let mut command = program(&gateway.socket());
    command.args(["rules", "--continuity", "--no-color"]);
    let (screen, code) = at_terminal(command, 10, "");
    assert_eq!(code, Some(0), "{screen}");
    assert!(
        screen.contains("radiology") && screen.contains("emergency"),
        "{screen}"
    );
}

/// A terminal without a known size, such as a serial line.
#[test]
fn at_an_unknown_width_lines_are_not_wrapped() {
    let gateway = fake();
    let mut command = program(&gateway.socket());
    command.args(["rules", "--no-color"]);
    let (screen, _) = at_terminal(command, 0, "");
    assert!(
        screen
            .lines()
            .any(|line| line.contains("ct-to-pacs") && line.contains("policy.yaml:14")),
        "{screen}"
    );
}

/// Until the first event, an empty screen would look like a program that does not work.
#[test]
fn watch_starts_with_a_message() {
    let event = values::line(values::event("flow", 1, 104), serde_json::json!({}));
    let events = crate::fake::Reply::Json(200, format!("{event}\n"));
    let fake = Fake::new(&[("GET /v1/events", events)]);
    let (screen, _) = run(&fake, "watch", "");
    let first = screen.lines().next().unwrap_or_default();
    assert!(
        first.contains("waiting for events; times are in UTC"),
        "{screen}"
    );
    let (screen, _) = run(&fake, "watch --output json", "");
    assert!(!screen.contains("waiting"), "{screen}");
}
