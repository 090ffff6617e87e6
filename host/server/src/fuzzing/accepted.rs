//! Properties of requests that are accepted.

use super::convert::{Dialect, understand};
use crate::chat_request::ChatRequest;
use crate::dialect::messages;
use crate::embedding_request::EmbeddingRequest;
use crate::json::checked;
use crate::remote_urls::RemoteUrl;
use crate::work::counted;
use serde_json::Value;
use std::sync::Arc;

/// The most bytes that are visited for each byte of a body.
const FACTOR: usize = 400;
/// The bytes that a request without any costs.
const BASE: usize = 20_000;

/// Reads `body` in each dialect. What is accepted is JSON with one reading, in which no URL is missed.
pub(super) fn check(body: &[u8]) {
    for dialect in Dialect::ALL {
        let (understood, visited) = counted(|| understand(dialect, body));
        assert!(visited <= FACTOR * body.len() + BASE, "{dialect:?}: {visited} bytes for {}", body.len());
        let Ok((request, _)) = understood else { continue };
        check_text(request.text());
        check_renamed(request.for_provider("other"), &request.model);
        let json: Option<Value> = serde_json::from_str(request.text()).ok();
        if let Some(json) = &json {
            check_urls(&json["messages"], "messages", &request.remote_urls);
        }
        if let Some((again, _)) = written_anew(body).and_then(|anew| understand(dialect, &anew).ok()) {
            let known = |request: &ChatRequest| {
                (request.model.clone(), request.stream, request.usage, request.choices, request.key.clone())
            };
            assert_eq!(known(&request), known(&again));
            assert_eq!(request.remote_urls, again.remote_urls, "{}", request.text());
        }
    }
    let (embedding, visited) = counted(|| checked(body.to_vec()).and_then(EmbeddingRequest::parse));
    assert!(visited <= FACTOR * body.len() + BASE, "embeddings: {visited} bytes for {}", body.len());
    if let Ok(request) = embedding {
        check_renamed(request.for_provider("other"), &request.model);
        let again = written_anew(body).and_then(|anew| checked(anew).and_then(EmbeddingRequest::parse).ok());
        if let Some(again) = again {
            assert_eq!((&request.model, &request.key), (&again.model, &again.key));
            assert_eq!(request.remote_urls, again.remote_urls);
        }
    }
    if let Ok(body) = checked(body.to_vec()) {
        let (counts, visited) = counted(|| messages::count(&body).ok());
        assert!(visited <= FACTOR * body.len() + BASE, "count: {visited} bytes for {}", body.len());
        assert!(counts.is_none_or(|(_, tokens)| tokens <= 2_000 * (body.len() + 1)));
    }
}

/// The same JSON as another program writes it: other escapes and blanks, the same meaning.
fn written_anew(body: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_slice::<Value>(body).ok().map(|body| body.to_string().into_bytes())
}

/// Checks that a chat request is what the gateway itself accepts. A schema may come to stand one or two levels deeper.
fn check_text(text: &str) {
    if let Err(error) = checked(text.as_bytes().to_vec()) {
        assert!(error.message.contains("levels deep"), "{}: {text}", error.message);
    }
}

/// Checks that a request names the provider's model, and is otherwise what it was.
fn check_renamed(renamed: Arc<String>, model: &str) {
    let Ok(again) = ChatRequest::parse(renamed.to_string()) else {
        let Ok(again) = EmbeddingRequest::parse(renamed.to_string()) else { panic!("{renamed}") };
        return assert_eq!(again.model, "other");
    };
    assert_eq!(again.model, "other");
    let back = ChatRequest::parse(again.for_provider(model).to_string());
    assert_eq!(back.ok().map(|back| back.model).as_deref(), Some(model));
}

/// Checks that each image of a message is found that a plain reader would fetch.
fn check_urls(messages: &Value, place: &str, found: &[RemoteUrl]) {
    for (at, message) in messages.as_array().into_iter().flatten().enumerate() {
        for (part_at, part) in message["content"].as_array().into_iter().flatten().enumerate() {
            let image = &part["image_url"];
            for (url, end) in [(image, ""), (&image["url"], ".url")] {
                let Some(url) = url.as_str().filter(|url| !url.to_ascii_lowercase().starts_with("data:")) else {
                    continue;
                };
                let field = format!("{place}[{at}].content[{part_at}].image_url");
                let is_found = |one: &RemoteUrl| one.url == url && one.field.starts_with(&field);
                assert!(found.iter().any(is_found), "{field}{end}: {url:?} in {found:?}");
            }
        }
    }
}
