//! The layout of the tree: fixed names at the top level, and a README in every member's folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::lint::members::Members;

/// The only names at the top level, besides dotfiles.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "dataplane",
    "control",
    "images",
    "tests",
    "benches",
    // cargo's, and not committed.
    "target",
];

/// Folders that need a README though they are no members.
const OTHER_FOLDERS: &[&str] = &["", "dataplane/xdp"];

pub fn problems(root: &Path, members: &Members) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for entry in fs::read_dir(root).with_context(|| root.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !is_allowed_at_the_top(&name) {
            problems.push(format!(
                "{name} is not allowed at the top level: move it into one of {}",
                TOP[4..9].join(", ")
            ));
        }
    }
    let folders = members
        .packages
        .iter()
        .map(|member| member.folder.as_path());
    for folder in folders.chain(OTHER_FOLDERS.iter().map(Path::new)) {
        let readme = folder.join("README.md");
        // A title alone does not count.
        let text = fs::read_to_string(root.join(&readme)).unwrap_or_default();
        if text.lines().filter(|line| !line.trim().is_empty()).count() < 2 {
            problems.push(format!(
                "{} is missing or has only a title: write what the folder contains, what may be changed, and what each dependency is for",
                readme.display()
            ));
        }
    }
    Ok(problems)
}

fn is_allowed_at_the_top(name: &str) -> bool {
    name.starts_with('.') || TOP.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::members::Member;

    #[test]
    fn unknown_top_level_names_and_empty_readmes_are_reported() {
        let root = std::env::temp_dir().join(format!("cordon-layout-{}", std::process::id()));
        for folder in ["control/a", "control/b", "dataplane/xdp", "scripts", ".ci"] {
            fs::create_dir_all(root.join(folder)).expect("can make a folder");
        }
        for (file, text) in [
            ("README.md", "# All\n\nWhat it is.\n"),
            ("dataplane/xdp/README.md", "# xdp\n\nThe program.\n"),
            ("control/a/README.md", "# a\n\nWhat it is.\n"),
            ("control/b/README.md", "# b\n"),
        ] {
            fs::write(root.join(file), text).expect("can write");
        }
        let member = |name: &str| Member {
            name: name.to_owned(),
            folder: Path::new("control").join(name),
        };
        let members = Members {
            packages: vec![member("a"), member("b")],
            ..Members::default()
        };
        let problems = problems(&root, &members);
        fs::remove_dir_all(&root).expect("was made");
        let problems = problems.expect("can be read");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].starts_with("scripts is not allowed"),
            "{problems:?}"
        );
        assert!(
            problems[1].starts_with("control/b/README.md"),
            "{problems:?}"
        );
    }
}
