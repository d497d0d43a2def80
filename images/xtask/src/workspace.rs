//! The folders of the workspace, and how to run commands in it.

use std::env;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result, ensure};

/// The checkout that this was compiled from.
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// cargo's target folder.
    pub target: PathBuf,
}

impl Workspace {
    pub fn here() -> Workspace {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).unwrap_or(here).to_owned();
        // This program is `debug/xtask` in the target folder, wherever that is configured to be.
        let target = env::current_exe()
            .ok()
            .and_then(|own| Some(own.ancestors().nth(2)?.to_owned()))
            .unwrap_or_else(|| root.join("target"));
        Workspace { root, target }
    }

    /// The cargo that runs this program, in the workspace's root. Coloured if standard output is a terminal.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        if io::stdout().is_terminal() && env::var_os("CARGO_TERM_COLOR").is_none() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        // `cargo run` set these for this program. Build scripts that track them would run again.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&*name);
            }
        }
        command
    }
}

pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

pub fn need_root(task: &str) -> Result<()> {
    ensure!(
        is_root(),
        "it loads programs into the kernel and creates network namespaces, so it needs root:\n  \
         sudo -E env \"PATH=$PATH\" cargo xtask {task}"
    );
    Ok(())
}

/// Runs a command in the foreground.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))
}

/// The exit code of a program, for this program to end with. Death by signal counts as failure.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
