//! A list of model names in a policy file. Out comes a [`ModelNames`].

use super::models::ModelId;
use crate::model_names::ModelNames;
use crate::node::{Node, Value};
use crate::raw::{FromNode, NonEmpty};
use crate::reader::Reader;
use crate::scalar::{Checked, Fault, Grammar};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;
use std::borrow::Cow;

/// Public names, or `"*"` alone.
#[derive(Debug)]
pub(super) struct RawModelNames(pub(super) ModelNames);

impl FromNode for RawModelNames {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        if matches!(&node.value, Value::Text(text) if &**text == "*") {
            reader.wrong_type(node, "a list").help("write `[\"*\"]`");
            return None;
        }
        let NonEmpty(names): NonEmpty<Checked<NameOrAll>> = NonEmpty::from_node(node, reader)?;
        let names: Vec<_> = names.into_iter().map(|name| name.0.0).collect();
        if !names.iter().any(|name| &**name == "*") {
            return Some(Self(ModelNames::These(names.into_iter().collect())));
        }
        if names.len() > 1 {
            let message = format!("{} has names beside `*`, which is all of them", reader.here());
            reader.error("models-contradiction", &node.span, message).help("write `[\"*\"]`, or delete the `*`");
        }
        Some(Self(ModelNames::All))
    }
}

impl JsonSchema for RawModelNames {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ModelNames".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        NonEmpty::<Checked<NameOrAll>>::json_schema(generator)
    }
}

/// A public name, or `*`.
#[derive(Clone, Debug, PartialEq)]
struct NameOrAll(Box<str>);

impl Grammar for NameOrAll {
    const PATTERN: &'static str = r"^([A-Za-z0-9/:._@-]{1,128}|\*)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "*" { Ok(Self(text.into())) } else { ModelId::parse(text).map(|id| Self(id.0)) }
    }
}

/// Returns the names in the shape of the file.
pub(super) fn to_json(names: &ModelNames) -> serde_json::Value {
    match names {
        ModelNames::All => json!(["*"]),
        ModelNames::These(names) => json!(names),
    }
}
