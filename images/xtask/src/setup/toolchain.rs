//! The eBPF toolchain: Debian's compiler, and `bpf-linker`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::step::Steps;
use crate::workspace::Workspace;

/// Pinned: another version may need another LLVM, or write other BTF.
const LINKER_VERSION: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";

/// A compiler, and the source of `core`.
pub const COMPILER_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// What `bpf-linker` is built with: a package, and a file that is present once the package is installed.
const LINKER_PACKAGES: &[(&str, &str)] = &[
    ("llvm-22-dev", "include/llvm-c/Core.h"),
    ("libpolly-22-dev", "lib/libPolly.a"),
];

pub fn missing_linker_packages() -> impl Iterator<Item = &'static str> {
    LINKER_PACKAGES
        .iter()
        .filter(|(_, file)| !Path::new(LLVM).join(file).exists())
        .map(|(package, _)| *package)
}

pub fn install_linker(steps: &Steps, workspace: &Workspace) -> Result<()> {
    let mut command: Command = workspace.cargo();
    command
        .args([
            "install",
            "bpf-linker",
            "--version",
            LINKER_VERSION,
            "--locked",
        ])
        .args(["--no-default-features", "--features", "llvm-22"])
        // Both: with the second alone, its build script looks for the library in /usr.
        .env("LLVM_PREFIX", LLVM)
        .env("LLVM_SYS_221_PREFIX", LLVM)
        .env_remove("RUSTFLAGS");
    steps.run(
        &format!("building bpf-linker {LINKER_VERSION} (a minute or two)"),
        &mut command,
    )
}
