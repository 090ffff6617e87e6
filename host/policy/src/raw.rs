//! The raw form of a file: what stands in it, key by key, before anything is decided.
//!
//! In go trees, out come structs whose fields may be missing or bad, with all diagnostics at once. One definition by [`raw!`]
//! makes both the struct, and with it the JSON Schema, and the way it is read: the two can't drift apart.

use crate::node::{Key, Node, Value};
use crate::reader::{Reader, Step};
use crate::render::quote;
use crate::suggest::closest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// Reads itself from a tree; notes what is wrong and gives `None` where nothing can be made of it.
pub(crate) trait FromNode: Sized + JsonSchema {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self>;
}

/// A value whose default is a literal of type `L` in a raw form, which is the schema's `default` as well.
pub(crate) trait FromDefault<L>: FromNode {
    fn from_default(literal: L) -> Self;
}

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A key's value in a raw struct.
#[derive(Debug, Default)]
pub(crate) enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// It is there and its value is bad, which has been noted.
    Bad,
    /// It is there.
    Given(Spanned<T>),
}

impl<T> Field<T> {
    /// The value, if it is there and good.
    pub(crate) fn get(self) -> Option<T> {
        self.spanned().map(|spanned| spanned.value)
    }

    /// The value and its place.
    pub(crate) fn spanned(self) -> Option<Spanned<T>> {
        match self {
            Self::Given(spanned) => Some(spanned),
            Self::Absent | Self::Bad => None,
        }
    }

    /// Whether the key is not there at all.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value's place, if it is there and good.
    pub(crate) fn span(&self) -> Option<&Range<usize>> {
        match self {
            Self::Given(spanned) => Some(&spanned.span),
            Self::Absent | Self::Bad => None,
        }
    }
}

/// Has the schema of what is inside.
macro_rules! transparent_schema {
    ($($wrapper:ident),*) => {$(
        impl<T: JsonSchema> JsonSchema for $wrapper<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                T::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )*};
}
transparent_schema!(Spanned, Field);

/// A map with known keys, on its way into a raw struct.
pub(crate) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    /// Where to point when a key is missing.
    place: Range<usize>,
    /// Known keys that are there, but misspelt, which has been noted.
    misspelt: Vec<String>,
}

impl<'n> Fields<'n> {
    /// The entries of `node`, of which each must have one of the `known` keys.
    pub(crate) fn of(node: &'n Node, known: &[&str], reader: &mut Reader) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let keys = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            reader.wrong_type(node, "a map").help(format!("write a map with keys of {keys}"));
            return None;
        };
        let mut misspelt = Vec::new();
        for (key, child) in entries.iter().filter(|(key, _)| !known.contains(&&*key.text)) {
            reader.hide(child, &may_be_secret);
            let name = if reader.source.is_hidden(&key.span) { "`***`".to_owned() } else { quote(&key.text) };
            let message = format!("{} has no key {name}", reader.here());
            let help = match closest(&key.text, known) {
                Some(meant) => {
                    misspelt.push(meant.to_owned());
                    format!("did you mean `{meant}`?")
                }
                None => format!("the keys are {}", list_of(known)),
            };
            reader.error("unknown-key", &key.span, message).label("unknown key").help(help);
        }
        let place = entries.first().map_or(node.span.clone(), |(key, _)| key.span.clone());
        Some(Self { entries, place, misspelt })
    }

    /// The value of a key that must be there; `example` is what could stand there.
    pub(crate) fn required<T: FromNode>(&self, key: &str, example: &str, reader: &mut Reader) -> Field<T> {
        let field = self.read(key, Some(example), reader);
        if field.is_absent() {
            let message = format!("{} has no key `{key}`", reader.here());
            reader.error("missing-key", &self.place, message).help(format!("write `{key}: {example}`"));
        }
        field
    }

    /// Returns the value of a key that has a default. The default applies only where the key is absent: a bad value stays an error.
    pub(crate) fn defaulted<T: FromDefault<L>, L>(&self, key: &str, default: L, reader: &mut Reader) -> Field<T> {
        match self.read(key, None, reader) {
            Field::Absent => Field::Given(Spanned { value: T::from_default(default), span: self.place.clone() }),
            field @ (Field::Bad | Field::Given(_)) => field,
        }
    }

    /// The value of a key that may be missing. It must not be null: nothing is allowed by absence.
    pub(crate) fn optional<T: FromNode>(&self, key: &str, reader: &mut Reader) -> Field<T> {
        self.read(key, None, reader)
    }

    fn read<T: FromNode>(&self, key: &str, example: Option<&str>, reader: &mut Reader) -> Field<T> {
        let Some((key, node)) = self.entries.iter().find(|(k, _)| &*k.text == key) else {
            return if self.misspelt.iter().any(|meant| meant == key) { Field::Bad } else { Field::Absent };
        };
        reader.within(Step::Key(key.text.clone()), |reader| {
            if matches!(node.value, Value::Null) {
                let message = format!("{} has no value", reader.here());
                let help = match example {
                    Some(example) => format!("write `{}: {example}`", key.text),
                    None => "write a value, or delete the key".to_owned(),
                };
                reader.error("missing-value", &key.span, message).help(help);
                return Field::Bad;
            }
            match Spanned::from_node(node, reader) {
                Some(spanned) => Field::Given(spanned),
                None => Field::Bad,
            }
        })
    }
}

/// Whether the value of a key that nobody knows could be a key of another kind. Hosts and words are shorter, or have a scheme.
fn may_be_secret(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.len() >= 12 && !text.contains("://"))
}

/// `` `a`, `b` ``.
pub(crate) fn list_of(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Defines a raw struct: its keys, their types, for the required ones what could stand there, for those with a default that
/// default, and documentation, which is the schema's as well.
///
/// A key that a later version adds is `defaulted`, so that a file of an earlier version stays valid. Its default stands here only:
/// the parser and the schema both take it from this definition, and a test holds the shipped file to it. A default also applies
/// where a file was cut off before the key. So the section has to be followed by a required key, which a file that was cut off lacks.
macro_rules! raw {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            required { $($(#[$required_meta:meta])* $required:ident: $required_type:ty = $example:literal,)* }
            $(defaulted { $($(#[$defaulted_meta:meta])* $defaulted:ident: $defaulted_type:ty = $default:literal,)* })?
            optional { $($(#[$optional_meta:meta])* $optional:ident: $optional_type:ty,)* }
        }
    ) => {
        #[derive(Debug, schemars::JsonSchema)]
        $(#[$meta])*
        #[schemars(deny_unknown_fields)]
        $vis struct $name {
            $($(#[$required_meta])* $vis $required: $crate::raw::Field<$required_type>,)*
            $($(
                $(#[$defaulted_meta])*
                #[schemars(default, extend("default" = $default))]
                $vis $defaulted: $crate::raw::Field<$defaulted_type>,
            )*)?
            $($(#[$optional_meta])* #[schemars(default)] $vis $optional: $crate::raw::Field<$optional_type>,)*
        }

        impl $crate::raw::FromNode for $name {
            fn from_node(node: &$crate::node::Node, reader: &mut $crate::reader::Reader) -> Option<Self> {
                let known = [
                    $(stringify!($required),)*
                    $($(stringify!($defaulted),)*)?
                    $(stringify!($optional),)*
                ];
                let fields = $crate::raw::Fields::of(node, &known, reader)?;
                Some(Self {
                    $($required: fields.required(stringify!($required), $example, reader),)*
                    $($($defaulted: fields.defaulted(stringify!($defaulted), $default, reader),)*)?
                    $($optional: fields.optional(stringify!($optional), reader),)*
                })
            }
        }
    };
}
pub(crate) use raw;

impl<T: FromNode> FromNode for Spanned<T> {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        Some(Self { value: T::from_node(node, reader)?, span: node.span.clone() })
    }
}

/// A list; what is bad in it is noted and left out.
impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::List(items) = &node.value else {
            let help = match &node.value {
                Value::Text(text) => format!("write {}", quote(&format!("[{text}]"))),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                    "write `[]`, or a line with `- ` for each item".to_owned()
                }
            };
            reader.wrong_type(node, "a list").help(help);
            return None;
        };
        let items = items.iter().enumerate();
        Some(items.filter_map(|(at, item)| reader.within(Step::Index(at), |r| T::from_node(item, r))).collect())
    }
}

/// A list of one item or more, none of them twice.
#[derive(Debug)]
pub(crate) struct NonEmpty<T>(pub(crate) Vec<T>);

impl<T: FromNode + fmt::Debug> FromNode for NonEmpty<T> {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        let items: Vec<Spanned<T>> = Vec::from_node(node, reader)?;
        if matches!(&node.value, Value::List(all) if all.is_empty()) {
            let message = format!("{} is an empty list, which grants nothing", reader.here());
            reader.error("empty-list", &node.span, message).help("name at least one, or delete the whole entry");
            return None;
        }
        let mut seen = HashSet::new();
        for item in &items {
            if !seen.insert(format!("{:?}", item.value)) {
                let message = format!("{} has {} twice", reader.here(), quote(reader.text(&item.span)));
                reader.error("duplicate-item", &item.span, message).help("delete one of the two");
            }
        }
        Some(Self(items.into_iter().map(|item| item.value).collect()))
    }
}

impl<T: JsonSchema> JsonSchema for NonEmpty<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("NonEmpty_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<T>(), "minItems": 1, "uniqueItems": true })
    }
}
