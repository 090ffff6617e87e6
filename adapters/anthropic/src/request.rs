//! A chat request as one for a message: its top-level fields.
//!
//! In goes the client's chat request; out comes the body of `POST /v1/messages`. What Anthropic's API can't say is refused by name.
//! Fields that chat doesn't know are passed on as they are: they are Anthropic's own, or it refuses them in words of its own.

use std::borrow::Cow;

use hauski_adapter_sdk::{ChatRequest, Error, Json};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

use crate::content::Block;
use crate::json::{At, Members, Raw, decoded, inner, is_string, same};
use crate::tools::{self, Choice, Tool};
use crate::turns::{self, Turn};

/// What is said anew below. The last three ask for nothing that changes an answer: usage always comes with a stream and is the
/// host's to give, and what a cache is called is Anthropic's own affair.
const TRANSLATED: &[&str] = &[
    "model",
    "messages",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "user",
    "safety_identifier",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "service_tier",
    "stream_options",
    "prompt_cache_key",
    "prompt_cache_retention",
];

/// Fields of chat requests that have no counterpart, with the value that asks for nothing and what to do instead.
const REFUSED: &[(&str, &str, &str)] = &[
    ("n", "1", "a message is one answer; ask several times"),
    ("logprobs", "false", "leave it out"),
    ("top_logprobs", "0", "leave it out"),
    ("logit_bias", "{}", "leave it out"),
    ("seed", "null", "leave it out"),
    ("presence_penalty", "0", "leave it out"),
    ("frequency_penalty", "0", "leave it out"),
    ("modalities", r#"["text"]"#, "answers are text"),
    ("audio", "null", "answers are text"),
    ("prediction", "null", "leave it out"),
    ("verbosity", r#""medium""#, "leave it out"),
    ("web_search_options", "null", "leave it out"),
    ("store", "false", "leave it out"),
    ("functions", "[]", "say `tools`"),
    ("function_call", "null", "say `tool_choice`"),
];

#[derive(Serialize)]
struct Body<'a> {
    model: Raw<'a>,
    max_tokens: Cow<'a, RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    /// `temperature` and `top_p` too, which are called the same.
    #[serde(flatten)]
    more: Members<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    user_id: Raw<'a>,
}

#[derive(Default, Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "json_schema")]
struct Format<'a> {
    schema: Cow<'a, RawValue>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "disabled")]
struct Thinking {}

/// The body of the request for a message. `max_tokens` is for requests that have none of their own.
///
/// # Errors
/// `invalid-request` if the request is malformed, or asks for what Anthropic's API can't say.
pub(crate) fn body(request: &ChatRequest, max_tokens: u64, stream: bool) -> Result<Json, Error> {
    let length = request.text().len();
    let request = Members::of(request.text(), &At::Body)?;
    for (name, nothing, instead) in REFUSED {
        if request.get(name).is_some_and(|value| !same(value, nothing)) {
            return Err(At::Body.member(name).refused(instead));
        }
    }
    let conversation = turns::conversation(request.items("messages", &At::Body)?, &At::Body.member("messages"))?;
    let tools = tools::tools(&request)?;
    let (effort, thinking) = effort(&request)?;
    let body = Body {
        model: request.required("model", &At::Body)?,
        max_tokens: match request.get("max_completion_tokens").or_else(|| request.get("max_tokens")) {
            Some(max_tokens) => Cow::Borrowed(max_tokens),
            None => Cow::Owned(to_raw_value(&max_tokens).map_err(|error| Error::Internal(error.to_string()))?),
        },
        system: conversation.system,
        messages: conversation.turns,
        stop_sequences: stops(&request)?,
        metadata: user(&request)?.map(|user_id| Metadata { user_id }),
        tool_choice: tools::choice(&request, &tools)?,
        tools,
        output_config: OutputConfig { effort, format: format(&request)? },
        thinking,
        service_tier: service_tier(&request)?,
        stream,
        more: Members::default(),
    };
    let refused = |name: &str| REFUSED.iter().any(|(refused, ..)| *refused == name);
    let more = request.others(TRANSLATED).without(refused);
    body.said_once(&more)?;
    // As large as it came, mostly: images are most of it, and memory is short.
    let mut written = Vec::with_capacity(length + 1024);
    let internal = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    serde_json::to_writer(&mut written, &Body { more, ..body }).map_err(|error| internal(&error))?;
    String::from_utf8(written).map_err(|error| internal(&error))
}

impl Body<'_> {
    /// Refuses what is said twice: by a field of chat's, and by Anthropic's own.
    fn said_once(&self, more: &Members<'_>) -> Result<(), Error> {
        let made = [
            ("system", !self.system.is_empty(), "the messages of the system say it already"),
            ("stop_sequences", !self.stop_sequences.is_empty(), "`stop` says it already"),
            ("metadata", self.metadata.is_some(), "`user` or `safety_identifier` says it already"),
            (
                "output_config",
                !self.output_config.is_empty(),
                "`response_format` or `reasoning_effort` says it already",
            ),
            ("thinking", self.thinking.is_some(), "`reasoning_effort` says it already"),
        ];
        match made.into_iter().find(|(name, made, _)| *made && more.get(name).is_some()) {
            Some((name, _, by)) => Err(Error::InvalidRequest(format!("`{name}` can't be said twice: {by}"))),
            None => Ok(()),
        }
    }
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

/// The sequences that end the answer. Chat has one string as well.
fn stops<'a>(request: &Members<'a>) -> Result<Vec<Raw<'a>>, Error> {
    let at = At::Body.member("stop");
    match request.get("stop") {
        None => Ok(Vec::new()),
        Some(stop) if is_string(stop) => Ok(vec![stop]),
        Some(stops) => serde_json::from_str::<Vec<Raw<'a>>>(stops.get())
            .ok()
            .filter(|stops| stops.iter().all(|stop| is_string(stop)))
            .ok_or_else(|| at.wrong("a string or an array of strings")),
    }
}

/// Whose request it is. `safety_identifier` is the newer name for it.
fn user<'a>(request: &Members<'a>) -> Result<Option<Raw<'a>>, Error> {
    let (newer, older) = (request.string("safety_identifier", &At::Body)?, request.string("user", &At::Body)?);
    Ok(newer.or(older).filter(|user| !inner(user).is_empty()))
}

/// How much effort the answer is worth. To think not at all is said elsewhere.
fn effort<'a>(request: &Members<'a>) -> Result<(Option<Raw<'a>>, Option<Thinking>), Error> {
    let at = At::Body.member("reasoning_effort");
    let Some(effort) = request.get("reasoning_effort") else { return Ok((None, None)) };
    match &*decoded(effort, &at)? {
        "none" => Ok((None, Some(Thinking {}))),
        "low" | "medium" | "high" | "xhigh" | "max" => Ok((Some(effort), None)),
        _ => Err(at.refused("say `none`, `low`, `medium`, `high`, `xhigh` or `max`")),
    }
}

fn service_tier(request: &Members<'_>) -> Result<Option<&'static str>, Error> {
    match &*request.text("service_tier", &At::Body)? {
        "" => Ok(None),
        "auto" => Ok(Some("auto")),
        "default" | "standard_only" => Ok(Some("standard_only")),
        _ => Err(At::Body.member("service_tier").refused("say `auto` or `default`")),
    }
}

/// The schema that the answer has to follow. Its name is a label; its description becomes the schema's, where that has none.
fn format<'a>(request: &Members<'a>) -> Result<Option<Format<'a>>, Error> {
    let at = At::Body.member("response_format");
    let Some(format) = request.object("response_format", &At::Body)? else { return Ok(None) };
    match &*format.text("type", &at)? {
        "text" => return Ok(None),
        "json_schema" => {}
        _ => return Err(at.member("type").refused("say `json_schema`, with a schema")),
    }
    format.only(&["type", "json_schema"], &at)?;
    let format = format.object("json_schema", &at)?.ok_or_else(|| at.member("json_schema").wrong("an object"))?;
    let at = at.member("json_schema");
    format.only(&["name", "description", "schema", "strict"], &at)?;
    let at_schema = at.member("schema");
    let schema = format.get("schema").ok_or_else(|| at_schema.wrong("a JSON Schema, which is an object"))?;
    let members = Members::of(schema.get(), &at_schema)?;
    let schema = match format.string("description", &at)? {
        Some(description) if members.get("description").is_none() => described(schema, description)?,
        _ => Cow::Borrowed(schema),
    };
    Ok(Some(Format { schema }))
}

/// The schema with a description in front; the rest keeps its bytes.
fn described<'a>(schema: Raw<'a>, description: Raw<'a>) -> Result<Cow<'a, RawValue>, Error> {
    let rest = schema.get()[1..].trim_ascii_start();
    let comma = if rest.starts_with('}') { "" } else { "," };
    let text = format!(r#"{{"description":{}{comma}{rest}"#, description.get());
    RawValue::from_string(text).map(Cow::Owned).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests;
