//! Policy files: whatever is in them, they are a policy that can be compiled, or refused with every error at a place
//! that is there.

use cordon_policy::{Code, Date, File, Problem, Sources, from_sources};

/// Judges a policy directory: `site.yaml`, `policy.yaml` and `devices.csv`, divided by [`crate::SEPARATOR`].
///
/// # Panics
/// If something does not hold of it.
pub fn policy(input: &[u8]) {
    // Files that are no UTF-8 are refused before they are looked at.
    let mut texts = crate::parts(input).map(|part| String::from_utf8_lossy(part).into_owned());
    let sources = Sources {
        site: texts.next().unwrap_or_default(),
        policy: texts.next(),
        devices: texts.next(),
    };
    let today = Date::new(2026, 6, 15).expect("is a day");
    match from_sources(&sources) {
        Ok(validated) => {
            are_told_well(&validated.warnings, &sources);
            if let Err(rejected) = cordon_compile::compile(&validated.policy, today) {
                is_told_why(&rejected.problems, &sources);
            }
        }
        Err(rejected) => is_told_why(&rejected.problems, &sources),
    }
}

fn is_told_why(problems: &[Problem], sources: &Sources) {
    assert!(!problems.is_empty(), "refused, and nobody says why");
    are_told_well(problems, sources);
}

fn are_told_well(problems: &[Problem], sources: &Sources) {
    for problem in problems {
        let Problem {
            place,
            message,
            hint,
            ..
        } = problem;
        let text = match place.file {
            File::Site => Some(&sources.site),
            File::Policy => sources.policy.as_ref(),
            File::Devices => sources.devices.as_ref(),
        };
        let Some(text) = text else {
            // That it is not there is all that can be said of it.
            let start = (place.line, place.column) == (1, 1);
            assert!(
                start && problem.code == Code::Warning,
                "told of a file that is not there: {problem:?}"
            );
            continue;
        };
        assert!(!message.is_empty(), "says nothing: {problem:?}");
        assert_ne!(hint.as_deref(), Some(""), "hints at nothing: {problem:?}");
        let (line, column) = (place.line as usize, place.column as usize);
        assert!(
            line >= 1 && column >= 1,
            "before the beginning: {problem:?}"
        );
        let Some(length) = lines(text).nth(line - 1).map(|line| line.chars().count()) else {
            panic!("behind the last line: {problem:?}");
        };
        // One behind the last character is where something is missing.
        assert!(
            column <= length + 1,
            "behind the end of its line: {problem:?}"
        );
    }
}

/// The lines of a text, by any of the line breaks of YAML. Behind the last break is a line, be it empty.
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
