//! Scalars of the raw form: booleans, bounded numbers, words of a closed set, and text with a grammar of its own.

use crate::node::{Node, Value};
use crate::raw::{FromDefault, FromNode, list_of};
use crate::reader::Reader;
use crate::render::quote;
use crate::suggest::closest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::ops::Range;

impl FromNode for bool {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        let text = reader.text(&node.span).trim_matches(['"', '\'']).to_ascii_lowercase();
        let help = match &*text {
            "yes" | "on" | "y" | "true" | "1" => "write `true`",
            "no" | "off" | "n" | "false" | "0" => "write `false`",
            _ => "write `true` or `false`",
        };
        reader.wrong_type(node, "`true` or `false`").help(help);
        None
    }
}

/// Text; notes where it is something else.
pub(crate) fn text<'n>(node: &'n Node, reader: &mut Reader) -> Option<&'n str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    let help = match node.value {
        Value::Number(_) | Value::Bool(_) if !reader.source.is_hidden(&node.span) => {
            format!("write it in quotes: `\"{}\"`", reader.text(&node.span))
        }
        _ => "write text, in quotes".to_owned(),
    };
    reader.wrong_type(node, "text").help(help);
    None
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(pub(crate) u64);

impl<const MIN: u64, const MAX: u64> FromNode for Whole<MIN, MAX> {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        let help = format!("write a whole number from {MIN} to {MAX}");
        let Value::Number(number) = &node.value else {
            reader.wrong_type(node, "a number").help(help);
            return None;
        };
        match number.parse() {
            Ok(value) if (MIN..=MAX).contains(&value) => Some(Self(value)),
            _ => {
                let message = format!("{} is {number}, not a whole number from {MIN} to {MAX}", reader.here());
                reader.error("out-of-range", &node.span, message).help(help);
                None
            }
        }
    }
}

impl<const MIN: u64, const MAX: u64> FromDefault<u64> for Whole<MIN, MAX> {
    fn from_default(literal: u64) -> Self {
        Self(literal)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Whole_{MIN}_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A closed set of words.
pub(crate) trait Words: Copy + 'static {
    /// The words and what they mean.
    const WORDS: &'static [(&'static str, Self)];
}

/// One of the words of `T`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Word<T>(pub(crate) T);

impl<T: Words> FromNode for Word<T> {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = text(node, reader)?;
        if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| *word == text) {
            return Some(Self(*value));
        }
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
        let exact = words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied();
        let only = if let [word] = *words { Some(word) } else { None };
        let help = match exact.or_else(|| closest(text, &words)).or(only) {
            Some(word) => format!("write `{word}`"),
            None => format!("write one of {}", list_of(&words)),
        };
        let neither = if only.is_some() { "not" } else { "none of" };
        let message = format!("{} is {}, {neither} {}", reader.here(), quote(text), list_of(&words));
        reader.error("unknown-word", &node.span, message).help(help);
        None
    }
}

impl<T: Words> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<T>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

/// Text with a grammar of its own.
pub(crate) trait Grammar: Sized {
    /// An approximation for the JSON Schema: it may be wider, never narrower.
    const PATTERN: &'static str;

    /// Parses the text.
    fn parse(text: &str) -> Result<Self, Fault>;
}

/// What is wrong with a text, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Text that its grammar has passed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checked<T>(pub(crate) T);

impl<T: Grammar> FromNode for Checked<T> {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = text(node, reader)?;
        match T::parse(text) {
            Ok(value) => Some(Self(value)),
            Err(Fault { code, at, message, help }) => {
                let span = reader.part(&node.span, text, &at);
                if code == "userinfo" || code == "query" {
                    // There may be a key in it.
                    reader.source.hide(&span);
                }
                reader.error(code, &span, message).help(help);
                None
            }
        }
    }
}

impl<T: Grammar> JsonSchema for Checked<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<T>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": T::PATTERN })
    }
}
