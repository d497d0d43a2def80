//! Parsers of option values.

use std::time::Duration;

/// A length of time in whole seconds, from a second to a year.
///
/// # Errors
/// What is wrong with it, with examples of what is right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let examples = "write a number and its unit: 90s, 10m, 2h, 1d, 1h30m";
    match humantime::parse_duration(text) {
        Ok(duration) if duration.as_secs() == 0 => {
            Err(format!("that is less than a second; {examples}"))
        }
        Ok(duration) if duration.subsec_nanos() != 0 => {
            Err(format!("the smallest unit is a second; {examples}"))
        }
        // A longer time is a mistyped unit, and may not fit into a date.
        Ok(duration) if duration.as_secs() > 366 * 86_400 => {
            Err(format!("that is more than a year; {examples}"))
        }
        Ok(duration) => Ok(duration),
        Err(_) => Err(examples.to_owned()),
    }
}

/// A text on one line that is not empty.
///
/// # Errors
/// It is empty.
pub fn one_line(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty".to_owned()),
        // Pasted text may contain line breaks. An urgent order must not fail because of them.
        text => Ok(text.replace(char::is_control, " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_text_becomes_one_line() {
        let text = one_line(" seen at\nRockville\x1b[31m ");
        assert_eq!(text.as_deref(), Ok("seen at Rockville [31m"));
        assert!(one_line(" \n").is_err());
    }

    #[test]
    fn durations_are_whole_seconds_up_to_a_year() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "10", "m", "10 parsecs", "0s", "1500ms", "2y", "-1h"] {
            let error = duration(wrong).expect_err(wrong);
            assert!(error.contains("10m"), "{wrong}: {error}");
        }
    }
}
