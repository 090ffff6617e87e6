//! What an adapter answers to a chat request, as far as a message says it.
//!
//! In goes a `chat.completion` or a `chat.completion.chunk`; out come its parts, and why and how the answer ended, in
//! Anthropic's words. Text stays the JSON string that it was.

use super::answer::PREFIX;
use crate::dialect::finish::Finish;
use crate::dialect::words::{self, Words};
use crate::dialect::{broke, calls, misread};
use crate::error::ApiError;
use crate::json::{Members, Object, decoded, inner, quoted};
use crate::work::visit;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A whole answer or a chunk of one.
#[derive(Deserialize)]
pub(super) struct Completion<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// One of the answers that the model gives.
#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    index: Option<u64>,
    /// What a whole answer says.
    #[serde(borrow)]
    pub(super) message: Option<Said<'a>>,
    /// What a chunk says.
    #[serde(borrow)]
    pub(super) delta: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    /// By which sequence the answer was ended, as `vLLM` says it.
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    /// The same, as `SGLang` says it.
    #[serde(borrow)]
    matched_stop: Option<&'a RawValue>,
}

/// What the model says.
#[derive(Default, Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    /// Thoughts. OpenAI's API doesn't give them; servers at home have these two names for them, and some give both.
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    /// The form before `tool_calls`.
    #[serde(borrow)]
    function_call: Option<Function<'a>>,
}

/// A tool call or a piece of one.
#[derive(Deserialize)]
pub(super) struct Call<'a> {
    pub(super) index: Option<u64>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// How many tokens it took.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    input: u64,
    output: u64,
    /// How many of the input came from a cache.
    cached: u64,
}

/// Why the answer ended.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) reason: &'static str,
    /// The client's sequence that ended it, as JSON.
    pub(super) sequence: Option<String>,
}

impl<'a> Completion<'a> {
    pub(super) fn parse(json: &'a str) -> Result<Self, ApiError> {
        visit(json.len());
        serde_json::from_str(json).map_err(|error| misread("chat completion", &error))
    }

    /// The answer: a message is one, and more are never asked for.
    pub(super) fn choice(self) -> Option<Choice<'a>> {
        self.choices.into_iter().flatten().find(|choice| choice.index.is_none_or(|index| index == 0))
    }

    /// The message's id, as text inside of a JSON string.
    pub(super) fn id(&self) -> String {
        let id = text(self.id).map_or("unknown", inner);
        let bare = ["chatcmpl-", PREFIX].into_iter().find_map(|prefix| id.strip_prefix(prefix));
        format!("{PREFIX}{}", bare.unwrap_or(id))
    }

    /// The model's name as JSON, if it is there.
    pub(super) fn model(&self) -> Option<&'a str> {
        text(self.model)
    }

    /// How many tokens it took, if it says so.
    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = Members::of(self.usage?.get())?;
        let details = usage.get("prompt_tokens_details").and_then(Members::of).unwrap_or_default();
        Some(Usage {
            input: count(usage.get("prompt_tokens")),
            output: count(usage.get("completion_tokens")),
            cached: count(details.get("cached_tokens")),
        })
    }
}

impl<'a> Choice<'a> {
    /// Why the answer ended, if it did. `stops` are the sequences that the client gave.
    pub(super) fn stop(&self, stops: &BTreeSet<String>) -> Result<Option<Stop>, ApiError> {
        let Some(finish) = text(self.finish_reason).map(Finish::of).transpose()?.flatten() else { return Ok(None) };
        let reason = match finish {
            Finish::Stop => "end_turn",
            Finish::Length => "max_tokens",
            Finish::Calls => "tool_use",
            Finish::Filter => "refusal",
        };
        // Both may be the number of a token, too: then no sequence of the client's is meant.
        let told = [self.stop_reason, self.matched_stop].into_iter().flatten().map(RawValue::get);
        let sequence = told.filter(|told| told.starts_with('"')).map(decoded).find(|told| stops.contains(&**told));
        Ok(Some(match sequence {
            Some(sequence) if reason == "end_turn" => {
                Stop { reason: "stop_sequence", sequence: Some(quoted(&sequence)) }
            }
            _ => Stop { reason, sequence: None },
        }))
    }
}

impl Stop {
    /// What it is if the model refused or called a tool. Providers say `stop` there, too.
    pub(super) fn given(self, refused: bool, called: bool) -> Self {
        match self.reason {
            _ if refused => Self { reason: "refusal", sequence: None },
            "end_turn" if called => Self { reason: "tool_use", sequence: None },
            _ => self,
        }
    }
}

impl<'a> Said<'a> {
    /// What it says and thinks, as what stands between the quotes of JSON strings.
    pub(super) fn words(&self) -> Result<Words<'a>, ApiError> {
        let words =
            words::of(self.content.map(RawValue::get)).ok_or_else(|| broke("has a `content` that is no text"))?;
        let thoughts = text(self.reasoning_content).or_else(|| text(self.reasoning)).map(inner);
        Ok(Words { text: words.text, thoughts: thoughts.map_or(words.thoughts, Cow::Borrowed) })
    }

    pub(super) fn refusal(&self) -> Option<&'a str> {
        text(self.refusal).map(inner)
    }

    pub(super) fn calls(self) -> impl Iterator<Item = Call<'a>> {
        let older = self.function_call.map(|function| Call { index: None, id: None, function: Some(function) });
        self.tool_calls.into_iter().flatten().chain(older)
    }
}

impl<'a> Call<'a> {
    pub(super) fn id(&self) -> Option<&'a str> {
        text(self.id)
    }

    pub(super) fn name(&self) -> Option<&'a str> {
        text(self.function.as_ref().and_then(|function| function.name))
    }

    /// What it is called with, as what stands between the quotes of a JSON string.
    pub(super) fn arguments(&self) -> Cow<'a, str> {
        calls::arguments(self.function.as_ref().and_then(|function| function.arguments).map(RawValue::get))
    }
}

impl Usage {
    /// The usage in Anthropic's form, where what was cached doesn't count as input.
    pub(super) fn json(&self) -> String {
        let Self { input, output, cached } = self;
        Object::new()
            .put("input_tokens", &input.saturating_sub(*cached).to_string())
            .put("cache_creation_input_tokens", "0")
            .put("cache_read_input_tokens", &cached.to_string())
            .put("output_tokens", &output.to_string())
            .end()
    }
}

/// The JSON string that a field is. An empty one says nothing, and so does what is none.
fn text(value: Option<&RawValue>) -> Option<&str> {
    value.map(RawValue::get).filter(|text| text.starts_with('"') && *text != "\"\"")
}

/// A count of tokens. Some write it as `3.0` or as text; what is none counts nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast saturates")]
fn count(value: Option<&str>) -> u64 {
    let number: Option<f64> = value.and_then(|value| value.trim_matches('"').parse().ok());
    number.unwrap_or_default() as u64
}
