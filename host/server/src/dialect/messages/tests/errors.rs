//! Errors in Anthropic's form.

use super::super::error_body;
use crate::error::ApiError;

#[track_caller]
fn check(error: &ApiError, kind: &str) {
    let body: serde_json::Value = serde_json::from_str(&error_body(error, Some("r1"))).unwrap();
    let expected = serde_json::json!({
        "type": "error", "error": { "type": kind, "message": error.message }, "request_id": "r1",
    });
    assert_eq!(body, expected);
}

#[test]
fn kinds() {
    check(&ApiError::wrong("model", "a \"string\""), "invalid_request_error");
    check(&ApiError::unsupported("x", "no"), "invalid_request_error");
    check(&ApiError::foreign("no"), "permission_error");
    check(&ApiError::model_not_found("no"), "not_found_error");
    check(&ApiError::method_not_allowed("no"), "invalid_request_error");
    check(&ApiError::too_slow("no"), "timeout_error");
    check(&ApiError::too_large("no"), "request_too_large");
    check(&ApiError::metrics("no"), "api_error");
    check(&ApiError::broke_contract("no"), "api_error");
    check(&ApiError::unavailable("no"), "overloaded_error");
}

#[test]
fn kinds_of_what_adapters_say() {
    use hauski_runtime::{AdapterError, CallError, Full, RateLimit, UpstreamFailure};
    let adapter = |error| ApiError::from(CallError::Adapter(error));
    let upstream = |status| {
        adapter(AdapterError::Upstream(UpstreamFailure { status, message: "x".into(), retryable: false, body: None }))
    };
    check(&upstream(401), "authentication_error");
    check(&upstream(402), "billing_error");
    check(&upstream(403), "permission_error");
    check(&upstream(422), "invalid_request_error");
    check(&upstream(500), "api_error");
    check(&adapter(AdapterError::Timeout("x".into())), "timeout_error");
    check(&CallError::Busy(Full::Pool).into(), "rate_limit_error");
    let body = r#"{"error":{"message":"the provider's"}}"#.to_owned();
    let limit = RateLimit { message: "x".into(), retry_after: None, body: Some(body) };
    check(&adapter(AdapterError::RateLimited(limit)), "rate_limit_error");
}

#[test]
fn a_client_with_threads_is_told_to_go_on_without() {
    let Err(error) =
        super::super::understand(r#"{"model":"m","messages":[],"max_tokens":1,"thread":{"type":"create"}}"#)
    else {
        panic!("a thread is understood");
    };
    let body: serde_json::Value = serde_json::from_str(&error_body(&error, None)).unwrap();
    assert_eq!(body["error"]["details"]["error_code"], "thread_unsupported_request");
}

#[test]
fn without_a_request() {
    let body = error_body(&ApiError::not_found("x"), None);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(body["request_id"].is_null());
}

#[test]
fn a_stream_that_breaks_off_says_so() {
    let mut text = String::new();
    let error = ApiError::broke_contract("a\nb");
    super::answer("").broken(&error, &mut text);
    let events = super::parsed(&text);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].0.as_str(), &events[0].1["error"]["message"]), ("error", &"a\nb".into()));
}
