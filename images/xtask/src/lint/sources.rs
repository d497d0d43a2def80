//! What may stand in a file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Where the kernel is spoken to, and what runs in it. The compiler enforces it too, but for a crate that forgets the workspace's lints.
const MAY_BE_UNSAFE: &[&str] = &[
    "dataplane/kernel",
    "dataplane/xdp",
    "tests/lab",
    "benches/programs",
];

/// This file names what it looks for.
const THIS: &str = "images/xtask/src/lint/sources.rs";

pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    walk(root, Path::new(""), &mut |file, text| {
        let name = file.display();
        let may_be_unsafe = MAY_BE_UNSAFE.iter().any(|folder| file.starts_with(folder));
        let is_rust = file.extension().is_some_and(|extension| extension == "rs");
        for (index, line) in text.lines().enumerate() {
            let at = format!("{name}:{}", index + 1);
            if is_rust && !may_be_unsafe && file != Path::new(THIS) && is_unsafe(line) {
                problems.push(format!(
                    "{at}: unsafe code: only in {}",
                    MAY_BE_UNSAFE.join(", ")
                ));
            }
        }
    })?;
    Ok(problems)
}

fn walk(root: &Path, folder: &Path, see: &mut impl FnMut(&Path, &str)) -> Result<()> {
    let absolute = root.join(folder);
    for entry in fs::read_dir(&absolute).with_context(|| absolute.display().to_string())? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" && entry.file_name() != ".git" {
                walk(root, &path, see)?;
            }
        } else if let Ok(text) = fs::read_to_string(root.join(&path)) {
            // What is no text has no lines to look at.
            see(&path, &text);
        }
    }
    Ok(())
}

/// Whether a line of Rust opens something unsafe. A word in a comment or a lint's name does not.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("unsafe").any(|(at, word)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].trim_start();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '"')
            && ["{", "(", "fn ", "impl", "extern", "trait"]
                .iter()
                .any(|next| after.starts_with(next))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_told_from_the_word() {
        for line in [
            "unsafe { x() }",
            "    let a = unsafe{ x() };",
            "pub unsafe fn x() {}",
            "unsafe impl Send for X {}",
            "#[unsafe(no_mangle)]",
        ] {
            assert!(is_unsafe(line), "{line}");
        }
        for line in [
            "// unsafe { x() }",
            "unsafe_code = \"forbid\"",
            "#![forbid(unsafe_code)]",
            "let unsafely = (1);",
        ] {
            assert!(!is_unsafe(line), "{line}");
        }
    }

    #[test]
    fn every_file_is_looked_at_but_what_is_built() {
        let root = std::env::temp_dir().join(format!("cordon-sources-{}", std::process::id()));
        for folder in ["control/a/src", "tests/lab", "target"] {
            fs::create_dir_all(root.join(folder)).expect("can make a folder");
        }
        for (file, text) in [
            ("control/a/src/lib.rs", "\nunsafe { x() }\n"),
            ("tests/lab/lib.rs", "unsafe { x() }\n"),
            ("target/x.rs", "unsafe { x() }\n"),
        ] {
            fs::write(root.join(file), text).expect("can write");
        }
        fs::write(root.join("image.bin"), [0xff, 0xfe]).expect("can write");
        let told = problems(&root);
        fs::remove_dir_all(&root).expect("was made");
        let told = told.expect("can be read");
        let places: Vec<_> = told
            .iter()
            .filter_map(|line| line.split(": ").next())
            .collect();
        assert_eq!(places, ["control/a/src/lib.rs:2"]);
    }
}
