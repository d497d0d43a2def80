//! YAML as a tree in which everything knows its place.
//!
//! Scalars stay text: what a field means decides how it is read, so that `no` can name a segment and `1e3`
//! a site. Anchors, aliases, tags and merge keys are refused: a policy should say what it says where it
//! says it, and an alias can make a small file an endless one.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::problem::{Code, File, Place, Problems};

/// Deeper nesting than any policy has.
const DEPTH: usize = 16;
/// Longer files than any policy has, in bytes.
pub(crate) const LENGTH: usize = 32 << 20;

/// A value and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing was written.
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub place: Place,
    pub text: String,
}

impl Value {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Text(_) => "a plain value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads one document. None if there is none that could be looked at further; why is in `problems`.
pub(crate) fn read(file: File, text: &str, problems: &mut Problems) -> Option<Node> {
    let start = Place::top(file);
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
        place: start,
        value: Value::Null,
    }))
}

/// Whether a file is longer than any is: what it says at its end may not have been read.
pub(crate) fn is_too_long(file: File, text: &str, problems: &mut Problems) -> bool {
    let too_long = text.len() > LENGTH;
    if too_long {
        let start = Place::top(file);
        problems.add(
            start,
            Code::Limit,
            format!("the file is longer than {} MiB", LENGTH >> 20),
        );
    }
    too_long
}

/// Behind the last character.
pub(crate) fn end(file: File, text: &str) -> Place {
    let breaks = text.matches(['\n', '\r']).count() - text.matches("\r\n").count();
    let last = text.rsplit(['\n', '\r']).next().unwrap_or_default();
    Place {
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

/// Where a line is indented with a tab: that of a place, or one `behind` it too.
fn tab(text: &str, from: Place, behind: bool) -> Option<Place> {
    let most = if behind { usize::MAX } else { 1 };
    let numbered = lines(text)
        .zip(1..)
        .skip((from.line as usize).saturating_sub(1));
    numbered.take(most).find_map(|(line, number)| {
        let content = line.trim_start_matches([' ', '\t']);
        let at = line[..line.len() - content.len()].find('\t')?;
        // What is blank has no indentation.
        (!content.is_empty()).then_some(Place {
            line: number,
            column: at as u32 + 1,
            ..from
        })
    })
}

struct Reader<'a, 'p> {
    text: &'a str,
    /// The parser has the end of the text in a line of its own, be there one or not.
    end: Place,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    problems: &'p mut Problems,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Option<(Event<'a>, Place)> {
        match self.parser.next_event()? {
            Ok((event, span)) => Some((event, self.place(&span.start))),
            Err(error) => {
                let mut place = self.place(error.marker());
                // The parser is in the line of the tab, or still where the value in front of it starts.
                if let Some(place) = tab(self.text, place, error.info().contains("tab")) {
                    self.problems
                        .add(place, Code::Syntax, "not YAML: a tab in the indentation")
                        .hint("indent with blanks");
                    return None;
                }
                // Behind a `%` the parser counts bytes for characters.
                let line = lines(self.text).nth((place.line as usize).saturating_sub(1));
                let width = line.unwrap_or_default().chars().count();
                place.column = place.column.min(width as u32 + 1);
                let problem =
                    self.problems
                        .add(place, Code::Syntax, format!("not YAML: {}", error.info()));
                problem.hint("look for a missing colon, or an unclosed bracket or quote");
                None
            }
        }
    }

    fn place(&self, marker: &Marker) -> Place {
        let place = Place {
            file: self.end.file,
            line: marker.line() as u32,
            column: marker.col() as u32 + 1,
        };
        place.min(self.end)
    }

    /// The outer option: whether reading went well. The inner: whether there was a document.
    fn document(&mut self) -> Option<Option<Node>> {
        let mut found = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => return Some(found),
                Event::DocumentStart(_) if found.is_some() => {
                    self.problems
                        .add(place, Code::Syntax, "a second document starts here")
                        .hint("a policy file is one YAML document: remove the `---`");
                    return None;
                }
                Event::DocumentStart(_) => {
                    let (event, place) = self.next()?;
                    found = Some(self.node(event, place, 0)?);
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Option<Node> {
        if depth > DEPTH {
            self.problems.add(
                place,
                Code::Limit,
                format!("nested deeper than {DEPTH} levels"),
            );
            return None;
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_only(place, anchor, tag.is_some())?;
                match (style, text.as_ref()) {
                    (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
                    (_, text) => Value::Text(text.to_owned()),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_only(place, anchor, tag.is_some())?;
                self.list(depth)?
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_only(place, anchor, tag.is_some())?;
                self.map(depth)?
            }
            Event::Alias(_) => {
                self.problems
                    .add(place, Code::Syntax, "aliases are not supported")
                    .hint("write the value out here; rules can share a group or a service instead");
                return None;
            }
            _ => Value::Null,
        };
        Some(Node { place, value })
    }

    fn plain_only(&mut self, place: Place, anchor: usize, tag: bool) -> Option<()> {
        if anchor == 0 && !tag {
            return Some(());
        }
        self.problems
            .add(place, Code::Syntax, "anchors and tags are not supported")
            .hint("remove the `&` or `!` in front of the value, or quote it");
        None
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut list = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                return Some(Value::List(list));
            }
            list.push(self.node(event, place, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Option<Value> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        loop {
            let (event, place) = self.next()?;
            let text = match event {
                Event::MappingEnd => return Some(Value::Map(map)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => {
                    self.problems
                        .add(place, Code::Syntax, "a key must be a plain word")
                        .hint("quote it if it starts with `[`, `{`, `*` or `&`");
                    return None;
                }
            };
            let (event, value_place) = self.next()?;
            let value = self.node(event, value_place, depth + 1)?;
            if let Some(line) = seen.insert(text.clone(), place.line) {
                self.problems
                    .add(place, Code::Duplicate, format!("`{text}` is written twice"))
                    .hint(format!("the first is in line {line}"));
                continue;
            }
            map.push((Key { place, text }, value));
        }
    }
}
