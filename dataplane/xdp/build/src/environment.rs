//! Environment variables of a build script that must not reach another toolchain's cargo.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// Prefixes of variables that cargo sets for build scripts, rustup's proxies for cargo, or a user for the outer build.
const FOREIGN: &[&str] = &["RUST", "CARGO", "DEP_", "CLIPPY_"];

/// Prefixes of variables about registries and installation folders, which every toolchain needs.
const SHARED: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "RUSTUP_",
];

/// Variables of build scripts without a common prefix.
const OF_BUILD_SCRIPTS: &[&str] = &[
    "OUT_DIR",
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "NUM_JOBS",
    // The path of the outer compiler's own libraries.
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
    // Fails only for a folder with a colon in its name, which no PATH can contain.
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
