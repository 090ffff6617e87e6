//! One item of the output: a message, a reasoning or a call.
//!
//! In go the bits that are added to it; out come the events that tell of it, and its JSON.

use super::Events;
use crate::json::{Object, array};
use crate::work::visit;

/// An item of the output.
pub(super) struct Item {
    /// Its name, which needs no escapes.
    id: String,
    /// Its place in the output.
    at: usize,
    state: State,
    body: Body,
}

enum Body {
    Message(Vec<Part>),
    Reasoning(Vec<Part>),
    Call(Tool),
}

/// How far an item is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum State {
    InProgress,
    Completed,
    Incomplete,
}

/// What is called.
#[derive(Default)]
pub(super) struct Tool {
    /// Whether it takes plain text instead of arguments.
    pub(super) custom: bool,
    /// The call's name, a JSON string.
    pub(super) id: String,
    /// The tool's name, a JSON string.
    pub(super) name: String,
    /// That of its namespace, if it has one.
    pub(super) namespace: Option<String>,
    /// What it is called with: what stands between the quotes of the JSON string.
    pub(super) said: String,
}

/// What a part of an item is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Speech {
    Text,
    Refusal,
    Reasoning,
    /// Reasoning that is told as a summary.
    Summary,
}

/// A part of a message or a reasoning.
struct Part {
    speech: Speech,
    /// What stands between the quotes of the JSON string.
    text: String,
    logprobs: Vec<String>,
    annotations: Vec<String>,
}

impl Item {
    /// A reasoning, or a message, without parts. `name` is the response's, `at` its place in the output.
    pub(super) fn spoken(reasons: bool, name: &str, at: usize) -> Self {
        let (kind, body) =
            if reasons { ("rs", Body::Reasoning(Vec::new())) } else { ("msg", Body::Message(Vec::new())) };
        Self { id: format!("{kind}_{name}_{at}"), at, state: State::InProgress, body }
    }

    /// A call.
    pub(super) fn called(tool: Tool, name: &str, at: usize) -> Self {
        let kind = if tool.custom { "ctc" } else { "fc" };
        Self { id: format!("{kind}_{name}_{at}"), at, state: State::InProgress, body: Body::Call(tool) }
    }

    pub(super) fn reasons(&self) -> bool {
        matches!(self.body, Body::Reasoning(_))
    }

    /// Tells that the item is there.
    pub(super) fn open(&self, events: &mut Events) {
        self.tell("response.output_item.added", events);
    }

    /// Adds to the last part, or begins one.
    pub(super) fn speak(&mut self, speech: Speech, text: &str, logprobs: &[String], events: &mut Events) {
        let place = self.place();
        let (Body::Message(parts) | Body::Reasoning(parts)) = &mut self.body else { return };
        if parts.last().is_none_or(|part| part.speech != speech) {
            let at = parts.len();
            if let Some(part) = parts.last() {
                part.close(&place, at - 1, events);
            }
            parts.push(Part { speech, text: String::new(), logprobs: Vec::new(), annotations: Vec::new() });
            if let Some(part) = parts.last() {
                let added = format!("{}.added", speech.part());
                events.send(&added, part.place(&place, at).put("part", &part.json()));
            }
        }
        let at = parts.len() - 1;
        let Some(part) = parts.last_mut().filter(|_| !text.is_empty() || !logprobs.is_empty()) else { return };
        let delta = part.place(&place, at).put("delta", &format!("\"{text}\""));
        let likely = (speech == Speech::Text).then(|| array(logprobs));
        events.send(&format!("{}.delta", speech.event()), delta.maybe("logprobs", likely.as_deref()));
        visit(text.len() + logprobs.len());
        part.text.push_str(text);
        part.logprobs.extend_from_slice(logprobs);
    }

    /// Adds a source to the last part, if it is a text.
    pub(super) fn annotate(&mut self, annotation: String, events: &mut Events) {
        let place = self.place();
        let Body::Message(parts) = &mut self.body else { return };
        let at = parts.len().saturating_sub(1);
        let Some(part) = parts.last_mut().filter(|part| part.speech == Speech::Text) else { return };
        let index = part.annotations.len().to_string();
        let event = part.place(&place, at).put("annotation_index", &index).put("annotation", &annotation);
        events.send("response.output_text.annotation.added", event);
        part.annotations.push(annotation);
    }

    /// Adds to what the tool is called with.
    pub(super) fn call(&mut self, said: &str, events: &mut Events) {
        let place = self.place();
        let Body::Call(tool) = &mut self.body else { return };
        if said.is_empty() {
            return;
        }
        visit(said.len());
        tool.said.push_str(said);
        let delta = Object::new().splice(&place).put("delta", &format!("\"{said}\""));
        events.send(&format!("{}.delta", tool.event()), delta);
    }

    /// Tells that the item is complete, or is as complete as it gets. Only once: nothing is added to it any more.
    pub(super) fn close(&mut self, state: State, events: &mut Events) {
        if self.state != State::InProgress {
            return;
        }
        if let Body::Call(Tool { custom: false, said, .. }) = &self.body
            && said.is_empty()
            && state == State::Completed
        {
            // A tool without parameters is called with nothing by some models; what is no JSON nobody can call it with.
            self.call("{}", events);
        }
        self.state = state;
        let place = self.place();
        match &self.body {
            Body::Message(parts) | Body::Reasoning(parts) => {
                if let Some(part) = parts.last() {
                    part.close(&place, parts.len() - 1, events);
                }
            }
            Body::Call(tool) => {
                let said = format!("\"{}\"", tool.said);
                let done = Object::new().splice(&place).put("name", &tool.name).put(tool.says(), &said);
                events.send(&format!("{}.done", tool.event()), done);
            }
        }
        self.tell("response.output_item.done", events);
    }

    /// The item's JSON.
    pub(super) fn json(&self) -> String {
        let item = Object::new().text("id", &self.id);
        let status = match self.state {
            State::InProgress => "in_progress",
            State::Completed => "completed",
            State::Incomplete => "incomplete",
        };
        let content = |parts: &[Part]| array(&parts.iter().map(Part::json).collect::<Vec<_>>());
        let item = match &self.body {
            Body::Message(parts) => {
                item.text("type", "message").text("role", "assistant").put("content", &content(parts))
            }
            Body::Reasoning(parts) => {
                let item = item.text("type", "reasoning");
                match parts.first() {
                    Some(part) if part.speech == Speech::Summary => item.put("summary", &content(parts)),
                    _ => item.put("summary", "[]").put("content", &content(parts)),
                }
            }
            Body::Call(tool) => {
                let item = item.text("type", if tool.custom { "custom_tool_call" } else { "function_call" });
                let item = item.put("call_id", &tool.id).put("name", &tool.name);
                let item = item.maybe("namespace", tool.namespace.as_deref());
                item.put(tool.says(), &format!("\"{}\"", tool.said))
            }
        };
        item.text("status", status).end()
    }

    fn tell(&self, kind: &str, events: &mut Events) {
        events.send(kind, Object::new().put("output_index", &self.at.to_string()).put("item", &self.json()));
    }

    /// The members that say which item an event is about.
    fn place(&self) -> String {
        Object::new().text("item_id", &self.id).put("output_index", &self.at.to_string()).members()
    }
}

impl Tool {
    fn event(&self) -> &'static str {
        if self.custom { "response.custom_tool_call_input" } else { "response.function_call_arguments" }
    }

    /// The name of what it is called with.
    fn says(&self) -> &'static str {
        if self.custom { "input" } else { "arguments" }
    }
}

impl Speech {
    fn event(self) -> &'static str {
        match self {
            Self::Text => "response.output_text",
            Self::Refusal => "response.refusal",
            Self::Reasoning => "response.reasoning_text",
            Self::Summary => "response.reasoning_summary_text",
        }
    }

    /// What the events of a part begin with.
    fn part(self) -> &'static str {
        if self == Self::Summary { "response.reasoning_summary_part" } else { "response.content_part" }
    }

    pub(super) fn reasons(self) -> bool {
        matches!(self, Self::Reasoning | Self::Summary)
    }

    /// The name of what is said.
    fn says(self) -> &'static str {
        if self == Self::Refusal { "refusal" } else { "text" }
    }
}

impl Part {
    fn json(&self) -> String {
        let part = match self.speech {
            Speech::Text => Object::new()
                .text("type", "output_text")
                .put("annotations", &array(&self.annotations))
                .put("logprobs", &array(&self.logprobs)),
            Speech::Refusal => Object::new().text("type", "refusal"),
            Speech::Reasoning => Object::new().text("type", "reasoning_text"),
            Speech::Summary => Object::new().text("type", "summary_text"),
        };
        part.put(self.speech.says(), &format!("\"{}\"", self.text)).end()
    }

    fn close(&self, item: &str, at: usize, events: &mut Events) {
        let done = self.place(item, at).put(self.speech.says(), &format!("\"{}\"", self.text));
        let likely = (self.speech == Speech::Text).then(|| array(&self.logprobs));
        events.send(&format!("{}.done", self.speech.event()), done.maybe("logprobs", likely.as_deref()));
        events.send(&format!("{}.done", self.speech.part()), self.place(item, at).put("part", &self.json()));
    }

    /// The members that say which part an event is about.
    fn place(&self, item: &str, at: usize) -> Object {
        let index = if self.speech == Speech::Summary { "summary_index" } else { "content_index" };
        Object::new().splice(item).put(index, &at.to_string())
    }
}
