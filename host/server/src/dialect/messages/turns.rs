//! The turns of a conversation.
//!
//! In go `system` and `messages` of a request for a message; out come `messages` of a chat request. A turn of the user's that
//! answers tool calls becomes several: chat has a message for each tool's result.

use super::blocks::{self, Content, Part, content};
use crate::error::ApiError;
use crate::json::{Node, Object, array, decoded, inner, quoted};

/// Takes what is said: `messages` of the chat request. What the system says is one message, wherever it says it: many models take it
/// nowhere but first.
pub(super) fn messages(top: &mut Node) -> Result<String, ApiError> {
    let mut system = match blocks::take(top, "system")? {
        Some(system) => blocks::texts(system)?,
        None => Vec::new(),
    };
    let mut chat = Vec::new();
    let turns = top.objects("messages")?.ok_or_else(|| top.wrong("messages", "an array of messages"))?;
    for message in turns {
        turn(message, &mut system, &mut chat)?;
    }
    let first = (!system.is_empty()).then(|| said("system", &system));
    Ok(array(&first.into_iter().chain(chat).collect::<Vec<_>>()))
}

fn turn<'a>(mut message: Node<'a>, system: &mut Vec<Part<'a>>, chat: &mut Vec<String>) -> Result<(), ApiError> {
    let role = decoded(message.needed("role")?);
    let missing = "a string or an array of content blocks, and is missing";
    let body = blocks::take(&mut message, "content")?.ok_or_else(|| message.wrong("content", missing))?;
    match &*role {
        "user" => user(body, chat)?,
        "assistant" => chat.push(assistant(body)?),
        "system" => system.append(&mut blocks::texts(body)?),
        _ => return Err(message.wrong("role", "`user` or `assistant`")),
    }
    message.nothing_else()
}

/// What the user says. Results of tools come first: in chat they have to follow the message that called the tools. What they show
/// comes next, as if the user showed it: in chat a tool gives only text.
fn user(body: Content<'_>, chat: &mut Vec<String>) -> Result<(), ApiError> {
    let (mut results, mut shown) = (Vec::new(), Vec::new());
    let mut rest = blocks::parts(body, |kind, block, parts| {
        if kind == "tool_result" {
            results.push(result(block, &mut shown)?);
            return Ok(());
        }
        blocks::part(kind, block, parts)
    })?;
    shown.append(&mut rest);
    let silent = !results.is_empty() && shown.is_empty();
    chat.append(&mut results);
    if !silent {
        chat.push(said("user", &shown));
    }
    Ok(())
}

/// What a tool gave. What of it is no text is appended to `shown`.
fn result<'a>(mut block: Node<'a>, shown: &mut Vec<Part<'a>>) -> Result<String, ApiError> {
    let id = block.needed("tool_use_id")?;
    let given = match blocks::take(&mut block, "content")? {
        Some(given) => blocks::parts(given, blocks::part)?,
        None => Vec::new(),
    };
    let (mut parts, others): (Vec<_>, Vec<_>) = given.into_iter().partition(|part| matches!(part, Part::Text(_)));
    if !others.is_empty() {
        shown.push(Part::Text(format!("\"What the tool call {} gave:\"", inner(id)).into()));
        shown.extend(others);
        if parts.is_empty() {
            parts.push(Part::Text(quoted("It follows in the next message.").into()));
        }
    }
    if block.flag("is_error")? {
        // Chat has no mark for a tool that failed; the model has to be told in words.
        match parts.first_mut() {
            Some(Part::Text(text)) => *text = format!("\"Error: {}\"", inner(text)).into(),
            _ => parts.push(Part::Text(quoted("Error").into())),
        }
    }
    block.nothing_else()?;
    let said = Object::new().text("role", "tool").put("tool_call_id", id);
    Ok(said.put("content", &content(&parts)).end())
}

/// What the model said: text, thoughts and calls. In chat they stand side by side, so that their order among each other is lost.
fn assistant(body: Content<'_>) -> Result<String, ApiError> {
    let (mut thoughts, mut calls) = (String::new(), Vec::new());
    let parts = blocks::parts(body, |kind, mut block, parts| match kind {
        "text" => blocks::part(kind, block, parts),
        "thinking" => {
            thoughts.push_str(inner(block.needed("thinking")?));
            // Anthropic's seal, which nobody else can read.
            block.take("signature");
            block.nothing_else()
        }
        // Only Anthropic's own service can read it.
        "redacted_thinking" => {
            block.needed("data")?;
            block.nothing_else()
        }
        "tool_use" => {
            calls.push(call(block)?);
            Ok(())
        }
        _ => Err(block.unsupported("type", "the model's turn holds text, thinking and `tool_use`")),
    })?;
    let mut said = Object::new().text("role", "assistant");
    let said_nothing = parts.is_empty() && !calls.is_empty();
    said = said.put("content", &if said_nothing { "null".to_owned() } else { content(&parts) });
    if !thoughts.is_empty() {
        said = said.put("reasoning_content", &format!("\"{thoughts}\""));
    }
    if !calls.is_empty() {
        said = said.put("tool_calls", &array(&calls));
    }
    Ok(said.end())
}

/// A call of a tool. Its input becomes a string of the same bytes.
fn call(mut block: Node) -> Result<String, ApiError> {
    if let Some(mut caller) = block.object("caller")?
        && caller.needed_kind()? != "direct"
    {
        return Err(caller.unsupported("type", "only the model itself calls tools"));
    }
    let (id, name) = (block.needed("id")?, block.needed("name")?);
    let input = block.take("input").filter(|input| input.starts_with('{'));
    let input = input.ok_or_else(|| block.wrong("input", "an object"))?;
    block.nothing_else()?;
    let function = Object::new().put("name", name).text("arguments", input).end();
    Ok(Object::new().put("id", id).text("type", "function").put("function", &function).end())
}

fn said(role: &str, parts: &[Part<'_>]) -> String {
    Object::new().text("role", role).put("content", &content(parts)).end()
}
