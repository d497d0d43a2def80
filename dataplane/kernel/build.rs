//! Builds the XDP program.

use std::path::Path;
use std::process;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = [
        "../xdp/src",
        "../xdp/Cargo.toml",
        "../xdp/Cargo.lock",
        "../verdict/src",
        "../verdict/Cargo.toml",
    ];
    let sources = sources.map(|source| here.join(source));
    if let Err(error) = cordon_xdp_build::embed(&here.join("../xdp"), "cordon-xdp", &sources) {
        eprintln!("{error}");
        process::exit(1);
    }
}
