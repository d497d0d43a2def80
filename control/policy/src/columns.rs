//! The header row of `devices.csv`.

use csv::StringRecord;

use crate::cursor::Cursor;
use crate::problem::{Code, Problems, SourcePosition};

const COLUMNS: [&str; 8] = [
    "name",
    "mac",
    "ips",
    "segment",
    "profile",
    "function",
    "criticality",
    "port",
];
const REQUIRED: [&str; 3] = ["name", "mac", "segment"];

/// The columns of a file.
pub(crate) struct Columns {
    /// The index in the file of each of [`COLUMNS`].
    at: [Option<usize>; 8],
    /// How many columns the file has.
    pub count: usize,
}

impl Columns {
    /// Reads the header row; none if a required column is missing.
    pub fn read(
        header: Result<StringRecord, csv::Error>,
        mut cursor: Cursor,
        problems: &mut Problems,
    ) -> Option<Columns> {
        cursor.row(0);
        let position = |index: usize| {
            let mut cursor = cursor;
            cursor.field(index);
            cursor.position()
        };
        let header = match header {
            Ok(header) => header,
            Err(error) => {
                problems.add(position(0), Code::Syntax, format!("not valid CSV: {error}"));
                return None;
            }
        };
        if let Some(separator) = other_separator(&header) {
            problems
                .add(
                    position(0),
                    Code::Syntax,
                    format!("separate fields with commas, not with {separator}"),
                )
                .hint(first_line());
            return None;
        }
        let mut columns = Columns {
            at: Default::default(),
            count: header.len(),
        };
        for (index, name) in header.iter().enumerate() {
            columns.add(index, name.trim(), position(index), problems);
        }
        let mut complete = true;
        for required in REQUIRED {
            if columns.index(required).is_none() {
                complete = false;
                problems
                    .add(
                        position(0),
                        Code::MissingField,
                        format!("column `{required}` is missing"),
                    )
                    .hint(first_line());
            }
        }
        complete.then_some(columns)
    }

    /// The index of a column in the file.
    pub fn index(&self, column: &str) -> Option<usize> {
        let known = COLUMNS.iter().position(|name| *name == column)?;
        self.at[known]
    }

    /// Case is ignored, since spreadsheets write `Name` and `MAC`.
    fn add(&mut self, index: usize, name: &str, position: SourcePosition, problems: &mut Problems) {
        let known = COLUMNS
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name));
        match known {
            Some(column) if self.at[column].is_none() => self.at[column] = Some(index),
            Some(_) => {
                problems.add(
                    position,
                    Code::Duplicate,
                    format!("column `{name}` appears twice"),
                );
            }
            None => problems
                .add(
                    position,
                    Code::UnknownField,
                    format!("there is no column `{}`", name.escape_debug()),
                )
                .did_you_mean(&name.to_ascii_lowercase(), COLUMNS.into_iter()),
        }
    }
}

/// A hint with the expected header.
pub(crate) fn first_line() -> String {
    format!("the first line must be `{}`", COLUMNS.join(","))
}

/// The separator of a header that is not separated by commas.
fn other_separator(header: &StringRecord) -> Option<&'static str> {
    match header.get(0)? {
        _ if header.len() > 1 => None,
        text if text.contains(';') => Some("semicolons"),
        text if text.contains('\t') => Some("tabs"),
        _ => None,
    }
}
