//! Times, relative to the gateway's clock.

use std::time::SystemTime;

use crate::text::{clean, span};

/// The gateway's clock at the time of its answer.
#[derive(Clone, Copy, Debug)]
pub struct Clock(pub SystemTime);

impl Clock {
    /// `2026-03-01 03:12:44 UTC`. A text that is no time is returned as it is.
    pub fn at(self, time: &str) -> String {
        match humantime::parse_rfc3339(time) {
            Ok(time) => humantime::format_rfc3339_seconds(time)
                .to_string()
                .replace('T', " ")
                .replace('Z', " UTC"),
            Err(_) => clean(time),
        }
    }

    /// `2026-03-01 03:12:44 UTC, 4 min ago`, or `in 4 min`.
    pub fn when(self, time: &str) -> String {
        match humantime::parse_rfc3339(time) {
            Ok(_) => format!("{}, {}", self.at(time), self.ago(time)),
            Err(_) => clean(time),
        }
    }

    /// `4 min ago`, or `in 4 min`.
    pub fn ago(self, time: &str) -> String {
        let Ok(parsed) = humantime::parse_rfc3339(time) else {
            return clean(time);
        };
        // The gateway reports its clock in whole seconds, so a difference of one second has no meaning.
        match self.0.duration_since(parsed) {
            Ok(age) if age.as_secs() >= 2 => format!("{} ago", span(age.as_secs())),
            Err(ahead) if ahead.duration().as_secs() >= 2 => {
                format!("in {}", span(ahead.duration().as_secs()))
            }
            _ => "now".to_owned(),
        }
    }

    /// The day, as `2026-03-01`.
    pub fn today(self) -> String {
        humantime::format_rfc3339_seconds(self.0).to_string()[..10].to_owned()
    }
}

/// The time of day of an event, as `03:12:44.123`.
pub fn time_of_day(time: &str) -> String {
    match humantime::parse_rfc3339(time) {
        Ok(time) => humantime::format_rfc3339_millis(time).to_string()[11..23].to_owned(),
        Err(_) => clean(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_relative_to_the_gateways_clock() {
        let clock = Clock(humantime::parse_rfc3339("2026-03-01T03:17:00Z").expect("is one"));
        assert_eq!(
            clock.when("2026-03-01T03:12:44.5Z"),
            "2026-03-01 03:12:44 UTC, 4 min ago"
        );
        assert_eq!(
            clock.when("2026-03-01T05:17:00Z"),
            "2026-03-01 05:17:00 UTC, in 2 h"
        );
        assert_eq!(
            clock.when("2026-03-01T03:17:00.999Z"),
            "2026-03-01 03:17:00 UTC, now"
        );
        assert_eq!(clock.ago("2026-03-01T03:12:44.5Z"), "4 min ago");
        assert_eq!([clock.when("soon"), clock.ago("soon")], ["soon", "soon"]);
        assert_eq!(clock.today(), "2026-03-01");
        assert_eq!(time_of_day("2026-03-01T03:12:44.5Z"), "03:12:44.500");
    }
}
