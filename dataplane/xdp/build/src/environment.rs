//! What a build script's environment holds that must not reach another toolchain's cargo.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// Set by cargo for build scripts, by rustup's proxies for cargo, or by a person for the outer build.
const FOREIGN: &[&str] = &["RUST", "CARGO", "DEP_", "CLIPPY_"];

/// How to reach registries and where things are installed: true for every toolchain.
const SHARED: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "RUSTUP_",
];

/// Without a prefix that would tell them.
const OF_BUILD_SCRIPTS: &[&str] = &[
    "OUT_DIR",
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "NUM_JOBS",
    // Where the outer compiler's own libraries are.
    "LD_LIBRARY_PATH",
];

pub fn clear(command: &mut Command) {
    for (name, _) in env::vars_os().filter(|(name, _)| is_foreign(name)) {
        command.env_remove(name);
    }
}

fn is_foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    name == "RUSTUP_TOOLCHAIN"
        || OF_BUILD_SCRIPTS.contains(&name.as_ref())
        || starts(FOREIGN) && !starts(SHARED)
}

/// The PATH, with `folder` before everything else.
pub fn path_with(folder: Option<&Path>) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = folder
        .map(Path::to_path_buf)
        .into_iter()
        .chain(env::split_paths(&path));
    // Fails only for a folder with a colon in its name, which is on no PATH.
    env::join_paths(folders).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_toolchain_does_not_leak_into_the_build() {
        for name in [
            "CARGO",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MANIFEST_DIR",
            "OUT_DIR",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(is_foreign(name.as_ref()), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_OURS_INDEX",
            "HOME",
            "PATH",
            "RUSTUP_HOME",
        ] {
            assert!(!is_foreign(name.as_ref()), "{name}");
        }
    }
}
