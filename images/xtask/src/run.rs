//! Builds the demo and the bench, and runs them in the foreground.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::setup::{self, Purpose};
use crate::workspace::{self, Workspace};

/// The arguments without the first `--`, which separates those of xtask from those of the program.
fn passed_on(arguments: &[String]) -> impl Iterator<Item = &String> {
    let separator = arguments.iter().position(|argument| argument == "--");
    arguments
        .iter()
        .enumerate()
        .filter(move |(index, _)| Some(*index) != separator)
        .map(|(_, argument)| argument)
}

pub fn demo(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    workspace::need_root("demo")?;
    setup::run(workspace, Purpose::Run)?;
    // The whole workspace: the demo starts `cordond` and `cordon` from the folder that it is in.
    let built = workspace::run(workspace.cargo().args(["build", "--workspace", "--bins"]))?;
    if !built.success() {
        bail!("the build failed");
    }
    // Not `cargo run`: for one package, cargo would resolve other features and compile half of the crates again.
    let demo = workspace.target.join("debug/cordon-demo");
    // exec: after Ctrl-C, the shell waits until the demo has cleaned up.
    let error = Command::new(&demo).args(passed_on(arguments)).exec();
    Err(error).with_context(|| format!("cannot run {}", demo.display()))
}

pub fn bench(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    workspace::need_root("bench")?;
    setup::run(workspace, Purpose::Run)?;
    let status = workspace::run(
        workspace
            .cargo()
            .args(["run", "--release", "--package", "cordon-bench", "--"])
            .args(passed_on(arguments)),
    )?;
    Ok(workspace::exit_code(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_separator_is_removed() {
        let arguments = ["--keep", "--", "--help", "--", "x"].map(str::to_owned);
        let passed: Vec<_> = passed_on(&arguments).collect();
        assert_eq!(passed, ["--keep", "--help", "--", "x"]);
    }
}
