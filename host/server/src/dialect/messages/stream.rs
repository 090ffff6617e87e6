//! An answer piece by piece, as Anthropic's events.
//!
//! In go chunks of a chat completion; out come events. Anthropic's blocks come one after the other, chat's text and calls may
//! come mixed. So one block is open, and what belongs to a later one is kept until the open one is closed. What is said or
//! thought closes as soon as something else is said; a call of a tool only at the end, because chat doesn't say when it is
//! complete.

use super::answer::{Asked, call_id, message, text, thoughts, tool_call};
use super::completion::{Call, Completion, Stop, Usage};
use crate::dialect::broke;
use crate::dialect::calls::{Calls, Piece};
use crate::error::ApiError;
use crate::json::{Object, inner};
use crate::sse::event;
use crate::work::visit;
use std::collections::VecDeque;

/// How much may be kept back, and how many blocks. Nothing that is meant to be read comes near.
const KEPT_BYTES: usize = 16 << 20;
const KEPT_BLOCKS: usize = 1024;

/// How far the answer has come.
#[derive(Default)]
pub(super) struct Stream {
    /// The message's id, once it has begun.
    id: Option<String>,
    /// The open block, and those that wait behind it.
    blocks: VecDeque<Block>,
    /// How many blocks were begun.
    begun: usize,
    /// How many bytes of events wait.
    kept: usize,
    called: bool,
    calls: Calls,
    refused: bool,
    stop: Option<Stop>,
    usage: Usage,
}

struct Block {
    index: usize,
    kind: Kind,
    /// Events that wait until the block is the open one.
    kept: String,
}

#[derive(PartialEq)]
enum Kind {
    Text,
    Thoughts,
    /// A call, by its place among the calls.
    Tool(usize),
}

impl Stream {
    pub(super) fn chunk(&mut self, chunk: Completion<'_>, asked: &Asked, events: &mut String) -> Result<(), ApiError> {
        // Those that come later count more: they are totals.
        self.usage = chunk.usage().unwrap_or(self.usage);
        let id = asked.id(&chunk);
        let model = chunk.model().unwrap_or(&asked.model);
        let Some(choice) = chunk.choice() else { return Ok(()) };
        if self.id.is_none() {
            let message = message(&id, model, "[]", None, &self.usage.json());
            event(events, Some("message_start"), &of("message_start").put("message", &message).end());
            self.id = Some(id);
        }
        self.stop = choice.stop(&asked.stops)?.or_else(|| self.stop.take());
        let said = choice.delta.unwrap_or_default();
        let (words, refusal) = (said.words()?, said.refusal().unwrap_or_default());
        if asked.thoughts && !words.thoughts.is_empty() {
            self.say(Kind::Thoughts, "thinking_delta", "thinking", &words.thoughts, events)?;
        }
        self.refused |= !refusal.is_empty();
        for words in [&*words.text, refusal].into_iter().filter(|words| !words.is_empty()) {
            self.say(Kind::Text, "text_delta", "text", words, events)?;
        }
        for call in said.calls() {
            self.call(&call, events)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, events: &mut String) -> Result<(), ApiError> {
        let stop = self.stop.take().ok_or_else(|| broke("ended without a `finish_reason`"))?;
        while !self.blocks.is_empty() {
            self.close(events);
        }
        let stop = stop.given(self.refused, self.called);
        let sequence = stop.sequence.as_deref().unwrap_or("null");
        let delta = Object::new().text("stop_reason", stop.reason).put("stop_sequence", sequence).end();
        let told = of("message_delta").put("delta", &delta).put("usage", &self.usage.json()).end();
        event(events, Some("message_delta"), &told);
        event(events, Some("message_stop"), &of("message_stop").end());
        Ok(())
    }

    /// Text or thoughts: they go on in the last block, if it is of that kind.
    fn say(&mut self, kind: Kind, delta: &str, field: &str, words: &str, events: &mut String) -> Result<(), ApiError> {
        if self.blocks.back().is_none_or(|last| last.kind != kind) {
            let block = if kind == Kind::Text { text("") } else { thoughts("") };
            self.begin(kind, &block, events)?;
        }
        self.add(self.blocks.len() - 1, delta, field, words, events)
    }

    /// A piece of a call.
    fn call(&mut self, call: &Call<'_>, events: &mut String) -> Result<(), ApiError> {
        let arguments = call.arguments();
        let piece = Piece {
            number: call.index,
            id: call.id().map(inner).unwrap_or_default(),
            name: call.name().map(inner).unwrap_or_default(),
            arguments: &arguments,
        };
        let number = self.calls.place(piece)?;
        visit(self.blocks.len());
        let known = self.blocks.iter().rposition(|block| block.kind == Kind::Tool(number));
        let place = match known {
            Some(place) => place,
            None => {
                let name = call.name().ok_or_else(|| broke("calls a tool without a name"))?;
                let id = call_id(self.calls.id(number), self.id.as_deref().unwrap_or_default(), self.begun);
                self.begin(Kind::Tool(number), &tool_call(&id, name, "{}"), events)?;
                self.called = true;
                self.blocks.len() - 1
            }
        };
        if arguments.is_empty() {
            return Ok(());
        }
        self.add(place, "input_json_delta", "partial_json", &arguments, events)
    }

    /// Begins a block. It is the open one, unless a call of a tool is.
    fn begin(&mut self, kind: Kind, block: &str, events: &mut String) -> Result<(), ApiError> {
        if self.blocks.front().is_some_and(|open| !matches!(open.kind, Kind::Tool(_))) {
            self.close(events);
        }
        self.blocks.push_back(Block { index: self.begun, kind, kept: String::new() });
        let start = of("content_block_start").put("index", &self.begun.to_string()).put("content_block", block).end();
        self.begun += 1;
        self.tell(self.blocks.len() - 1, "content_block_start", &start, events)
    }

    /// Adds a piece, which is what stands between the quotes of a JSON string, to the block at `place`.
    fn add(
        &mut self,
        place: usize,
        delta: &str,
        field: &str,
        piece: &str,
        events: &mut String,
    ) -> Result<(), ApiError> {
        let index = self.blocks[place].index.to_string();
        let delta = Object::new().text("type", delta).put(field, &format!("\"{piece}\"")).end();
        let told = of("content_block_delta").put("index", &index).put("delta", &delta).end();
        self.tell(place, "content_block_delta", &told, events)
    }

    /// Tells an event of the block at `place`, or keeps it if the block has to wait.
    fn tell(&mut self, place: usize, name: &str, data: &str, events: &mut String) -> Result<(), ApiError> {
        if place == 0 {
            event(events, Some(name), data);
            return Ok(());
        }
        event(&mut self.blocks[place].kept, Some(name), data);
        self.kept += data.len();
        if self.kept > KEPT_BYTES || self.blocks.len() > KEPT_BLOCKS {
            return Err(broke("mixes more calls of tools than can be kept"));
        }
        Ok(())
    }

    /// Closes the open block, and opens the next one.
    fn close(&mut self, events: &mut String) {
        let Some(block) = self.blocks.pop_front() else { return };
        let stop = of("content_block_stop").put("index", &block.index.to_string()).end();
        event(events, Some("content_block_stop"), &stop);
        if let Some(next) = self.blocks.front_mut() {
            visit(next.kept.len());
            events.push_str(&std::mem::take(&mut next.kept));
        }
    }
}

/// An event of the type `kind`.
fn of(kind: &str) -> Object {
    Object::new().text("type", kind)
}
