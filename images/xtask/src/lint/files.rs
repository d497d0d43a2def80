//! The files of the tree.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Calls `see` with the path of every file below `root`, relative to it. Skips git's own files and build output.
pub fn walk(root: &Path, see: &mut impl FnMut(&Path)) -> Result<()> {
    walk_folder(root, Path::new(""), see)
}

fn walk_folder(root: &Path, folder: &Path, see: &mut impl FnMut(&Path)) -> Result<()> {
    let absolute = root.join(folder);
    for entry in fs::read_dir(&absolute).with_context(|| absolute.display().to_string())? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            see(&path);
        } else if !is_skipped(root, &path) {
            walk_folder(root, &path, see)?;
        }
    }
    Ok(())
}

fn is_skipped(root: &Path, folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    name == ".git" || name == "target" || root.join(folder).join("CACHEDIR.TAG").exists()
}

pub fn is_rust(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_seen_except_build_output() {
        let root = std::env::temp_dir().join(format!("cordon-files-{}", std::process::id()));
        for file in [
            "control/a/lib.rs",
            "image.bin",
            "target/x.rs",
            "built/x.rs",
            "built/CACHEDIR.TAG",
            ".git/HEAD",
        ] {
            let file = root.join(file);
            fs::create_dir_all(file.parent().expect("has one")).expect("can make a folder");
            fs::write(&file, "").expect("can write");
        }
        let mut seen = Vec::new();
        let walked = walk(&root, &mut |file| seen.push(file.display().to_string()));
        fs::remove_dir_all(&root).expect("was made");
        walked.expect("can be read");
        seen.sort_unstable();
        assert_eq!(seen, ["control/a/lib.rs", "image.bin"]);
    }
}
