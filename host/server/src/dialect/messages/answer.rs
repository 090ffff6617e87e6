//! The answer to a request for a message.
//!
//! In go a `chat.completion` or its chunks; out come a message, or Anthropic's events (`stream.rs`).

use super::completion::{Call, Completion, Stop};
use super::stream::Stream;
use crate::dialect::calls::{Calls, Piece};
use crate::dialect::{Answer, UNIQUE, broke};
use crate::error::ApiError;
use crate::json::{Object, array, inner, quoted};
use crate::sse;
use crate::work::visit;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// What the answer depends on of its request.
pub(super) struct Asked {
    /// What the client called the model, as JSON.
    pub(super) model: String,
    /// The sequences that the client gave to end the answer.
    pub(super) stops: BTreeSet<String>,
    /// Whether thoughts are to be told.
    pub(super) thoughts: bool,
    /// What the message is called if its provider's name for it is not unique.
    pub(super) name: Option<String>,
}

/// The longest name of a message that its provider can give it: tool calls without an id are named after it.
const MAX_ID: usize = 256;

/// What the names of messages begin with.
pub(super) const PREFIX: &str = "msg_";

impl Asked {
    /// What a message is called: what its provider calls it, if no other message is.
    pub(super) fn id(&self, completion: &Completion<'_>) -> String {
        let said = completion.id();
        match &self.name {
            Some(name) if !(PREFIX.len() + UNIQUE..=MAX_ID).contains(&said.len()) => name.clone(),
            _ => said,
        }
    }
}

/// Says an adapter's answer as a message.
pub(super) struct Message {
    asked: Asked,
    stream: Stream,
}

impl Message {
    pub(super) fn new(asked: Asked) -> Self {
        Self { asked, stream: Stream::default() }
    }
}

impl Answer for Message {
    fn named(&mut self, unique: &str) {
        self.asked.name = Some(format!("{PREFIX}{unique}"));
    }

    fn whole(&mut self, completion: String) -> Result<String, ApiError> {
        let completion = Completion::parse(&completion)?;
        let usage = completion.usage().unwrap_or_default();
        let id = self.asked.id(&completion);
        let model = completion.model().unwrap_or(&self.asked.model);
        let choice = completion.choice().ok_or_else(|| broke("holds no choice"))?;
        let stop = choice.stop(&self.asked.stops)?.ok_or_else(|| broke("has no `finish_reason`"))?;
        let said = choice.message.ok_or_else(|| broke("holds no message"))?;
        let (words, refusal) = (said.words()?, said.refusal());
        let mut content = Vec::new();
        if self.asked.thoughts && !words.thoughts.is_empty() {
            content.push(thoughts(&words.thoughts));
        }
        let texts = [&*words.text, refusal.unwrap_or_default()];
        content.extend(texts.into_iter().filter(|words| !words.is_empty()).map(text));
        let before = content.len();
        let mut calls = Calls::default();
        for (index, call) in said.calls().enumerate() {
            // They are whole, so each is another one.
            let number = u64::try_from(index).ok();
            calls.place(Piece { number, id: call.id().map(inner).unwrap_or_default(), ..Piece::default() })?;
            match tool_use(&call, &call_id(calls.id(index), &id, index)) {
                Ok(call) => content.push(call),
                // The last one was cut off: nobody can make it.
                Err(_) if stop.reason == "max_tokens" => {}
                Err(error) => return Err(error),
            }
        }
        let stop = stop.given(refusal.is_some(), content.len() > before);
        Ok(message(&id, model, &array(&content), Some(&stop), &usage.json()))
    }

    fn chunk(&mut self, chunk: &str, events: &mut String) -> Result<(), ApiError> {
        self.stream.chunk(Completion::parse(chunk)?, &self.asked, events)
    }

    fn end(&mut self, events: &mut String) -> Result<(), ApiError> {
        self.stream.end(events)
    }

    fn broken(&mut self, error: &ApiError, events: &mut String) {
        sse::event(events, Some("error"), &super::error_body(error, None));
    }
}

/// A message, whole or at its beginning.
pub(super) fn message(id: &str, model: &str, content: &str, stop: Option<&Stop>, usage: &str) -> String {
    let reason = stop.map_or_else(|| "null".to_owned(), |stop| quoted(stop.reason));
    let sequence = stop.and_then(|stop| stop.sequence.as_deref()).unwrap_or("null");
    Object::new()
        .put("id", &format!("\"{id}\""))
        .text("type", "message")
        .text("role", "assistant")
        .put("model", model)
        .put("content", content)
        .put("stop_reason", &reason)
        .put("stop_sequence", sequence)
        .put("usage", usage)
        .end()
}

/// A block of text. Words are what stands between the quotes of a JSON string.
pub(super) fn text(words: &str) -> String {
    Object::new().text("type", "text").put("text", &format!("\"{words}\"")).end()
}

/// A block of thoughts. Nobody has sealed them, but clients want the seal's field.
pub(super) fn thoughts(words: &str) -> String {
    Object::new().text("type", "thinking").put("thinking", &format!("\"{words}\"")).text("signature", "").end()
}

/// A block that calls a tool.
pub(super) fn tool_call(id: &str, name: &str, input: &str) -> String {
    Object::new().text("type", "tool_use").put("id", id).put("name", name).put("input", input).end()
}

/// The id of the message's tool call with the number `index`, as JSON: some servers give none.
/// `known` is what stands between the quotes of the one that it has.
pub(super) fn call_id(known: Option<&str>, message: &str, index: usize) -> String {
    match known {
        Some(id) => format!("\"{id}\""),
        None => format!("\"toolu_{}_{index}\"", message.strip_prefix(PREFIX).unwrap_or(message)),
    }
}

fn tool_use(call: &Call<'_>, id: &str) -> Result<String, ApiError> {
    let name = call.name().ok_or_else(|| broke("calls a tool without a name"))?;
    let arguments = format!("\"{}\"", call.arguments());
    visit(arguments.len());
    let arguments = serde_json::from_str::<String>(&arguments).map_err(|_| broke("holds half a character"))?;
    // A tool without parameters is called with nothing by some models.
    let input = if arguments.trim_ascii().is_empty() { "{}" } else { &arguments };
    let input = serde_json::from_str::<&RawValue>(input).ok().map(RawValue::get).filter(|input| input.starts_with('{'));
    let input = input.ok_or_else(|| broke("calls a tool with arguments that are no JSON object"))?;
    Ok(tool_call(id, name, input))
}
