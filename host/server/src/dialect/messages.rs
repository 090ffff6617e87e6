//! Anthropic's Messages API in front, chat behind.
//!
//! In go the body of `POST /v1/messages` and what an adapter answers to it; out come a chat request, and a message, whole or as
//! Anthropic's events. What chat can't say is refused by name; nothing that a client asks for is left out in silence.

mod answer;
mod blocks;
mod completion;
mod context;
mod count;
mod effort;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

use crate::error::ApiError;
pub(crate) use count::count;
pub(crate) use request::understand;
use serde_json::json;

/// The body that says in Anthropic's form what went wrong.
pub(crate) fn error_body(error: &ApiError, request_id: Option<&str>) -> String {
    let kind = match error.status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        // Anthropic has no name for the others: the first digit says whose fault it is.
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    let mut said = json!({ "type": kind, "message": error.message });
    if error.param.as_deref() == Some("thread") {
        // By this Anthropic's client knows that it can go on without, and does so.
        said["details"] = json!({ "error_code": "thread_unsupported_request" });
    }
    json!({ "type": "error", "error": said, "request_id": request_id }).to_string()
}
