//! The answer to a request for a message.
//!
//! In go a `chat.completion` or its chunks; out come a message, or Anthropic's events (`stream.rs`).

use super::completion::{Call, Completion, Stop, broke};
use super::json::{Object, inner, list, quoted};
use super::stream::Stream;
use crate::dialect::Answer;
use crate::error::ApiError;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Says an adapter's answer as a message.
pub(super) struct Message {
    /// What the client called the model, as JSON.
    model: String,
    /// The sequences that the client gave to end the answer.
    stops: Vec<String>,
    stream: Stream,
}

impl Message {
    pub(super) fn new(model: String, stops: Vec<String>) -> Self {
        Self { model, stops, stream: Stream::default() }
    }
}

impl Answer for Message {
    fn whole(&mut self, completion: String) -> Result<String, ApiError> {
        let completion = Completion::parse(&completion)?;
        let (id, usage) = (completion.id()?, completion.usage.unwrap_or_default());
        let model = completion.model()?.unwrap_or(&self.model);
        let choice = completion.choice()?.ok_or_else(|| broke("holds no choice"))?;
        let stop = choice.stop(&self.stops)?.ok_or_else(|| broke("has no `finish_reason`"))?;
        let said = choice.message.ok_or_else(|| broke("holds no message"))?;
        let refusal = said.refusal()?;
        let mut content = Vec::new();
        content.extend(said.thoughts()?.map(thoughts));
        content.extend([said.content()?, refusal].into_iter().flatten().map(text));
        let before = content.len();
        for (index, call) in said.calls().enumerate() {
            content.push(tool_use(&call, &id, index)?);
        }
        let stop = stop.given(refusal.is_some(), content.len() > before);
        Ok(message(&id, model, &list(&content), Some(&stop), &usage.json()))
    }

    fn chunk(&mut self, chunk: &str, events: &mut String) -> Result<(), ApiError> {
        self.stream.chunk(Completion::parse(chunk)?, &self.model, &self.stops, events)
    }

    fn end(&mut self, events: &mut String) -> Result<(), ApiError> {
        self.stream.end(events)
    }

    fn broken(&mut self, error: &ApiError, events: &mut String) {
        event("error", &super::error_body(error, None), events);
    }
}

/// A message, whole or at its beginning.
pub(super) fn message(id: &str, model: &str, content: &str, stop: Option<&Stop>, usage: &str) -> String {
    let reason = stop.map_or_else(|| "null".to_owned(), |stop| quoted(stop.reason));
    let sequence = stop.and_then(|stop| stop.sequence.as_deref()).unwrap_or("null");
    Object::new()
        .raw("id", &format!("\"{id}\""))
        .raw("type", &quoted("message"))
        .raw("role", &quoted("assistant"))
        .raw("model", model)
        .raw("content", content)
        .raw("stop_reason", &reason)
        .raw("stop_sequence", sequence)
        .raw("usage", usage)
        .end()
}

/// A block of text.
pub(super) fn text(text: &str) -> String {
    Object::new().raw("type", &quoted("text")).raw("text", text).end()
}

/// A block of thoughts. Nobody has sealed them, but clients want the seal's field.
pub(super) fn thoughts(thoughts: &str) -> String {
    Object::new().raw("type", &quoted("thinking")).raw("thinking", thoughts).raw("signature", &quoted("")).end()
}

/// A block that calls a tool.
pub(super) fn tool_call(id: &str, name: &str, input: &str) -> String {
    Object::new().raw("type", &quoted("tool_use")).raw("id", id).raw("name", name).raw("input", input).end()
}

/// The id of the message's tool call with the number `index`, as JSON: some servers give none.
pub(super) fn call_id<'a>(call: &Call<'a>, message: &str, index: usize) -> Result<Cow<'a, str>, ApiError> {
    let made = || Cow::Owned(format!("\"toolu_{}_{index}\"", message.strip_prefix("msg_").unwrap_or(message)));
    Ok(call.id()?.map_or_else(made, Cow::Borrowed))
}

fn tool_use(call: &Call<'_>, message: &str, index: usize) -> Result<String, ApiError> {
    let name = call.name()?.ok_or_else(|| broke("calls a tool without a name"))?;
    let arguments = match call.arguments()? {
        Some(arguments) => serde_json::from_str::<String>(arguments).map_err(|_| broke("holds half a character"))?,
        None => String::new(),
    };
    // A tool without parameters is called with nothing by some models.
    let input = if arguments.trim_ascii().is_empty() { "{}" } else { &arguments };
    let input = serde_json::from_str::<&RawValue>(input).ok().map(RawValue::get).filter(|input| input.starts_with('{'));
    let input = input
        .ok_or_else(|| broke(&format!("calls the tool `{}` with arguments that are no JSON object", inner(name))))?;
    Ok(tool_call(&call_id(call, message, index)?, name, input))
}

/// Appends an event. `data` is JSON on one line: all of it is made here, and JSON strings hold no line breaks.
pub(super) fn event(name: &str, data: &str, events: &mut String) {
    for part in ["event: ", name, "\ndata: ", data, "\n\n"] {
        events.push_str(part);
    }
}
