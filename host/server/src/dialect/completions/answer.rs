//! The answer to a request for a completion.
//!
//! In go a `chat.completion` or its chunks; out come a `text_completion`, or its chunks as events. Text and usage keep their
//! bytes. Thoughts are left out: this API has no place for them, and they are not part of the text.

use crate::dialect::finish::Finish;
use crate::dialect::{Answer, broke, misread, words};
use crate::error::ApiError;
use crate::json::{Object, array, inner, quoted};
use crate::sse;
use crate::work::visit;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Says an adapter's answer as a text completion.
pub(super) struct TextCompletion {
    /// What the client called the model, as JSON.
    model: String,
    /// Whether the client asked for the stream's usage.
    usage_asked: bool,
    /// What stands around the choices of the last chunk.
    frame: Option<Frame>,
    /// For each choice that has begun whether it is complete.
    complete: BTreeMap<u64, bool>,
    usage: Option<String>,
}

/// What each chunk says besides its choices, as JSON.
struct Frame {
    id: String,
    created: String,
    model: String,
    fingerprint: Option<String>,
}

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    system_fingerprint: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

impl TextCompletion {
    pub(super) fn new(model: String, usage_asked: bool) -> Self {
        Self { model, usage_asked, frame: None, complete: BTreeMap::new(), usage: None }
    }

    fn frame(&self, completion: &Completion<'_>) -> Frame {
        let id = text(completion.id).map_or("unknown", inner);
        Frame {
            id: format!("\"cmpl-{}\"", id.strip_prefix("chatcmpl-").unwrap_or(id)),
            created: completion.created.map_or("0", RawValue::get).to_owned(),
            model: text(completion.model).unwrap_or(&self.model).to_owned(),
            fingerprint: completion.system_fingerprint.map(|fingerprint| fingerprint.get().to_owned()),
        }
    }
}

impl Answer for TextCompletion {
    fn whole(&mut self, completion: String) -> Result<String, ApiError> {
        let completion = parse(&completion)?;
        let frame = self.frame(&completion);
        let mut choices = Vec::new();
        for (at, choice) in (0..).zip(completion.choices.into_iter().flatten()) {
            let said = choice.message.ok_or_else(|| broke("holds no message"))?;
            let reason = reason(choice.finish_reason)?.ok_or_else(|| broke("has no `finish_reason`"))?;
            choices.push(said_as_text(choice.index.unwrap_or(at), &said.text()?, Some(reason)));
        }
        if choices.is_empty() {
            return Err(broke("holds no choice"));
        }
        Ok(frame.around(&choices).maybe("usage", completion.usage.map(RawValue::get)).end())
    }

    fn chunk(&mut self, chunk: &str, events: &mut String) -> Result<(), ApiError> {
        let chunk = parse(chunk)?;
        if let Some(usage) = chunk.usage {
            // Kept for the end, wherever it comes: those that come later count more.
            self.usage = Some(usage.get().to_owned());
        }
        let frame = self.frame(&chunk);
        let mut choices = Vec::new();
        for choice in chunk.choices.into_iter().flatten() {
            let index = choice.index.unwrap_or_default();
            let reason = reason(choice.finish_reason)?;
            *self.complete.entry(index).or_default() |= reason.is_some();
            let words = choice.delta.unwrap_or_default().text()?;
            if !words.is_empty() || reason.is_some() {
                choices.push(said_as_text(index, &words, reason));
            }
        }
        if !choices.is_empty() {
            // OpenAI's API says so in each chunk that is not the last one, if usage is asked for.
            let usage = self.usage_asked.then_some("null");
            sse::event(events, None, &frame.around(&choices).maybe("usage", usage).end());
            self.frame = Some(frame);
        }
        Ok(())
    }

    fn end(&mut self, events: &mut String) -> Result<(), ApiError> {
        let frame = self.frame.take().filter(|_| self.complete.values().all(|complete| *complete));
        let frame = frame.ok_or_else(|| broke("ended without a `finish_reason`"))?;
        if let Some(usage) = self.usage.take().filter(|_| self.usage_asked) {
            sse::event(events, None, &frame.around(&[]).put("usage", &usage).end());
        }
        sse::event(events, None, "[DONE]");
        Ok(())
    }

    fn broken(&mut self, error: &ApiError, events: &mut String) {
        sse::event(events, None, &error.body());
    }
}

impl Frame {
    fn around(&self, choices: &[String]) -> Object {
        Object::new()
            .put("id", &self.id)
            .text("object", "text_completion")
            .put("created", &self.created)
            .put("model", &self.model)
            .maybe("system_fingerprint", self.fingerprint.as_deref())
            .put("choices", &array(choices))
    }
}

impl<'a> Said<'a> {
    /// The text, as what stands between the quotes of a JSON string. A model that refuses says so in text, too.
    fn text(&self) -> Result<Cow<'a, str>, ApiError> {
        if self.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty()) || self.function_call.is_some() {
            return Err(broke("calls a tool, which a text completion can't say"));
        }
        let content = self.content.map(RawValue::get);
        let words = words::of(content).ok_or_else(|| broke("has a `content` that is no text"))?.text;
        Ok(if words.is_empty() { text(self.refusal).map_or(words, |refusal| inner(refusal).into()) } else { words })
    }
}

fn said_as_text(index: u64, words: &str, reason: Option<&str>) -> String {
    Object::new()
        .put("text", &format!("\"{words}\""))
        .put("index", &index.to_string())
        .put("logprobs", "null")
        .put("finish_reason", &reason.map_or_else(|| "null".to_owned(), quoted))
        .end()
}

/// Why a choice ended, in the API's own words, if it did.
fn reason(value: Option<&RawValue>) -> Result<Option<&'static str>, ApiError> {
    let finish = text(value).map(Finish::of).transpose()?.flatten();
    Ok(finish.map(|finish| match finish {
        Finish::Length => "length",
        Finish::Filter => "content_filter",
        Finish::Stop | Finish::Calls => "stop",
    }))
}

fn parse(json: &str) -> Result<Completion<'_>, ApiError> {
    visit(json.len());
    serde_json::from_str(json).map_err(|error| misread("chat completion", &error))
}

/// The JSON string that a field is. An empty one says nothing, and so does what is none.
fn text(value: Option<&RawValue>) -> Option<&str> {
    value.map(RawValue::get).filter(|text| text.starts_with('"') && *text != "\"\"")
}
