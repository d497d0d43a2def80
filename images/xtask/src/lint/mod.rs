//! Formatting, clippy, and the project's own rules.

mod direction;
mod layout;
mod members;
mod sources;

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::{self, Workspace};
use members::Members;

/// Crates that are no members of the workspace: programs for the kernel, and what is linked with libFuzzer.
const OUTSIDE: &[&str] = &["dataplane/xdp", "benches/programs", "tests/fuzz/targets"];

/// Everything, and all that is wrong with it.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut failed = Vec::new();
    if rules(workspace)? > 0 {
        failed.push("the project's rules");
    }
    let format = |arguments: &[&str]| {
        println!("lint: cargo fmt {}", arguments.join(" "));
        workspace::run(workspace.cargo().arg("fmt").args(arguments))
    };
    let mut formatted = format(&["--all", "--check"])?.success();
    for folder in OUTSIDE {
        let manifest = format!("{folder}/Cargo.toml");
        formatted &= format(&["--check", "--manifest-path", &manifest])?.success();
    }
    if !formatted {
        failed.push("rustfmt");
    }
    println!("lint: cargo clippy");
    let clippy = workspace::run(workspace.cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny=warnings",
    ]))?;
    if !clippy.success() {
        failed.push("clippy");
    }
    if failed.is_empty() {
        println!("lint: all is well");
        return Ok(ExitCode::SUCCESS);
    }
    println!("lint: not well: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// The project's own rules, which take no compiling. Prints what breaks them and says how much that is.
pub fn rules(workspace: &Workspace) -> Result<usize> {
    let members = Members::read(workspace)?;
    let mut problems = direction::problems(&members);
    problems.extend(layout::problems(&workspace.root, &members)?);
    problems.extend(sources::problems(&workspace.root)?);
    for problem in &problems {
        println!("rules: {problem}");
    }
    if problems.is_empty() {
        println!(
            "rules: {} packages, all as they should be",
            members.packages.len()
        );
    }
    Ok(problems.len())
}
