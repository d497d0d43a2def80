//! Checks the gates, runs every test, and counts the results.

mod skips;
mod summary;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::lint;
use crate::setup::{self, Purpose};
use crate::workspace::{self, Workspace};
use summary::Summary;

pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    workspace::need_root("test")?;
    setup::run(workspace, Purpose::Test)?;
    let gates = lint::all(workspace)?;

    // Programs and tests together, before any test runs: tests start the `cordond` and `cordon` of their own target
    // folder, and a compiler that runs at the same time would disturb tests that measure.
    let built = workspace::run(
        workspace
            .cargo()
            .args(["build", "--workspace", "--all-targets"]),
    )?;
    if !built.success() {
        bail!("the build failed");
    }
    let mut command = workspace.cargo();
    command.args(["test", "--no-fail-fast"]);
    if !arguments.iter().any(|argument| is_selection(argument)) {
        command.arg("--workspace");
    }
    command.args(arguments);
    let (status, summary) = stream(&mut command)?;
    Ok(report(status, &summary, &gates))
}

/// Whether an argument of cargo selects packages.
fn is_selection(argument: &str) -> bool {
    ["-p", "--package", "--manifest-path"]
        .iter()
        .any(|option| argument.starts_with(option))
}

/// Prints the output of the tests as it comes, and adds up the results.
fn stream(command: &mut Command) -> Result<(ExitStatus, Summary)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let mut summary = Summary::default();
    let mut output = BufReader::new(child.stdout.take().context("is piped")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        summary.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok((child.wait()?, summary))
}

fn report(status: ExitStatus, summary: &Summary, gates: &[lint::Failure]) -> ExitCode {
    let Summary {
        passed,
        failed,
        failures,
        skipped,
    } = summary;
    println!();
    for name in failures {
        println!("failed: {name}");
    }
    let mut unexpected = 0;
    for (name, why) in skipped {
        let allowed = skips::ALLOWED.iter().any(|(test, _)| test == name);
        unexpected += usize::from(!allowed);
        let verdict = if allowed {
            ""
        } else {
            " (not on the list of images/xtask/src/test/skips.rs: counts as failed)"
        };
        println!("skipped: {name}: {why}{verdict}");
    }
    gates.iter().for_each(lint::Failure::print);
    let unexplained = !status.success() && *failed == 0;
    if unexplained {
        println!("cargo test ended with {status}, but no test reported a failure: see above");
    }
    println!(
        "{passed} passed, {} failed",
        failed + unexpected + gates.len() + usize::from(unexplained)
    );
    if status.success() && *failed == 0 && unexpected == 0 && gates.is_empty() && *passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
