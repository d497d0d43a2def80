//! What people type at three in the morning that is no command: told what they mean, rather than what sounds like it
//! (`contain` is nearly `confirm`, and means something else).

use std::ffi::OsString;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use cordon_policy::Posture;

use crate::args::Cli;

/// What is wrong with a command line.
pub enum Wrong {
    /// A word that means another command: what it is, and what to type.
    Word(String, &'static str, String),
    /// As clap says it, or its help; with what to type, where that is known.
    Clap(Box<clap::Error>, Option<String>),
}

/// What to type for words that are no commands.
const MEANT: &[(&[&str], &str, &str)] = &[
    (
        &["open", "reopen", "unquarantine", "lift", "undo", "restore"],
        "is not a command",
        "to open again: cordon release site --reason \"why it is over\"",
    ),
    (
        &["close", "cut", "block", "shut", "disconnect", "emergency"],
        "is not a command",
        "to cut the site off: cordon quarantine site --reason \"what you saw\"",
    ),
    (
        &[
            "events", "log", "logs", "tail", "drops", "monitor", "follow",
        ],
        "is not a command",
        "what happens just now: cordon watch; only drops: cordon watch --drops",
    ),
    (
        &[
            "connections",
            "sessions",
            "conntrack",
            "states",
            "observed",
            "would-drop",
        ],
        "is not a command",
        "what is open: cordon flows; what would be dropped in observed segments: cordon flows --would-drop",
    ),
    (
        &["why", "trace", "test", "can"],
        "is not a command",
        "whether a packet passes, and why not: cordon explain FROM TO SERVICE",
    ),
    (
        &["history", "audit", "who"],
        "is not a command",
        "who closed and opened, when and why: cordon orders",
    ),
    (
        &["info", "show", "state", "posture"],
        "is not a command",
        "everything on one screen: cordon status",
    ),
];

/// Reads a command line.
pub fn read(words: impl Iterator<Item = OsString>) -> Result<Cli, Wrong> {
    let mut words: Vec<OsString> = words.collect();
    // `cordon help quarantine site`
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    Cli::try_parse_from(words).map_err(meant)
}

fn meant(error: clap::Error) -> Wrong {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let of_quarantine = |verb: &str| {
        let usage = error.to_string();
        usage.contains(&format!("cordon {verb} "))
    };
    let scope = |verb: &str| format!("say what: cordon {verb} site --reason \"why\"");
    let within = ["quarantine", "release"]
        .into_iter()
        .find(|verb| of_quarantine(verb));
    match (error.kind(), within) {
        (ErrorKind::InvalidSubcommand, None) => {
            let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            known(&word.to_lowercase()).map_or_else(
                || Wrong::Clap(Box::new(error), None),
                |(what, hint)| Wrong::Word(word, what, hint),
            )
        }
        (ErrorKind::InvalidSubcommand, Some(verb)) => {
            let hint = format!("{verb} is of the whole site: cordon {verb} site --reason \"why\"");
            Wrong::Clap(Box::new(error), Some(hint))
        }
        (ErrorKind::UnknownArgument, Some(verb))
            if text(ContextKind::InvalidArg).as_deref() == Some("--reason") =>
        {
            Wrong::Clap(Box::new(error), Some(scope(verb)))
        }
        (ErrorKind::MissingRequiredArgument, Some(verb)) => {
            let hint = format!(
                "say why, for whoever comes after you: cordon {verb} site --reason \"why\""
            );
            Wrong::Clap(Box::new(error), Some(hint))
        }
        _ => Wrong::Clap(Box::new(error), None),
    }
}

fn known(word: &str) -> Option<(&'static str, String)> {
    match word.parse() {
        Ok(Posture::Normal) => {
            let hint = "to go back to it: cordon release site --reason \"why it is over\"";
            return Some(("is a posture, not a command", hint.to_owned()));
        }
        // But for `watch`, which is a command as well and does not come here.
        Ok(posture) => {
            let hint = format!(
                "to put the site into it: cordon quarantine site --posture {posture} --reason \"what you saw\""
            );
            return Some(("is a posture, not a command", hint));
        }
        Err(_) => {}
    }
    let (_, what, hint) = MEANT.iter().find(|(words, ..)| words.contains(&word))?;
    Some((what, (*hint).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Cli, Wrong> {
        read(line.split(' ').map(OsString::from))
    }

    #[test]
    fn no_word_that_is_explained_is_a_command() {
        let command = <Cli as clap::CommandFactory>::command();
        for word in MEANT.iter().flat_map(|(words, ..)| *words) {
            assert!(command.find_subcommand(word).is_none(), "{word}");
            assert!(
                matches!(of(&format!("cordon {word}")), Err(Wrong::Word(..))),
                "{word}"
            );
        }
    }

    #[test]
    fn every_command_that_is_proposed_is_one() {
        let hints = MEANT.iter().map(|(.., hint)| (*hint).to_owned());
        let postures = Posture::ALL
            .iter()
            .filter_map(|posture| known(posture.name()));
        for hint in hints.chain(postures.map(|(_, hint)| hint)) {
            for proposed in hint.split("; ") {
                let (_, line) = proposed
                    .split_once(": ")
                    .expect("what for, and what to type");
                // One word for what is quoted.
                let quoted = line.split('"').nth(1);
                let line = quoted.map_or(line.to_owned(), |words| line.replace(words, "words"));
                assert!(of(&line).is_ok(), "{line}");
            }
        }
    }
}
