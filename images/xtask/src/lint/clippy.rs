//! Clippy, with warnings denied.

use anyhow::Result;

use super::EBPF;
use crate::workspace::{self, Workspace};

const ARGUMENTS: &[&str] = &["clippy", "--workspace", "--all-targets"];

/// Every target of every member.
pub fn workspace(workspace: &Workspace) -> Result<Vec<String>> {
    let mut command = workspace.cargo();
    // --keep-going: reports the problems of every crate, not only of the first one that fails.
    command
        .args(ARGUMENTS)
        .args(["--keep-going", "--", "--deny=warnings"]);
    Ok(match workspace::run(&mut command)?.success() {
        true => Vec::new(),
        false => vec![
            format!(
                "cargo {} --fix    corrects what it can",
                ARGUMENTS.join(" ")
            ),
            "change the rest by hand, then: cargo xtask lint clippy".to_owned(),
        ],
    })
}

/// The programs for the kernel, checked by the toolchain that builds them.
pub fn ebpf(workspace: &Workspace) -> Result<Vec<String>> {
    let Some(compiler) = cordon_xdp_build::compiler() else {
        return Ok(vec![
            "there is no compiler for eBPF. On Debian as root: cargo xtask setup".to_owned(),
        ]);
    };
    if !cordon_xdp_build::has_clippy(&compiler) {
        return Ok(vec![format!(
            "{compiler} has no clippy. On Debian as root: cargo xtask setup"
        )]);
    }
    let mut remedies = Vec::new();
    for folder in EBPF {
        let program = workspace.root.join(folder);
        // A folder of its own: checking and building would overwrite each other's output.
        let target = workspace.target.join("xdp-clippy");
        let mut command = cordon_xdp_build::clippy(&compiler, &program, &target);
        if !workspace::run(&mut command)?.success() {
            remedies.push(format!(
                "change {folder} by hand, then: cargo xtask lint clippy-ebpf"
            ));
        }
    }
    Ok(remedies)
}
