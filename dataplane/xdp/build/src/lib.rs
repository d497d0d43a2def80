//! Finds a toolchain that can build the XDP program, and builds it.
//!
//! Two compilers are suitable: rustup's nightly with `rust-src`, or Debian's `rustc-web`, `cargo-web` and
//! `rust-web-src`. Both need `bpf-linker`. Nothing is installed here: `cargo xtask setup` does that.

mod clippy;
mod environment;
mod script;

pub use clippy::{clippy, has_clippy};
pub use script::embed;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, fs, io};

/// Compiler flags of every build: they add type information for the loader.
const FLAGS: &str = "-C link-arg=--btf -C target-cpu=v3 -C debuginfo=2";
const TARGET: &str = "bpfel-unknown-none";

/// A toolchain that can build the XDP program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler.
    pub compiler: Compiler,
    /// Path of `bpf-linker`.
    pub linker: PathBuf,
}

/// A Rust compiler that has the source of `core`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// `rustup run nightly`.
    Nightly,
    /// Debian's packages.
    Debian {
        /// Path of its cargo.
        cargo: PathBuf,
        /// Path of its compiler.
        rustc: PathBuf,
    },
}

/// Why the XDP program was not built.
#[derive(Debug)]
pub enum Error {
    /// Part of the toolchain is missing.
    Missing {
        /// There is no suitable compiler.
        compiler: bool,
        /// There is no `bpf-linker`.
        linker: bool,
    },
    /// cargo could not be run, or its output could not be found.
    Run(io::Error),
    /// The build failed.
    Failed {
        /// The output of cargo.
        output: String,
    },
}

impl std::error::Error for Error {}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compiler::Nightly => f.write_str("rustup's nightly with rust-src"),
            Compiler::Debian { .. } => f.write_str("Debian's rustc-web with rust-web-src"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Missing { compiler, linker } => {
                writeln!(f, "the XDP program cannot be built here:")?;
                if *compiler {
                    writeln!(f, "  - rustup has no nightly toolchain with rust-src, and")?;
                    writeln!(
                        f,
                        "    Debian's rustc-web, cargo-web and rust-web-src are not all installed"
                    )?;
                }
                if *linker {
                    writeln!(
                        f,
                        "  - bpf-linker is neither on the PATH nor where cargo installs"
                    )?;
                }
                write!(
                    f,
                    "On Debian as root, `cargo xtask setup` installs what is missing.\nElsewhere: \
                     rustup toolchain install nightly --component rust-src && cargo install bpf-linker"
                )
            }
            Error::Run(error) => write!(f, "cannot run cargo for the XDP program: {error}"),
            Error::Failed { output } => write!(f, "building the XDP program failed:\n{output}"),
        }
    }
}

/// The toolchain to use.
///
/// # Errors
/// [`Error::Missing`] with everything that is missing.
pub fn find() -> Result<Toolchain, Error> {
    choose(compiler(), linker())
}

fn choose(compiler: Option<Compiler>, linker: Option<PathBuf>) -> Result<Toolchain, Error> {
    match (compiler, linker) {
        (Some(compiler), Some(linker)) => Ok(Toolchain { compiler, linker }),
        (compiler, linker) => Err(Error::Missing {
            compiler: compiler.is_none(),
            linker: linker.is_none(),
        }),
    }
}

/// The compiler to use. Nightly comes first: a user who has installed it with `rust-src` wants it used.
pub fn compiler() -> Option<Compiler> {
    nightly().or_else(|| debian(Path::new("/usr")))
}

fn nightly() -> Option<Compiler> {
    let output = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && source_of_core(&sysroot).exists()).then_some(Compiler::Nightly)
}

fn debian(usr: &Path) -> Option<Compiler> {
    let (cargo, rustc) = (usr.join("bin/cargo"), usr.join("bin/rustc"));
    (cargo.exists() && rustc.exists() && source_of_core(usr).exists())
        .then_some(Compiler::Debian { cargo, rustc })
}

fn source_of_core(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml")
}

/// `bpf-linker`, on the PATH or in cargo's installation folder.
pub fn linker() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .map(|folder| folder.join("bpf-linker"))
        .find(|file| file.is_file())
}

/// Builds the crate in the folder `program` below the folder `target`; returns the folder with its binaries.
///
/// # Errors
/// [`Error::Run`] and [`Error::Failed`].
pub fn build(toolchain: &Toolchain, program: &Path, target: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(target).map_err(Error::Run)?;
    let output = command(toolchain, program, target)
        .output()
        .map_err(Error::Run)?;
    if !output.status.success() {
        return Err(Error::Failed {
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(target.join(TARGET).join("release"))
}

fn command(toolchain: &Toolchain, program: &Path, target: &Path) -> Command {
    let mut command = match &toolchain.compiler {
        Compiler::Nightly => {
            let mut command = Command::new("rustup");
            command.args(["run", "nightly", "cargo"]);
            command
        }
        Compiler::Debian { cargo, .. } => Command::new(cargo),
    };
    environment::clear(&mut command);
    if let Compiler::Debian { rustc, .. } = &toolchain.compiler {
        // A release compiler accepts `-Z` only with this.
        command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
    }
    command
        .env("PATH", environment::path_with(toolchain.linker.parent()))
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", target)
        .args(["build", "--release", "--locked", "-Z", "build-std=core"])
        .args(["--target", TARGET])
        .current_dir(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_lists_the_missing_parts_only_and_how_to_install_them() {
        let text = choose(Some(Compiler::Nightly), None)
            .expect_err("no linker")
            .to_string();
        assert!(text.contains("bpf-linker is neither"), "{text}");
        assert!(!text.contains("rustc-web"), "{text}");
        assert!(text.contains("cargo xtask setup"), "{text}");

        let text = choose(None, Some("/bin/bpf-linker".into()))
            .expect_err("no compiler")
            .to_string();
        assert!(!text.contains("is neither"), "{text}");
        assert!(text.contains("rustc-web"), "{text}");
    }

    #[test]
    fn debian_without_the_source_of_core_is_not_a_compiler() {
        let usr = env::temp_dir().join(format!("cordon-xdp-build-{}", std::process::id()));
        fs::create_dir_all(usr.join("bin")).expect("can make a folder");
        for tool in ["bin/cargo", "bin/rustc"] {
            fs::write(usr.join(tool), "").expect("can write");
        }
        assert_eq!(debian(&usr), None);
        let source = source_of_core(&usr);
        fs::create_dir_all(source.parent().expect("is in a folder")).expect("can make a folder");
        fs::write(&source, "").expect("can write");
        let found = debian(&usr);
        fs::remove_dir_all(&usr).expect("can remove it again");
        assert!(matches!(found, Some(Compiler::Debian { .. })));
    }

    #[test]
    fn each_compiler_is_called_in_its_own_way() {
        let call = |compiler| {
            let toolchain = Toolchain {
                compiler,
                linker: "/opt/bin/bpf-linker".into(),
            };
            command(&toolchain, Path::new("/program"), Path::new("/target"))
        };
        let nightly = call(Compiler::Nightly);
        assert_eq!(nightly.get_program(), "rustup");
        let debian = call(Compiler::Debian {
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
        });
        assert_eq!(debian.get_program(), "/usr/bin/cargo");
        let set = |command: &Command, wanted: &str| {
            command
                .get_envs()
                .find(|(name, _)| *name == wanted)
                .and_then(|(_, value)| value.map(|value| value.to_string_lossy().into_owned()))
        };
        assert_eq!(set(&debian, "RUSTC").as_deref(), Some("/usr/bin/rustc"));
        assert_eq!(set(&nightly, "RUSTC"), None);
        for command in [&nightly, &debian] {
            let path = set(command, "PATH").expect("is set");
            assert!(path.starts_with("/opt/bin:"), "{path}");
        }
    }
}
