//! How things look: for people on a terminal, for people in a file, for programs.

mod out;
mod problem;
mod table;
mod time;

pub use out::{Ink, Look, Out};
pub use problem::{Severity, Sources, problems};
pub use table::{Cell, Table};
pub use time::{Clock, of_day};

use cordon_policy::Posture;
use cordon_protocol::Endpoint;

/// Text of others, without what would drive a terminal.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        // The bidirectional controls would let a name show as another.
        let drives =
            c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match drives {
            true => clean.extend(c.escape_unicode()),
            false => clean.push(c),
        }
    }
    clean
}

/// `1,234,567`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 rule`, `2 rules`.
pub fn count(value: usize, what: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(value as u64))
}

/// `1.5 MB`.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if value < 1000 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be shown as 1000.0.
    while scaled >= 999.95 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// `9.3 ms`, `1,234 ms`.
pub fn milliseconds(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1} ms")
    } else {
        format!("{} ms", number(value as u64))
    }
}

/// `3 d 4 h`: the two greatest units, rounded, which is all a person wants.
pub fn span(seconds: u64) -> String {
    let to_nearest = |unit: u64| seconds.saturating_add(unit / 2) / unit;
    if seconds < 60 {
        return format!("{seconds} s");
    }
    let (great, small, names) = match to_nearest(60) {
        minutes if minutes < 24 * 60 => (minutes / 60, minutes % 60, ["h", "min"]),
        _ => (to_nearest(3600) / 24, to_nearest(3600) % 24, ["d", "h"]),
    };
    match (great, small) {
        (0, small) => format!("{small} {}", names[1]),
        (great, 0) => format!("{great} {}", names[0]),
        (great, small) => format!("{great} {} {small} {}", names[0], names[1]),
    }
}

/// `ct-1 10.21.0.11:104`.
pub fn endpoint(end: &Endpoint) -> String {
    let address = match (end.port, end.ip.contains(':')) {
        (0, _) => end.ip.clone(),
        (port, true) => format!("[{}]:{port}", end.ip),
        (port, false) => format!("{}:{port}", end.ip),
    };
    end.device
        .as_ref()
        .map(|device| format!("{device} {address}"))
        .unwrap_or(address)
}

/// A posture as it is shown where it must not be missed, and how loudly.
pub fn posture(name: &str) -> (String, Ink) {
    let ink = match name.parse() {
        Ok(Posture::Normal) => Ink::Good,
        Ok(Posture::Watch) => Ink::Warn,
        _ => Ink::Alarm,
    };
    (clean(name).to_uppercase(), ink)
}

/// What a posture means; empty for one that a newer gateway knows.
pub fn posture_help(name: &str) -> &'static str {
    name.parse().map(Posture::help).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        let shown: Vec<_> = [0, 999, 1000, 1_234_567].map(number).into();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
        let shown: Vec<_> = [0, 999, 1000, 999_949, 999_950, 1_500_000, u64::MAX]
            .map(bytes)
            .into();
        assert_eq!(
            shown,
            [
                "0 B",
                "999 B",
                "1.0 kB",
                "999.9 kB",
                "1.0 MB",
                "1.5 MB",
                "18446.7 PB"
            ]
        );
        for (seconds, want) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (599, "10 min"),
            (3599, "1 h"),
            (3660, "1 h 1 min"),
            (86_369, "23 h 59 min"),
            (86_399, "1 d"),
            (266_400, "3 d 2 h"),
        ] {
            assert_eq!(span(seconds), want);
        }
        assert_eq!([9.34, 1234.5].map(milliseconds), ["9.3 ms", "1,234 ms"]);
        assert_eq!(
            [count(1, "rule"), count(2000, "rule")],
            ["1 rule", "2,000 rules"]
        );
    }

    #[test]
    fn nobody_drives_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}é"), "a\\u{1b}[31mb\\u{202e}é");
    }
}
