//! Where output goes. A reader that has gone (`cordon rules | head -1`) is no error: what is left is not written,
//! and the program ends as if it had been.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use super::Table;
use crate::error::Error;

/// What a text stands for; how that looks is decided here only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// A heading, a name.
    Strong,
    /// Less important.
    Faint,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong, dropped.
    Bad,
    /// Not to be missed.
    Alarm,
}

impl Ink {
    fn style(self) -> Style {
        let plain = Style::new();
        let colour = |colour: AnsiColor| plain.fg_color(Some(colour.into()));
        match self {
            Ink::Strong => plain.bold(),
            Ink::Faint => plain.dimmed(),
            Ink::Good => colour(AnsiColor::Green),
            Ink::Warn => colour(AnsiColor::Yellow),
            Ink::Bad => colour(AnsiColor::Red),
            Ink::Alarm => colour(AnsiColor::BrightWhite)
                .bg_color(Some(AnsiColor::Red.into()))
                .bold(),
        }
    }
}

/// What a stream can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether in colour.
    pub colour: bool,
    /// Columns of the terminal; none if it is none: then nothing is wrapped.
    pub width: Option<usize>,
}

impl Look {
    /// A text in ink, where there is colour.
    pub fn ink(self, ink: Ink, text: impl Display) -> String {
        let style = ink.style();
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.to_string()
        }
    }
}

/// A stream of output.
pub struct Out {
    to: Box<dyn Write>,
    /// What it can show.
    pub look: Look,
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
        // A terminal that does not know its width says 0.
        let width = size
            .map(|(width, _)| usize::from(width.0))
            .filter(|width| *width > 0);
        Out {
            to,
            look: Look { colour, width },
            closed: false,
        }
    }

    /// A text in ink.
    pub fn ink(&self, ink: Ink, text: impl Display) -> String {
        self.look.ink(ink, text)
    }

    /// A line.
    pub fn line(&mut self, text: impl Display) -> Result<(), Error> {
        self.write(|to| writeln!(to, "{text}"))
    }

    /// Text without an end of line, shown at once.
    pub fn prompt(&mut self, text: impl Display) -> Result<(), Error> {
        self.write(|to| write!(to, "{text}"))?;
        self.flush()
    }

    /// A table.
    pub fn table(&mut self, table: &Table) -> Result<(), Error> {
        let look = self.look;
        table
            .lines(look)
            .into_iter()
            .try_for_each(|line| self.line(line))
    }

    /// A JSON document.
    pub fn json(&mut self, value: &serde_json::Value) -> Result<(), Error> {
        self.line(format_args!("{value:#}"))
    }

    /// Shows what was written.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.write(|to| to.flush())
    }

    /// Whether the reader has gone.
    pub fn closed(&self) -> bool {
        self.closed
    }

    fn write(&mut self, work: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        match work(&mut self.to) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.closed = true,
            Err(source) => {
                // What is left in the buffer would fail again.
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
