//! Builds the XDP programs of `programs/`, with the toolchain that builds Cordon's own.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let programs = here.join("programs");
    for source in ["src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", programs.join(source).display());
    }
    if let Err(error) = build(&programs, &out) {
        eprintln!("{error}");
        process::exit(1);
    }
}

fn build(programs: &Path, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let toolchain = cordon_xdp_build::find()?;
    let built = cordon_xdp_build::build(&toolchain, programs, &shared(out).join("xdp"))?;
    // What comes back is the path of Cordon's own program; this one lies beside it.
    fs::copy(
        built.with_file_name("cordon-bench-programs"),
        out.join("cordon-bench-programs.o"),
    )?;
    Ok(())
}

/// The target folder, which cargo marks: `core` is there already, from Cordon's own program.
fn shared(out: &Path) -> &Path {
    out.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .unwrap_or(out)
}
