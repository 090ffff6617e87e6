//! A request for a message: its top-level fields.
//!
//! In goes the body of `POST /v1/messages`; out comes the chat request. Fields that Anthropic's API doesn't know are passed on as
//! they are: they are meant for the provider behind.

use super::answer::{Asked, Message};
use super::{context, effort, tools, turns};
use crate::dialect::Understood;
use crate::error::ApiError;
use crate::json::{Node, Object, decoded};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Anthropic's fields for what a chat request can't say, and what of each asks for nothing.
pub(super) const REFUSED: &[(&str, &[&str])] = &[
    ("compaction", &[]),
    ("container", &[]),
    ("diagnostics", &[]),
    ("fallbacks", &[]),
    ("inference_geo", &[]),
    ("mcp_servers", &["[]"]),
    ("speed", &[r#""standard""#]),
    ("thread", &[]),
];

/// Fields of chat requests that are made here of Anthropic's, which have other names. Each is allowed once.
const CHATS_OWN: &[(&str, &[&str], &str)] = &[
    ("max_completion_tokens", &[], "say `max_tokens`"),
    ("n", &["1"], "a message is one answer"),
    ("parallel_tool_calls", &[], "say `tool_choice.disable_parallel_tool_use`"),
    ("response_format", &[], "say `output_config.format`"),
    ("stop", &[], "say `stop_sequences`"),
    ("stream_options", &[], "usage always comes with a stream"),
    ("user", &[], "say `metadata.user_id`"),
];

/// The longest name of a user that OpenAI's API takes, in characters.
const LONGEST_USER: usize = 64;

/// Reads a request for a message.
///
/// # Errors
/// If the body is not such a request, or asks for what a chat request can't say.
pub(crate) fn understand(body: &str) -> Result<Understood, ApiError> {
    let mut top = Node::body(body)?;
    for (name, harmless) in REFUSED {
        top.refuse(name, harmless, "leave it out: only Anthropic's own service has it")?;
    }
    for (name, harmless, instead) in CHATS_OWN {
        top.refuse(name, harmless, instead)?;
    }
    context::take(&mut top)?;
    // Says what Anthropic is to keep for later requests, and changes no answer. Providers of chat keep what they like.
    top.take("cache_control");
    service_tier(&mut top)?;
    let model = top.needed("model")?;
    let messages = turns::messages(&mut top)?;
    let max_tokens = top.take("max_tokens").filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let max_tokens = max_tokens.ok_or_else(|| top.wrong("max_tokens", "a whole number of tokens"))?;

    // `max_completion_tokens` would be OpenAI's newer name; servers at home mostly know this one.
    let mut chat = Object::new().put("model", model).put("messages", &messages).put("max_tokens", max_tokens);
    chat = chat.maybe("tools", tools::tools(&mut top)?.as_deref()).maybe("user", user(&mut top)?.as_deref());
    let mut config = top.object("output_config")?.unwrap_or_default();
    chat = chat.maybe("response_format", format(&mut top, &mut config)?.as_deref());
    let effort = effort::take(&mut top, &mut config)?;
    config.nothing_else()?;
    if let Some(word) = &effort.word {
        // What is there says nothing, then.
        top.take(effort::CHATS_OWN);
        chat = chat.put(effort::CHATS_OWN, word);
    }
    if let Some(choice) = tools::choice(&mut top)? {
        chat = chat.put("tool_choice", &choice.choice);
        chat = chat.maybe("parallel_tool_calls", (!choice.parallel).then_some("false"));
    }
    let (stop, stops) = stops(&mut top)?;
    chat = chat.maybe("stop", stop);
    if top.flag("stream")? {
        chat = chat.put("stream", "true").put("stream_options", r#"{"include_usage":true}"#);
    }
    let asked = Asked { model: model.to_owned(), stops, thoughts: effort.told, name: None };
    Ok(Understood { chat: chat.pass(&top.rest(&[])?).end(), answer: Box::new(Message::new(asked)) })
}

/// Takes `service_tier`. Both values ask for the usual service, which is all there is behind a gateway.
fn service_tier(top: &mut Node) -> Result<(), ApiError> {
    match top.take("service_tier") {
        None | Some(r#""auto""# | r#""standard_only""#) => Ok(()),
        Some(_) => Err(top.wrong("service_tier", "`auto` or `standard_only`")),
    }
}

/// Takes the sequences that end the answer: as they came, and decoded, so that the answer can say by which one it was ended.
fn stops<'a>(top: &mut Node<'a>) -> Result<(Option<&'a str>, BTreeSet<String>), ApiError> {
    let written = top.peek("stop_sequences");
    let stops = top.list("stop_sequences")?.unwrap_or_default();
    if stops.iter().any(|(stop, _)| !stop.starts_with('"')) {
        return Err(top.wrong("stop_sequences", "an array of strings"));
    }
    let stops: BTreeSet<_> = stops.into_iter().map(|(stop, _)| decoded(stop).into_owned()).collect();
    Ok((written.filter(|_| !stops.is_empty()), stops))
}

/// Takes whose request it is. Providers refuse what is long, and agents write down there more than is theirs to know: of that a
/// digest says as well who it is.
fn user<'a>(top: &mut Node<'a>) -> Result<Option<Cow<'a, str>>, ApiError> {
    let Some(mut metadata) = top.object("metadata")? else { return Ok(None) };
    let user = metadata.string("user_id")?;
    metadata.nothing_else()?;
    Ok(user.map(|user| match decoded(user) {
        known if known.chars().count() <= LONGEST_USER => Cow::Borrowed(user),
        long => Cow::Owned(format!("\"{:x}\"", Sha256::digest(long.as_bytes()))),
    }))
}

/// Takes the schema that the answer has to follow: from `config`, or from where it was before.
fn format(top: &mut Node, config: &mut Node) -> Result<Option<String>, ApiError> {
    let format = config.object("format")?;
    if format.is_some() {
        top.refuse("output_format", &[], "`output_config.format` says it already")?;
    }
    let Some(mut format) = format.map_or_else(|| top.object("output_format"), |format| Ok(Some(format)))? else {
        return Ok(None);
    };
    if format.needed_kind()? != "json_schema" {
        return Err(format.unsupported("type", "the only format is `json_schema`"));
    }
    let schema = format.schema("schema")?;
    format.nothing_else()?;
    // Anthropic keeps to the schema always. OpenAI's API does so only if it is asked to, and wants a name.
    let schema = Object::new().text("name", "answer").put("strict", "true").put("schema", schema).end();
    Ok(Some(Object::new().text("type", "json_schema").put("json_schema", &schema).end()))
}
