//! Styles of text, and what a stream can show of them.

use std::fmt::Display;

use anstyle::AnsiColor;

/// The meaning of a text. Its appearance is decided here alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading or a name.
    Strong,
    /// Less important than the rest.
    Faint,
    /// A good state.
    Good,
    /// A state that needs attention.
    Warn,
    /// An error or a drop.
    Bad,
    /// A state that must not be overlooked.
    Alarm,
}

impl Style {
    fn appearance(self) -> anstyle::Style {
        let plain = anstyle::Style::new();
        let colour = |colour: AnsiColor| plain.fg_color(Some(colour.into()));
        match self {
            Style::Strong => plain.bold(),
            Style::Faint => plain.dimmed(),
            Style::Good => colour(AnsiColor::Green),
            Style::Warn => colour(AnsiColor::Yellow),
            Style::Bad => colour(AnsiColor::Red),
            Style::Alarm => colour(AnsiColor::BrightWhite)
                .bg_color(Some(AnsiColor::Red.into()))
                .bold(),
        }
    }
}

/// The capabilities of the terminal at the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermCaps {
    /// Whether to colour text.
    pub colour: bool,
    /// Columns of the terminal. `None` if the stream is no terminal: then no text is wrapped.
    pub width: Option<usize>,
}

impl TermCaps {
    /// A text in a style, if the stream is coloured.
    pub fn style(self, style: Style, text: impl Display) -> String {
        let appearance = style.appearance();
        if self.colour {
            format!("{appearance}{text}{appearance:#}")
        } else {
            text.to_string()
        }
    }
}
