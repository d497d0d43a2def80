//! Installs what building, testing, the demo and the benchmark need.

mod apt;
mod bpffs;
mod kernel;
mod linters;
mod programs;
mod toolchain;
mod tools;

use std::fmt::Write;
use std::fs;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::step::Steps;
use crate::workspace::{Workspace, is_root};
use linters::Linter;
use programs::Program;

pub use tools::{Tool, tools};

/// What a machine is set up for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run Cordon here.
    Run,
    /// To test it too: with its gates, and on another kernel.
    Test,
}

/// What this machine lacks.
#[derive(Default)]
struct Missing {
    programs: Vec<&'static Program>,
    compiler: bool,
    linker: bool,
    /// What `bpf-linker` is built with; looked for only if the linker is missing.
    linker_packages: Vec<&'static str>,
    linters: Vec<&'static Linter>,
    ebpf_clippy: bool,
    kernel: bool,
    bpffs: bool,
}

impl Missing {
    fn look(workspace: &Workspace, purpose: Purpose) -> Missing {
        let linker = cordon_xdp_build::linker().is_none();
        Missing {
            programs: programs::missing(&programs::search_path()),
            compiler: cordon_xdp_build::compiler().is_none(),
            linker,
            linker_packages: match linker {
                true => toolchain::missing_linker_packages().collect(),
                false => Vec::new(),
            },
            linters: match purpose {
                Purpose::Test => linters::missing(workspace),
                Purpose::Run => Vec::new(),
            },
            ebpf_clippy: purpose == Purpose::Test && linters::is_ebpf_clippy_missing(),
            kernel: purpose == Purpose::Test && kernel::is_missing(workspace),
            bpffs: bpffs::is_missing(),
        }
    }

    fn is_empty(&self) -> bool {
        let Missing {
            programs,
            compiler,
            linker,
            linker_packages: _,
            linters,
            ebpf_clippy,
            kernel,
            bpffs,
        } = self;
        programs.is_empty()
            && linters.is_empty()
            && !compiler
            && !linker
            && !ebpf_clippy
            && !kernel
            && !bpffs
    }

    fn packages(&self) -> Vec<&'static str> {
        let mut packages: Vec<_> = self
            .programs
            .iter()
            .map(|program| program.package)
            .chain(self.linker_packages.iter().copied())
            .collect();
        if self.compiler {
            packages.extend(toolchain::COMPILER_PACKAGES);
        }
        if self.ebpf_clippy && !linters::is_ebpf_by_nightly() {
            packages.push(linters::EBPF_CLIPPY_PACKAGE);
        }
        if !linters::is_there_rustup() {
            packages.extend(self.linters.iter().map(|linter| linter.package));
        }
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    fn services(&self) -> Vec<&'static str> {
        self.programs
            .iter()
            .flat_map(|program| program.services)
            .copied()
            .collect()
    }

    /// What is missing and how to install it, for a person: one line each.
    fn remedies(&self) -> String {
        let mut text = String::new();
        for program in &self.programs {
            let Program {
                command,
                package,
                purpose,
                ..
            } = program;
            let _ = writeln!(text, "  {command}: {purpose} (Debian package {package})");
        }
        if self.compiler {
            text.push_str(
                "  a compiler for eBPF: Debian packages rustc-web, cargo-web and rust-web-src, or\n    \
                 rustup toolchain install nightly --component rust-src\n",
            );
        }
        if self.linker {
            text.push_str("  bpf-linker: cargo install bpf-linker\n");
        }
        for linter in &self.linters {
            let _ = writeln!(text, "  {}", linter.remedy());
        }
        if self.ebpf_clippy {
            let _ = writeln!(
                text,
                "  clippy for eBPF: Debian package {}, or\n    \
                 rustup component add clippy --toolchain nightly",
                linters::EBPF_CLIPPY_PACKAGE
            );
        }
        if self.kernel {
            text.push_str("  a stock kernel for the virtual machine: vmlinuz and three modules of Debian's linux-image-amd64,\n    in target/vm/kernel\n");
        }
        if self.bpffs {
            text.push_str("  a bpf file system: mount -t bpf bpf /sys/fs/bpf\n");
        }
        text
    }
}

/// Installs what is missing.
pub fn run(workspace: &Workspace, purpose: Purpose) -> Result<()> {
    let started = Instant::now();
    let missing = Missing::look(workspace, purpose);
    if !missing.is_empty() {
        if !is_debian() || !is_root() {
            let why = match is_debian() {
                true => "installing it takes root",
                false => "only on Debian can this install it: please install it yourself",
            };
            bail!("this is missing, and {why}:\n{}", missing.remedies());
        }
        println!("setup: this is missing:\n{}", missing.remedies().trim_end());
        install(workspace, purpose, &missing)?;
    }
    let toolchain = cordon_xdp_build::find()?;
    println!(
        "setup: nothing is missing ({:.1} s). eBPF is built by {}, linked by {}",
        started.elapsed().as_secs_f32(),
        toolchain.compiler,
        toolchain.linker.display()
    );
    Ok(())
}

fn install(workspace: &Workspace, purpose: Purpose, missing: &Missing) -> Result<()> {
    let steps = Steps::new(workspace.target.join("setup.log"))?;
    if missing.bpffs {
        bpffs::mount(&steps)?;
    }
    let packages = missing.packages();
    if !packages.is_empty() || missing.kernel {
        apt::update(&steps);
    }
    if !packages.is_empty() {
        apt::install(&steps, &packages, &missing.services())?;
    }
    if !missing.linters.is_empty() && linters::is_there_rustup() {
        linters::add_components(&steps, &missing.linters)?;
    }
    if missing.ebpf_clippy && linters::is_ebpf_by_nightly() {
        linters::add_clippy_to_nightly(&steps)?;
    }
    if missing.linker {
        toolchain::install_linker(&steps, workspace)?;
    }
    if missing.kernel {
        kernel::fetch(&steps, workspace)?;
    }
    let left = Missing::look(workspace, purpose);
    if !left.is_empty() {
        bail!(
            "the installers reported success, but this is still missing:\n{}",
            left.remedies()
        );
    }
    Ok(())
}

/// Debian or a derivative.
fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    says_debian(&release)
}

fn says_debian(release: &str) -> bool {
    release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")))
        .any(|value| value.trim_matches('"').split(' ').any(|id| id == "debian"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_derivatives_are_recognised() {
        assert!(says_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(says_debian("ID=ubuntu\nID_LIKE=\"debian\"\n"));
        assert!(!says_debian("ID=\"fedora\"\nHOME_URL=\"not-debian\"\n"));
        assert!(!says_debian(""));
    }

    #[test]
    fn everything_missing_has_a_package_and_a_line_of_advice() {
        let missing = Missing {
            programs: programs::missing(&[]),
            compiler: true,
            linker: true,
            linker_packages: vec!["llvm-22-dev"],
            linters: linters::LINTERS.iter().collect(),
            ebpf_clippy: true,
            kernel: true,
            bpffs: true,
        };
        assert!(!missing.is_empty());
        let packages = missing.packages();
        for package in ["iproute2", "rustc-web", "rust-web-src", "llvm-22-dev"] {
            assert!(packages.contains(&package), "{package}");
        }
        assert!(missing.services().contains(&"prometheus.service"));
        let text = missing.remedies();
        for word in [
            "nmap: an intruder",
            "rustup component add rustfmt",
            "rust-web-clippy",
            "rust-src",
            "bpf-linker",
            "linux-image-amd64",
            "mount -t bpf",
        ] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
    }

    #[test]
    fn a_complete_machine_is_left_alone() {
        let missing = Missing::default();
        assert!(missing.is_empty());
        assert!(missing.packages().is_empty());
        assert_eq!(missing.remedies(), "");
    }
}
