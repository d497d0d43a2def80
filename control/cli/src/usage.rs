//! Errors of the command line, with a hint for words that are no commands. clap suggests the most similar command, which
//! may be the wrong one: for `contain` it would be `confirm`, where `quarantine` is meant.

use std::ffi::OsString;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use cordon_policy::Posture;

use crate::args::Cli;

/// What is wrong with a command line.
pub enum UsageError {
    /// A word that is no command, but has a known meaning.
    Word {
        /// The word.
        word: String,
        /// Why it is refused.
        problem: &'static str,
        /// What to type instead.
        hint: String,
    },
    /// An error of clap, or its help.
    Clap {
        /// What clap prints.
        error: Box<clap::Error>,
        /// What to type instead, if that is known.
        hint: Option<String>,
    },
}

/// Words that are no commands, and what to type instead.
const HINTS: &[(&[&str], &str)] = &[
    (
        &["open", "reopen", "unquarantine", "lift", "undo", "restore"],
        "to open the site again: cordon release site --reason \"why it is over\"",
    ),
    (
        &["close", "cut", "block", "shut", "disconnect", "emergency"],
        "to cut the site off: cordon quarantine site --reason \"what you saw\"",
    ),
    (
        &[
            "events", "log", "logs", "tail", "drops", "monitor", "follow",
        ],
        "events as they happen: cordon watch; drops alone: cordon watch --drops",
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
        "open flows: cordon flows; flows that enforcement would drop in observed segments: cordon flows --would-drop",
    ),
    (
        &["why", "trace", "test", "can"],
        "whether a packet passes, and why: cordon explain FROM TO SERVICE",
    ),
    (
        &["history", "audit", "who"],
        "quarantines and releases, with user, time and reason: cordon orders",
    ),
    (
        &["info", "show", "state", "posture"],
        "the state of the gateway: cordon status",
    ),
];

/// Parses a command line.
pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Cli, UsageError> {
    let mut words: Vec<OsString> = words.collect();
    // `cordon help quarantine site`
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    Cli::try_parse_from(words).map_err(with_hint)
}

fn with_hint(error: clap::Error) -> UsageError {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let text = error.to_string();
    let order = ["quarantine", "release"]
        .into_iter()
        .find(|command| text.contains(&format!("cordon {command} ")));
    let hint = match (error.kind(), order) {
        (ErrorKind::InvalidSubcommand, None) => {
            let word = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            if let Some((problem, hint)) = hint_for(&word.to_lowercase()) {
                return UsageError::Word {
                    word,
                    problem,
                    hint,
                };
            }
            None
        }
        (ErrorKind::InvalidSubcommand, Some(command)) => Some(format!(
            "the only scope is the whole site: cordon {command} site --reason \"why\""
        )),
        (ErrorKind::UnknownArgument, Some(command))
            if context(ContextKind::InvalidArg).as_deref() == Some("--reason") =>
        {
            Some(format!(
                "the scope is missing: cordon {command} site --reason \"why\""
            ))
        }
        (ErrorKind::MissingRequiredArgument, Some(command)) => Some(format!(
            "an order needs a reason, for the record: cordon {command} site --reason \"why\""
        )),
        _ => None,
    };
    UsageError::Clap {
        error: Box::new(error),
        hint,
    }
}

/// Why a word is refused, and what to type instead.
fn hint_for(word: &str) -> Option<(&'static str, String)> {
    // Not `watch`, which is a command too, so that clap accepts it.
    if let Ok(posture) = word.parse() {
        let hint = match posture {
            Posture::Normal => {
                "to go back to it: cordon release site --reason \"why it is over\"".to_owned()
            }
            posture => format!(
                "to put the site into it: cordon quarantine site --posture {posture} --reason \"what you saw\""
            ),
        };
        return Some(("is a posture, not a command", hint));
    }
    let (_, hint) = HINTS.iter().find(|(words, _)| words.contains(&word))?;
    Some(("is not a command", (*hint).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Cli, UsageError> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn words_with_a_hint_are_no_commands() {
        let command = <Cli as clap::CommandFactory>::command();
        for word in HINTS.iter().flat_map(|(words, _)| *words) {
            assert!(command.find_subcommand(word).is_none(), "{word}");
            assert!(
                matches!(
                    parse_line(&format!("cordon {word}")),
                    Err(UsageError::Word { .. })
                ),
                "{word}"
            );
        }
    }

    #[test]
    fn every_command_in_a_hint_is_valid() {
        let hints = HINTS.iter().map(|(_, hint)| (*hint).to_owned());
        let postures = Posture::ALL
            .iter()
            .filter_map(|posture| hint_for(posture.name()));
        for hint in hints.chain(postures.map(|(_, hint)| hint)) {
            for proposal in hint.split("; ") {
                let (_, line) = proposal
                    .split_once(": ")
                    .expect("a purpose, and a command line");
                // A quoted text becomes one word.
                let quoted = line.split('"').nth(1);
                let line = quoted.map_or(line.to_owned(), |words| line.replace(words, "words"));
                assert!(parse_line(&line).is_ok(), "{line}");
            }
        }
    }
}
