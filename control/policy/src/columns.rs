//! The header of `devices.csv`: which column is where.

use csv::StringRecord;

use crate::cursor::Cursor;
use crate::problem::{Code, Place, Problems};

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
const NEEDED: [&str; 3] = ["name", "mac", "segment"];

/// The columns that a file has.
pub(crate) struct Columns {
    /// The position of each of [`COLUMNS`].
    at: [Option<usize>; 8],
    /// How many there are, known or not.
    pub count: usize,
}

impl Columns {
    /// Reads the first row; none if it lacks what every device needs.
    pub fn read(
        header: Result<StringRecord, csv::Error>,
        mut cursor: Cursor,
        problems: &mut Problems,
    ) -> Option<Columns> {
        cursor.row(0);
        let place = |index: usize| {
            let mut cursor = cursor;
            cursor.field(index);
            cursor.place()
        };
        let header = match header {
            Ok(header) => header,
            Err(error) => {
                problems.add(place(0), Code::Syntax, format!("not CSV: {error}"));
                return None;
            }
        };
        if let Some(separator) = other_separator(&header) {
            problems
                .add(
                    place(0),
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
            columns.place(index, name.trim(), place(index), problems);
        }
        let mut whole = true;
        for needed in NEEDED {
            if columns.position(needed).is_none() {
                whole = false;
                problems
                    .add(
                        place(0),
                        Code::MissingField,
                        format!("column `{needed}` is missing"),
                    )
                    .hint(first_line());
            }
        }
        whole.then_some(columns)
    }

    /// Where a column is.
    pub fn position(&self, column: &str) -> Option<usize> {
        let known = COLUMNS.iter().position(|name| *name == column)?;
        self.at[known]
    }

    /// Spreadsheets write `Name` and `MAC`: letters are the same in either case.
    fn place(&mut self, index: usize, name: &str, place: Place, problems: &mut Problems) {
        let known = COLUMNS
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name));
        match known {
            Some(column) if self.at[column].is_none() => self.at[column] = Some(index),
            Some(_) => {
                problems.add(
                    place,
                    Code::Duplicate,
                    format!("column `{name}` is there twice"),
                );
            }
            None => problems
                .add(
                    place,
                    Code::UnknownField,
                    format!("there is no column `{}`", name.escape_debug()),
                )
                .did_you_mean(&name.to_ascii_lowercase(), COLUMNS.into_iter()),
        }
    }
}

/// What a header should be, as a hint.
pub(crate) fn first_line() -> String {
    format!("the first line is `{}`", COLUMNS.join(","))
}

/// What is between the fields of a header that has no comma.
fn other_separator(header: &StringRecord) -> Option<&'static str> {
    match header.get(0)? {
        _ if header.len() > 1 => None,
        text if text.contains(';') => Some("semicolons"),
        text if text.contains('\t') => Some("tabs"),
        _ => None,
    }
}
