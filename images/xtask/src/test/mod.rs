//! Every test, and how many passed.

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
    let broken = lint::rules(workspace)?;

    // Programs and tests in one go, before anything runs: the tests start the daemon and the command line that lie
    // beside them, and nothing is compiled while something is measured.
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
    Ok(conclude(status, &summary, broken))
}

/// Whether an argument of cargo's says what to test.
fn is_selection(argument: &str) -> bool {
    ["-p", "--package", "--manifest-path"]
        .iter()
        .any(|option| argument.starts_with(option))
}

/// Passes on what the tests print, and reads it too.
fn stream(command: &mut Command) -> Result<(ExitStatus, Summary)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let mut summary = Summary::default();
    let mut output = BufReader::new(child.stdout.take().context("asked for above")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        summary.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok((child.wait()?, summary))
}

fn conclude(status: ExitStatus, summary: &Summary, broken: usize) -> ExitCode {
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
        let judged = if allowed {
            ""
        } else {
            " (not on the list of images/xtask/src/test/skips.rs: counts as failed)"
        };
        println!("skipped: {name}: {why}{judged}");
    }
    if broken > 0 {
        println!("{broken} of the project's rules are broken: see above, or cargo xtask lint");
    }
    let silent = !status.success() && *failed == 0;
    if silent {
        println!("cargo test ended with {status}, and no test says that it failed: see above");
    }
    println!(
        "{passed} passed, {} failed",
        failed + unexpected + broken + usize::from(silent)
    );
    if status.success() && *failed == 0 && unexpected == 0 && broken == 0 && *passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
