//! Clippy of the toolchain that builds the eBPF programs.

use std::path::Path;
use std::process::Command;

use crate::{Compiler, TARGET, environment};

/// Whether the compiler's own clippy is installed. One of another version cannot read what the compiler wrote.
pub fn has_clippy(compiler: &Compiler) -> bool {
    let mut command = cargo_clippy(compiler);
    environment::clear(&mut command);
    command
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The command that checks the crate in the folder `program`, with warnings denied. What it compiles goes below `target`.
pub fn clippy(compiler: &Compiler, program: &Path, target: &Path) -> Command {
    let mut command = cargo_clippy(compiler);
    environment::clear(&mut command);
    if let Compiler::Debian { cargo, rustc } = compiler {
        command
            .env("CARGO", cargo)
            .env("RUSTC", rustc)
            // A release compiler accepts `-Z` only with this.
            .env("RUSTC_BOOTSTRAP", "1");
    }
    command
        .env("CARGO_TARGET_DIR", target)
        .args(["--release", "--locked", "-Z", "build-std=core"])
        .args(["--target", TARGET, "--", "--deny=warnings"])
        .current_dir(program);
    command
}

fn cargo_clippy(compiler: &Compiler) -> Command {
    match compiler {
        Compiler::Nightly => {
            let mut command = Command::new("rustup");
            command.args(["run", "nightly", "cargo", "clippy"]);
            command
        }
        // Not `cargo clippy`: cargo would prefer a `cargo-clippy` of rustup in CARGO_HOME.
        Compiler::Debian { cargo, .. } => {
            let mut command = Command::new(cargo.with_file_name("cargo-clippy"));
            command.arg("clippy");
            command
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_compiler_runs_its_own_clippy() {
        let nightly = clippy(
            &Compiler::Nightly,
            Path::new("/program"),
            Path::new("/target"),
        );
        assert_eq!(nightly.get_program(), "rustup");
        let debian = Compiler::Debian {
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
        };
        let debian = clippy(&debian, Path::new("/program"), Path::new("/target"));
        assert_eq!(debian.get_program(), "/usr/bin/cargo-clippy");
        let cargo = debian.get_envs().find(|(name, _)| *name == "CARGO");
        assert_eq!(
            cargo,
            Some(("CARGO".as_ref(), Some("/usr/bin/cargo".as_ref())))
        );
    }

    #[test]
    fn a_compiler_without_clippy_is_noticed() {
        let nowhere = Compiler::Debian {
            cargo: "/nonexistent/cargo".into(),
            rustc: "/nonexistent/rustc".into(),
        };
        assert!(!has_clippy(&nowhere));
    }
}
