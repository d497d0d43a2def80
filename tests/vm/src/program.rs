//! The program that runs in the machine: linked whole, because there are no libraries there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// Named even though it is the machine's own: flags then reach what is built for it, and not build scripts and
/// macros, which cannot be linked whole and which the workspace's own build has compiled already.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// cargo's target folder, above the folder that a test program is in.
///
/// # Errors
/// This is not such a program.
pub fn target_folder() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own.ancestors().nth(3).context("not a test of cargo's")?;
    Ok(target.to_owned())
}

/// Builds it, and answers with what is in it.
///
/// # Errors
/// It does not build; cargo said why.
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
        // Would be taken instead.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "the machine's program does not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let program = target.join(TARGET).join("debug/cordon-vm-guest");
    fs::read(&program).with_context(|| program.display().to_string())
}
