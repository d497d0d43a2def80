//! Reads the fields of a mapping by name, and reports unknown ones.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use crate::problem::{Code, Problem, Problems, SourcePosition};
use crate::yaml::{Key, Node, Value};

/// A mapping, and the names of the fields that its reader has asked for so far.
pub(crate) struct Fields<'a> {
    /// Where the mapping starts.
    pub position: SourcePosition,
    what: String,
    map: &'a [(Key, Node)],
    asked: BTreeSet<&'static str>,
}

impl<'a> Fields<'a> {
    /// None if `node` is not a mapping. `what` names it in messages, as "a rule" does.
    pub fn of(
        node: &'a Node,
        what: impl Into<String>,
        problems: &mut Problems,
    ) -> Option<Fields<'a>> {
        let what = what.into();
        match &node.value {
            Value::Map(map) => Some(Fields {
                position: node.position,
                what,
                map,
                asked: BTreeSet::new(),
            }),
            other => {
                problems.add(
                    node.position,
                    Code::WrongType,
                    format!("{what} must be a mapping, not {}", other.kind()),
                );
                None
            }
        }
    }

    /// A field that may be left out.
    pub fn optional(&mut self, name: &'static str) -> Option<&'a Node> {
        self.asked.insert(name);
        let found = self.map.iter().find(|(key, _)| key.text == name);
        found
            .map(|(_, node)| node)
            .filter(|node| node.value != Value::Null)
    }

    /// A field that must be there.
    pub fn required(&mut self, name: &'static str, problems: &mut Problems) -> Option<&'a Node> {
        let found = self.optional(name);
        if found.is_none() {
            problems.add(
                self.position,
                Code::MissingField,
                format!("{} needs `{name}`", self.what),
            );
        }
        found
    }

    /// Reports the fields that were not asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in self.map {
            if !self.asked.contains(key.text.as_str()) {
                problems
                    .add(
                        key.position,
                        Code::UnknownField,
                        format!("{} has no field `{}`", self.what, key.text),
                    )
                    .did_you_mean(&key.text, self.asked.iter().copied());
            }
        }
    }
}

/// A scalar as text.
pub(crate) fn text<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a str> {
    match &node.value {
        Value::Text(text) => Some(text),
        other => {
            problems.add(
                node.position,
                Code::WrongType,
                format!("{what} must be a single value, not {}", other.kind()),
            );
            None
        }
    }
}

/// A list, or a single value as a list of one.
pub(crate) fn list(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(list) => list,
        Value::Null => &[],
        _ => std::slice::from_ref(node),
    }
}

/// The entries of a mapping; none if the field is absent.
pub(crate) fn entries<'a>(
    node: Option<&'a Node>,
    what: &str,
    problems: &mut Problems,
) -> &'a [(Key, Node)] {
    match node.map(|node| (node, &node.value)) {
        None => &[],
        Some((_, Value::Map(map))) => map,
        Some((node, other)) => {
            problems.add(
                node.position,
                Code::WrongType,
                format!("{what} must be a mapping, not {}", other.kind()),
            );
            &[]
        }
    }
}

/// `true` or `false`.
pub(crate) fn boolean(node: &Node, what: &str, problems: &mut Problems) -> Option<bool> {
    match text(node, what, problems)? {
        "true" => Some(true),
        "false" => Some(false),
        other => {
            let problem = problems.add(
                node.position,
                Code::BadValue,
                format!("{what} must be true or false, not `{other}`"),
            );
            problem.hint("write `true` or `false`");
            None
        }
    }
}

/// One of a list of words.
pub(crate) fn word<T: Copy>(
    node: &Node,
    what: &str,
    words: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let text = text(node, what, problems)?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        problems
            .add(
                node.position,
                Code::BadValue,
                format!("`{text}` is not a valid {what}"),
            )
            .did_you_mean(text, words.iter().map(|(word, _)| *word));
    }
    found.map(|(_, value)| *value)
}

/// A value with a textual form. `hint` shows an example of it.
pub(crate) fn parsed<T: FromStr>(
    node: &Node,
    what: &str,
    hint: &str,
    problems: &mut Problems,
) -> Option<T> {
    let text = text(node, what, problems)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => {
            problems
                .add(
                    node.position,
                    Code::BadValue,
                    format!("`{text}` is not a valid {what}"),
                )
                .hint(hint);
            None
        }
    }
}

/// A time: a whole number of seconds, minutes, hours or days, above zero and at most `most`.
pub(crate) fn duration(
    node: &Node,
    what: &str,
    example: &str,
    most: Duration,
    problems: &mut Problems,
) -> Option<Duration> {
    let text = text(node, what, problems)?;
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let read = text.chars().next_back().and_then(|last| {
        let (_, unit) = units.into_iter().find(|(letter, _)| *letter == last)?;
        let digits = &text[..text.len() - 1];
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A number that does not fit is reported as too long.
        plain.then(|| {
            digits
                .parse::<u64>()
                .map_or(u64::MAX, |number| number.saturating_mul(unit))
        })
    });
    match read.map(Duration::from_secs) {
        Some(Duration::ZERO) => {
            problems
                .add(
                    node.position,
                    Code::BadValue,
                    format!("`{text}` is too short for an {what}"),
                )
                .hint(format!(
                    "write at least a second, or leave it out for the default of the protocol: `{example}`"
                ));
            None
        }
        Some(time) if time > most => {
            let hours = most.as_secs() / 3600;
            problems
                .add(
                    node.position,
                    Code::Limit,
                    format!("`{text}` is too long for an {what}"),
                )
                .hint(format!("at most {hours} hours: `{hours}h`"));
            None
        }
        Some(time) => Some(time),
        None => {
            problems
                .add(
                    node.position,
                    Code::BadValue,
                    format!("`{text}` is not a valid {what}"),
                )
                .hint(format!(
                    "write a whole number followed by `s`, `m`, `h` or `d`: `{example}`"
                ));
            None
        }
    }
}

/// A name: lower-case letters, digits, dots, hyphens and underscores, up to 63.
pub(crate) fn name(
    text: &str,
    position: SourcePosition,
    what: &str,
    problems: &mut Problems,
) -> Option<String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let first = text
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric());
    if first && text.len() <= 63 && text.chars().all(good) {
        return Some(text.to_owned());
    }
    let shown: String = text.chars().take(80).collect();
    problems
        .add(position, Code::BadValue, format!("`{}` cannot be the name of {what}", shown.escape_debug()))
        .hint("use at most 63 lower-case letters, digits, `-`, `_` and `.`, and start with a letter or digit");
    None
}

/// Reports a name that is not defined.
pub(crate) fn unknown<'a, 'p>(
    problems: &'p mut Problems,
    position: SourcePosition,
    what: &str,
    word: &str,
    known: impl Iterator<Item = &'a str>,
) -> &'p mut Problem {
    let problem = problems.add(
        position,
        Code::UnknownName,
        format!("there is no {what} `{word}`"),
    );
    problem.did_you_mean(word, known);
    problem
}
