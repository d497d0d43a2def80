//! At a terminal: colour, width, and being asked.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};

use crate::fake::Fake;
use crate::run::{program, split};
use crate::{snapshot, values};

/// Runs a program at a terminal of some columns, types an answer, and answers what the screen shows and the exit code.
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
    // Only the child may hold the slave, or its end would not be seen.
    drop((command, pty.slave));
    let mut master = File::from(pty.master);
    master.write_all(typed.as_bytes()).expect("can be typed");
    let mut screen = Vec::new();
    let mut buffer = [0; 4096];
    // When the last one closes a terminal, reading from it is an error.
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
fn a_quarantine_is_shown_and_asked_for() {
    let gateway = fake();
    let (screen, code) = run(&gateway, "quarantine site --reason x --no-color", "y\n");
    assert_eq!(code, Some(0));
    // What was typed is echoed whenever the terminal comes to it.
    snapshot::text("terminal-quarantine", &screen.replacen("y\n", "", 1));
    assert_eq!(
        gateway.heard(),
        [
            "GET /v1/status",
            "GET /v1/rules",
            "POST /v1/orders",
            "GET /v1/rules"
        ]
    );
}

#[test]
fn anything_but_yes_is_no() {
    for typed in ["n\n", "\n", "yy\n", "\u{4}"] {
        let gateway = fake();
        let (screen, code) = run(&gateway, "quarantine site --reason x --no-color", typed);
        assert_eq!(code, Some(1), "{typed:?}: {screen}");
        assert!(screen.contains("nothing was done"), "{screen}");
        assert_eq!(
            gateway.heard(),
            ["GET /v1/status", "GET /v1/rules"],
            "nothing is ordered"
        );
    }
}

#[test]
fn yes_is_not_asked() {
    let gateway = fake();
    let (screen, code) = run(&gateway, "quarantine site --reason x --yes", "");
    assert_eq!(code, Some(0));
    assert!(!screen.contains("[y/N]"), "{screen}");
    assert_eq!(gateway.heard(), ["POST /v1/orders", "GET /v1/rules"]);
}

/// What cannot be shown keeps nobody from giving the order.
#[test]
fn a_quarantine_is_asked_for_all_the_same_where_little_can_be_shown() {
    let gateway = Fake::new(&[("POST /v1/orders", values::order())]);
    let (screen, code) = run(&gateway, "quarantine site --reason x --no-color", "yes\n");
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("could not be asked for"), "{screen}");
}

/// A quarantine cannot open; whoever tries should not have to find out.
#[test]
fn a_posture_below_the_one_in_force_is_warned_of() {
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
    assert!(screen.contains("It will be refused"), "{screen}");
}

#[test]
fn colour_is_for_terminals_that_want_it() {
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
        "an empty NO_COLOR says nothing"
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

/// Too narrow for any table: the terminal wraps it, and nothing is lost.
#[test]
fn ten_columns_are_enough_for_every_word() {
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

/// A terminal that does not know its size, as one over a serial line.
#[test]
fn no_size_is_no_limit() {
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

/// An empty screen would look like one that does not work.
#[test]
fn a_watch_says_that_it_listens() {
    let event = values::line(values::event("flow", 1, 104), serde_json::json!({}));
    let events = crate::fake::Reply::Json(200, format!("{event}\n"));
    let fake = Fake::new(&[("GET /v1/events", events)]);
    let (screen, _) = run(&fake, "watch", "");
    let first = screen.lines().next().unwrap_or_default();
    assert!(first.contains("listening; times are UTC"), "{screen}");
    let (screen, _) = run(&fake, "watch --output json", "");
    assert!(!screen.contains("listening"), "{screen}");
}
