//! Errors and warnings of a policy, with their positions in its files.

use std::fmt;

/// One of the files of a policy directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    /// `site.yaml`.
    Site,
    /// `policy.yaml`.
    Policy,
    /// `devices.csv`.
    Devices,
}

impl File {
    /// Its name in the directory.
    pub const fn name(self) -> &'static str {
        match self {
            File::Site => "site.yaml",
            File::Policy => "policy.yaml",
            File::Devices => "devices.csv",
        }
    }
}

/// A position in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePosition {
    /// The file.
    pub file: File,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl SourcePosition {
    /// The start of a file, for problems without a position of their own.
    pub const fn start_of(file: File) -> SourcePosition {
        SourcePosition {
            file,
            line: 1,
            column: 1,
        }
    }
}

impl fmt::Display for SourcePosition {
    /// `policy.yaml:12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.name(), self.line)
    }
}

/// The kind of a [`Problem`], for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Not YAML or CSV.
    Syntax,
    /// A field that the language does not have.
    UnknownField,
    /// A required field is missing.
    MissingField,
    /// A mapping instead of a list, for example.
    WrongType,
    /// A value that is not valid for its field.
    BadValue,
    /// A name that is not defined.
    UnknownName,
    /// A name or address used twice.
    Duplicate,
    /// Statements that contradict each other.
    Conflict,
    /// More than a gateway can handle.
    Limit,
    /// An invariant that the rules break.
    Invariant,
    /// A likely mistake in a valid policy.
    Warning,
}

impl Code {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Syntax => "syntax",
            Code::UnknownField => "unknown-field",
            Code::MissingField => "missing-field",
            Code::WrongType => "wrong-type",
            Code::BadValue => "bad-value",
            Code::UnknownName => "unknown-name",
            Code::Duplicate => "duplicate",
            Code::Conflict => "conflict",
            Code::Limit => "limit",
            Code::Invariant => "invariant",
            Code::Warning => "warning",
        }
    }
}

/// An error or a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub position: SourcePosition,
    /// Its kind.
    pub code: Code,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourcePosition { file, line, column } = self.position;
        write!(f, "{}:{line}:{column}: {}", file.name(), self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    {hint}"),
            None => Ok(()),
        }
    }
}

/// An invalid policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy has {} {}", problems.len(), if problems.len() == 1 { "error" } else { "errors" })]
pub struct Rejected {
    /// Every error, by file, line and column.
    pub problems: Vec<Problem>,
}

/// Problems beyond this number are counted, not listed.
const LISTED: usize = 1000;

/// Collects problems while reading goes on.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    unlisted: usize,
}

impl Problems {
    /// Adds a problem and returns it, so that the caller can add a hint.
    pub fn add(
        &mut self,
        position: SourcePosition,
        code: Code,
        message: impl Into<String>,
    ) -> &mut Problem {
        if self.list.len() >= LISTED {
            self.unlisted += 1;
            self.list.truncate(LISTED);
        }
        self.list.push(Problem {
            position,
            code,
            message: message.into(),
            hint: None,
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// By file, line and column.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.list.truncate(LISTED);
        self.list.sort_by_key(|problem| problem.position);
        if self.unlisted > 0
            && let Some(last) = self.list.last_mut()
        {
            last.hint = Some(format!("{} more problems are not listed", self.unlisted));
        }
        self.list
    }
}

impl Problem {
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    /// Adds a hint: the known word that `word` probably stands for, or else a list of known words.
    pub(crate) fn did_you_mean<'a>(&mut self, word: &str, known: impl Iterator<Item = &'a str>) {
        // An entry without a valid name has an empty one; its own error is reported already.
        let mut known: Vec<&str> = known.filter(|name| !name.is_empty()).collect();
        let near = known
            .iter()
            .filter_map(|name| Some((typo_distance(word, name)?, *name)))
            .min();
        known.sort_unstable();
        self.hint = match near {
            Some((_, name)) => Some(format!("did you mean `{name}`?")),
            None if known.is_empty() => None,
            None if known.len() <= 12 => Some(format!("use one of: {}", known.join(", "))),
            None => Some(format!(
                "use one of: {}, and {} more",
                known[..12].join(", "),
                known.len() - 12
            )),
        };
    }
}

/// The edit distance of two words, if it is small enough for a typing error.
pub(crate) fn typo_distance(word: &str, meant: &str) -> Option<usize> {
    let most = 1 + word.len().max(meant.len()) / 4;
    // The distance takes memory in proportion to the product of the lengths: skip words that cannot be near.
    if word.len().abs_diff(meant.len()) > most {
        return None;
    }
    let distance = strsim::damerau_levenshtein(word, meant);
    (distance <= most).then_some(distance)
}
