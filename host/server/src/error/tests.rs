//! Which status and code each error becomes, and what of others' words is handed on.

use super::*;
use hauski_runtime::{Full, RateLimit, UpstreamFailure};
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
    check(CallError::Busy(Full::Pool), 429, "adapter_busy");
    check(CallError::TotalTimeout(Duration::from_secs(1)), 504, "total_timeout");
    check(CallError::ComputedTooLong(Duration::from_secs(1)), 502, "adapter_cpu_limit");
    check(CallError::OutOfMemory(1 << 20), 502, "adapter_memory_limit");
    check(CallError::HandedOverTooMuch(1 << 20), 502, "adapter_handover_limit");
    check(CallError::Trapped(text()), 502, "adapter_trapped");
}

#[test]
fn a_providers_error_body_is_handed_through() {
    let body = r#"{"error":{"message":"too fast","extra":[1e400]}}"#;
    let limit = RateLimit { message: "too fast".into(), retry_after: Some("7".into()), body: Some(body.into()) };
    let error = ApiError::from(CallError::Adapter(AdapterError::RateLimited(limit)));
    assert_eq!(error.body(), body);
    assert!(error.cause().message.is_none(), "others' words are not for the log");
    let response = error.into_response();
    assert_eq!(response.headers()[header::RETRY_AFTER], "7");
}

#[test]
fn a_retry_after_that_is_no_header_value_is_left_out() {
    let limit = RateLimit { message: "x".into(), retry_after: Some("7\r\nx: y".into()), body: Some("[]".into()) };
    let response = ApiError::from(CallError::Adapter(AdapterError::RateLimited(limit))).into_response();
    assert!(!response.headers().contains_key(header::RETRY_AFTER));
}
