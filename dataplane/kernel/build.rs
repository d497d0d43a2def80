//! Builds the XDP program, so that it is in the binary and can never be another version's.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let dataplane = here.parent().expect("the crate is in a folder");
    for source in [
        "xdp/src",
        "xdp/Cargo.toml",
        "xdp/Cargo.lock",
        "verdict/src",
        "verdict/Cargo.toml",
    ] {
        println!(
            "cargo:rerun-if-changed={}",
            dataplane.join(source).display()
        );
    }
    if let Err(error) = build(&dataplane.join("xdp"), &out) {
        eprintln!("{error}");
        process::exit(1);
    }
}

fn build(program: &Path, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let toolchain = cordon_xdp_build::find()?;
    let object = cordon_xdp_build::build(&toolchain, program, &shared(out).join("xdp"))?;
    fs::copy(object, out.join("cordon-xdp.o"))?;
    Ok(())
}

/// The target folder, which cargo marks, as it does the folder of a target triple in it: the program is the same
/// whatever it is built into, and building it with `core` takes half a minute.
fn shared(out: &Path) -> &Path {
    let is_marked = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    let Some(folder) = out.ancestors().find(is_marked) else {
        return out;
    };
    folder.parent().filter(is_marked).unwrap_or(folder)
}
