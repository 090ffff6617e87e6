//! YAML text to a tree: the one module that knows serde-saphyr, whose event parser gives places and tags and anchors.
//!
//! Policy files are the part of YAML that everybody reads in the same way: one document of maps, lists and scalars. Anchors,
//! aliases, merge keys, tags, directives, tabs and invisible characters are refused, and so is more than a policy needs.

use crate::node::{self, AmbiguousNumber, Key, Node, Value};
use crate::reader::Reader;
use crate::render::quote;
use crate::source::{Source, is_invisible};
use serde_saphyr::granit_parser::{self as granit, ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput};
use std::collections::HashSet;
use std::ops::Range;

/// The longest file.
pub(crate) const MOST_BYTES: usize = 1024 * 1024;
/// The most values in a file.
const MOST_NODES: usize = 50_000;
/// The deepest nesting of lists and maps.
const MOST_DEPTH: usize = 32;

/// Reads `bytes`: a reader for what follows and, where there are no errors yet, the tree.
pub(crate) fn parse(file: &str, bytes: &[u8]) -> (Reader, Option<Node>) {
    if bytes.len() > MOST_BYTES {
        let mut reader = Reader::new(Source::new(file, String::new()));
        reader
            .error("file-too-large", &(0..0), format!("the file has {} bytes, more than {MOST_BYTES}", bytes.len()))
            .help("a policy file has at most 1 MiB");
        return (reader, None);
    }
    let mut reader = Reader::new(Source::new(file, String::from_utf8_lossy(bytes).into_owned()));
    check_characters(&mut reader, bytes);
    let root = if reader.has_errors() { None } else { document(&mut reader) };
    if reader.has_errors() {
        reader.source.hide_by_line();
        return (reader, None);
    }
    (reader, root)
}

fn check_characters(reader: &mut Reader, bytes: &[u8]) {
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        reader.error("not-utf8", &(at..at + 1), "the file is not UTF-8").help("save the file as UTF-8");
        return;
    }
    let text = std::mem::take(&mut reader.source.text);
    for (at, c) in text.char_indices() {
        let span = at..at + c.len_utf8();
        match c {
            '\u{feff}' if at == 0 => reader
                .error("byte-order-mark", &span, "the file begins with a byte order mark")
                .help("save the file as UTF-8 without it"),
            '\t' => {
                reader.error("tab", &span, "the file has a tab").help("write spaces, or `\\t` within double quotes")
            }
            '\r' if text[at + 1..].starts_with('\n') => continue,
            _ if is_invisible(c) => reader
                .error(
                    "invisible-character",
                    &span,
                    format!("the file has the invisible character U+{:04X}", u32::from(c)),
                )
                .help("delete it, or write it as an escape within double quotes"),
            _ => continue,
        };
    }
    reader.source.text = text;
}

/// The only document of the file.
fn document(reader: &mut Reader) -> Option<Node> {
    let text = std::mem::take(&mut reader.source.text);
    let mut builder = Builder { reader, nodes: 0, root: None, open: Vec::new() };
    let result = builder.run(Parser::new_from_str_with_options(&text, options()));
    let root = builder.root.take();
    if let Err(error) = result {
        syntax_error(reader, &error);
    } else if root.as_ref().is_none_or(|node| matches!(node.value, Value::Null)) && !reader.has_errors() {
        reader
            .error("empty-file", &(0..0), "the file is empty")
            .help("write the required keys; nothing is allowed, and nothing assumed, by absence");
    }
    reader.source.text = text;
    root
}

fn options() -> granit::Options {
    granit::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: MOST_DEPTH,
        block_nesting_limit: MOST_DEPTH,
    }
}

fn syntax_error(reader: &mut Reader, error: &ScanError) {
    let at = error.marker().byte_offset().unwrap_or_default();
    let (code, message) = match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            ("too-deep", format!("lists and maps are nested more than {MOST_DEPTH} deep"))
        }
        ErrorKind::DirectiveDisallowed => ("directive", "directives (`%`) are refused".to_owned()),
        kind => ("syntax", kind.to_string()),
    };
    let draft = reader.error(code, &(at..at + 1), message);
    match code {
        "too-deep" => draft.help("write it flatter"),
        "directive" => draft.help("delete the line"),
        _ => draft.help("check the indentation, and the quotes and brackets that are still open"),
    };
}

/// Builds the tree from the parser's events.
struct Builder<'r> {
    reader: &'r mut Reader,
    nodes: usize,
    root: Option<Node>,
    open: Vec<Open>,
}

/// A list or map that has begun.
enum Open {
    List(usize, Vec<Node>),
    Map { start: usize, entries: Vec<(Key, Node)>, seen: HashSet<Box<str>>, key: Option<Key> },
}

impl Builder<'_> {
    fn run<'t>(&mut self, parser: Parser<'t, StrInput<'t>>) -> Result<(), ScanError> {
        let mut documents = 0;
        for event in parser {
            let (event, place) = event?;
            let span = bytes(&place);
            if self.nodes > MOST_NODES {
                let message = format!("the file has more than {MOST_NODES} values");
                self.reader.error("too-many-values", &span, message).help("a policy file has a few hundred at most");
                return Ok(());
            }
            if let Some(tag) = place.tag_span() {
                let help = "delete it: quotes make text, and types are known";
                self.reader.error("tag", &bytes(&tag), "tags (`!`) are refused").help(help);
            }
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        let help = "a policy file has one document: delete the `---` or what follows it";
                        self.reader.error("many-documents", &span, "the file has a second document").help(help);
                        return Ok(());
                    }
                }
                Event::Anchor(..) => {
                    self.reader
                        .error("anchor", &span, "anchors (`&`) are refused")
                        .help("delete it and write values out");
                }
                Event::Alias(_) | Event::UnresolvedAlias(_) => {
                    self.reader
                        .error("alias", &span, "aliases (`*`) are refused")
                        .help("write the value out, or text in quotes");
                    self.add(Node { span, value: Value::Null }, false);
                }
                Event::Scalar(text, style, ..) => self.scalar(span, &text, style),
                Event::SequenceStart(..) => self.open.push(Open::List(span.start, Vec::new())),
                Event::MappingStart(..) => {
                    self.open.push(Open::Map { start: span.start, entries: vec![], seen: HashSet::new(), key: None });
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(span.end),
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                // None that today's parser makes of these options. What is not known is refused.
                _ => {
                    self.reader.error("syntax", &span, "a part of YAML that policies do not have").help("delete it");
                }
            }
        }
        Ok(())
    }

    fn scalar(&mut self, span: Range<usize>, text: &str, style: ScalarStyle) {
        let is_plain = style == ScalarStyle::Plain;
        let value = if is_plain { node::plain(text) } else { Ok(Value::Text(text.into())) };
        let value = value.unwrap_or_else(|AmbiguousNumber| {
            let message = "a number that programs read differently";
            let help = "write it in decimal without leading zeros or, if it is text, in quotes";
            self.reader.error("ambiguous-number", &span, message).help(help);
            Value::Null
        });
        self.add(Node { span, value }, is_plain);
    }

    fn close(&mut self, end: usize) {
        let node = match self.open.pop() {
            Some(Open::List(start, items)) => Node { span: start..end.max(start), value: Value::List(items) },
            Some(Open::Map { start, entries, .. }) => Node { span: start..end.max(start), value: Value::Map(entries) },
            None => return,
        };
        self.add(node, false);
    }

    /// Puts a finished node into what is open; in a map, keys and values take turns.
    fn add(&mut self, node: Node, is_plain: bool) {
        self.nodes += 1;
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map { entries, seen, key, .. }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(as_key(self.reader, seen, node, is_plain)),
            },
        }
    }
}

fn as_key(reader: &mut Reader, seen: &mut HashSet<Box<str>>, node: Node, is_plain: bool) -> Key {
    let Node { span, value } = node;
    let Value::Text(text) = value else {
        let message = format!("a key is {}, not text", value.kind());
        reader.error("key-not-text", &span, message).help("write it in quotes");
        return Key { span, text: "".into() };
    };
    if is_plain && &*text == "<<" {
        reader.error("merge-key", &span, "merge keys (`<<`) are refused").help("write the keys out");
    } else if !seen.insert(text.clone()) {
        let message = format!("the key {} stands here twice", quote(&text));
        reader.error("duplicate-key", &span, message).help("delete one of the two");
    }
    Key { span, text }
}

fn bytes(span: &granit::Span) -> Range<usize> {
    let start = span.start.byte_offset().unwrap_or_default();
    start..span.end.byte_offset().unwrap_or(start).max(start)
}
