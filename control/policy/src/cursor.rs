//! Positions of rows and fields in `devices.csv`. The CSV reader reports only where it began to look for a row, which may
//! be an empty line, a comment or the second half of a line break before the row.

use crate::problem::{File, SourcePosition};

/// A position in the text that only moves forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    /// Offset of the start of the line.
    start: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            text: text.as_bytes(),
            at: 0,
            line: 1,
            start: 0,
        }
    }

    pub fn position(&self) -> SourcePosition {
        let before = &self.text[self.start..self.at];
        // Continuation bytes of UTF-8 are not characters of their own.
        let characters = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        SourcePosition {
            file: File::Devices,
            line: self.line,
            column: characters as u32 + 1,
        }
    }

    /// Moves to the first row at or after an offset.
    pub fn row(&mut self, from: usize) {
        self.to(from);
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'\r' | b'\n' => self.to(self.at + 1),
                b'#' => self.to(self.end(self.at, b"\n")),
                _ => return,
            }
        }
    }

    /// Moves from the start of a row to one of its fields; to the end of the row if it has fewer.
    pub fn field(&mut self, index: usize) {
        for _ in 0..index {
            let mut end = self.at;
            if self.text.get(end) == Some(&b'"') {
                // A quoted field may contain line breaks and doubled quotes.
                loop {
                    end = self.end(end + 1, b"\"") + 1;
                    if self.text.get(end) != Some(&b'"') {
                        break;
                    }
                }
            }
            end = self.end(end, b",\r\n");
            self.to(end);
            if self.text.get(end) != Some(&b',') {
                return;
            }
            self.to(end + 1);
        }
    }

    /// The offset of the first of these bytes, from an offset on; the end of the text if there is none.
    fn end(&self, from: usize, of: &[u8]) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        let found = rest.iter().position(|byte| of.contains(byte));
        found.map_or(self.text.len(), |at| from + at)
    }

    fn to(&mut self, at: usize) {
        let at = at.clamp(self.at, self.text.len());
        for index in self.at..at {
            // CR LF is one line break, which ends after the LF.
            let is_break = match self.text[index] {
                b'\n' => true,
                b'\r' => self.text.get(index + 1) != Some(&b'\n'),
                _ => false,
            };
            if is_break {
                self.line += 1;
                self.start = index + 1;
            }
        }
        self.at = at;
    }
}
