//! What is wrong with a policy, with the line it is in and a mark under the place.

use std::path::Path;

use cordon_protocol::Problem;
use unicode_width::UnicodeWidthChar;

use super::{Ink, Out, clean};
use crate::error::Error;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The policy is refused for it.
    Error,
    /// Worth a look.
    Warning,
}

/// The text of a policy's files, and where they are.
pub struct Sources<'a> {
    /// The directory, as the person named it.
    pub directory: &'a Path,
    /// Their text.
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

/// Prints problems, each as `DIR/FILE:LINE:COLUMN: error: what`, the line, and the hint.
pub fn problems(
    out: &mut Out,
    sources: &Sources,
    severity: Severity,
    list: &[Problem],
) -> Result<(), Error> {
    let word = match severity {
        Severity::Error => out.ink(Ink::Bad, "error"),
        Severity::Warning => out.ink(Ink::Warn, "warning"),
    };
    for problem in list {
        let file = sources.directory.join(&problem.file);
        let place = format!("{}:{}:{}", file.display(), problem.line, problem.column);
        let place = out.ink(Ink::Strong, clean(&place));
        out.line(format_args!("{place}: {word}: {}", clean(&problem.message)))?;
        if let Some(line) = sources.line(problem) {
            let (shown, mark) = excerpt(line, problem.column as usize, 100);
            let number = problem.line.to_string();
            let margin = " ".repeat(number.len());
            out.line(format_args!("  {number} | {shown}"))?;
            let mark = out.ink(Ink::Bad, mark);
            out.line(format_args!("  {margin} | {mark}"))?;
        }
        if let Some(hint) = &problem.hint {
            let hint = clean(hint);
            out.line(format_args!("  hint: {hint}"))?;
        }
    }
    Ok(())
}

/// At most `most` characters of a line around a column (from 1), and the mark under what stands there.
fn excerpt(line: &str, column: usize, most: usize) -> (String, String) {
    let chars: Vec<char> = line.chars().collect();
    let at = column.saturating_sub(1).min(chars.len());
    let start = if at < most * 3 / 4 { 0 } else { at - most / 2 };
    let end = (start + most).min(chars.len());
    // A tab has the width that the terminal gives it; a control character none that is known.
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
        let marked = |line, column, most| {
            let (line, mark) = excerpt(line, column, most);
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
