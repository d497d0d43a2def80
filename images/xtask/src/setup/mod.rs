//! Makes a machine able to build, test, demonstrate and measure.

mod apt;
mod bpffs;
mod kernel;
mod programs;
mod toolchain;

use std::fmt::Write;
use std::fs;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::step::Steps;
use crate::workspace::{Workspace, is_root};
use programs::Program;

/// What a machine is set up for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run Cordon here.
    Run,
    /// To test it too, also on another kernel.
    Test,
}

/// What this machine lacks.
#[derive(Default)]
struct Lacks {
    programs: Vec<&'static Program>,
    compiler: bool,
    linker: bool,
    /// What `bpf-linker` is built with; looked for only if it is missing.
    linker_packages: Vec<&'static str>,
    kernel: bool,
    bpffs: bool,
}

impl Lacks {
    fn look(workspace: &Workspace, purpose: Purpose) -> Lacks {
        let linker = cordon_xdp_build::linker().is_none();
        Lacks {
            programs: programs::missing(&programs::search_path()),
            compiler: cordon_xdp_build::compiler().is_none(),
            linker,
            linker_packages: match linker {
                true => toolchain::missing_linker_packages().collect(),
                false => Vec::new(),
            },
            kernel: purpose == Purpose::Test && kernel::is_missing(workspace),
            bpffs: bpffs::is_missing(),
        }
    }

    fn nothing(&self) -> bool {
        let Lacks {
            programs,
            compiler,
            linker,
            linker_packages: _,
            kernel,
            bpffs,
        } = self;
        programs.is_empty() && !compiler && !linker && !kernel && !bpffs
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

    /// For a person: what is missing and what to do about it, one line each.
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
    let lacks = Lacks::look(workspace, purpose);
    if !lacks.nothing() {
        if !is_debian() || !is_root() {
            let why = match is_debian() {
                true => "installing it takes root",
                false => "on Debian this would install it; here, please install it yourself",
            };
            bail!("this is missing, and {why}:\n{}", lacks.remedies());
        }
        println!("setup: this is missing:\n{}", lacks.remedies().trim_end());
        install(workspace, purpose, &lacks)?;
    }
    let toolchain = cordon_xdp_build::find()?;
    println!(
        "setup: all is there ({:.1} s). eBPF is built by {}, linked by {}",
        started.elapsed().as_secs_f32(),
        toolchain.compiler,
        toolchain.linker.display()
    );
    Ok(())
}

fn install(workspace: &Workspace, purpose: Purpose, lacks: &Lacks) -> Result<()> {
    let steps = Steps::new(workspace.target.join("setup.log"))?;
    if lacks.bpffs {
        bpffs::mount(&steps)?;
    }
    let packages = lacks.packages();
    if !packages.is_empty() || lacks.kernel {
        apt::update(&steps);
    }
    if !packages.is_empty() {
        apt::install(&steps, &packages, &lacks.services())?;
    }
    if lacks.linker {
        toolchain::install_linker(&steps, workspace)?;
    }
    if lacks.kernel {
        kernel::fetch(&steps, workspace)?;
    }
    let left = Lacks::look(workspace, purpose);
    if !left.nothing() {
        bail!(
            "everything was installed, and still this is missing:\n{}",
            left.remedies()
        );
    }
    Ok(())
}

/// Or something that calls itself like it.
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
    fn debian_is_told_from_others() {
        assert!(says_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(says_debian("ID=ubuntu\nID_LIKE=\"debian\"\n"));
        assert!(!says_debian("ID=\"fedora\"\nHOME_URL=\"not-debian\"\n"));
        assert!(!says_debian(""));
    }

    #[test]
    fn everything_that_is_missing_has_a_package_and_a_line() {
        let lacks = Lacks {
            programs: programs::missing(&[]),
            compiler: true,
            linker: true,
            linker_packages: vec!["llvm-22-dev"],
            kernel: true,
            bpffs: true,
        };
        assert!(!lacks.nothing());
        let packages = lacks.packages();
        for package in ["iproute2", "rustc-web", "rust-web-src", "llvm-22-dev"] {
            assert!(packages.contains(&package), "{package}");
        }
        assert!(lacks.services().contains(&"prometheus.service"));
        let text = lacks.remedies();
        for word in [
            "nmap: an intruder",
            "rust-src",
            "bpf-linker",
            "linux-image-amd64",
            "mount -t bpf",
        ] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
    }

    #[test]
    fn a_machine_that_lacks_nothing_is_left_alone() {
        let lacks = Lacks::default();
        assert!(lacks.nothing());
        assert!(lacks.packages().is_empty());
        assert_eq!(lacks.remedies(), "");
    }
}
