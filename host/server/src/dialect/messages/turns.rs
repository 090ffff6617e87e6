//! The turns of a conversation.
//!
//! In go `system` and `messages` of a request for a message; out come `messages` of a chat request. A turn of the user's that
//! answers tool calls becomes several: chat has a message for each tool's result.

use super::blocks::{self, Part, content};
use super::json::{At, Members, Object, decoded, inner, items, list, quoted};
use crate::error::ApiError;

/// `messages` of the chat request.
pub(super) fn messages(system: Option<&str>, messages: &str) -> Result<String, ApiError> {
    let mut chat = Vec::new();
    if let Some(system) = system {
        chat.push(said("system", &content(blocks::texts(system, &At::Member(&At::Body, "system"))?)));
    }
    let at = At::Member(&At::Body, "messages");
    for (index, message) in items(messages, &at, "an array of messages")?.into_iter().enumerate() {
        turn(message, &at.item(index), &mut chat)?;
    }
    Ok(list(&chat))
}

fn turn(message: &str, at: &At<'_>, chat: &mut Vec<String>) -> Result<(), ApiError> {
    let message = Members::at(message, at)?;
    let role = message.string("role", at)?;
    message.only(&["role", "content"], at)?;
    let at_content = at.member("content");
    let body = message.get("content").ok_or_else(|| at_content.wrong("a string or an array of content blocks"))?;
    match &*decoded(role) {
        "user" => user(body, &at_content, chat),
        "assistant" => assistant(body, &at_content).map(|said| chat.push(said)),
        "system" => {
            chat.push(said("system", &content(blocks::texts(body, &at_content)?)));
            Ok(())
        }
        _ => Err(at.member("role").wrong("`user` or `assistant`")),
    }
}

/// What the user says. Results of tools come first: in chat they have to follow the message that called the tools.
fn user(body: &str, at: &At<'_>, chat: &mut Vec<String>) -> Result<(), ApiError> {
    let mut rest = Vec::new();
    let mut results = 0;
    for (index, block) in blocks::of(body, at)?.iter().enumerate() {
        let at = at.item(index);
        if block.kind == "tool_result" {
            chat.push(result(&block.members, &at)?);
            results += 1;
        } else {
            blocks::part(block, &at, &mut rest)?;
        }
    }
    if results == 0 || !rest.is_empty() {
        chat.push(said("user", &content(rest)));
    }
    Ok(())
}

/// What a tool gave.
fn result(block: &Members<'_>, at: &At<'_>) -> Result<String, ApiError> {
    block.only(&["type", "tool_use_id", "content", "is_error", "cache_control"], at)?;
    let id = block.string("tool_use_id", at)?;
    let mut parts =
        block.get("content").map(|body| blocks::texts(body, &at.member("content"))).transpose()?.unwrap_or_default();
    if block.flag("is_error", at)? {
        // Chat has no mark for a tool that failed; the model has to be told in words.
        match parts.first_mut() {
            Some(Part::Text(text)) => *text = format!("\"Error: {}\"", inner(text)).into(),
            _ => parts.push(Part::Text(quoted("Error").into())),
        }
    }
    let said = Object::new().raw("role", &quoted("tool")).raw("tool_call_id", id);
    Ok(said.raw("content", &content(parts)).end())
}

/// What the model said: text, thoughts and calls. In chat they stand side by side, so that their order among each other is lost.
fn assistant(body: &str, at: &At<'_>) -> Result<String, ApiError> {
    let (mut parts, mut thoughts, mut calls) = (Vec::new(), String::new(), Vec::new());
    for (index, block) in blocks::of(body, at)?.iter().enumerate() {
        let at = at.item(index);
        match &*block.kind {
            "text" => blocks::part(block, &at, &mut parts)?,
            "thinking" => {
                // The signature is Anthropic's seal, which nobody else can read.
                block.members.only(&["type", "thinking", "signature", "cache_control"], &at)?;
                thoughts.push_str(inner(block.members.string("thinking", &at)?));
            }
            "redacted_thinking" => {
                let instead = "leave the block out: only Anthropic's own service can read it";
                return Err(at.member("type").unsupported(instead));
            }
            "tool_use" => calls.push(call(&block.members, &at)?),
            _ => return Err(at.member("type").unsupported("the model's turn holds text, thinking and `tool_use`")),
        }
    }
    let mut said = Object::new().raw("role", &quoted("assistant"));
    let said_nothing = parts.is_empty() && !calls.is_empty();
    said = said.raw("content", &if said_nothing { "null".to_owned() } else { content(parts) });
    if !thoughts.is_empty() {
        said = said.raw("reasoning_content", &format!("\"{thoughts}\""));
    }
    if !calls.is_empty() {
        said = said.raw("tool_calls", &list(&calls));
    }
    Ok(said.end())
}

/// A call of a tool. Its input becomes a string of the same bytes.
fn call(block: &Members<'_>, at: &At<'_>) -> Result<String, ApiError> {
    if let Some(caller) = block.get("caller") {
        let at = at.member("caller");
        if Members::at(caller, &at)?.kind(&at)? != "direct" {
            return Err(at.member("type").unsupported("only the model itself calls tools"));
        }
    }
    block.only(&["type", "id", "name", "input", "caller", "cache_control"], at)?;
    let input = block.get("input").filter(|input| input.starts_with('{'));
    let input = input.ok_or_else(|| at.member("input").wrong("an object"))?;
    let function = Object::new().raw("name", block.string("name", at)?).raw("arguments", &quoted(input)).end();
    let call = Object::new().raw("id", block.string("id", at)?).raw("type", &quoted("function"));
    Ok(call.raw("function", &function).end())
}

fn said(role: &str, content: &str) -> String {
    Object::new().raw("role", &quoted(role)).raw("content", content).end()
}
