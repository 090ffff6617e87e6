//! What an adapter says: the parts of `chat.completion` and `chat.completion.chunk` that a response needs.
//!
//! In goes JSON text; out come its parts, still as JSON. Whole answers and chunks have the same form but for one name.

use crate::dialect::words::{self, Words};
use crate::dialect::{broke, calls, misread};
use crate::error::ApiError;
use crate::json::{Members, Object, array, decoded, elements, inner};
use crate::work::visit;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A completion or a chunk of one.
#[derive(Deserialize)]
pub(super) struct Spoken<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// One of the answers.
#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    index: Option<u64>,
    /// What a completion has. Some providers repeat it in chunks.
    #[serde(borrow, default)]
    pub(super) message: Option<Says<'a>>,
    /// What a chunk adds.
    #[serde(borrow, default)]
    pub(super) delta: Option<Says<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    logprobs: Option<Logprobs<'a>>,
}

#[derive(Deserialize)]
struct Logprobs<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
}

/// A message, or what is added to one.
#[derive(Deserialize)]
pub(super) struct Says<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<Call<'a>>>,
}

/// A tool call, or what is added to one.
#[derive(Deserialize)]
pub(super) struct Call<'a> {
    /// Which call is added to.
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) function: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub(super) custom: Option<Function<'a>>,
}

/// What is called, and with what.
#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    /// A custom tool gets plain text instead of arguments.
    #[serde(borrow, default, alias = "input")]
    arguments: Option<&'a RawValue>,
}

impl<'a> Function<'a> {
    /// What it is called with, as what stands between the quotes of a JSON string.
    pub(super) fn said(&self) -> Cow<'a, str> {
        calls::arguments(self.arguments.map(RawValue::get))
    }
}

/// A JSON string, as JSON.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&'de RawValue>::deserialize(deserializer)?.get();
        if text.starts_with('"') { Ok(Self(text)) } else { Err(D::Error::custom("expected a string")) }
    }
}

impl<'a> Spoken<'a> {
    /// Reads a completion, as if it were a chunk that says all.
    ///
    /// # Errors
    /// `ApiError::broke_contract` if it has another form.
    pub(super) fn whole(text: &'a str) -> Result<Self, ApiError> {
        let mut spoken = Self::read(text, "chat.completion")?;
        for choice in spoken.choices.iter_mut().flatten() {
            choice.delta = choice.message.take();
            let calls = choice.delta.iter_mut().filter_map(|says| says.tool_calls.as_mut()).flatten();
            for (at, call) in (0..).zip(calls) {
                call.index = Some(at);
            }
        }
        if spoken.choice().is_none_or(|choice| choice.delta.is_none()) {
            return Err(broke("is no `chat.completion`: it has no message"));
        }
        Ok(spoken)
    }

    /// Reads a chunk.
    ///
    /// # Errors
    /// `ApiError::broke_contract` if it has another form.
    pub(super) fn chunk(text: &'a str) -> Result<Self, ApiError> {
        Self::read(text, "chat.completion.chunk")
    }

    fn read(text: &'a str, form: &str) -> Result<Self, ApiError> {
        // An array of the right length would do for a derived structure.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(broke(&format!("is no `{form}`: it is no object")));
        }
        visit(text.len());
        serde_json::from_str(text).map_err(|error| misread(&format!("`{form}`"), &error))
    }

    /// The only answer that is read: more are never asked for. A chunk may have none.
    pub(super) fn choice(&self) -> Option<&Choice<'a>> {
        self.choices.iter().flatten().find(|choice| choice.index.is_none_or(|index| index == 0))
    }

    /// The completion's id without what is no letter, digit, `-` or `_`, and not endlessly long.
    pub(super) fn id(&self) -> String {
        let id = self.id.map(|id| decoded(id.get())).unwrap_or_default();
        let id = id.strip_prefix("chatcmpl-").unwrap_or(&id);
        let id: String =
            id.chars().filter(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_')).take(64).collect();
        if id.is_empty() { "0".to_owned() } else { id }
    }

    pub(super) fn created(&self) -> &'a str {
        number(self.created.map(RawValue::get))
    }

    /// The model that answers, as JSON string, if it is named.
    pub(super) fn model(&self) -> Option<&'a str> {
        self.model.map(RawValue::get).filter(|model| model.starts_with('"') && *model != "\"\"")
    }

    /// What was used, in the form of responses.
    pub(super) fn usage(&self) -> Option<String> {
        let usage = Members::of(self.usage?.get())?;
        let detail =
            |of: &str, name: &str| number(usage.get(of).and_then(Members::of).and_then(|details| details.get(name)));
        let (input, output) = (number(usage.get("prompt_tokens")), number(usage.get("completion_tokens")));
        let total = match usage.get("total_tokens") {
            Some(total) => number(Some(total)).to_owned(),
            None => input.parse::<u64>().unwrap_or(0).saturating_add(output.parse().unwrap_or(0)).to_string(),
        };
        let of_input = Object::new()
            .put("cached_tokens", detail("prompt_tokens_details", "cached_tokens"))
            .put("cache_write_tokens", detail("prompt_tokens_details", "cache_write_tokens"));
        let of_output = Object::new().put("reasoning_tokens", detail("completion_tokens_details", "reasoning_tokens"));
        let usage = Object::new().put("input_tokens", input).put("input_tokens_details", &of_input.end());
        let usage = usage.put("output_tokens", output).put("output_tokens_details", &of_output.end());
        Some(usage.put("total_tokens", &total).end())
    }
}

impl Choice<'_> {
    /// How likely each token of the text was, in the form of responses.
    pub(super) fn logprobs(&self) -> Vec<String> {
        let content = self.logprobs.as_ref().and_then(|logprobs| logprobs.content.as_deref());
        content.unwrap_or_default().iter().filter_map(|raw| token(raw.get(), true)).collect()
    }
}

/// How likely a token was, and what else it could have been. Clients need its bytes, which providers may leave out.
fn token(raw: &str, chosen: bool) -> Option<String> {
    let mut members = Members::of(raw)?;
    let text = members.take("token").filter(|text| text.starts_with('"'))?;
    let bytes = members.take("bytes").map_or_else(|| Value::from(decoded(text).as_bytes()).to_string(), str::to_owned);
    let others = members.take("top_logprobs").and_then(elements).unwrap_or_default();
    let token = Object::new().put("token", text).put("bytes", &bytes).pass(&members);
    if !chosen {
        return Some(token.end());
    }
    let others: Vec<_> = others.iter().filter_map(|other| self::token(other, false)).collect();
    Some(token.put("top_logprobs", &array(&others)).end())
}

impl<'a> Says<'a> {
    /// What the model says and thinks. Providers name thoughts in one of two ways, or put them into the content; other forms of
    /// them are not text.
    ///
    /// # Errors
    /// `ApiError::broke_contract` if the content has a form that nobody knows.
    pub(super) fn words(&self) -> Result<Words<'a>, ApiError> {
        let words =
            words::of(self.content.map(RawValue::get)).ok_or_else(|| broke("has a `content` that is no text"))?;
        let text = |raw: Option<&'a RawValue>| raw.map(RawValue::get).filter(|raw| raw.starts_with('"'));
        let thoughts = text(self.reasoning_content).or_else(|| text(self.reasoning)).map(inner);
        let thoughts = thoughts.filter(|thoughts| !thoughts.is_empty());
        Ok(Words { text: words.text, thoughts: thoughts.map_or(words.thoughts, Cow::Borrowed) })
    }

    /// The sources that are cited, in the form of responses, where what a citation says is not an object of its own.
    pub(super) fn annotations(&self) -> Vec<String> {
        let cited = |raw: &&'a RawValue| {
            let mut inner = Members::of(Members::of(raw.get())?.get("url_citation")?)?;
            inner.take("type");
            Some(Object::new().text("type", "url_citation").pass(&inner).end())
        };
        self.annotations.as_deref().unwrap_or_default().iter().filter_map(cited).collect()
    }
}

/// A number as JSON; zero if it is none, because clients need one.
fn number(value: Option<&str>) -> &str {
    value.filter(|value| value.starts_with(|first: char| first.is_ascii_digit())).unwrap_or("0")
}
