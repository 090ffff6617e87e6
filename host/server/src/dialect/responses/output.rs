//! The output of a response: its items, as they grow.
//!
//! In goes what an adapter says, bit by bit; out come the events that tell of it, and the items as JSON. An item is opened when its
//! first bit comes, and closed when the model turns to something else, or at the end.

use super::spoken::{Call, Choice, Function, Says};
use super::tools::Namespaces;
use crate::dialect::broke;
use crate::dialect::calls::{Calls, Piece};
use crate::error::ApiError;
use crate::json::{array, decoded, inner, one_line};
use crate::work::visit;

mod events;
mod item;

pub(super) use events::Events;
use item::{Item, Speech, State, Tool};

/// How items are told.
#[derive(Default)]
pub(super) struct Told {
    /// Whether the model's thoughts are to be told as a summary.
    pub(super) summary: bool,
    /// The tools that stand in a namespace.
    pub(super) namespaces: Namespaces,
}

/// All items of a response, in the order in which they were opened.
#[derive(Default)]
pub(super) struct Output {
    /// What the items' names are made of.
    name: String,
    told: Told,
    items: Vec<Item>,
    /// The message or the reasoning that grows.
    open: Option<usize>,
    calls: Vec<Begun>,
    /// Which of them a piece of one belongs to.
    places: Calls,
}

/// A tool call that has begun.
struct Begun {
    tool: Tool,
    /// Where its item is. There is none before the call's name is known.
    item: Option<usize>,
}

impl Output {
    pub(super) fn new(name: String, told: Told) -> Self {
        Self { name, told, ..Self::default() }
    }

    /// Names the response, before it has any item.
    pub(super) fn named(&mut self, name: String) {
        self.name = name;
    }

    /// Adds what a choice says.
    ///
    /// # Errors
    /// `ApiError::broke_contract` if it says it in a form that nobody knows.
    pub(super) fn add(&mut self, choice: &Choice, says: &Says, events: &mut Events) -> Result<(), ApiError> {
        let words = says.words()?;
        if !words.thoughts.is_empty() {
            let speech = if self.told.summary { Speech::Summary } else { Speech::Reasoning };
            self.speak(speech, &words.thoughts, &[], events);
        }
        let logprobs: Vec<_> = choice.logprobs().iter().map(|token| one_line(token).into_owned()).collect();
        // Some providers also tell how likely the tokens of thoughts and calls were: without a text these are not its own.
        let open = self.open.and_then(|at| self.items.get(at)).is_some_and(|item| !item.reasons());
        let speaks = open && says.tool_calls.is_none() && !logprobs.is_empty();
        if !words.text.is_empty() || speaks {
            self.speak(Speech::Text, &words.text, &logprobs, events);
        }
        if let Some(text) = says.refusal.filter(|text| !inner(text.0).is_empty()) {
            self.speak(Speech::Refusal, inner(text.0), &[], events);
        }
        for annotation in says.annotations() {
            self.annotate(one_line(&annotation).into_owned(), events);
        }
        for call in says.tool_calls.as_deref().unwrap_or_default() {
            self.call(call, events)?;
        }
        Ok(())
    }

    /// Ends the output. `cut` says that its last item is not all there.
    ///
    /// # Errors
    /// `ApiError::broke_contract` if a call never got a name.
    pub(super) fn end(&mut self, cut: bool, events: &mut Events) -> Result<(), ApiError> {
        if self.calls.iter().any(|call| call.item.is_none()) {
            return Err(broke("has a tool call without a name"));
        }
        if self.items.is_empty() {
            // Clients look for a message even if it says nothing.
            self.speak(Speech::Text, "", &[], events);
        }
        let last = self.items.len() - 1;
        for (at, item) in self.items.iter_mut().enumerate() {
            item.close(if cut && at == last { State::Incomplete } else { State::Completed }, events);
        }
        Ok(())
    }

    /// The items as JSON.
    pub(super) fn json(&self) -> String {
        let items: Vec<_> = self.items.iter().map(Item::json).collect();
        array(&items)
    }

    /// Adds to the message or the reasoning that is open, or opens one.
    fn speak(&mut self, speech: Speech, text: &str, logprobs: &[String], events: &mut Events) {
        let reasons = speech.reasons();
        let item = self.open.and_then(|at| self.items.get_mut(at)).filter(|item| item.reasons() == reasons);
        match item {
            Some(item) => item.speak(speech, text, logprobs, events),
            None => {
                self.turn(events);
                let at = self.items.len();
                let mut item = Item::spoken(reasons, &self.name, at);
                item.open(events);
                item.speak(speech, text, logprobs, events);
                self.items.push(item);
                self.open = Some(at);
            }
        }
    }

    /// Closes the message or the reasoning that is open: the model turns to something else.
    fn turn(&mut self, events: &mut Events) {
        if let Some(item) = self.open.take().and_then(|at| self.items.get_mut(at)) {
            item.close(State::Completed, events);
        }
    }

    /// Adds a source to the text that is open. Without a text there is nothing it could be the source of.
    fn annotate(&mut self, annotation: String, events: &mut Events) {
        if let Some(item) = self.open.and_then(|at| self.items.get_mut(at)) {
            item.annotate(annotation, events);
        }
    }

    fn call(&mut self, call: &Call, events: &mut Events) -> Result<(), ApiError> {
        let (function, custom) = match (&call.function, &call.custom) {
            (_, Some(custom)) => (Some(custom), true),
            (function, None) => (function.as_ref(), false),
        };
        let name = function.and_then(|function| function.name).filter(|name| !inner(name.0).is_empty());
        let said = function.map(Function::said).unwrap_or_default();
        let (id, known) = (call.id.map_or("", |id| inner(id.0)), name.map_or("", |name| inner(name.0)));
        let at = self.places.place(Piece { number: call.index, id, name: known, arguments: &said })?;
        if at == self.calls.len() {
            let id = call.id.map(|id| id.0.to_owned()).unwrap_or_default();
            self.calls.push(Begun { tool: Tool { custom, id, ..Tool::default() }, item: None });
        }
        let Some(begun) = self.calls.get_mut(at) else { return Ok(()) };
        if let Some(item) = begun.item.and_then(|at| self.items.get_mut(at)) {
            item.call(&said, events);
            return Ok(());
        }
        // Clients have to be told the name with the first event, so the rest waits for it.
        visit(said.len());
        begun.tool.said.push_str(&said);
        if let Some(id) = call.id.filter(|_| inner(&begun.tool.id).is_empty()) {
            begun.tool.id = id.0.to_owned();
        }
        let Some(name) = name else { return Ok(()) };
        self.turn(events);
        let place = self.items.len();
        let Some(begun) = self.calls.get_mut(at) else { return Ok(()) };
        begun.item = Some(place);
        let said = std::mem::take(&mut begun.tool.said);
        let mut tool = std::mem::take(&mut begun.tool);
        if self.places.id(at).is_none() {
            tool.id.clear();
        }
        match self.told.namespaces.get(&*decoded(name.0)) {
            Some((namespace, name)) => (tool.name, tool.namespace) = (name.clone(), Some(namespace.clone())),
            None => tool.name = name.0.to_owned(),
        }
        if inner(&tool.id).is_empty() {
            tool.id = format!("\"call_{}_{place}\"", self.name);
        }
        let mut item = Item::called(tool, &self.name, place);
        item.open(events);
        item.call(&said, events);
        self.items.push(item);
        Ok(())
    }
}
