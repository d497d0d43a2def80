//! Builds the XDP programs of `programs/` with the toolchain of Cordon's own packet program.

use std::path::Path;
use std::process;

fn main() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let sources = ["src", "Cargo.toml", "Cargo.lock"].map(|source| programs.join(source));
    if let Err(error) = cordon_xdp_build::embed(&programs, "cordon-bench-programs", &sources) {
        eprintln!("{error}");
        process::exit(1);
    }
}
