//! How the story looks on a terminal, and in a file.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use textwrap::{Options, WordSplitter};

/// Lines longer than this are hard to read.
const WIDEST: usize = 100;
const NARROWEST: usize = 60;
/// Where figures begin.
const FIGURES: usize = 44;

/// Writes the story to standard output. An error means that nobody reads any more.
pub struct Tell {
    began: Instant,
    width: usize,
    terminal: bool,
    colour: bool,
    /// Whether the last line is to be overwritten.
    passing: Cell<bool>,
}

#[derive(Clone, Copy)]
enum Ink {
    Strong,
    Faint,
    Good,
    Bad,
    Command,
}

impl Tell {
    /// To standard output.
    pub fn new(began: Instant) -> Tell {
        let terminal = io::stdout().is_terminal();
        let width = match terminal_size::terminal_size() {
            Some((width, _)) if terminal => usize::from(width.0).clamp(NARROWEST, WIDEST),
            _ => WIDEST,
        };
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Tell {
            began,
            width,
            terminal,
            colour: terminal && !plain && !dumb,
            passing: Cell::new(false),
        }
    }

    /// The name of the whole.
    pub fn title(&self, title: &str) -> io::Result<()> {
        self.line("")?;
        self.line(self.ink(Ink::Strong, title))?;
        self.line(self.ink(Ink::Strong, &"=".repeat(title.chars().count())))
    }

    /// A new act begins. On a terminal there is a moment to read the one before.
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

    /// Sentences.
    pub fn say(&self, text: &str) -> io::Result<()> {
        for line in wrap(text, self.width) {
            self.line(line)?;
        }
        Ok(())
    }

    /// A command that is run now.
    pub fn command(&self, command: &str) -> io::Result<()> {
        self.typed("", command)
    }

    /// A command that is run now, by somebody.
    pub fn typed(&self, who: &str, command: &str) -> io::Result<()> {
        self.line(format!("  {who}$ {}", self.ink(Ink::Command, command)))
    }

    /// What is under way, until the next line. A file does without.
    pub fn doing(&self, what: &str) -> io::Result<()> {
        if self.colour {
            let mut out = io::stdout().lock();
            write!(out, "  {}", self.ink(Ink::Faint, &format!("... {what}")))?;
            out.flush()?;
            self.passing.set(true);
        }
        Ok(())
    }

    /// A command to be tried, whole on a line, however long.
    pub fn example(&self, what: &str, command: &str) -> io::Result<()> {
        self.line(self.ink(Ink::Faint, &format!("  # {what}")))?;
        self.line(format!("  {}", self.ink(Ink::Command, command)))
    }

    /// What a program wrote.
    pub fn quote(&self, text: &str) -> io::Result<()> {
        for line in text.trim_end().lines() {
            let gutter = self.ink(Ink::Faint, "│");
            self.line(format!("  {gutter} {line}").trim_end())?;
        }
        Ok(())
    }

    /// Something that is so, without judging it.
    pub fn fact(&self, what: &str, figure: impl Display) -> io::Result<()> {
        self.row("·", what, &figure.to_string())
    }

    /// Something that was promised, and whether it was kept.
    pub fn check(&self, kept: bool, what: &str, figure: &str) -> io::Result<()> {
        let tick = match kept {
            true => self.ink(Ink::Good, "✓"),
            false => self.ink(Ink::Bad, "✗"),
        };
        self.row(&tick, what, figure)
    }

    /// The last line.
    pub fn verdict(&self, good: bool, text: &str) -> io::Result<()> {
        let ink = if good { Ink::Good } else { Ink::Bad };
        self.line("")?;
        for line in wrap(text, self.width) {
            self.line(self.ink(ink, &line))?;
        }
        Ok(())
    }

    /// Everything is gone.
    pub fn ended(&self) -> io::Result<()> {
        self.line("")?;
        self.say(&format!(
            "The hospital is taken down: its namespaces, programs and files are gone. {:.0} s in all.",
            self.began.elapsed().as_secs_f64()
        ))
    }

    /// An empty line.
    pub fn gap(&self) -> io::Result<()> {
        self.line("")
    }

    /// Gives a person time to read. A file needs none.
    pub fn pause(&self, time: Duration) {
        if self.terminal {
            std::thread::sleep(time);
        }
    }

    /// What it is to the left, the figure to the right; each wraps below itself.
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
        // Locked by whoever clears up after Ctrl-C: then nothing more is told.
        let mut out = io::stdout().lock();
        if self.passing.take() {
            // To its beginning, and clear it.
            write!(out, "\r\x1b[2K")?;
        }
        writeln!(out, "{line}")?;
        out.flush()
    }
}

/// Names with dashes in them stay whole.
fn wrap(text: &str, width: usize) -> Vec<Cow<'_, str>> {
    textwrap::wrap(
        text,
        Options::new(width).word_splitter(WordSplitter::NoHyphenation),
    )
}

/// With thousands apart.
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

/// `1 frame`, `2 frames`.
pub fn count(of: u64, what: &str) -> String {
    let plural = if of == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(of))
}

/// Bytes, in words.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A length of time, as precise as it is of interest.
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
    fn figures_are_readable() {
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
