//! Prints the demo on a terminal, or to a file.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use textwrap::{Options, WordSplitter};

/// Limits of the line width, in columns.
const WIDEST: usize = 100;
const NARROWEST: usize = 60;
/// Column where figures begin.
const FIGURES: usize = 44;

/// Prints to standard output. An error means that the reader has closed it.
pub struct Narrator {
    began: Instant,
    width: usize,
    terminal: bool,
    colour: bool,
    /// Whether the next line replaces a progress line.
    progress_shown: Cell<bool>,
}

#[derive(Clone, Copy)]
enum Ink {
    Strong,
    Faint,
    Good,
    Bad,
    Command,
}

impl Narrator {
    /// A narrator on standard output.
    pub fn new(began: Instant) -> Narrator {
        let terminal = io::stdout().is_terminal();
        let width = match terminal_size::terminal_size() {
            Some((width, _)) if terminal => usize::from(width.0).clamp(NARROWEST, WIDEST),
            _ => WIDEST,
        };
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Narrator {
            began,
            width,
            terminal,
            colour: terminal && !plain && !dumb,
            progress_shown: Cell::new(false),
        }
    }

    /// Prints the title.
    pub fn title(&self, title: &str) -> io::Result<()> {
        self.line("")?;
        self.line(self.ink(Ink::Strong, title))?;
        self.line(self.ink(Ink::Strong, &"=".repeat(title.chars().count())))
    }

    /// Prints the heading of an act. On a terminal it first waits, so that the previous act can be read.
    pub fn act(&self, title: &str) -> io::Result<()> {
        self.pause(Duration::from_millis(2500));
        let clock = format!(" {:.0} s", self.began.elapsed().as_secs_f64());
        let rule = self
            .width
            .saturating_sub(title.chars().count() + clock.len() + 4);
        self.line("")?;
        self.line(format!(
            "{} {}{}",
            self.ink(Ink::Strong, &format!("── {title}")),
            self.ink(Ink::Faint, &"─".repeat(rule)),
            self.ink(Ink::Faint, &clock)
        ))
    }

    /// Prints a paragraph.
    pub fn say(&self, text: &str) -> io::Result<()> {
        for line in wrap(text, self.width) {
            self.line(line)?;
        }
        Ok(())
    }

    /// Prints a command that is run now.
    pub fn command(&self, command: &str) -> io::Result<()> {
        self.command_on("", command)
    }

    /// Prints a command that is run now in a host.
    pub fn command_on(&self, host: &str, command: &str) -> io::Result<()> {
        self.line(format!("  {host}$ {}", self.ink(Ink::Command, command)))
    }

    /// Shows an activity until the next line is printed; on a colour terminal only.
    pub fn progress(&self, what: &str) -> io::Result<()> {
        if self.colour {
            let mut out = io::stdout().lock();
            write!(out, "  {}", self.ink(Ink::Faint, &format!("... {what}")))?;
            out.flush()?;
            self.progress_shown.set(true);
        }
        Ok(())
    }

    /// Prints a command to try. It is never wrapped, so that it can be copied.
    pub fn example(&self, what: &str, command: &str) -> io::Result<()> {
        self.line(self.ink(Ink::Faint, &format!("  # {what}")))?;
        self.line(format!("  {}", self.ink(Ink::Command, command)))
    }

    /// Prints the output of a program.
    pub fn output(&self, text: &str) -> io::Result<()> {
        for line in text.trim_end().lines() {
            let gutter = self.ink(Ink::Faint, "│");
            self.line(format!("  {gutter} {line}").trim_end())?;
        }
        Ok(())
    }

    /// Prints a fact that is not a check.
    pub fn fact(&self, what: &str, figure: impl Display) -> io::Result<()> {
        self.row("·", what, &figure.to_string())
    }

    /// Prints a check and its result.
    pub fn check(&self, passed: bool, what: &str, figure: &str) -> io::Result<()> {
        let mark = match passed {
            true => self.ink(Ink::Good, "✓"),
            false => self.ink(Ink::Bad, "✗"),
        };
        self.row(&mark, what, figure)
    }

    /// Prints the conclusion.
    pub fn conclusion(&self, good: bool, text: &str) -> io::Result<()> {
        let ink = if good { Ink::Good } else { Ink::Bad };
        self.line("")?;
        for line in wrap(text, self.width) {
            self.line(self.ink(ink, &line))?;
        }
        Ok(())
    }

    /// Prints that the hospital has been removed.
    pub fn finished(&self) -> io::Result<()> {
        self.line("")?;
        self.say(&format!(
            "The hospital has been removed, with its namespaces, programs and files. Total time: {:.0} s.",
            self.began.elapsed().as_secs_f64()
        ))
    }

    /// Prints an empty line.
    pub fn gap(&self) -> io::Result<()> {
        self.line("")
    }

    /// Waits, on a terminal only, so that the text can be read.
    pub fn pause(&self, time: Duration) {
        if self.terminal {
            std::thread::sleep(time);
        }
    }

    /// Prints two columns: a label and a figure. Each wraps within its column.
    fn row(&self, mark: &str, what: &str, figure: &str) -> io::Result<()> {
        let left = wrap(what, FIGURES - 6);
        let right = wrap(figure, self.width - FIGURES);
        for number in 0..left.len().max(right.len()).max(1) {
            let mark = if number == 0 { mark } else { " " };
            let what = left.get(number).map_or("", |line| line);
            let figure = right.get(number).map_or("", |line| line);
            let room = FIGURES - 4;
            self.line(format!("  {mark} {what:room$}{figure}").trim_end())?;
        }
        Ok(())
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Strong => "1",
            Ink::Faint => "2",
            Ink::Good => "32",
            Ink::Bad => "1;31",
            Ink::Command => "1;36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    fn line(&self, line: impl Display) -> io::Result<()> {
        // After Ctrl-C the clean-up holds this lock, and nothing more is printed.
        let mut out = io::stdout().lock();
        if self.progress_shown.take() {
            // Return to the beginning of the line and clear it.
            write!(out, "\r\x1b[2K")?;
        }
        writeln!(out, "{line}")?;
        out.flush()
    }
}

/// Wraps text without breaking names at their hyphens.
fn wrap(text: &str, width: usize) -> Vec<Cow<'_, str>> {
    textwrap::wrap(
        text,
        Options::new(width).word_splitter(WordSplitter::NoHyphenation),
    )
}

/// A number with thousands separators.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with a noun: `1 frame`, `2 frames`.
pub fn count(of: u64, what: &str) -> String {
    let plural = if of == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(of))
}

/// Bytes as megabytes.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A duration, with a precision that fits its length.
pub fn span(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 0.0995 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_formatted_for_reading() {
        assert_eq!(number(7), "7");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(count(1, "frame"), "1 frame");
        assert_eq!(count(1000, "frame"), "1,000 frames");
        assert_eq!(megabytes(18_874_368), "18.9 MB");
        assert_eq!(span(Duration::from_micros(9_340)), "9.3 ms");
        assert_eq!(span(Duration::from_micros(99_990)), "100 ms");
        assert_eq!(span(Duration::from_millis(1_250)), "1.2 s");
    }
}
