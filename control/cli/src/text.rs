//! Values as text for people.

use cordon_protocol::Endpoint;

/// Text from another source, with the characters escaped that act on a terminal or cannot be seen.
pub fn clean(text: &str) -> String {
    cordon_protocol::escape(text)
}

/// A JSON document, with the same characters escaped as JSON does it.
pub fn clean_json(value: &serde_json::Value) -> String {
    let mut clean = String::new();
    for c in format!("{value:#}").chars() {
        // The document itself has lines; those of its texts are escaped already.
        if c != '\n' && cordon_protocol::is_unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                clean.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            clean.push(c);
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

/// `1 class`, `9 classes`.
pub fn classes(classes: usize) -> String {
    if classes == 1 {
        "1 class".to_owned()
    } else {
        format!("{} classes", number(classes as u64))
    }
}

/// `1.5 MB`.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if value < 1000 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be rounded to 1000.0.
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

/// `3 d 4 h`: the two largest units, rounded.
pub fn span(seconds: u64) -> String {
    let to_nearest = |unit: u64| seconds.saturating_add(unit / 2) / unit;
    if seconds < 60 {
        return format!("{seconds} s");
    }
    let (large, small, names) = match to_nearest(60) {
        minutes if minutes < 24 * 60 => (minutes / 60, minutes % 60, ["h", "min"]),
        _ => (to_nearest(3600) / 24, to_nearest(3600) % 24, ["d", "h"]),
    };
    match (large, small) {
        (0, small) => format!("{small} {}", names[1]),
        (large, 0) => format!("{large} {}", names[0]),
        (large, small) => format!("{large} {} {small} {}", names[0], names[1]),
    }
}

/// An end of a flow, as `ct-1 10.21.0.11:104`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
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
    fn terminal_control_characters_are_escaped() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}é"), "a\\u{1b}[31mb\\u{202e}é");
        for c in ['\u{200f}', '\u{61c}', '\u{2028}', '\u{2029}', '\u{200b}'] {
            assert!(
                clean(&format!("a{c}b")).is_ascii(),
                "{}",
                c.escape_unicode()
            );
        }
    }

    #[test]
    fn json_on_a_terminal_says_the_same_without_these_characters() {
        let value = serde_json::json!({"a": "x\n\u{200f}\u{9b}\u{e0041}é", "\u{2028}": [1]});
        let text = clean_json(&value);
        assert!(
            !text
                .replace('\n', "")
                .chars()
                .any(cordon_protocol::is_unprintable)
        );
        let read: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(read, value);
    }
}
