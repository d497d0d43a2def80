//! What a Rust file may hold: `unsafe` only in some folders, and not more lines than a reader can keep in mind.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::files;

/// Crates that call the kernel or run in it. The compiler enforces it too, but not for a crate that does not inherit the
/// workspace's lints.
const MAY_BE_UNSAFE: &[&str] = &[
    "dataplane/kernel",
    "dataplane/xdp",
    "tests/lab",
    "benches/programs",
];

/// Lines of a file at most.
const LINES: usize = 600;

/// This file holds the text that it looks for.
const THIS: &str = "images/xtask/src/lint/sources.rs";

pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    files::walk(root, &mut |file| {
        if files::is_rust(file)
            && let Ok(text) = fs::read_to_string(root.join(file))
        {
            problems.extend(problems_of(file, &text));
        }
    })?;
    Ok(problems)
}

fn problems_of(file: &Path, text: &str) -> Vec<String> {
    let name = file.display();
    let mut problems = Vec::new();
    let lines = text.lines().count();
    if lines > LINES {
        problems.push(format!(
            "{name}: {lines} lines, and {LINES} are allowed: move a part of it into a module of its own"
        ));
    }
    let may_be_unsafe = MAY_BE_UNSAFE.iter().any(|folder| file.starts_with(folder));
    if may_be_unsafe || file == Path::new(THIS) {
        return problems;
    }
    for (index, line) in text.lines().enumerate() {
        if is_unsafe(line) {
            problems.push(format!(
                "{name}:{}: unsafe code is allowed only in {}",
                index + 1,
                MAY_BE_UNSAFE.join(", ")
            ));
        }
    }
    problems
}

/// Whether a line of Rust holds unsafe code. The word in a comment or in the name of a lint does not count.
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
    fn unsafe_code_is_distinguished_from_the_word() {
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
    fn unsafe_code_is_reported_with_its_line() {
        let text = "\nunsafe { x() }\n";
        let problems = problems_of(Path::new("control/a/src/lib.rs"), text);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("control/a/src/lib.rs:2: unsafe"),
            "{problems:?}"
        );
        assert_eq!(problems_of(Path::new("tests/lab/lib.rs"), text), [""; 0]);
    }

    #[test]
    fn a_long_file_is_reported_wherever_it_lies() {
        for file in ["control/a/src/lib.rs", "tests/lab/lib.rs"].map(Path::new) {
            assert_eq!(problems_of(file, &"\n".repeat(LINES)), [""; 0]);
            let problems = problems_of(file, &"\n".repeat(LINES + 1));
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains("601 lines"), "{problems:?}");
        }
    }

    #[test]
    fn only_rust_files_outside_the_target_folder_are_read() {
        let root = std::env::temp_dir().join(format!("cordon-sources-{}", std::process::id()));
        for folder in ["control/a/src", "tests/lab", "target"] {
            fs::create_dir_all(root.join(folder)).expect("can make a folder");
        }
        for (file, text) in [
            ("control/a/src/lib.rs", "\nunsafe { x() }\n"),
            ("control/a/notes.md", "unsafe { x() }\n"),
            ("tests/lab/lib.rs", "unsafe { x() }\n"),
            ("target/x.rs", "unsafe { x() }\n"),
        ] {
            fs::write(root.join(file), text).expect("can write");
        }
        fs::write(root.join("image.rs"), [0xff, 0xfe]).expect("can write");
        let problems = problems(&root);
        fs::remove_dir_all(&root).expect("was made");
        let problems = problems.expect("can be read");
        let locations: Vec<_> = problems
            .iter()
            .filter_map(|line| line.split(": ").next())
            .collect();
        assert_eq!(locations, ["control/a/src/lib.rs:2"]);
    }
}
