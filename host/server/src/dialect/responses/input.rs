//! The conversation: the client's input items, put into chat messages.
//!
//! In go `instructions` and `input`; out come the elements of `messages`. What an assistant says, thinks and calls are items of
//! their own in front and one message behind.

use super::content::{Content, Kind};
use super::tools;
use crate::error::ApiError;
use crate::json::{Members, Node, Object, array, decoded, elements, inner};

/// Takes `input` and puts it into chat messages, after the `instructions`.
///
/// # Errors
/// If an item is none, or one that chat completions don't have.
pub(super) fn messages(instructions: Option<&str>, top: &mut Node) -> Result<Vec<String>, ApiError> {
    let mut conversation = Conversation { system: instructions.map(Content::text), ..Conversation::default() };
    let Some(input) = top.take("input") else {
        return Err(ApiError::wrong("input", "a string or an array of items, and is missing"));
    };
    if input.starts_with('"') {
        conversation.push("\"user\"", Content::text(input), &Members::default());
        return Ok(conversation.end());
    }
    let items = elements(input).ok_or_else(|| ApiError::wrong("input", "a string or an array of items"))?;
    for (at, item) in items.into_iter().enumerate() {
        conversation.item(Node::new(item, format!("input[{at}]"))?)?;
    }
    Ok(conversation.end())
}

/// What chat messages have and message items do not: calls and reasoning are items of their own.
const OF_MESSAGES: &[&str] = &["tool_calls", "tool_call_id", "function_call", "reasoning_content", "reasoning"];

/// Clients that take it for granted that everything is stored send references.
const STORED: &str = "nothing is stored; send the item itself (clients do so where their option `store` is `false`)";
/// The kinds of items in which tools give something.
const OUTPUTS: [&str; 2] = ["function_call_output", "custom_tool_call_output"];

#[derive(Default)]
struct Conversation<'a> {
    /// What the operator and the developer say, wherever they say it: many models take it nowhere but first, in one message.
    system: Option<Content<'a>>,
    messages: Vec<String>,
    turn: Turn<'a>,
    /// What tools gave that is no text. It waits until the outputs of all calls are there.
    shown: Content<'a>,
}

/// What becomes one message of the assistant's.
#[derive(Default)]
struct Turn<'a> {
    /// What stands between the quotes of the JSON string.
    reasoning: String,
    content: Option<Content<'a>>,
    calls: Vec<String>,
    rest: Members<'a>,
}

impl<'a> Conversation<'a> {
    fn item(&mut self, mut item: Node<'a>) -> Result<(), ApiError> {
        let kind = item.kind()?;
        // Names and states of former outputs: they say nothing to a model.
        item.string("id")?;
        item.string("status")?;
        if !OUTPUTS.contains(&&*kind) {
            self.show();
        }
        match &*kind {
            "" | "message" => self.message(item),
            "reasoning" => self.reasoning(item),
            "function_call" => self.call(item, "function", "arguments"),
            "custom_tool_call" => self.call(item, "custom", "input"),
            _ if OUTPUTS.contains(&&*kind) => self.output(item),
            "item_reference" => Err(item.unsupported("type", STORED)),
            _ => Err(item.unsupported(
                "type",
                "write one of `message`, `reasoning`, `function_call`, `function_call_output`, `custom_tool_call`, \
                 `custom_tool_call_output`",
            )),
        }
    }

    fn message(&mut self, mut item: Node<'a>) -> Result<(), ApiError> {
        let role = item.needed("role")?;
        let content = Content::take(&mut item, "content", Kind::Message)?;
        // Whether it was on the way to an answer or the answer: in chat it was said, either way.
        item.string("phase")?;
        match &*decoded(role) {
            "user" => {
                self.end_turn();
                self.push(role, content, &item.rest(OF_MESSAGES)?);
            }
            "system" | "developer" => {
                let rest = item.rest(OF_MESSAGES)?;
                if rest.is_empty() {
                    self.system.get_or_insert_default().append(content);
                } else {
                    self.end_turn();
                    self.push("\"system\"", content, &rest);
                }
            }
            "assistant" => {
                let rest = item.rest(OF_MESSAGES)?;
                // Providers want tool outputs right after the message with the calls, so what an assistant says after its
                // calls belongs to that message; members of its own do not, they could be there twice.
                let (said, called) = (self.turn.content.is_some(), !self.turn.calls.is_empty());
                let apart = if called { !rest.is_empty() } else { said };
                if apart {
                    self.end_turn();
                }
                if !rest.is_empty() {
                    self.turn.rest = rest;
                }
                self.turn.content.get_or_insert_default().append(content);
            }
            _ => return Err(ApiError::wrong(item.path("role"), "`user`, `system`, `developer` or `assistant`")),
        }
        Ok(())
    }

    fn reasoning(&mut self, mut item: Node<'a>) -> Result<(), ApiError> {
        // Only who encrypted it can read it, and that is nobody here.
        item.string("encrypted_content")?;
        let content = item.objects("content")?.unwrap_or_default();
        let summary = item.objects("summary")?.unwrap_or_default();
        item.nothing_else()?;
        // A summary tells less of the same.
        let (parts, kind) = if content.is_empty() { (summary, "summary_text") } else { (content, "reasoning_text") };
        if self.turn.calls.is_empty() && self.turn.content.is_some() {
            self.end_turn();
        }
        for mut part in parts {
            if part.kind()? != kind {
                return Err(part.unsupported("type", &format!("write `{kind}`")));
            }
            let text = inner(part.needed("text")?);
            part.nothing_else()?;
            if !self.turn.reasoning.is_empty() {
                self.turn.reasoning.push_str("\\n\\n");
            }
            self.turn.reasoning.push_str(text);
        }
        Ok(())
    }

    fn call(&mut self, mut item: Node<'a>, kind: &str, says: &str) -> Result<(), ApiError> {
        let (id, name) = (item.needed("call_id")?, item.needed("name")?);
        let name = tools::flat(item.string("namespace")?, name);
        let said = item.needed(says)?;
        // What a client made of the arguments.
        item.take("parsed_arguments");
        only_direct(&mut item)?;
        let said = if kind == "function" && said == "\"\"" { "\"{}\"" } else { said };
        let what = Object::new().put("name", &name).put(says, said).end();
        let call = Object::new().put("id", id).text("type", kind).put(kind, &what);
        self.turn.calls.push(call.pass(&item.rest(&[kind])?).end());
        Ok(())
    }

    fn output(&mut self, mut item: Node<'a>) -> Result<(), ApiError> {
        let id = item.needed("call_id")?;
        let mut content = Content::take(&mut item, "output", Kind::ToolOutput)?;
        // The call says it.
        item.string("namespace")?;
        only_direct(&mut item)?;
        self.end_turn();
        self.shown.append(content.shown(id));
        let message = Object::new().put("role", "\"tool\"").put("tool_call_id", id).put("content", &content.json());
        self.messages.push(message.pass(&item.rest(&["role", "tool_call_id", "content"])?).end());
        Ok(())
    }

    /// Shows what tools gave, as if the user showed it.
    fn show(&mut self) {
        let shown = std::mem::take(&mut self.shown);
        if !shown.is_empty() {
            self.push("\"user\"", shown, &Members::default());
        }
    }

    fn push(&mut self, role: &str, content: Content, rest: &Members) {
        self.messages.push(Object::new().put("role", role).put("content", &content.json()).pass(rest).end());
    }

    /// The messages.
    fn end(mut self) -> Vec<String> {
        self.end_turn();
        self.show();
        let system = self.system.take();
        let system = system.map(|said| Object::new().text("role", "system").put("content", &said.json()).end());
        system.into_iter().chain(self.messages).collect()
    }

    /// Writes the assistant's message, if there is one.
    fn end_turn(&mut self) {
        let turn = std::mem::take(&mut self.turn);
        if turn.reasoning.is_empty() && turn.content.is_none() && turn.calls.is_empty() {
            return;
        }
        let content = match &turn.content {
            Some(content) if !content.is_empty() => content.json(),
            // A message without calls has to have a content.
            Some(_) | None if turn.calls.is_empty() => "\"\"".to_owned(),
            Some(_) | None => "null".to_owned(),
        };
        let reasoning = (!turn.reasoning.is_empty()).then(|| format!("\"{}\"", turn.reasoning));
        let calls = (!turn.calls.is_empty()).then(|| array(&turn.calls));
        let message = Object::new().put("role", "\"assistant\"").put("content", &content);
        let message = message.maybe("reasoning_content", reasoning.as_deref()).maybe("tool_calls", calls.as_deref());
        self.messages.push(message.pass(&turn.rest).end());
    }
}

/// Refuses calls that no model makes by itself.
fn only_direct(item: &mut Node) -> Result<(), ApiError> {
    item.refuse("async", &["false"], "chat completions wait for their tools; leave it out")?;
    let Some(mut caller) = item.object("caller")? else { return Ok(()) };
    if caller.kind()? != "direct" {
        return Err(caller.unsupported("type", "no programs call tools here; write `direct` or leave `caller` out"));
    }
    caller.nothing_else()
}
