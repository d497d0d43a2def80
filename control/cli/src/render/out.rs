//! Streams of output. A closed pipe (`cordon rules | head -1`) is no error: the rest of the output is discarded, and the
//! exit code stays the same.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use super::style::{Style, TermCaps};
use super::table::Table;
use crate::error::Error;
use crate::text::clean_json;

/// A stream of output.
pub struct Out {
    to: Box<dyn Write>,
    /// The capabilities of the terminal.
    pub caps: TermCaps,
    closed: bool,
}

impl Out {
    /// Standard output.
    pub fn stdout(colour: bool) -> Out {
        let stdout = io::stdout();
        let width = terminal_size::terminal_size_of(&stdout);
        Out::new(
            Box::new(BufWriter::new(stdout)),
            width,
            colour && io::stdout().is_terminal(),
        )
    }

    /// Standard error.
    pub fn stderr(colour: bool) -> Out {
        let width = terminal_size::terminal_size_of(io::stderr());
        Out::new(
            Box::new(io::stderr()),
            width,
            colour && io::stderr().is_terminal(),
        )
    }

    fn new(
        to: Box<dyn Write>,
        size: Option<(terminal_size::Width, terminal_size::Height)>,
        colour: bool,
    ) -> Out {
        // A terminal without a known width reports 0.
        let width = size
            .map(|(width, _)| usize::from(width.0))
            .filter(|width| *width > 0);
        Out {
            to,
            caps: TermCaps { colour, width },
            closed: false,
        }
    }

    /// A text in a style.
    pub fn style(&self, style: Style, text: impl Display) -> String {
        self.caps.style(style, text)
    }

    /// Writes a line.
    pub fn line(&mut self, text: impl Display) -> Result<(), Error> {
        self.write(|to| writeln!(to, "{text}"))
    }

    /// Writes text without an end of line, and flushes it.
    pub fn prompt(&mut self, text: impl Display) -> Result<(), Error> {
        self.write(|to| write!(to, "{text}"))?;
        self.flush()
    }

    /// Writes a table.
    pub fn table(&mut self, table: &Table) -> Result<(), Error> {
        let caps = self.caps;
        table
            .lines(caps)
            .into_iter()
            .try_for_each(|line| self.line(line))
    }

    /// Writes a JSON document.
    pub fn json(&mut self, value: &serde_json::Value) -> Result<(), Error> {
        self.line(clean_json(value))
    }

    /// Flushes the buffer.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.write(|to| to.flush())
    }

    /// Whether the reader closed the pipe.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn write(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        match write(&mut self.to) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.closed = true,
            Err(source) => {
                // Flushing the rest of the buffer would fail again.
                self.closed = true;
                return Err(Error::Io {
                    what: "cannot write the output",
                    source,
                });
            }
            Ok(()) => {}
        }
        Ok(())
    }
}
