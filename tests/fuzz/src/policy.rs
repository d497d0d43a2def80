//! Policy files: all input is either a policy that can be compiled, or refused with errors at existing positions.

use cordon_policy::{Code, Date, File, Problem, Sources, from_sources};

/// Validates and compiles a policy directory: `site.yaml`, `policy.yaml` and `devices.csv`, divided by
/// [`crate::SEPARATOR`].
///
/// # Panics
/// If a property is violated.
pub fn policy(input: &[u8]) {
    // Files that are not UTF-8 are refused before they are parsed.
    let mut texts = crate::parts(input).map(|part| String::from_utf8_lossy(part).into_owned());
    let sources = Sources {
        site: texts.next().unwrap_or_default(),
        policy: texts.next(),
        devices: texts.next(),
    };
    let today = Date::new(2026, 6, 15).expect("is a day");
    match from_sources(&sources) {
        Ok(validated) => {
            check_problems(&validated.warnings, &sources);
            if let Err(rejected) = cordon_compile::compile(&validated.policy, today) {
                check_rejection(&rejected.problems, &sources);
            }
        }
        Err(rejected) => check_rejection(&rejected.problems, &sources),
    }
}

fn check_rejection(problems: &[Problem], sources: &Sources) {
    assert!(!problems.is_empty(), "refused without a reason");
    check_problems(problems, sources);
}

fn check_problems(problems: &[Problem], sources: &Sources) {
    for problem in problems {
        let Problem {
            position,
            message,
            hint,
            ..
        } = problem;
        let text = match position.file {
            File::Site => Some(&sources.site),
            File::Policy => sources.policy.as_ref(),
            File::Devices => sources.devices.as_ref(),
        };
        let Some(text) = text else {
            // The only problem of a missing file is that it is missing.
            let start = (position.line, position.column) == (1, 1);
            assert!(
                start && problem.code == Code::Warning,
                "a problem in a missing file: {problem:?}"
            );
            continue;
        };
        assert!(!message.is_empty(), "empty message: {problem:?}");
        assert_ne!(hint.as_deref(), Some(""), "empty hint: {problem:?}");
        let (line, column) = (position.line as usize, position.column as usize);
        assert!(
            line >= 1 && column >= 1,
            "before the first line or column: {problem:?}"
        );
        let Some(length) = lines(text).nth(line - 1).map(|line| line.chars().count()) else {
            panic!("after the last line: {problem:?}");
        };
        // The column after the last character is where something is missing.
        assert!(
            column <= length + 1,
            "after the end of its line: {problem:?}"
        );
    }
}

/// The lines of a text, divided by any line break of YAML. A line, which may be empty, follows the last break.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let Some(at) = whole.find(['\n', '\r']) else {
            rest = None;
            return Some(whole);
        };
        let width = if whole[at..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = Some(&whole[at + width..]);
        Some(&whole[..at])
    })
}
