//! Builds the program that runs in the machine: statically linked, because the machine has no libraries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// Given explicitly although it is the host's own target: then RUSTFLAGS do not apply to build scripts and macros,
/// which cannot be linked statically.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// cargo's target directory, found from the path of the running test.
///
/// # Errors
/// The program is not in a target directory.
pub fn target_folder() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own.ancestors().nth(3).context("not run by cargo")?;
    Ok(target.to_owned())
}

/// Builds the program and returns its bytes.
///
/// # Errors
/// The build fails; with cargo's messages.
pub fn build() -> Result<Vec<u8>> {
    let target = target_folder()?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    let output = command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .args([
            "build",
            "--package",
            "cordon-vm",
            "--bin",
            "cordon-vm-guest",
        ])
        .args(["--target", TARGET])
        .env("CARGO_TARGET_DIR", &target)
        .env(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "-C target-feature=+crt-static -C strip=symbols",
        )
        // These would take precedence.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "the build of the machine's program failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let program = target.join(TARGET).join("debug/cordon-vm-guest");
    fs::read(&program).with_context(|| program.display().to_string())
}
