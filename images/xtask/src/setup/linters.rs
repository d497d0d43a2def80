//! rustfmt and clippy: for the workspace, and clippy of the toolchain that builds the eBPF programs.

use std::process::Command;

use anyhow::Result;
use cordon_xdp_build::Compiler;

use super::programs;
use crate::step::Steps;
use crate::workspace::Workspace;

/// A command of cargo, and what installs it.
#[derive(Debug, PartialEq, Eq)]
pub struct Linter {
    /// As in `cargo fmt`.
    command: &'static str,
    /// The component of rustup.
    component: &'static str,
    /// Debian's package, for its own cargo (`cargo-web`).
    pub package: &'static str,
}

pub const LINTERS: &[Linter] = &[
    Linter {
        command: "fmt",
        component: "rustfmt",
        package: "rustfmt-web",
    },
    Linter {
        command: "clippy",
        component: "clippy",
        package: EBPF_CLIPPY_PACKAGE,
    },
];

/// apt installs the version that fits `rustc-web`.
pub const EBPF_CLIPPY_PACKAGE: &str = "rust-web-clippy";

impl Linter {
    /// How to install it, for a person.
    pub fn remedy(&self) -> String {
        let Linter {
            command,
            component,
            package,
        } = self;
        format!(
            "cargo {command}: rustup component add {component} (with Debian's cargo: package {package})"
        )
    }
}

/// What the cargo that runs this lacks.
pub fn missing(workspace: &Workspace) -> Vec<&'static Linter> {
    LINTERS
        .iter()
        .filter(|linter| {
            let version = workspace
                .cargo()
                .args([linter.command, "--version"])
                .output();
            !version.is_ok_and(|output| output.status.success())
        })
        .collect()
}

/// Whether the toolchain for eBPF lacks clippy. It does if the toolchain itself is still missing.
pub fn is_ebpf_clippy_missing() -> bool {
    cordon_xdp_build::compiler().is_none_or(|compiler| !cordon_xdp_build::has_clippy(&compiler))
}

/// Whether the eBPF programs are built by rustup's nightly, to which rustup adds clippy.
pub fn is_ebpf_by_nightly() -> bool {
    cordon_xdp_build::compiler() == Some(Compiler::Nightly)
}

pub fn is_there_rustup() -> bool {
    programs::found("rustup", &programs::search_path())
}

/// Adds to the toolchain whose cargo runs this program: rustup passes its name in RUSTUP_TOOLCHAIN.
pub fn add_components(steps: &Steps, linters: &[&Linter]) -> Result<()> {
    let components: Vec<&str> = linters.iter().map(|linter| linter.component).collect();
    steps.run(
        &format!("adding {} to the Rust toolchain", components.join(" and ")),
        Command::new("rustup")
            .args(["component", "add"])
            .args(components),
    )
}

pub fn add_clippy_to_nightly(steps: &Steps) -> Result<()> {
    steps.run(
        "adding clippy to the nightly toolchain",
        Command::new("rustup").args(["component", "add", "clippy", "--toolchain", "nightly"]),
    )
}
