//! Tables: a heading, columns as wide as their widest cell, two blanks between. On a terminal that is too narrow, the
//! widest columns are wrapped. Without a terminal every row is one line, for grep.

use std::borrow::Cow;

use textwrap::wrap;
use unicode_width::UnicodeWidthStr;

use super::style::{Style, TermCaps};
use crate::text::clean;

/// The width to which a column is narrowed at most.
const MIN_WIDTH: usize = 10;
const GAP: usize = 2;

/// A cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    /// A text in a style.
    pub fn styled(style: Style, text: impl AsRef<str>) -> Cell {
        Cell {
            style: Some(style),
            ..Cell::from(text.as_ref())
        }
    }

    /// A text, or `-` for none.
    pub fn optional(text: Option<&str>) -> Cell {
        Cell::from(text.unwrap_or("-"))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell {
            text: clean(text),
            style: None,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::from(text.as_str())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Table {
    /// An empty table. A heading that starts with `>` is that of a column aligned to the right, as numbers are.
    pub fn new(headings: &[&'static str]) -> Table {
        let column = |heading: &&'static str| match heading.strip_prefix('>') {
            Some(heading) => (heading, Side::Right),
            None => (*heading, Side::Left),
        };
        Table {
            columns: headings.iter().map(column).collect(),
            rows: Vec::new(),
            indent: 0,
        }
    }

    /// The same table, indented.
    pub fn indented(self) -> Table {
        Table {
            indent: GAP,
            ..self
        }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.cells(cells.into());
    }

    /// Adds a row to a table with a variable number of columns.
    pub fn cells(&mut self, cells: Vec<Cell>) {
        let columns = self.columns.len();
        assert_eq!(cells.len(), columns, "a row has a cell for every column");
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines to print.
    pub fn lines(&self, caps: TermCaps) -> Vec<String> {
        let widths = self.widths(caps.width);
        let heading: Vec<_> = self
            .columns
            .iter()
            .map(|(heading, _)| Cell::styled(Style::Strong, heading))
            .collect();
        let rows = std::iter::once(&heading).chain(&self.rows);
        rows.flat_map(|row| self.row_lines(row, &widths, caps))
            .collect()
    }

    fn widths(&self, available: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|(heading, _)| heading.width())
            .collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let room =
            available.map(|width| width.saturating_sub(self.indent + GAP * (widths.len() - 1)));
        let Some(room) = room else { return widths };
        while widths.iter().sum::<usize>() > room {
            let widest = widths.iter_mut().max().filter(|width| **width > MIN_WIDTH);
            match widest {
                Some(width) => *width -= 1,
                None => break, // Still too wide: the terminal wraps the lines.
            }
        }
        widths
    }

    fn row_lines(&self, row: &[Cell], widths: &[usize], caps: TermCaps) -> Vec<String> {
        let wrapped: Vec<Vec<Cow<str>>> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| wrap(&cell.text, *width))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        let line = |index: usize| {
            let mut line = " ".repeat(self.indent);
            let mut pending = 0;
            for (column, parts) in wrapped.iter().enumerate() {
                let part = parts.get(index).map(AsRef::as_ref).unwrap_or_default();
                let blank = widths[column].saturating_sub(part.width());
                let (before, after) = match self.columns[column].1 {
                    Side::Left => (0, blank),
                    Side::Right => (blank, 0),
                };
                // Blanks are written only before text, so that no line ends in blanks.
                pending += before;
                if !part.is_empty() {
                    line.extend(std::iter::repeat_n(' ', pending));
                    pending = 0;
                    match row[column].style {
                        Some(style) => line.push_str(&caps.style(style, part)),
                        None => line.push_str(part),
                    }
                }
                pending += after + GAP;
            }
            line
        };
        (0..height).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: Option<usize>) -> TermCaps {
        TermCaps {
            colour: false,
            width,
        }
    }

    fn table() -> Table {
        let mut table = Table::new(&["NAME", ">COUNT", "WHAT"]);
        table.row([
            "ct-1".into(),
            "7".into(),
            "a scanner that is here and there".into(),
        ]);
        table.row(["é".into(), "1,000".into(), "".into()]);
        table
    }

    #[test]
    fn columns_align_and_no_line_ends_in_blanks() {
        let want = [
            "NAME  COUNT  WHAT",
            "ct-1      7  a scanner that is here and there",
            "é     1,000",
        ];
        assert_eq!(table().lines(plain(None)), want);
    }

    #[test]
    fn a_narrow_terminal_wraps_the_widest_column() {
        let want = [
            "NAME  COUNT  WHAT",
            "ct-1      7  a scanner that",
            "             is here and",
            "             there",
            "é     1,000",
        ];
        assert_eq!(table().lines(plain(Some(28))), want);
    }

    #[test]
    fn long_words_are_split() {
        assert_eq!(wrap("ab cdefgh i", 4), ["ab", "cdef", "gh i"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(
            wrap("pumps-to-server a -> b", 10),
            ["pumps-to-", "server a", "-> b"]
        );
    }
}
