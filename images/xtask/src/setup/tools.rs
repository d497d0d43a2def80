//! Programs that single tasks need.

use anyhow::{Result, bail};

use super::{apt, is_debian, programs};
use crate::step::Steps;
use crate::workspace::{Workspace, is_root};

/// A program, and where it comes from.
pub struct Tool {
    command: &'static str,
    source: Source,
}

enum Source {
    /// A Debian package.
    Package(&'static str),
    /// A crate of the command's name, at a version that is known to work.
    Cargo(&'static str),
}

impl Tool {
    /// A command of a Debian package.
    pub const fn package(command: &'static str, package: &'static str) -> Tool {
        Tool {
            command,
            source: Source::Package(package),
        }
    }

    /// A command that cargo builds from the crate of the same name.
    pub const fn cargo(command: &'static str, version: &'static str) -> Tool {
        Tool {
            command,
            source: Source::Cargo(version),
        }
    }

    fn is_missing(&self, workspace: &Workspace) -> bool {
        match self.source {
            Source::Package(_) => !programs::found(self.command, &programs::search_path()),
            Source::Cargo(_) => {
                let subcommand = self.command.trim_start_matches("cargo-");
                let listed = workspace.cargo().arg("--list").output();
                !listed.is_ok_and(|listed| {
                    String::from_utf8_lossy(&listed.stdout)
                        .lines()
                        .any(|line| line.trim() == subcommand)
                })
            }
        }
    }
}

/// Installs those that are missing.
pub fn tools(workspace: &Workspace, tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools
        .iter()
        .filter(|tool| tool.is_missing(workspace))
        .collect();
    let steps = Steps::new(workspace.target.join("setup.log"))?;
    let packages: Vec<&'static str> = missing
        .iter()
        .filter_map(|tool| match tool.source {
            Source::Package(package) => Some(package),
            Source::Cargo(_) => None,
        })
        .collect();
    if !packages.is_empty() {
        if !is_debian() || !is_root() {
            bail!(
                "this is missing, and only root on Debian can install it: apt-get install {}",
                packages.join(" ")
            );
        }
        println!("setup: this is missing: {}", packages.join(", "));
        apt::update(&steps);
        apt::install(&steps, &packages, &[])?;
    }
    for tool in missing {
        if let Source::Cargo(version) = tool.source {
            steps.run(
                &format!("building {} {version} (a minute or two)", tool.command),
                workspace
                    .cargo()
                    .args(["install", tool.command, "--version", version, "--locked"])
                    .env_remove("RUSTFLAGS"),
            )?;
        }
    }
    Ok(())
}
