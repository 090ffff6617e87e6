//! The chat request that adapters get: what the gateway must know of it, and its text.
//!
//! Only the model's name is replaced; every other byte reaches the adapter as it came.

use crate::dialect::chat::Usage;
use crate::error::ApiError;
use crate::remote_urls::{self, RemoteUrl};
use crate::work::visit;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;
use std::sync::Arc;

/// A chat request whose outer form is right.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    text: Arc<String>,
    /// Where the model's JSON string stands in `text`.
    model_at: Range<usize>,
    /// The model's public name.
    pub(crate) model: String,
    /// Whether the answer is to come piece by piece.
    pub(crate) stream: bool,
    /// What the client wants to know of the tokens that a stream took.
    pub(crate) usage: Usage,
    /// How many answers it asks for.
    pub(crate) choices: usize,
    /// What keeps the client at one of a route's models, if it says who asks.
    pub(crate) key: Option<String>,
    /// What its provider is asked to fetch, each with the field that asks for it.
    pub(crate) remote_urls: Vec<RemoteUrl>,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    n: Option<&'a RawValue>,
    /// Images beside the messages, as some servers accept them.
    #[serde(borrow, default)]
    image: Option<&'a RawValue>,
    /// The same.
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    safety_identifier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
    #[serde(default)]
    continuous_usage_stats: Option<bool>,
}

impl ChatRequest {
    /// Reads a body that is JSON.
    ///
    /// # Errors
    /// If it is no object, or if one of the fields that the gateway reads is missing or of another type.
    pub(crate) fn parse(text: String) -> Result<Self, ApiError> {
        // An array of the right length would do for a derived structure.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(ApiError::invalid("invalid_json", None, "the body is no JSON object"));
        }
        visit(text.len());
        let outer: Outer = serde_json::from_str(&text).map_err(|error| {
            ApiError::invalid("invalid_json", None, format!("the body is no JSON object for a chat request: {error}"))
        })?;
        let (model, model_at) = model(&text, outer.model)?;
        let Some(messages) = outer.messages.map(RawValue::get).filter(|messages| messages.starts_with('[')) else {
            return Err(ApiError::wrong("messages", "an array of messages"));
        };
        let mut remote_urls = Vec::new();
        remote_urls::in_messages(messages, &mut remote_urls)?;
        for (name, value) in [("image", outer.image), ("images", outer.images)] {
            if let Some(value) = value {
                remote_urls::in_media(name, value.get(), &mut remote_urls)?;
            }
        }
        let stream = flag("stream", outer.stream)?;
        let usage = usage(outer.stream_options)?;
        let choices = outer.n.and_then(|n| n.get().parse().ok()).unwrap_or(1);
        let key = [outer.prompt_cache_key, outer.safety_identifier, outer.user].into_iter().find_map(key);
        Ok(Self { text: text.into(), model_at, model, stream, usage, choices, key, remote_urls })
    }

    /// The request's text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The request's text with the provider's name for the model.
    pub(crate) fn for_provider(&self, name: &str) -> Arc<String> {
        with_model(&self.text, &self.model, self.model_at.clone(), name)
    }
}

/// What a field says of who asks; empty, it says nothing.
pub(crate) fn key(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok().filter(|key: &String| !key.is_empty())
}

/// The model that a request names, and where.
///
/// # Errors
/// If it names none.
pub(crate) fn model(text: &str, raw: Option<&RawValue>) -> Result<(String, Range<usize>), ApiError> {
    const EXPECTED: &str = "a string with the model's name; `GET /v1/models` lists them";
    let raw = raw.ok_or_else(|| ApiError::wrong("model", EXPECTED))?;
    let model = serde_json::from_str(raw.get()).map_err(|_| ApiError::wrong("model", EXPECTED))?;
    let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
    Ok((model, start..start + raw.get().len()))
}

/// `text` with `name` where `model` stands.
pub(crate) fn with_model(text: &Arc<String>, model: &str, at: Range<usize>, name: &str) -> Arc<String> {
    if model == name {
        return text.clone();
    }
    visit(text.len());
    let name = serde_json::Value::from(name).to_string();
    let mut new = String::with_capacity(text.len() + name.len());
    new.push_str(&text[..at.start]);
    new.push_str(&name);
    new.push_str(&text[at.end..]);
    new.into()
}

fn flag(name: &'static str, value: Option<&RawValue>) -> Result<bool, ApiError> {
    match value.map(RawValue::get) {
        None | Some("null" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::wrong(name, "`true` or `false`")),
    }
}

fn usage(options: Option<&RawValue>) -> Result<Usage, ApiError> {
    let Some(options) = options else { return Ok(Usage::Unasked) };
    let wrong = || ApiError::wrong("stream_options", "an object; its `include_usage` is `true` or `false`");
    // An array would do for a derived structure here, too.
    if options.get().starts_with('[') {
        return Err(wrong());
    }
    let options: Option<StreamOptions> = serde_json::from_str(options.get()).map_err(|_| wrong())?;
    let options = options.unwrap_or_default();
    let (last, continuous) = (options.include_usage, options.continuous_usage_stats);
    Ok(match (last.unwrap_or_default(), continuous.unwrap_or_default()) {
        (true, true) => Usage::Continuous,
        (true, false) => Usage::Last,
        (false, _) => Usage::Unasked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_models_name_changes() {
        let body = r#" {"x": 1e400, "model" : "a\u0062", "messages":[ {"model":"ab"} ],"stream":null, "y":{"z":1.0}} "#;
        let parse = || ChatRequest::parse(body.into()).unwrap();
        assert_eq!((parse().model.as_str(), parse().stream), ("ab", false));
        assert_eq!(*parse().for_provider("q\"x"), body.replace(r#""a\u0062""#, r#""q\"x""#));
        assert_eq!(*parse().for_provider("ab"), body);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, param) in [
            (r#"{"messages":[]}"#, Some("model")),
            (r#"{"model":1,"messages":[]}"#, Some("model")),
            (r#"{"model":null,"messages":[]}"#, Some("model")),
            (r#"{"model":"a"}"#, Some("messages")),
            (r#"{"model":"a","messages":"hi"}"#, Some("messages")),
            (r#"{"model":"a","messages":[],"stream":1}"#, Some("stream")),
            (r#"{"model":"a","messages":[],"stream":"true"}"#, Some("stream")),
            (r#"{"model":"a","messages":[],"stream_options":7}"#, Some("stream_options")),
            (r#"{"model":"a","messages":[],"stream_options":[true]}"#, Some("stream_options")),
            (r#"{"model":"a","messages":[],"stream_options":{"include_usage":"yes"}}"#, Some("stream_options")),
            ("[]", None),
            (r#"["a",[],false]"#, None),
        ] {
            let error = ChatRequest::parse(body.into()).unwrap_err();
            assert_eq!((error.status.as_u16(), error.param.as_deref()), (400, param), "{body}: {error:?}");
        }
    }

    #[test]
    fn what_else_is_read() {
        let parse = |rest: &str| ChatRequest::parse(format!(r#"{{"model":"a","messages":[]{rest}}}"#)).unwrap();
        assert_eq!((parse("").usage, parse("").choices, parse("").key), (Usage::Unasked, 1, None));
        assert_eq!(parse(r#","stream_options":null"#).usage, Usage::Unasked);
        assert_eq!(parse(r#","stream_options":{"include_usage":true,"x":1}"#).usage, Usage::Last);
        assert_eq!(
            parse(r#","stream_options":{"include_usage":true,"continuous_usage_stats":true}"#).usage,
            Usage::Continuous
        );
        assert_eq!((parse(r#","n":3"#).choices, parse(r#","n":"x""#).choices), (3, 1));
        assert_eq!(parse(r#","user":"u","prompt_cache_key":"p""#).key.as_deref(), Some("p"));
        assert_eq!(parse(r#","user":"u","prompt_cache_key":7"#).key.as_deref(), Some("u"));
        assert_eq!(parse(r#","user":"u","prompt_cache_key":"""#).key.as_deref(), Some("u"));
        assert_eq!(parse(r#","user":"""#).key, None);
    }
}
