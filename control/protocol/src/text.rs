//! Text that one person writes and another reads on a terminal.

/// Whether a character acts on a terminal or on the text around it, or cannot be seen: a control character, a
/// bidirectional control, a separator of lines, a character without width. It could make one text look like another.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The text with such characters written as `\u{202e}`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unprintable(c) {
            true => escaped.extend(c.escape_unicode()),
            false => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_the_text_around_it_is_escaped() {
        // Every bidirectional control (UAX #9), both separators, and characters without width.
        let bidirectional = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        let separators = "\u{2028}\u{2029}\u{85}\n\u{b}\u{c}\r";
        let unseen = "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{180e}\u{e0041}";
        for c in [bidirectional, separators, unseen, "\u{1b}\u{9b}\u{7f}"]
            .concat()
            .chars()
        {
            assert!(is_unprintable(c), "{}", c.escape_unicode());
        }
        let seen = "Büro 2, 東京 שלום مرحبا — №5\u{a0}\u{3000}";
        assert_eq!(escape(seen), seen);
        assert_eq!(escape("a\u{200f}b\u{2028}"), "a\\u{200f}b\\u{2028}");
    }
}
