//! Anthropic's events as chunks of a chat completion.
//!
//! In go the events of one stream; out come chunks, with text and pieces of inputs byte for byte. Nothing is said before there is
//! something to say: an error that comes first can then still be told as one, and another model be asked.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use hauski_adapter_sdk::sse::Event;
use hauski_adapter_sdk::{Answer, Error, Flow, Json, Translate};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::{Arguments, Block, Call, End, Function, Message};
use crate::errors::{bad, error_in, error_told_by};
use crate::json::{Raw, is_string};
use crate::usage::Usage;

/// How far a stream has come.
#[derive(Default)]
pub(crate) struct Stream {
    /// What the chunks have in common, once the message has begun.
    answer: Option<Answer>,
    /// Whether the role was said.
    spoken: bool,
    /// The calls of tools, by the numbers of their blocks.
    calls: BTreeMap<u64, Open>,
    /// The numbers of the other blocks that have begun.
    others: BTreeSet<u64>,
    end: Option<End>,
    usage: Usage,
}

/// A call whose input is still to come.
struct Open {
    /// Its number among the calls.
    index: usize,
    /// What the block began with, if no piece has come.
    input: Option<Box<RawValue>>,
}

/// An event, of which nothing is understood before it is known which one it is.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Raw<'a>>,
    #[serde(borrow)]
    index: Option<Raw<'a>>,
    #[serde(borrow)]
    content_block: Option<Raw<'a>>,
    #[serde(borrow)]
    delta: Option<Raw<'a>>,
    #[serde(borrow)]
    usage: Option<Raw<'a>>,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Raw<'a>>,
    #[serde(borrow)]
    thinking: Option<Raw<'a>>,
    #[serde(borrow)]
    partial_json: Option<Raw<'a>>,
}

#[derive(Deserialize)]
struct MessageDelta<'a> {
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_sequence: Option<Raw<'a>>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

#[derive(Serialize)]
struct Last<'a> {
    index: u32,
    delta: Delta<'a>,
    #[serde(flatten)]
    end: End,
}

impl Translate for Stream {
    fn event(&mut self, event: Event, chunks: &mut Vec<Json>) -> Result<Flow, Error> {
        if event.data.is_empty() {
            return Ok(Flow::More);
        }
        let told: Told<'_> = parse(&event.data)?;
        match told.r#type.as_deref().unwrap_or(&event.name) {
            "message_start" => {
                let message: Message<'_> = part(told.message)?;
                self.usage.update(message.usage.unwrap_or_default());
                self.answer = Some(message.answer());
            }
            "content_block_start" => self.begin(part(told.index)?, part(told.content_block)?, chunks)?,
            "content_block_delta" => self.go_on(part(told.index)?, part(told.delta)?, chunks)?,
            "content_block_stop" => self.close(part(told.index)?, chunks)?,
            "message_delta" => {
                let delta: MessageDelta<'_> = part(told.delta)?;
                self.usage.update(told.usage.map(|usage| part(Some(usage))).transpose()?.unwrap_or_default());
                if let Some(reason) = delta.stop_reason {
                    self.end = Some(End::new(&reason, delta.stop_sequence));
                }
            }
            "message_stop" => {
                self.finish(chunks)?;
                return Ok(Flow::End);
            }
            "error" => return Err(error_in(&event.data)),
            // What has no name at all is none of Anthropic's own.
            "" | "message" => {
                if let Some(error) = error_told_by(&event.data) {
                    return Err(error);
                }
            }
            // `ping`, and what may be added: Anthropic asks to let it pass.
            _ => {}
        }
        Ok(Flow::More)
    }

    /// A message has an event for its end; without it, something is missing.
    fn closed(&mut self, _: &mut Vec<Json>) -> Result<(), Error> {
        Err(broke_off())
    }
}

impl Stream {
    /// A block begins. Mostly it is empty then.
    fn begin(&mut self, at: u64, block: Block<'_>, chunks: &mut Vec<Json>) -> Result<(), Error> {
        if block.r#type != "tool_use" {
            self.others.insert(at);
        }
        match &*block.r#type {
            "text" => self.say(Delta { content: words(block.text)?, ..Delta::default() }, chunks),
            "thinking" => self.say(Delta { reasoning_content: words(block.thinking)?, ..Delta::default() }, chunks),
            "tool_use" => {
                let index = self.calls.len();
                let input = Some(block.input.map_or_else(|| RawValue::NULL.to_owned(), ToOwned::to_owned));
                self.calls.insert(at, Open { index, input });
                let function = Function { name: block.name, arguments: Arguments::Input("") };
                self.call(Call { index: Some(index), id: block.id, r#type: Some("function"), function }, chunks)
            }
            _ => Ok(()),
        }
    }

    /// A block goes on. Seals of thoughts and citations have no place in chat.
    fn go_on(&mut self, at: u64, delta: BlockDelta<'_>, chunks: &mut Vec<Json>) -> Result<(), Error> {
        match &*delta.r#type {
            "text_delta" => self.say(Delta { content: words(delta.text)?, ..Delta::default() }, chunks),
            "thinking_delta" => {
                self.say(Delta { reasoning_content: words(delta.thinking)?, ..Delta::default() }, chunks)
            }
            "input_json_delta" => {
                let Some(open) = self.calls.get_mut(&at) else {
                    // The inputs of Anthropic's own tools come the same way.
                    let begun = self.others.contains(&at);
                    return if begun { Ok(()) } else { Err(bad("an input of the provider's stream is of no block")) };
                };
                let Some(piece) = words(delta.partial_json)? else { return Ok(()) };
                open.input = None;
                let index = open.index;
                self.arguments(index, Arguments::Piece(piece), chunks)
            }
            _ => Ok(()),
        }
    }

    /// A block ends. An input of which no piece came is what the block began with.
    fn close(&mut self, at: u64, chunks: &mut Vec<Json>) -> Result<(), Error> {
        let Some(open) = self.calls.get_mut(&at) else { return Ok(()) };
        let Some(input) = open.input.take() else { return Ok(()) };
        let index = open.index;
        let input = if input.get() == "null" { "{}" } else { input.get() };
        self.arguments(index, Arguments::Input(input), chunks)
    }

    fn arguments(&mut self, index: usize, arguments: Arguments<'_>, chunks: &mut Vec<Json>) -> Result<(), Error> {
        let function = Function { name: None, arguments };
        self.call(Call { index: Some(index), id: None, r#type: None, function }, chunks)
    }

    fn call(&mut self, call: Call<'_>, chunks: &mut Vec<Json>) -> Result<(), Error> {
        self.say(Delta { tool_calls: Some([call]), ..Delta::default() }, chunks)
    }

    /// Adds a chunk, with one before it that says whose words they are if it is the first.
    fn say(&mut self, delta: Delta<'_>, chunks: &mut Vec<Json>) -> Result<(), Error> {
        if delta.content.is_none() && delta.reasoning_content.is_none() && delta.tool_calls.is_none() {
            return Ok(());
        }
        let chunk = self.begun()?.delta(&delta, None)?;
        self.speak(chunks)?;
        chunks.push(chunk);
        Ok(())
    }

    fn speak(&mut self, chunks: &mut Vec<Json>) -> Result<(), Error> {
        if !std::mem::replace(&mut self.spoken, true) {
            chunks.push(self.begun()?.role());
        }
        Ok(())
    }

    /// The reason of the end, and what it took.
    fn finish(&mut self, chunks: &mut Vec<Json>) -> Result<(), Error> {
        let end = self.end.take().ok_or_else(|| bad("the provider's stream ended without a `stop_reason`"))?;
        self.speak(chunks)?;
        let answer = self.begun()?;
        chunks.push(answer.chunk_of(&[Last { index: 0, delta: Delta::default(), end }], None::<&()>)?);
        if let Some(tokens) = self.usage.tokens() {
            chunks.push(answer.chunk_of(&[(); 0], Some(&tokens))?);
        }
        Ok(())
    }

    fn begun(&self) -> Result<&Answer, Error> {
        self.answer.as_ref().ok_or_else(|| bad("the provider's stream does not begin with `message_start`"))
    }
}

/// A piece of text as a JSON string, if there is something in it.
fn words(text: Option<Raw<'_>>) -> Result<Option<Raw<'_>>, Error> {
    match text {
        Some(text) if !is_string(text) => Err(bad("a text of the provider's stream is no string")),
        text => Ok(text.filter(|text| text.get() != r#""""#)),
    }
}

fn part<'a, T: Deserialize<'a>>(value: Option<Raw<'a>>) -> Result<T, Error> {
    parse(value.map_or("null", RawValue::get))
}

fn parse<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, Error> {
    serde_json::from_str(data).map_err(|error| {
        if error.is_eof() { broke_off() } else { bad("an event of the provider's stream is malformed") }
    })
}

fn broke_off() -> Error {
    Error::Unreachable("the provider's stream broke off".into())
}

#[cfg(test)]
mod tests;
