//! Problems of a policy, each with its line and a mark under the column.

use std::path::Path;

use cordon_protocol::Problem;
use unicode_width::UnicodeWidthChar;

use super::out::Out;
use super::style::Style;
use crate::error::Error;
use crate::text::clean;

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The policy is refused.
    Error,
    /// It should be looked at.
    Warning,
}

/// The files of a policy.
pub struct Sources<'a> {
    /// The directory, as given on the command line.
    pub directory: &'a Path,
    /// The text of each file.
    pub texts: &'a cordon_policy::Sources,
}

impl Sources<'_> {
    fn line(&self, problem: &Problem) -> Option<&str> {
        let text = match problem.file.as_str() {
            "site.yaml" => Some(self.texts.site.as_str()),
            "policy.yaml" => self.texts.policy.as_deref(),
            "devices.csv" => self.texts.devices.as_deref(),
            _ => None,
        };
        text?.lines().nth((problem.line as usize).checked_sub(1)?)
    }
}

/// Prints each problem as `DIR/FILE:LINE:COLUMN: error: MESSAGE`, followed by the line of the file and the hint.
pub fn problems(
    out: &mut Out,
    sources: &Sources,
    severity: Severity,
    list: &[Problem],
) -> Result<(), Error> {
    let label = match severity {
        Severity::Error => out.style(Style::Bad, "error"),
        Severity::Warning => out.style(Style::Warn, "warning"),
    };
    for problem in list {
        let file = sources.directory.join(&problem.file);
        let position = format!("{}:{}:{}", file.display(), problem.line, problem.column);
        let position = out.style(Style::Strong, clean(&position));
        out.line(format_args!(
            "{position}: {label}: {}",
            clean(&problem.message)
        ))?;
        if let Some(line) = sources.line(problem) {
            let (shown, mark) = excerpt(line, problem.column as usize, 100);
            let number = problem.line.to_string();
            let margin = " ".repeat(number.len());
            out.line(format_args!("  {number} | {shown}"))?;
            let mark = out.style(Style::Bad, mark);
            out.line(format_args!("  {margin} | {mark}"))?;
        }
        if let Some(hint) = &problem.hint {
            let hint = clean(hint);
            out.line(format_args!("  hint: {hint}"))?;
        }
    }
    Ok(())
}

/// At most `limit` characters of a line around a column (from 1), and the mark under the word at that column.
fn excerpt(line: &str, column: usize, limit: usize) -> (String, String) {
    let chars: Vec<char> = line.chars().collect();
    let at = column.saturating_sub(1).min(chars.len());
    let start = if at < limit * 3 / 4 {
        0
    } else {
        at - limit / 2
    };
    let end = (start + limit).min(chars.len());
    // Control characters, tabs included, have no fixed width: they are shown as blanks.
    let plain = |c: &char| if c.is_control() { ' ' } else { *c };
    let shown: String = chars[start..end].iter().map(plain).collect();
    let before: usize = chars[start..at]
        .iter()
        .map(|c| plain(c).width().unwrap_or(0))
        .sum();
    let word = |c: &&char| c.is_alphanumeric() || "_-./:".contains(**c);
    let length: usize = chars[at..end]
        .iter()
        .take_while(word)
        .map(|c| c.width().unwrap_or(0))
        .sum();
    let dots = if start > 0 { "..." } else { "" };
    let mark = format!(
        "{}{}",
        " ".repeat(dots.len() + before),
        "^".repeat(length.max(1))
    );
    let rest = if end < chars.len() { "..." } else { "" };
    (format!("{dots}{}{rest}", shown.trim_end()), mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_under_the_word() {
        let marked = |line, column, limit| {
            let (line, mark) = excerpt(line, column, limit);
            format!("{line}\n{mark}")
        };
        assert_eq!(
            marked("  from: staions, to: x", 9, 100),
            "  from: staions, to: x\n        ^^^^^^^"
        );
        assert_eq!(marked("\tä日: b", 6, 100), " ä日: b\n      ^");
        assert_eq!(marked("ab", 9, 100), "ab\n  ^");
        assert_eq!(marked("", 1, 100), "\n^");
        let long = format!("{}bad{}", ",".repeat(500), ",".repeat(500));
        assert_eq!(
            marked(&long, 501, 20),
            "...,,,,,,,,,,bad,,,,,,,...\n             ^^^"
        );
    }
}
