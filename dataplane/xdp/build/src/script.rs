//! What the build script of a crate does that holds a program.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::{Error, build, find};

/// Builds the crate in the folder `program`, and puts its binary `name` into `OUT_DIR` as `name.o`, so that it is in
/// the caller and can never be another version's. Done again whenever one of `sources` changes.
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

/// The target folder, which cargo marks, as it does the folder of a target triple in it: a program is the same
/// whatever it is built into, and building it with `core` takes half a minute.
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
