//! The turns of a conversation.
//!
//! In go `messages` of a chat request; out come Anthropic's `system` and `messages`. Messages of one role that follow each other
//! are one turn, and what tools gave is part of the user's.

use hauski_adapter_sdk::Error;
use serde::Serialize;

use crate::content::{Block, blocks, call, text, texts};
use crate::json::{At, Members, Raw};

/// A conversation as Anthropic has it.
#[derive(Debug, Default)]
pub(crate) struct Conversation<'a> {
    pub(crate) system: Vec<Block<'a>>,
    pub(crate) turns: Vec<Turn<'a>>,
}

/// What one side says.
#[derive(Debug, Serialize)]
pub(crate) struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// Reads `messages`.
pub(crate) fn conversation<'a>(messages: Vec<Raw<'a>>, at: &At<'_>) -> Result<Conversation<'a>, Error> {
    let mut conversation = Conversation::default();
    for (index, message) in messages.into_iter().enumerate() {
        let at = at.item(index);
        let message = Members::of(message.get(), &at)?;
        match &*message.text("role", &at)? {
            "system" | "developer" => {
                message.only(&["role", "content"], &at)?;
                conversation.system.extend(texts(&message, &at)?);
            }
            "user" => {
                message.only(&["role", "content"], &at)?;
                conversation.say("user", blocks(&message, &at)?);
            }
            "assistant" => conversation.say("assistant", assistant(&message, &at)?),
            "tool" => conversation.say("user", vec![result(&message, &at)?]),
            "function" => return Err(at.member("role").refused("say `tool`")),
            _ => return Err(at.member("role").wrong("`system`, `developer`, `user`, `assistant` or `tool`")),
        }
    }
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    fn say(&mut self, role: &'static str, content: Vec<Block<'a>>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(content),
            _ => self.turns.push(Turn { role, content }),
        }
    }
}

/// What the model said. Its thoughts are left out: Anthropic takes back only those that it has sealed, and chat has no place for the
/// seal.
fn assistant<'a>(message: &Members<'a>, at: &At<'_>) -> Result<Vec<Block<'a>>, Error> {
    let known = ["role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning"];
    message.only(&known, at)?;
    let mut said = texts(message, at)?;
    said.extend(message.string("refusal", at)?.and_then(|refusal| text(refusal, Members::default())));
    let at_calls = at.member("tool_calls");
    for (index, one) in message.items("tool_calls", at)?.into_iter().enumerate() {
        let at = at_calls.item(index);
        said.push(call(&Members::of(one.get(), &at)?, &at)?);
    }
    Ok(said)
}

/// What a tool gave. Its name is known by the call's id.
fn result<'a>(message: &Members<'a>, at: &At<'_>) -> Result<Block<'a>, Error> {
    message.only(&["role", "content", "tool_call_id", "name"], at)?;
    Ok(Block::ToolResult { tool_use_id: message.required("tool_call_id", at)?, content: blocks(message, at)? })
}
