//! YAML as a tree whose nodes have their positions in the file.
//!
//! Scalars stay text and the reader of a field parses them, so that `no` can name a segment and `1e3` a site. Anchors,
//! aliases, tags and merge keys are refused: a statement should be written where it applies, and aliases can make a small
//! file expand without limit.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::problem::{Code, File, Problems, SourcePosition};

/// Limit of nesting, above that of any valid policy.
const DEPTH: usize = 16;
/// Limit of the length of a file, in bytes.
pub(crate) const LENGTH: usize = 32 << 20;

/// A value and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub position: SourcePosition,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// An empty value, `~` or `null`.
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub position: SourcePosition,
    pub text: String,
}

impl Value {
    /// The kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "an empty value",
            Value::Text(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads one document. None if it could not be parsed; the errors are in `problems`.
pub(crate) fn read(file: File, text: &str, problems: &mut Problems) -> Option<Node> {
    let start = SourcePosition::start_of(file);
    if is_too_long(file, text, problems) {
        return None;
    }
    let mut reader = Reader {
        text,
        end: end(file, text),
        parser: Parser::new_from_str(text),
        problems,
    };
    let node = reader.document()?;
    Some(node.unwrap_or(Node {
        position: start,
        value: Value::Null,
    }))
}

/// Reports a file over the limit of length: its end may not have been read.
pub(crate) fn is_too_long(file: File, text: &str, problems: &mut Problems) -> bool {
    let too_long = text.len() > LENGTH;
    if too_long {
        let start = SourcePosition::start_of(file);
        problems.add(
            start,
            Code::Limit,
            format!("the file is longer than {} MiB", LENGTH >> 20),
        );
    }
    too_long
}

/// The position after the last character.
pub(crate) fn end(file: File, text: &str) -> SourcePosition {
    let breaks = text.matches(['\n', '\r']).count() - text.matches("\r\n").count();
    let last = text.rsplit(['\n', '\r']).next().unwrap_or_default();
    SourcePosition {
        file,
        line: breaks as u32 + 1,
        column: last.chars().count() as u32 + 1,
    }
}

/// The lines of a text, by any of the line breaks of YAML.
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

/// The first tab in an indentation: in the line of a position, or from that line on if `following`.
fn tab(text: &str, from: SourcePosition, following: bool) -> Option<SourcePosition> {
    let most = if following { usize::MAX } else { 1 };
    let numbered = lines(text)
        .zip(1..)
        .skip((from.line as usize).saturating_sub(1));
    numbered.take(most).find_map(|(line, number)| {
        let content = line.trim_start_matches([' ', '\t']);
        let at = line[..line.len() - content.len()].find('\t')?;
        // A blank line has no indentation.
        (!content.is_empty()).then_some(SourcePosition {
            line: number,
            column: at as u32 + 1,
            ..from
        })
    })
}

struct Reader<'a, 'p> {
    text: &'a str,
    /// The end of the text. The parser reports it in a line of its own even if the last line has no line break.
    end: SourcePosition,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    problems: &'p mut Problems,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Option<(Event<'a>, SourcePosition)> {
        match self.parser.next_event()? {
            Ok((event, span)) => Some((event, self.position(&span.start))),
            Err(error) => {
                let mut position = self.position(error.marker());
                // The parser reports the line of the tab, or the start of the value before it.
                if let Some(position) = tab(self.text, position, error.info().contains("tab")) {
                    self.problems
                        .add(
                            position,
                            Code::Syntax,
                            "not valid YAML: a tab in the indentation",
                        )
                        .hint("indent with spaces");
                    return None;
                }
                // After a `%` the parser counts bytes instead of characters.
                let line = lines(self.text).nth((position.line as usize).saturating_sub(1));
                let width = line.unwrap_or_default().chars().count();
                position.column = position.column.min(width as u32 + 1);
                let problem = self.problems.add(
                    position,
                    Code::Syntax,
                    format!("not valid YAML: {}", error.info()),
                );
                problem.hint("look for a missing colon, or an unclosed bracket or quote");
                None
            }
        }
    }

    fn position(&self, marker: &Marker) -> SourcePosition {
        let position = SourcePosition {
            file: self.end.file,
            line: marker.line() as u32,
            column: marker.col() as u32 + 1,
        };
        position.min(self.end)
    }

    /// The outer option is none after an error, the inner one if the text has no document.
    fn document(&mut self) -> Option<Option<Node>> {
        let mut found = None;
        loop {
            let (event, position) = self.next()?;
            match event {
                Event::StreamEnd => return Some(found),
                Event::DocumentStart(_) if found.is_some() => {
                    self.problems
                        .add(position, Code::Syntax, "a second document starts here")
                        .hint("a policy file is one YAML document: remove `---`");
                    return None;
                }
                Event::DocumentStart(_) => {
                    let (event, position) = self.next()?;
                    found = Some(self.node(event, position, 0)?);
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, position: SourcePosition, depth: usize) -> Option<Node> {
        if depth > DEPTH {
            self.problems.add(
                position,
                Code::Limit,
                format!("nested deeper than {DEPTH} levels"),
            );
            return None;
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_anchor_or_tag(position, anchor, tag.is_some())?;
                match (style, text.as_ref()) {
                    (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
                    (_, text) => Value::Text(text.to_owned()),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_anchor_or_tag(position, anchor, tag.is_some())?;
                self.list(depth)?
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_anchor_or_tag(position, anchor, tag.is_some())?;
                self.map(depth)?
            }
            Event::Alias(_) => {
                self.problems
                    .add(position, Code::Syntax, "aliases are not supported")
                    .hint("write out the value; to share it, define a group or a service");
                return None;
            }
            _ => Value::Null,
        };
        Some(Node { position, value })
    }

    fn refuse_anchor_or_tag(
        &mut self,
        position: SourcePosition,
        anchor: usize,
        tag: bool,
    ) -> Option<()> {
        if anchor == 0 && !tag {
            return Some(());
        }
        self.problems
            .add(position, Code::Syntax, "anchors and tags are not supported")
            .hint("remove the `&` or `!` in front of the value, or quote it");
        None
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut list = Vec::new();
        loop {
            let (event, position) = self.next()?;
            if event == Event::SequenceEnd {
                return Some(Value::List(list));
            }
            list.push(self.node(event, position, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Option<Value> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        loop {
            let (event, position) = self.next()?;
            let text = match event {
                Event::MappingEnd => return Some(Value::Map(map)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => {
                    self.problems
                        .add(position, Code::Syntax, "a key must be a single value")
                        .hint("quote it if it starts with `[`, `{`, `*` or `&`");
                    return None;
                }
            };
            let (event, value_place) = self.next()?;
            let value = self.node(event, value_place, depth + 1)?;
            if let Some(line) = seen.insert(text.clone(), position.line) {
                self.problems
                    .add(position, Code::Duplicate, format!("`{text}` appears twice"))
                    .hint(format!("the first is in line {line}"));
                continue;
            }
            map.push((Key { position, text }, value));
        }
    }
}
