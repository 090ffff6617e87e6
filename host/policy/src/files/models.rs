//! `models.yml`: the models that the gateway knows.

use super::credentials;
use super::grant::AdapterIdText;
use crate::base_url::BaseUrl;
use crate::diagnostics::{Diagnostics, Parsed};
use crate::models::{Model, ModelPlaces, Models, is_model_id};
use crate::node::{Key, Node, Value};
use crate::raw::{FromNode, Spanned, raw};
use crate::reader::{Reader, Step};
use crate::render::quote;
use crate::scalar::{Checked, Fault, Grammar};
use crate::source::FileText;
use crate::yaml;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Map, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// The most models of a file: the review compares each with each entry of `egress.allow`.
pub(crate) const MAX_MODELS: usize = 4096;

raw! {
    /// The models that the gateway knows.
    #[schemars(rename = "Models")]
    pub(super) struct RawModels {
        required {
            /// The models. Their ids are distinct.
            models: Vec<RawModel> = "[]",
        }
        optional {}
    }
}

raw! {
    /// A model.
    #[schemars(rename = "Model")]
    pub(super) struct RawModel {
        required {
            /// The public name: what clients put into `model`.
            id: Checked<ModelId> = "my-model",
        }
        optional {
            /// The file with its weights, for people and other tools.
            path: Checked<Line>,
            /// The video memory that it needs, in gigabytes.
            vram_min_gb: Gigabytes,
            /// Whether it takes part only as canary.
            canary: bool,
            /// The id of the adapter that serves it. A model without one is listed and can't be asked.
            adapter: Checked<AdapterIdText>,
            /// The provider's name for it; the id, where the key is not there.
            upstream: Checked<Line>,
            /// What the adapter reads as its settings: keys and any values. No secrets: adapters never hold any. `base_url` is where the
            /// provider's API is, with its version: the grants that name no models apply to requests that go there or below.
            config: Config,
        }
    }
}

impl Models {
    /// Parses the text of `file`, whose name is for diagnostics only.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &[u8]) -> Result<Parsed<Self>, Diagnostics> {
        let (mut reader, root) = yaml::parse(file, text);
        let value = root.and_then(|root| RawModels::from_node(&root, &mut reader)?.validate(&mut reader));
        reader.finish(value).map(|mut parsed: Parsed<Self>| {
            parsed.value.text = FileText::of(&parsed.warnings);
            parsed
        })
    }

    /// The models in the shape of the file.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "models": self.list.iter().map(model_to_json).collect::<Vec<_>>() })
    }
}

/// As [`Models::to_json`].
impl Serialize for Models {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

fn model_to_json(model: &Model) -> serde_json::Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Option<serde_json::Value>| value.map(|value| map.insert(key.to_owned(), value));
    put("id", Some((*model.id).into()));
    put("path", model.path.as_deref().map(Into::into));
    put("vram_min_gb", model.vram_min_gb.map(Into::into));
    put("canary", model.canary.then_some(true.into()));
    put("adapter", model.adapter.as_ref().map(|id| id.as_str().into()));
    put("upstream", model.upstream.as_deref().map(Into::into));
    if !model.config.is_empty() {
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
        put("config", Some(model.config.iter().map(|(key, text)| (key.to_string(), value(text))).collect()));
    }
    map.into()
}

impl RawModels {
    fn validate(self, reader: &mut Reader) -> Option<Models> {
        let mut seen = HashMap::new();
        let mut list = Vec::new();
        let models = self.models.spanned()?;
        reader.check_count(models.value.len(), MAX_MODELS, "models", &models.span);
        for raw in models.value {
            let id_span = raw.id.span().cloned();
            let Some((model, span)) = raw.validate(reader).zip(id_span) else { continue };
            let line = reader.line(&span);
            if let Some(first) = seen.insert(model.id.clone(), line) {
                let message = format!("the model {} stands on line {first} already", quote(&model.id));
                reader.error("duplicate-model", &span, message).help("give one of the two another `id`");
            }
            list.push(model);
        }
        Some(Models { list, text: FileText::default() })
    }
}

impl RawModel {
    fn validate(self, reader: &mut Reader) -> Option<Model> {
        if self.adapter.is_absent() {
            for (key, span) in [("upstream", self.upstream.span()), ("config", self.config.span())] {
                if let Some(span) = span {
                    let message = format!("`{key}` without `adapter`: nothing would read it");
                    reader.error("adapter-missing", span, message).help("write `adapter: name`, or delete the key");
                }
            }
        }
        let config = self.config.get().unwrap_or_default();
        let (base_url, base_url_span) = config.base_url.map(|given| (given.value, given.span)).unzip();
        let Spanned { value: Checked(ModelId(id)), span } = self.id.spanned()?;
        let places = ModelPlaces { id: span, adapter: self.adapter.span().cloned(), base_url: base_url_span };
        Some(Model {
            id,
            adapter: self.adapter.get().map(|id| id.0.0),
            upstream: self.upstream.get().map(|text| text.0.0),
            config: config.values,
            base_url,
            places,
            path: self.path.get().map(|text| text.0.0),
            vram_min_gb: self.vram_min_gb.get().map(|number| number.0),
            canary: self.canary.get().unwrap_or_default(),
        })
    }
}

/// A model's public name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelId(pub(super) Box<str>);

impl Grammar for ModelId {
    const PATTERN: &'static str = "^[A-Za-z0-9/:._@-]{1,128}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if is_model_id(text) {
            return Ok(Self(text.into()));
        }
        Err(Fault {
            code: "model-id-invalid",
            at: 0..text.len(),
            message: "a model's id is 1 to 128 of letters, digits, `/`, `:`, `.`, `-`, `_`, `@`".to_owned(),
            help: "write a name such as `llama3.1:8b`".to_owned(),
        })
    }
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line(Box<str>);

impl Grammar for Line {
    const PATTERN: &'static str = "^.{1,1024}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if (1..=1024).contains(&text.len()) && !text.chars().any(|c| c.is_control()) {
            return Ok(Self(text.into()));
        }
        Err(Fault {
            code: "text-invalid",
            at: 0..text.len(),
            message: "the text is empty, too long, or has control characters".to_owned(),
            help: "write one line of 1 to 1024 bytes, or delete the key".to_owned(),
        })
    }
}

/// A positive, finite number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gigabytes(f64);

impl FromNode for Gigabytes {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        let help = "write a number of gigabytes above 0, such as `4` or `4.5`";
        let Value::Number(number) = &node.value else {
            reader.wrong_type(node, "a number").help(help);
            return None;
        };
        let number = number.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        if number.is_none() {
            let message = format!("{} is not above 0, or too large", reader.here());
            reader.error("out-of-range", &node.span, message).help(help);
        }
        number.map(Self)
    }
}

impl JsonSchema for Gigabytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Gigabytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0 })
    }
}

/// An adapter's settings: keys and their values as JSON text.
#[derive(Debug, Default)]
pub(super) struct Config {
    values: BTreeMap<Box<str>, Box<str>>,
    base_url: Option<Spanned<BaseUrl>>,
}

/// The setting that the host reads as well: a model's reach depends on it.
const BASE_URL: &str = "base_url";

impl FromNode for Config {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            // A `config` that is no map may contain a credential.
            reader.hide(node, &|_| true);
            reader
                .wrong_type(node, "a map")
                .help("write the settings' keys and values, such as `{ base_url: \"http://127.0.0.1:11434\" }`");
            return None;
        };
        credentials::reject(node, reader);
        let base_url = entries.iter().find(|(key, _)| &*key.text == BASE_URL).and_then(|(key, child)| {
            reader.within(Step::Key(key.text.clone()), |reader| Spanned::<Checked<BaseUrl>>::from_node(child, reader))
        });
        let base_url = base_url.map(|Spanned { value: Checked(value), span }| Spanned { value, span });
        let values = entries.iter().map(|(key, child)| (key.text.clone(), json_text(&child.value).into()));
        Some(Self { values: values.collect(), base_url })
    }
}

/// A value as JSON text; numbers keep all of their digits.
fn json_text(value: &Value) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(it) => text(it),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| json_text(&item.value)).collect::<Vec<_>>().join(","))
        }
        Value::Map(entries) => {
            let entry = |(key, node): &(Key, Node)| format!("{}:{}", text(&key.text), json_text(&node.value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
        }
    }
}

impl JsonSchema for Config {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Config".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}
