//! What is wrong with a policy, and where.

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

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: File,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl Place {
    /// Where a file begins: of what is nowhere in it.
    pub const fn top(file: File) -> Place {
        Place {
            file,
            line: 1,
            column: 1,
        }
    }
}

impl fmt::Display for Place {
    /// `policy.yaml:12`, as a rule's place is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.name(), self.line)
    }
}

/// The kind of a [`Problem`], for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Not YAML or CSV.
    Syntax,
    /// A field that does not exist.
    UnknownField,
    /// A field that must be there.
    MissingField,
    /// A mapping where a list belongs, say.
    WrongType,
    /// A value that means nothing here.
    BadValue,
    /// A name that nothing has.
    UnknownName,
    /// A name or address used twice.
    Duplicate,
    /// Two statements that exclude each other.
    Conflict,
    /// More than a gateway can hold.
    Limit,
    /// An invariant that the rules break.
    Invariant,
    /// Worth a look; nothing is refused for it.
    Warning,
}

impl Code {
    /// As programs see it.
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

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Its kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = self.place;
        write!(f, "{}:{line}:{column}: {}", file.name(), self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    {hint}"),
            None => Ok(()),
        }
    }
}

/// A policy that is refused, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy has {} {}", problems.len(), if problems.len() == 1 { "error" } else { "errors" })]
pub struct Rejected {
    /// By file, line and column.
    pub problems: Vec<Problem>,
}

/// More problems than this are counted, not listed: nobody mends a thousand at a time.
const LISTED: usize = 1000;

/// Collects problems while reading goes on.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    unlisted: usize,
}

impl Problems {
    /// Notes a problem; answers it, for a hint to be added.
    pub fn add(&mut self, place: Place, code: Code, message: impl Into<String>) -> &mut Problem {
        if self.list.len() >= LISTED {
            self.unlisted += 1;
            self.list.truncate(LISTED);
        }
        self.list.push(Problem {
            place,
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

    /// In the order of the files.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.list.truncate(LISTED);
        self.list.sort_by_key(|problem| problem.place);
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

    /// Hints at what was probably meant, or else at what there is.
    pub(crate) fn did_you_mean<'a>(&mut self, word: &str, known: impl Iterator<Item = &'a str>) {
        // What could not be read has no name: its own error is noted already.
        let mut known: Vec<&str> = known.filter(|name| !name.is_empty()).collect();
        let near = known
            .iter()
            .filter_map(|name| Some((slip(word, name)?, *name)))
            .min();
        known.sort_unstable();
        self.hint = match near {
            Some((_, name)) => Some(format!("did you mean `{name}`?")),
            None if known.is_empty() => None,
            None if known.len() <= 12 => Some(format!("there is: {}", known.join(", "))),
            None => Some(format!(
                "there is: {}, and {} more",
                known[..12].join(", "),
                known.len() - 12
            )),
        };
    }
}

/// How far two words are apart, if one could be a slip for the other.
pub(crate) fn slip(word: &str, meant: &str) -> Option<usize> {
    let most = 1 + word.len().max(meant.len()) / 4;
    // To work it out for a word of a megabyte takes as many times the room of the other.
    if word.len().abs_diff(meant.len()) > most {
        return None;
    }
    let distance = strsim::damerau_levenshtein(word, meant);
    (distance <= most).then_some(distance)
}
