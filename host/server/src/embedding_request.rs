//! The embeddings request that adapters get: what the gateway must know of it, and its text.

use crate::chat_request::{key, model, with_model};
use crate::error::ApiError;
use crate::remote_urls::{self, RemoteUrl};
use crate::work::visit;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;
use std::sync::Arc;

/// An embeddings request whose outer form is right.
#[derive(Debug)]
pub(crate) struct EmbeddingRequest {
    text: Arc<String>,
    model_at: Range<usize>,
    /// The model's public name.
    pub(crate) model: String,
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
    input: Option<&'a RawValue>,
    /// What some servers embed instead.
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    /// The kind of `input`, where a server embeds several: Infinity's `modality`.
    #[serde(borrow, default)]
    modality: Option<&'a RawValue>,
    /// Images beside the texts, as Cohere has them.
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
}

impl Outer<'_> {
    fn remote_urls(&self) -> Result<Vec<RemoteUrl>, ApiError> {
        let mut found = Vec::new();
        if let Some(input) = self.input {
            remote_urls::in_input(input.get(), self.modality.map(RawValue::get), &mut found)?;
        }
        if let Some(messages) = self.messages {
            remote_urls::in_messages(messages.get(), &mut found)?;
        }
        if let Some(images) = self.images {
            remote_urls::in_media("images", images.get(), &mut found)?;
        }
        Ok(found)
    }
}

impl EmbeddingRequest {
    /// Reads a body that is JSON.
    ///
    /// # Errors
    /// If it is no object, or if `model` or `input` is missing or of another type.
    pub(crate) fn parse(text: String) -> Result<Self, ApiError> {
        if !text.trim_ascii_start().starts_with('{') {
            return Err(ApiError::invalid("invalid_json", None, "the body is no JSON object"));
        }
        visit(text.len());
        let outer: Outer = serde_json::from_str(&text).map_err(|error| {
            ApiError::invalid("invalid_json", None, format!("the body is no JSON object for embeddings: {error}"))
        })?;
        let (model, model_at) = model(&text, outer.model)?;
        if !outer.input.is_some_and(|input| input.get().starts_with(['"', '['])) {
            return Err(ApiError::wrong("input", "a text, or an array of texts or tokens"));
        }
        let key = key(outer.user);
        let remote_urls = outer.remote_urls()?;
        Ok(Self { text: text.into(), model_at, model, key, remote_urls })
    }

    /// The request's text with the provider's name for the model.
    pub(crate) fn for_provider(&self, name: &str) -> Arc<String> {
        with_model(&self.text, &self.model, self.model_at.clone(), name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read() {
        let body = r#"{"input":["a"], "model":"m","x":1e400,"user":"u"}"#;
        let request = EmbeddingRequest::parse(body.into()).unwrap();
        assert!(request.remote_urls.is_empty());
        let fetches = r#"{"model":"m","input":[{"image":"http://a"}],"messages":[{"content":[{"image_url":"b"}]}]}"#;
        assert_eq!(EmbeddingRequest::parse(fetches.into()).unwrap().remote_urls.len(), 2);
        let fetches = r#"{"model":"m","input":["http://a"],"modality":"image","images":["http://b"]}"#;
        assert_eq!(EmbeddingRequest::parse(fetches.into()).unwrap().remote_urls.len(), 2);
        assert_eq!((request.model.as_str(), request.key.as_deref()), ("m", Some("u")));
        assert_eq!(*request.for_provider("n"), body.replace("\"m\"", "\"n\""));
        for (body, param) in [
            (r#"{"input":"a"}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("input")),
            (r#"{"model":"m","input":7}"#, Some("input")),
            ("[]", None),
        ] {
            let error = EmbeddingRequest::parse(body.into()).unwrap_err();
            assert_eq!((error.status.as_u16(), error.param.as_deref()), (400, param), "{body}");
        }
    }
}
