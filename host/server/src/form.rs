//! The form of errors, and the name of the request's id: OpenAI's, but Anthropic's for the clients of Anthropic's API.
//!
//! In goes a request; out comes its answer, whose body is written anew if it is an error at a path of Anthropic's. That happens
//! outside of whatever could refuse a request, so that all errors there have one form.

use crate::dialect::messages;
use crate::error::ApiError;
use crate::observe::RequestId;
use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::sync::Arc;

/// The field by which Anthropic's clients say which version of the API they speak.
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Gives errors the form that the path's clients know.
pub(crate) async fn errors(Extension(id): Extension<RequestId>, request: Request, next: Next) -> Response {
    let is_anthropics = is_anthropics(request.uri().path(), request.headers());
    let mut response = next.run(request).await;
    if is_anthropics && let Ok(value) = HeaderValue::from_str(&id.0) {
        // Where Anthropic's clients look for it; `x-request-id` is there as well.
        response.headers_mut().insert("request-id", value);
    }
    let error = response.extensions().get::<Arc<ApiError>>().filter(|_| is_anthropics).cloned();
    let Some(error) = error else { return response };
    let mut response = response.map(|_| Body::from(messages::error_body(&error, Some(&id.0))));
    // It is the other body's.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// Whether a request speaks Anthropic's API: at a path of its own, there or not, or at one that OpenAI's has as well.
fn is_anthropics(path: &str, headers: &HeaderMap) -> bool {
    let below = |base| path.strip_prefix(base).is_some_and(|rest: &str| rest.is_empty() || rest.starts_with('/'));
    below("/v1/messages") || below("/v1/models") && says_so(headers)
}

/// Whether a client says that it speaks Anthropic's API.
pub(crate) fn says_so(headers: &HeaderMap) -> bool {
    headers.contains_key(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anthropics_paths() {
        let says_so = HeaderMap::from_iter([(VERSION, HeaderValue::from_static("2023-06-01"))]);
        for path in ["/v1/messages", "/v1/messages/", "/v1/messages/count_tokens"] {
            assert!(is_anthropics(path, &HeaderMap::new()) && is_anthropics(path, &says_so), "{path}");
        }
        for path in ["/v1/models", "/v1/models/a/b"] {
            assert!(!is_anthropics(path, &HeaderMap::new()) && is_anthropics(path, &says_so), "{path}");
        }
        for path in ["/v1/message", "/v1/messagesx", "/v1/modelsx", "/v1/chat/completions", "/"] {
            assert!(!is_anthropics(path, &says_so), "{path}");
        }
    }
}
