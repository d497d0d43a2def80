//! Words that are banned from identifiers and file names, because a standard term says more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::files;
use super::identifiers::identifiers;

/// A word, and the terms to use instead.
const BANNED: &[(&str, &str)] = &[
    ("who", IDENTITY),
    ("whom", IDENTITY),
    ("whose", IDENTITY),
    ("whoever", IDENTITY),
    (
        "whether",
        "a name that starts with `is` or `has`; of a decision, `authorise`",
    ),
    ("whither", "`forward`, `egress`, `destination`"),
    ("whence", "`source`, `ingress`"),
    ("hither", "`ingress`, `inbound`"),
    ("stranger", UNCLASSIFIED),
    ("strangers", UNCLASSIFIED),
    (
        "nobody",
        "what there is none of: `no_device`, `no_listener`, `unowned`",
    ),
    ("somebody", IDENTITY),
    ("anybody", "`any_host`, `any_device`"),
    ("everybody", "`all_hosts`, `broadcast`"),
    ("nothing", "`none`, `empty`, `no_` and what is absent"),
    ("told", EMIT),
    ("tell", EMIT),
    ("tells", EMIT),
    ("telling", EMIT),
    ("teller", "`reporter`, `emitter`"),
    ("letbe", WOULD_DROP),
    ("let_be", WOULD_DROP),
    (
        "seat",
        "`slot` of a bucket; `permit` of a concurrency limit",
    ),
    (
        "seats",
        "`SLOTS_PER_BUCKET`, `slots`; `permits` of a concurrency limit",
    ),
    ("ear", "`event_stream`, `listener`, `subscriber`"),
    ("twin", "`shadow_policy`"),
    (
        "silence",
        "`idle_timeout`, `inactivity`; of a call without an answer, `timeout`",
    ),
    ("silences", "`idle_timeouts`, `timeouts`"),
    ("dearest", "`costliest`"),
    ("spoken", "`resolved_services`, or what was resolved"),
    ("behind", "`via_uplink`, `upper_layer`, `downstream`"),
    ("beyond", "`outside`, `remote`, `needs_rewrite`"),
    ("lest", "the condition itself"),
    ("upon", "`on`, `after`"),
];

const IDENTITY: &str =
    "what is meant: `identity`, `device`, `sender`, `receiver`, `caller`, `owner`";
const UNCLASSIFIED: &str =
    "`unclassified` (address without a class), `unlisted_host` (not in the inventory), `flow_miss`";
const EMIT: &str = "`emit`, `report`, `print`; of a notification, `notified`, `notify`";
const WOULD_DROP: &str = "`would_drop`";

/// The problems of all names of files and folders, and of all identifiers.
pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut paths = BTreeSet::new();
    files::walk(root, &mut |file| {
        paths.extend(file.ancestors().map(Path::to_owned));
    })?;
    let mut problems = Vec::new();
    for path in &paths {
        problems.extend(problem_of_path(path));
        if files::is_rust(path)
            && let Ok(source) = fs::read_to_string(root.join(path))
        {
            problems.extend(problems_of_source(path, &source));
        }
    }
    Ok(problems)
}

fn problem_of_path(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let (word, instead) = banned(&name)?;
    Some(format!(
        "{}: `{word}` in the name of a file. Use {instead}",
        path.display()
    ))
}

/// Each identifier once, with the line of its first use.
fn problems_of_source(file: &Path, source: &str) -> Vec<String> {
    let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for identifier in identifiers(source) {
        let (_, count) = found.entry(identifier.text).or_insert((identifier.line, 0));
        *count += 1;
    }
    let mut problems: Vec<(usize, String)> = Vec::new();
    for (name, (line, count)) in found {
        let Some((word, instead)) = banned(name) else {
            continue;
        };
        let times = match count {
            1 => String::new(),
            count => format!(" ({count} times in this file)"),
        };
        problems.push((
            line,
            format!(
                "{}:{line}: `{name}`{times}: not `{word}`. Use {instead}",
                file.display()
            ),
        ));
    }
    problems.sort();
    problems.into_iter().map(|(_, problem)| problem).collect()
}

/// The first banned word in a name, and what to write instead.
fn banned(name: &str) -> Option<(&'static str, &'static str)> {
    let parts = parts(name);
    let contains = |word: &str| {
        let wanted: Vec<&str> = word.split('_').collect();
        parts.windows(wanted.len()).any(|window| window == wanted)
    };
    BANNED.iter().copied().find(|(word, _)| contains(word))
}

/// The words of a name in snake_case, kebab-case or CamelCase, in lower case. Digits separate words.
fn parts(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut parts = vec![String::new()];
    for (index, &c) in characters.iter().enumerate() {
        if !c.is_alphabetic() {
            parts.push(String::new());
            continue;
        }
        let before = index.checked_sub(1).map(|index| characters[index]);
        let after = characters.get(index + 1);
        // The capital of `rawFrame`, and the last capital of `HTTPServer`.
        let starts_word = c.is_uppercase()
            && (before.is_some_and(char::is_lowercase)
                || before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|after| after.is_lowercase()));
        if starts_word {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.extend(c.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_words() {
        for (name, words) in [
            ("snake_case", &["snake", "case"][..]),
            ("SCREAMING_CASE", &["screaming", "case"]),
            ("CamelCase", &["camel", "case"]),
            ("HTTPServer", &["http", "server"]),
            ("kebab-case.txt", &["kebab", "case", "txt"]),
            ("slot2_of", &["slot", "of"]),
            ("__x", &["x"]),
            ("_", &[]),
        ] {
            assert_eq!(parts(name), words, "{name}");
        }
    }

    #[test]
    fn a_banned_word_counts_only_as_a_whole_part() {
        for name in [
            "who",
            "_who",
            "Who",
            "WHO_ASKS",
            "is_who2",
            "WhoAsks",
            "LetBe",
            "is_let_be",
            "seat2",
            "error-nobody-listens.txt",
        ] {
            assert!(banned(name).is_some(), "{name}");
        }
        for name in [
            "whole",
            "clear",
            "early",
            "ears",
            "let_",
            "be_let",
            "be",
            "tellurium",
            "seating",
        ] {
            assert_eq!(banned(name), None, "{name}");
        }
        assert_eq!(banned("let_be").map(|(word, _)| word), Some("let_be"));
    }

    #[test]
    fn every_word_is_listed_once_and_found() {
        for (index, (word, instead)) in BANNED.iter().enumerate() {
            assert!(!instead.is_empty(), "{word}");
            assert!(
                BANNED[..index].iter().all(|(other, _)| other != word),
                "{word} is there twice"
            );
            assert_eq!(banned(word).map(|(found, _)| found), Some(*word));
        }
    }

    #[test]
    fn an_identifier_is_reported_once_with_its_first_line_and_a_hint() {
        let source = "// who\nlet x = \"who\";\nfn who<'tell>() {\n    who();\n}\n";
        let problems = problems_of_source(Path::new("a.rs"), source);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].starts_with("a.rs:3: `tell`: not `tell`. Use `emit`"),
            "{problems:?}"
        );
        assert!(
            problems[1].starts_with("a.rs:3: `who` (2 times in this file): not `who`"),
            "{problems:?}"
        );
    }

    #[test]
    fn names_of_files_and_folders_are_checked() {
        let root = std::env::temp_dir().join(format!("cordon-names-{}", std::process::id()));
        for file in ["src/who/mod.rs", "src/who/other.rs", "notes-told.txt"] {
            let file = root.join(file);
            fs::create_dir_all(file.parent().expect("has one")).expect("can make a folder");
            fs::write(file, "").expect("can write");
        }
        let problems = problems(&root);
        fs::remove_dir_all(&root).expect("was made");
        let problems = problems.expect("can be read");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].starts_with("notes-told.txt: `told`"),
            "{problems:?}"
        );
        assert!(problems[1].starts_with("src/who: `who`"), "{problems:?}");
    }
}
