//! Closed pipes, and output that cannot be written.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::fake::{Fake, Reply};
use crate::run::{program, split};
use crate::values;

fn many_rules() -> Fake {
    let Reply::Json(_, rules) = values::rules() else {
        unreachable!("it is JSON")
    };
    let rules: Vec<serde_json::Value> = serde_json::from_str(&rules).expect("a list");
    let many: Vec<_> = rules.iter().cycle().take(20_000).collect();
    Fake::new(&[
        (
            "GET /v1/rules",
            Reply::Json(200, serde_json::json!(many).to_string()),
        ),
        ("POST /v1/explain", values::explanation_dropped()),
    ])
}

/// `cordon rules | head -1`
#[test]
fn a_closed_pipe_is_no_error() {
    let fake = many_rules();
    for line in ["rules", "rules --output json"] {
        let mut child = program(&fake.socket())
            .args(split(line))
            .spawn()
            .expect("it runs");
        let mut first = String::new();
        let stdout = child.stdout.take().expect("is piped");
        BufReader::new(stdout)
            .read_line(&mut first)
            .expect("a line");
        let output = child.wait_with_output().expect("it ends");
        assert!(!first.is_empty());
        assert_eq!(
            (
                output.status.code(),
                String::from_utf8_lossy(&output.stderr).as_ref()
            ),
            (Some(0), ""),
            "{line}"
        );
    }
}

/// The exit code depends on the answer alone.
#[test]
fn a_closed_pipe_does_not_change_the_exit_code() {
    let fake = many_rules();
    let mut child = program(&fake.socket())
        .args(split("explain a b smb"))
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    assert_eq!(
        child.wait_with_output().expect("it ends").status.code(),
        Some(4)
    );
}

/// `cordon rules > /dev/full`
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let fake = many_rules();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let output = program(&fake.socket())
        .arg("rules")
        .stdout(Stdio::from(full))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("cannot write the output: No space left on device"),
        "{stderr}"
    );
}
