//! A request for a message: its top-level fields.
//!
//! In goes the body of `POST /v1/messages`; out comes the chat request. Fields that Anthropic's API doesn't know are passed on as
//! they are: they are meant for the provider behind.

use super::answer::Message;
use super::json::{At, Members, Object, decoded, items, quoted};
use super::{tools, turns};
use crate::dialect::Understood;
use crate::error::ApiError;

/// What is said anew below, or is left out because it asks for nothing.
const TRANSLATED: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "stop_sequences",
    "metadata",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "service_tier",
    "stream",
    // Says what Anthropic is to keep for later requests, and changes no answer. Providers of chat keep what they like.
    "cache_control",
];

/// Anthropic's fields for what a chat request can't say.
pub(super) const REFUSED: &[&str] = &[
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallbacks",
    "inference_geo",
    "mcp_servers",
    "speed",
    "thread",
];

/// Fields of chat requests that are made here of Anthropic's, which have other names. Each is allowed once.
const CHATS_OWN: &[(&str, &str)] = &[
    ("max_completion_tokens", "say `max_tokens`"),
    ("n", "a message is one answer"),
    ("parallel_tool_calls", "say `tool_choice.disable_parallel_tool_use`"),
    ("response_format", "say `output_config.format`"),
    ("stop", "say `stop_sequences`"),
    ("stream_options", "usage always comes with a stream"),
    ("user", "say `metadata.user_id`"),
];

/// Reads a request for a message.
///
/// # Errors
/// If the body is not such a request, or asks for what a chat request can't say.
pub(crate) fn understand(body: &str) -> Result<Understood, ApiError> {
    let request = Members::parse(body).ok_or_else(|| {
        ApiError::invalid("invalid_json", None, "the body is no JSON object for a request to messages")
    })?;
    refuse(&request)?;
    let at = |name| At::Member(&At::Body, name);
    let model = request.string("model", &At::Body)?;
    let messages = request.get("messages").ok_or_else(|| at("messages").wrong("an array of messages"))?;
    let messages = turns::messages(request.get("system"), messages)?;
    let max_tokens = request.get("max_tokens").filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let max_tokens = max_tokens.ok_or_else(|| at("max_tokens").wrong("a whole number of tokens"))?;
    let tools = request.get("tools").map(|tools| tools::tools(tools, &at("tools"))).transpose()?.flatten();
    let choice = request.get("tool_choice").map(|choice| tools::choice(choice, &at("tool_choice"))).transpose()?;
    let stops = stops(&request)?;
    let stream = request.flag("stream", &At::Body)?;

    let mut chat = Object::new()
        .raw("model", model)
        .raw("messages", &messages)
        // `max_completion_tokens` would be OpenAI's newer name; servers at home mostly know this one.
        .raw("max_tokens", max_tokens)
        .maybe("tools", tools.as_deref())
        .maybe("user", user(&request)?)
        .maybe("response_format", format(&request)?.as_deref());
    if let Some(choice) = choice {
        chat = chat.raw("tool_choice", &choice.choice);
        if !choice.parallel {
            chat = chat.raw("parallel_tool_calls", "false");
        }
    }
    if !stops.is_empty() {
        chat = chat.maybe("stop", request.get("stop_sequences"));
    }
    if stream {
        chat = chat.raw("stream", "true").raw("stream_options", r#"{"include_usage":true}"#);
    }
    for member in request.others(TRANSLATED).filter(|member| !asks_nothing(&member.name, member.value)) {
        chat = chat.member(member.key, member.value);
    }
    Ok(Understood { chat: chat.end(), answer: Box::new(Message::new(model.to_owned(), stops)) })
}

/// Refuses what can't be said in a chat request, or would be said twice.
fn refuse(request: &Members<'_>) -> Result<(), ApiError> {
    for name in REFUSED {
        if request.get(name).is_some_and(|value| !asks_nothing(name, value)) {
            return Err(At::Body.member(name).unsupported("leave it out: only Anthropic's own service has it"));
        }
    }
    for (name, instead) in CHATS_OWN {
        if request.get(name).is_some_and(|value| !asks_nothing(name, value)) {
            return Err(At::Body.member(name).unsupported(instead));
        }
    }
    let at = At::Member(&At::Body, "service_tier");
    match request.get("service_tier") {
        // Both ask for the usual service, which is all there is behind a gateway.
        None | Some(r#""auto""# | r#""standard_only""#) => {}
        Some(_) => return Err(at.wrong("`auto` or `standard_only`")),
    }
    let at = At::Member(&At::Body, "thinking");
    if let Some(thinking) = request.get("thinking")
        && Members::at(thinking, &at)?.kind(&at)? != "disabled"
    {
        // How much effort a budget of tokens is differs from model to model: the client has to say it.
        return Err(at.unsupported("send `reasoning_effort` instead, which is passed on to the provider"));
    }
    Ok(())
}

/// Whether a field that can't be passed on says what holds without it.
fn asks_nothing(name: &str, value: &str) -> bool {
    let default = match name {
        "mcp_servers" => "[]",
        "n" => "1",
        "speed" => r#""standard""#,
        _ => "null",
    };
    let ours = REFUSED.contains(&name) || CHATS_OWN.iter().any(|(own, _)| *own == name);
    ours && (value == default || value == "null")
}

/// The sequences that end the answer, so that it can say by which one it was ended.
fn stops(request: &Members<'_>) -> Result<Vec<String>, ApiError> {
    const STRINGS: &str = "an array of strings";
    let at = At::Member(&At::Body, "stop_sequences");
    let Some(stops) = request.get("stop_sequences") else { return Ok(Vec::new()) };
    let stops = items(stops, &at, STRINGS)?;
    if stops.iter().any(|stop| !stop.starts_with('"')) {
        return Err(at.wrong(STRINGS));
    }
    Ok(stops.into_iter().map(|stop| decoded(stop).into_owned()).collect())
}

/// Whose request it is.
fn user<'a>(request: &Members<'a>) -> Result<Option<&'a str>, ApiError> {
    let at = At::Member(&At::Body, "metadata");
    let Some(metadata) = request.get("metadata") else { return Ok(None) };
    let metadata = Members::at(metadata, &at)?;
    metadata.only(&["user_id"], &at)?;
    metadata.get("user_id").map(|_| metadata.string("user_id", &at)).transpose()
}

/// The schema that the answer has to follow.
fn format(request: &Members<'_>) -> Result<Option<String>, ApiError> {
    let config = At::Member(&At::Body, "output_config");
    let older = At::Member(&At::Body, "output_format");
    let mut format = request.get("output_format").map(|format| (format, older));
    if let Some(value) = request.get("output_config") {
        let members = Members::at(value, &config)?;
        if members.get("effort").is_some() {
            let instead = "send `reasoning_effort` instead, which is passed on to the provider";
            return Err(config.member("effort").unsupported(instead));
        }
        members.only(&["format", "effort"], &config)?;
        if let Some(value) = members.get("format") {
            if format.is_some() {
                return Err(older.unsupported("`output_config.format` says it already"));
            }
            format = Some((value, At::Member(&config, "format")));
        }
    }
    let Some((format, at)) = format else { return Ok(None) };
    let members = Members::at(format, &at)?;
    if members.kind(&at)? != "json_schema" {
        return Err(at.member("type").unsupported("the only format is `json_schema`"));
    }
    members.only(&["type", "schema"], &at)?;
    let schema = members.get("schema").filter(|schema| schema.starts_with('{'));
    let schema = schema.ok_or_else(|| at.member("schema").wrong("a JSON Schema, which is an object"))?;
    // Anthropic keeps to the schema always. OpenAI's API does so only if it is asked to, and wants a name.
    let schema = Object::new().raw("name", &quoted("answer")).raw("strict", "true").raw("schema", schema).end();
    Ok(Some(Object::new().raw("type", &quoted("json_schema")).raw("json_schema", &schema).end()))
}
