//! The identifiers of Rust source: what remains without comments, literals and numbers.

/// An identifier and its position. For a lifetime, the name without the apostrophe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier<'a> {
    /// From 1.
    pub line: usize,
    pub text: &'a str,
}

pub fn identifiers(source: &str) -> Vec<Identifier<'_>> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let is_identifier = literal(rest).is_none() && is_start(first);
        let (token, after) = rest.split_at(token_length(rest, first));
        if is_identifier {
            found.push(Identifier { line, text: token });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    found
}

/// The length in bytes of a comment, literal, identifier or number; for anything else, of one character.
fn token_length(source: &str, first: char) -> usize {
    if source.starts_with("//") {
        return source.find('\n').unwrap_or(source.len());
    }
    if source.starts_with("/*") {
        return block_comment(source);
    }
    if let Some(length) = literal(source) {
        return length;
    }
    if is_start(first) || first.is_ascii_digit() {
        return source
            .find(|c| !is_start(c) && !c.is_numeric())
            .unwrap_or(source.len());
    }
    first.len_utf8()
}

fn is_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Block comments nest.
fn block_comment(source: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < source.len() {
        let rest = &source.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    source.len()
}

/// The length of the string, byte string, C string or character that `source` starts with.
fn literal(source: &str) -> Option<usize> {
    for prefix in ["br", "cr", "r"] {
        if let Some(length) = source.strip_prefix(prefix).and_then(raw_string) {
            return Some(prefix.len() + length);
        }
    }
    for prefix in ["b", "c", ""] {
        let Some(after) = source.strip_prefix(prefix) else {
            continue;
        };
        let length = match after.chars().next() {
            Some('"') => Some(quoted(after, '"')),
            Some('\'') => character(after),
            _ => None,
        };
        if let Some(length) = length {
            return Some(prefix.len() + length);
        }
    }
    None
}

/// `"..."` or `##"..."##`, without its prefix. A raw identifier, `r#type`, is none.
fn raw_string(source: &str) -> Option<usize> {
    let hashes = source.len() - source.trim_start_matches('#').len();
    let content = source[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content
        .find(&end)
        .map_or(content.len(), |at| at + end.len());
    Some(hashes + 1 + length)
}

/// The length of a quoted text, both quotes included.
fn quoted(source: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in source.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if c == '\\' {
            is_escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    source.len()
}

/// A character literal has one character, or an escape, between two apostrophes. Any other apostrophe starts a lifetime.
fn character(source: &str) -> Option<usize> {
    let mut inside = source.chars().skip(1);
    let first = inside.next()?;
    if first == '\\' {
        return Some(quoted(source, '\''));
    }
    (inside.next()? == '\'').then(|| first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        identifiers(source)
            .iter()
            .map(|identifier| identifier.text)
            .collect()
    }

    #[test]
    fn comments_hold_no_identifiers() {
        assert_eq!(texts("a // b\n/// c\n//! d\ne"), ["a", "e"]);
        assert_eq!(texts("a /* b /* c */ d */ e /** f */ g"), ["a", "e", "g"]);
        assert_eq!(texts("a /* never ends"), ["a"]);
        assert_eq!(texts("a / b"), ["a", "b"]);
    }

    #[test]
    fn strings_hold_no_identifiers() {
        assert_eq!(texts(r#"a("b \" c", d)"#), ["a", "d"]);
        assert_eq!(texts(r#"a("\\", b)"#), ["a", "b"]);
        assert_eq!(texts(r##"a(b"c", c"d", e)"##), ["a", "e"]);
        assert_eq!(texts("a(\"// b\", c)"), ["a", "c"]);
        assert_eq!(texts("\"never ends"), [""; 0]);
    }

    #[test]
    fn raw_strings_end_at_as_many_hashes_as_they_began_with() {
        assert_eq!(texts(r###"a(r"\", b)"###), ["a", "b"]);
        assert_eq!(texts(r###"a(r#"b" c"#, d)"###), ["a", "d"]);
        assert_eq!(texts("a(br##\"b\"# c\"##, cr#\"d\"#, e)"), ["a", "e"]);
    }

    #[test]
    fn a_raw_identifier_is_no_raw_string() {
        assert_eq!(texts("r#type"), ["r", "type"]);
        assert_eq!(texts("br + cr + r"), ["br", "cr", "r"]);
    }

    #[test]
    fn an_identifier_may_end_like_the_prefix_of_a_string() {
        assert_eq!(texts("number\"x\" + abc'd'"), ["number", "abc"]);
    }

    #[test]
    fn lifetimes_are_identifiers_and_characters_are_not() {
        assert_eq!(texts("f::<'a>('b')"), ["f", "a"]);
        assert_eq!(texts("&'a str, 'x', b'y', 'é'"), ["a", "str"]);
        assert_eq!(
            texts(r"'\'', a, '\\', b, '\u{41}', c, '\n'"),
            ["a", "b", "c"]
        );
        assert_eq!(texts("'\"', a, '\"'"), ["a"]);
        assert_eq!(
            texts("'outer: loop { break 'outer }"),
            ["outer", "loop", "break", "outer"]
        );
        assert_eq!(
            texts("impl<'a, 'b: 'a> X<'_>"),
            ["impl", "a", "b", "a", "X", "_"]
        );
        assert_eq!(texts("match c { 'a'..='z' => d }"), ["match", "c", "d"]);
    }

    #[test]
    fn numbers_are_no_identifiers() {
        assert_eq!(
            texts("1_000u64 + 0xff_u8 + 1.5f32 + pair.0 + a1"),
            ["pair", "a1"]
        );
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let found = identifiers("a\n/* \n */ b \"\n\n\" c\nd");
        let lines: Vec<_> = found.iter().map(|one| (one.text, one.line)).collect();
        assert_eq!(lines, [("a", 1), ("b", 3), ("c", 5), ("d", 6)]);
    }
}
