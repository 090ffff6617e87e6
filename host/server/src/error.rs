//! The one table from errors to HTTP answers in OpenAI's form.

use axum::Json;
use axum::response::{IntoResponse, Response};
use hauski_runtime::{AdapterError, CallError};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use std::ops::Deref;

/// An answer that says what went wrong: status, and a body of the form `{"error": {"message", "type", "param", "code"}}`.
///
/// Boxed, so that the way of those requests that succeed stays narrow.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Details>);

/// What an [`ApiError`] says.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) code: &'static str,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: String,
    retry_after: Option<HeaderValue>,
    /// The provider's own error body, handed through.
    body: Option<Value>,
}

impl Deref for ApiError {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Details { status, kind, code, param: None, message, retry_after: None, body: None }))
    }

    /// The client's request can't be understood. `param` is the field that is wrong.
    pub(crate) fn invalid(code: &'static str, param: Option<&'static str>, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, INVALID, code, message);
        error.0.param = param;
        error
    }

    /// The model is not one that can be asked.
    pub(crate) fn model_not_found(message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::NOT_FOUND, INVALID, "model_not_found", message);
        error.0.param = Some("model");
        error
    }

    fn with_retry_after(mut self, value: Option<HeaderValue>) -> Self {
        self.0.retry_after = value;
        self
    }

    fn with_body(mut self, body: Option<Value>) -> Self {
        self.0.body = body;
        self
    }

    /// The body: the provider's own, if there is one.
    pub(crate) fn body(&self) -> Value {
        self.body.clone().unwrap_or_else(|| {
            json!({ "error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            } })
        })
    }
}

const INVALID: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";
const GATEWAY: &str = "gateway_error";

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let details = *self.0;
        if let Some(value) = details.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response.extensions_mut().insert(Cause { code: details.code, message: details.message });
        response
    }
}

/// Why a request failed, for the request's log line.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        let new = |status, kind, code| Self::new(status, kind, code, message.clone());
        match error {
            CallError::Adapter(error) => from_adapter(error, message),
            CallError::NotServed(_) => Self::invalid("not_served", Some("model"), message),
            CallError::Busy { .. } => new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "adapter_busy")
                .with_retry_after(Some(HeaderValue::from_static("1"))),
            CallError::TotalTimeout(_) => new(StatusCode::GATEWAY_TIMEOUT, GATEWAY, "total_timeout"),
            CallError::ComputedTooLong(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_cpu_limit"),
            CallError::OutOfMemory(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_memory_limit"),
            CallError::Trapped(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_trapped"),
        }
    }
}

fn from_adapter(error: AdapterError, message: String) -> ApiError {
    let new = |status, kind, code| ApiError::new(status, kind, code, message.clone());
    match error {
        AdapterError::InvalidRequest(_) => ApiError::invalid("invalid_request", None, message),
        AdapterError::ModelNotFound(_) => ApiError::model_not_found(message),
        AdapterError::Unauthorized(_) => new(StatusCode::BAD_GATEWAY, UPSTREAM, "upstream_unauthorized"),
        AdapterError::RateLimited(limit) => {
            new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded")
                .with_retry_after(limit.retry_after.and_then(|value| HeaderValue::try_from(value).ok()))
                .with_body(own_body(limit.body))
        }
        AdapterError::Upstream(failure) => {
            let status = StatusCode::from_u16(failure.status).ok().filter(StatusCode::is_client_error);
            new(status.unwrap_or(StatusCode::BAD_GATEWAY), UPSTREAM, "upstream_error").with_body(own_body(failure.body))
        }
        AdapterError::Unreachable(_) => new(StatusCode::BAD_GATEWAY, UPSTREAM, "upstream_unreachable"),
        AdapterError::Timeout(_) => new(StatusCode::GATEWAY_TIMEOUT, UPSTREAM, "upstream_timeout"),
        AdapterError::Denied => ApiError::new(
            StatusCode::BAD_GATEWAY,
            GATEWAY,
            "egress_denied",
            "the policy of this gateway does not let the adapter reach its provider; the operator's log says which entry is missing",
        ),
        AdapterError::Internal(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_failed"),
    }
}

/// A provider's error body, if it is an object with an `error` member.
fn own_body(body: Option<String>) -> Option<Value> {
    let value: Value = serde_json::from_str(&body?).ok()?;
    value.get("error")?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauski_runtime::{RateLimit, UpstreamFailure};
    use std::time::Duration;

    #[track_caller]
    fn check(error: CallError, status: u16, code: &str) {
        let error = ApiError::from(error);
        assert_eq!((error.status.as_u16(), error.code), (status, code), "{error:?}");
        assert!(!error.message.is_empty());
    }

    #[test]
    fn statuses() {
        let text = || "x".to_owned();
        let failure =
            |status| AdapterError::Upstream(UpstreamFailure { status, message: text(), retryable: false, body: None });
        let limit = RateLimit { message: text(), retry_after: Some("7".into()), body: None };
        check(CallError::Adapter(AdapterError::InvalidRequest(text())), 400, "invalid_request");
        check(CallError::Adapter(AdapterError::ModelNotFound(text())), 404, "model_not_found");
        check(CallError::Adapter(AdapterError::Unauthorized(text())), 502, "upstream_unauthorized");
        check(CallError::Adapter(AdapterError::RateLimited(limit)), 429, "rate_limit_exceeded");
        check(CallError::Adapter(failure(422)), 422, "upstream_error");
        check(CallError::Adapter(failure(503)), 502, "upstream_error");
        check(CallError::Adapter(failure(200)), 502, "upstream_error");
        check(CallError::Adapter(failure(9)), 502, "upstream_error");
        check(CallError::Adapter(AdapterError::Unreachable(text())), 502, "upstream_unreachable");
        check(CallError::Adapter(AdapterError::Timeout(text())), 504, "upstream_timeout");
        check(CallError::Adapter(AdapterError::Denied), 502, "egress_denied");
        check(CallError::Adapter(AdapterError::Internal(text())), 502, "adapter_failed");
        check(CallError::NotServed("chat"), 400, "not_served");
        check(CallError::Busy { instances: 1 }, 429, "adapter_busy");
        check(CallError::TotalTimeout(Duration::from_secs(1)), 504, "total_timeout");
        check(CallError::ComputedTooLong(Duration::from_secs(1)), 502, "adapter_cpu_limit");
        check(CallError::OutOfMemory(1 << 20), 502, "adapter_memory_limit");
        check(CallError::Trapped(text()), 502, "adapter_trapped");
    }

    #[test]
    fn a_providers_error_body_is_handed_through() {
        let body = r#"{"error":{"message":"too fast","extra":[1]}}"#;
        let limit = RateLimit { message: "too fast".into(), retry_after: Some("7".into()), body: Some(body.into()) };
        let error = ApiError::from(CallError::Adapter(AdapterError::RateLimited(limit)));
        assert_eq!(error.body().to_string(), body);
        let response = error.into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }

    #[test]
    fn a_retry_after_that_is_no_header_value_is_left_out() {
        let limit = RateLimit { message: "x".into(), retry_after: Some("7\r\nx: y".into()), body: Some("[]".into()) };
        let response = ApiError::from(CallError::Adapter(AdapterError::RateLimited(limit))).into_response();
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
