//! For the build script of a crate that embeds an eBPF program.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::{Error, build, find};

/// Builds the crate in the folder `program`, and copies its binary `name` to `OUT_DIR` as `name.o`, for the caller to
/// embed: caller and program are then always of the same version. Rebuilt when one of `sources` changes.
///
/// # Errors
/// Those of [`find`] and [`build`].
pub fn embed(program: &Path, name: &str, sources: &[PathBuf]) -> Result<(), Error> {
    for source in sources {
        println!("cargo:rerun-if-changed={}", source.display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let built = build(&find()?, program, &target_folder(&out).join("xdp"))?;
    fs::copy(built.join(name), out.join(format!("{name}.o"))).map_err(Error::Run)?;
    Ok(())
}

/// The target folder: the outer of the one or two folders that cargo marks (it marks the folder of a target triple
/// too). All builds share it, because the program does not depend on its caller, and building it with `core` takes half
/// a minute.
fn target_folder(out: &Path) -> &Path {
    let is_marked = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    let Some(folder) = out.ancestors().find(is_marked) else {
        return out;
    };
    folder.parent().filter(is_marked).unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_builds_share_the_target_folder() {
        let root = env::temp_dir().join(format!("cordon-xdp-script-{}", std::process::id()));
        let script = root.join("target/triple/debug/build/x/out");
        fs::create_dir_all(&script).expect("can make a folder");
        let before = target_folder(&script).to_owned();
        for marked in ["target/triple", "target"] {
            fs::write(root.join(marked).join("CACHEDIR.TAG"), "").expect("can write");
        }
        let shared = target_folder(&script).to_owned();
        let plain = target_folder(&root.join("target/debug/build/x/out")).to_owned();
        fs::remove_dir_all(&root).expect("was made");
        assert_eq!(before, script);
        assert_eq!(shared, root.join("target"));
        assert_eq!(plain, root.join("target"));
    }
}
