//! What an adapter answers to a chat request, as far as a message says it.
//!
//! In goes a `chat.completion` or a `chat.completion.chunk`; out come its parts, and why and how the answer ended, in
//! Anthropic's words. Text stays the JSON string that it was.

use crate::dialect::{broke, misread};
use crate::error::ApiError;
use crate::json::{Object, decoded, inner, quoted};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A whole answer or a chunk of one.
#[derive(Deserialize)]
pub(super) struct Completion<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    pub(super) usage: Option<Usage>,
}

/// One of the answers that the model gives.
#[derive(Deserialize)]
pub(super) struct Choice<'a> {
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

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// How many tokens it took.
#[derive(Clone, Copy, Default, Deserialize)]
pub(super) struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
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
        serde_json::from_str(json).map_err(|error| misread("chat completion", &error))
    }

    /// The answer. A message is one, and one was asked for.
    pub(super) fn choice(mut self) -> Result<Option<Choice<'a>>, ApiError> {
        match self.choices.len() {
            0 | 1 => Ok(self.choices.pop()),
            _ => Err(broke("holds several choices, and one was asked for")),
        }
    }

    /// The message's id, as text inside of a JSON string.
    pub(super) fn id(&self) -> Result<String, ApiError> {
        let id = text("id", self.id)?.map_or("unknown", inner);
        Ok(format!("msg_{}", id.strip_prefix("chatcmpl-").unwrap_or(id)))
    }

    /// The model's name as JSON, if it is there.
    pub(super) fn model(&self) -> Result<Option<&'a str>, ApiError> {
        text("model", self.model)
    }
}

impl<'a> Choice<'a> {
    /// Why the answer ended, if it did. `stops` are the sequences that the client gave.
    pub(super) fn stop(&self, stops: &[String]) -> Result<Option<Stop>, ApiError> {
        let Some(reason) = text("finish_reason", self.finish_reason)? else { return Ok(None) };
        let reason = match &*decoded(reason) {
            "stop" => "end_turn",
            "length" => "max_tokens",
            "tool_calls" | "function_call" => "tool_use",
            "content_filter" => "refusal",
            // Whatever it means, it may not look like a good end.
            _ => return Err(broke("has an unknown `finish_reason`")),
        };
        // Both may be the number of a token, too: then no sequence of the client's is meant.
        let told = [self.stop_reason, self.matched_stop].into_iter().flatten().map(RawValue::get);
        let sequence =
            told.filter(|told| told.starts_with('"')).map(decoded).find(|told| stops.iter().any(|s| s == told));
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
    pub(super) fn thoughts(&self) -> Result<Option<&'a str>, ApiError> {
        Ok(text("reasoning_content", self.reasoning_content)?.or(text("reasoning", self.reasoning)?))
    }

    pub(super) fn content(&self) -> Result<Option<&'a str>, ApiError> {
        text("content", self.content)
    }

    pub(super) fn refusal(&self) -> Result<Option<&'a str>, ApiError> {
        text("refusal", self.refusal)
    }

    pub(super) fn calls(self) -> impl Iterator<Item = Call<'a>> {
        let older = self.function_call.map(|function| Call { index: None, id: None, function: Some(function) });
        self.tool_calls.into_iter().flatten().chain(older)
    }
}

impl<'a> Call<'a> {
    pub(super) fn id(&self) -> Result<Option<&'a str>, ApiError> {
        text("id", self.id)
    }

    pub(super) fn name(&self) -> Result<Option<&'a str>, ApiError> {
        text("name", self.function.as_ref().and_then(|function| function.name))
    }

    pub(super) fn arguments(&self) -> Result<Option<&'a str>, ApiError> {
        text("arguments", self.function.as_ref().and_then(|function| function.arguments))
    }
}

impl Usage {
    /// The usage in Anthropic's form, where what was cached doesn't count as input.
    pub(super) fn json(&self) -> String {
        let cached = self.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or_default();
        let input = self.prompt_tokens.unwrap_or_default().saturating_sub(cached);
        Object::new()
            .put("input_tokens", &input.to_string())
            .put("cache_creation_input_tokens", "0")
            .put("cache_read_input_tokens", &cached.to_string())
            .put("output_tokens", &self.completion_tokens.unwrap_or_default().to_string())
            .end()
    }
}

/// The JSON string in the field `name`. An empty one says nothing.
fn text<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Option<&'a str>, ApiError> {
    match value.map(RawValue::get) {
        None | Some(r#""""#) => Ok(None),
        Some(text) if text.starts_with('"') => Ok(Some(text)),
        Some(_) => Err(broke(&format!("has a `{name}` that is no string"))),
    }
}
