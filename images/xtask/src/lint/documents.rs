//! What Markdown files refer to: every path in backticks and every relative link exists.
//!
//! A path in the README of a folder is relative to the root, or names a file or folder below that folder by the end of
//! its path. In the root README and in `.github` a path is relative to the root: there the end of a path is ambiguous.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::files;

/// Endings of file names. A word in backticks without a slash is a path if it ends in one of the first two: other files are
/// also those of a site, as `devices.csv`.
const ENDINGS: &[&str] = &["rs", "py", "md", "toml", "yaml", "csv", "txt", "dict"];

/// Build output, which is not committed.
const BUILT: &str = "target/";

pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut tree = Tree::default();
    let mut documents = Vec::new();
    files::walk(root, &mut |file| {
        tree.add(file);
        if file.extension().is_some_and(|ending| ending == "md") {
            documents.push(file.to_owned());
        }
    })?;
    documents.sort();
    let mut problems = Vec::new();
    for document in documents {
        let text = fs::read_to_string(root.join(&document))?;
        problems.extend(problems_of(&document, &text, &tree));
    }
    Ok(problems)
}

fn problems_of(document: &Path, text: &str, tree: &Tree) -> Vec<String> {
    let folder = document.parent().unwrap_or(Path::new(""));
    let strict = folder == Path::new("") || folder == Path::new(".github");
    let (code, prose) = split(text);
    let missing_paths = code
        .into_iter()
        .filter(|(_, word)| tree.is_path(folder, word) && !tree.has(folder, word, strict))
        .map(|(line, word)| match strict {
            true => (
                line,
                format!("`{word}` does not exist: give the path from the root"),
            ),
            false => (
                line,
                format!("`{word}` does not exist below this folder or the root"),
            ),
        });
    let missing_targets = links(&prose)
        .into_iter()
        .filter(|(_, target)| !tree.contains(&joined(folder, target)))
        .map(|(line, target)| {
            (
                line,
                format!("the target of the link ({target}) does not exist"),
            )
        });
    let mut problems: Vec<_> = missing_paths.chain(missing_targets).collect();
    problems.sort();
    let name = document.display();
    problems
        .into_iter()
        .map(|(line, problem)| format!("{name}:{line}: {problem}"))
        .collect()
}

/// The files and folders of the tree.
#[derive(Default)]
struct Tree(BTreeSet<PathBuf>);

impl Tree {
    fn add(&mut self, file: &Path) {
        self.0.extend(file.ancestors().map(Path::to_owned));
    }

    fn contains(&self, path: &Path) -> bool {
        self.0.contains(path)
    }

    /// Whether a word in backticks is a path: by its ending, or because its first folder exists.
    fn is_path(&self, folder: &Path, word: &str) -> bool {
        let is_of_a_path = |c: char| c.is_ascii_alphanumeric() || "._-/*".contains(c);
        if !word.chars().all(is_of_a_path)
            || word.starts_with(['/', '-'])
            || word.starts_with(BUILT)
        {
            return false;
        }
        let stem = word.rsplit('/').next().unwrap_or_default();
        let ending = stem.rsplit_once('.').map(|(_, ending)| ending);
        let ends = |endings: &[&str]| ending.is_some_and(|ending| endings.contains(&ending));
        match word.split_once('/') {
            None => ends(&ENDINGS[..2]),
            Some((first, rest)) => {
                let begins =
                    self.contains(Path::new(first)) || self.contains(&joined(folder, first));
                ends(ENDINGS) || (begins && !rest.is_empty()) || word.starts_with("../")
            }
        }
    }

    /// Whether a path exists: relative to the root; if not `strict`, also relative to `folder` or as the end of a path
    /// below it. From the first placeholder on, only the folder counts.
    fn has(&self, folder: &Path, word: &str, strict: bool) -> bool {
        let known: PathBuf = Path::new(word)
            .components()
            .take_while(|component| !is_placeholder(&component.as_os_str().to_string_lossy()))
            .collect();
        self.contains(&known)
            || (!strict && self.contains(&joined(folder, &known.to_string_lossy())))
            || (!strict
                && self
                    .0
                    .iter()
                    .any(|path| path.starts_with(folder) && path.ends_with(&known)))
    }
}

/// Whether a part of a path stands for any name: it has a `*`, or a word in capitals before its ending, as
/// `programs_NAME.rs`.
fn is_placeholder(name: &str) -> bool {
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    let is_capital = |word: &str| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase());
    stem.contains('*') || stem.split(['_', '-']).any(is_capital)
}

/// A path relative to `folder`, without `..`.
fn joined(folder: &Path, path: &str) -> PathBuf {
    let mut out = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::ParentDir => _ = out.pop(),
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// The words in backticks with their lines, and the text without them and without blocks of code.
fn split(text: &str) -> (Vec<(usize, String)>, String) {
    let (mut code, mut prose) = (Vec::new(), String::new());
    let (mut in_block, mut word): (bool, Option<String>) = (false, None);
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            for c in line.chars() {
                match (c, word.as_mut()) {
                    ('`', None) => word = Some(String::new()),
                    ('`', Some(_)) => code.extend(word.take().map(|word| (index + 1, word))),
                    (c, Some(word)) => word.push(c),
                    (c, None) => prose.push(c),
                }
            }
        }
        // Code in backticks may continue on the next line of a paragraph.
        match word.as_mut() {
            Some(_) if line.is_empty() => word = None,
            Some(word) => word.push(' '),
            None => {}
        }
        prose.push('\n');
    }
    (code, prose)
}

/// The targets of the links to files, with their lines.
fn links(prose: &str) -> Vec<(usize, &str)> {
    let targets = prose.lines().enumerate().flat_map(|(index, line)| {
        let ends = line.split("](").skip(1);
        ends.filter_map(move |end| Some((index + 1, end.split_once(')')?.0)))
    });
    targets
        .map(|(line, target)| (line, target.split('#').next().unwrap_or_default()))
        .filter(|(_, target)| !target.is_empty() && !target.contains(':'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for file in [
            "README.md",
            ".github/CONTRIBUTING.md",
            "control/a/README.md",
            "control/a/src/engine/mod.rs",
            "control/b/src/lib.rs",
        ] {
            tree.add(Path::new(file));
        }
        tree
    }

    fn found(document: &str, text: &str) -> Vec<String> {
        problems_of(Path::new(document), text, &tree())
    }

    #[test]
    fn a_path_that_does_not_exist_is_reported_with_its_line() {
        let text =
            "\nSee `control/a/src/gone.rs` and `control/a/src/gone/`.\n`src/\nlib.rs` ends.\n";
        let problems = found("README.md", text);
        assert_eq!(problems.len(), 2, "{problems:?}");
        for problem in &problems {
            assert!(
                problem.starts_with("README.md:2: `control/a/src/gone"),
                "{problem}"
            );
        }
    }

    #[test]
    fn the_end_of_a_path_is_allowed_in_the_readme_of_a_folder_only() {
        for path in [
            "`engine/mod.rs`",
            "`mod.rs`",
            "`src/engine/`",
            "`control/b/src/lib.rs`",
            "`../b/src`",
        ] {
            assert_eq!(found("control/a/README.md", path), [""; 0], "{path}");
        }
        assert_eq!(
            found("control/a/README.md", "`lib.rs`").len(),
            1,
            "it is in another folder"
        );
        for path in ["`engine/mod.rs`", "`mod.rs`"] {
            assert_eq!(found("README.md", path).len(), 1, "{path}");
            assert_eq!(found(".github/CONTRIBUTING.md", path).len(), 1, "{path}");
        }
        assert_eq!(
            found(".github/CONTRIBUTING.md", "`control/a/src/engine/mod.rs`"),
            [""; 0]
        );
    }

    #[test]
    fn placeholders_stand_for_any_name() {
        for path in [
            "`control/a/src/NOUN.rs`",
            "`control/a/src/test_NAME.rs`",
            "`control/*/src`",
            "`control/a/WORD/x.rs`",
        ] {
            assert_eq!(found("README.md", path), [""; 0], "{path}");
        }
        assert_eq!(found("README.md", "`control/gone/NOUN.rs`").len(), 1);
    }

    #[test]
    fn other_code_is_no_path() {
        for code in [
            "`tcp/104`",
            "`/etc/cordon/gateway.toml`",
            "`state.json`",
            "`policy/<hash>.json`",
            "`cargo test -p control/gone.rs`",
            "`target/gone.txt`",
            "`--only`",
        ] {
            assert_eq!(found("README.md", code), [""; 0], "{code}");
        }
        assert_eq!(found("README.md", "```\n`control/gone.rs`\n```\n"), [""; 0]);
    }

    #[test]
    fn a_link_with_a_missing_target_is_reported() {
        let text =
            "[a](control/a) [`b`](control/b/src/lib.rs#x) [c](https://example.org/x) [d](#part)";
        assert_eq!(found("README.md", text), [""; 0]);
        assert_eq!(
            found("control/a/README.md", "[b](../b/src/lib.rs)"),
            [""; 0]
        );
        let problems = found("control/a/README.md", "\n[b](../gone/README.md)");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with("control/a/README.md:2: the target"),
            "{problems:?}"
        );
    }
}
