//! Streams that go wrong: none of them looks like an end.

use super::client::events;
use super::{answer, chunk, stream};
use crate::error::ApiError;
use hauski_runtime::{AdapterError, CallError, RateLimit};
use serde_json::json;

#[test]
fn without_a_reason_to_end_there_is_no_end() {
    let mut answer = answer("");
    let mut text = String::new();
    assert_eq!(answer.end(&mut text).unwrap_err().code, "adapter_broke_contract");
    answer.chunk(&chunk(r#"{"index":0,"delta":{"content":"a"},"finish_reason":null}"#), &mut text).unwrap();
    answer.chunk(&chunk(r#"{"index":0,"delta":{},"finish_reason":""}"#), &mut text).unwrap();
    let before = text.len();
    assert_eq!(answer.end(&mut text).unwrap_err().code, "adapter_broke_contract");
    assert_eq!(text.len(), before, "nothing is closed");
}

#[test]
fn what_is_no_chunk() {
    for text in ["", "[]", r#"{"choices":7}"#, r#"{"choices":[{"delta":{"content":1}}]}"#] {
        let mut events = String::new();
        let error = answer("").chunk(text, &mut events).unwrap_err();
        assert_eq!(error.code, "adapter_broke_contract", "{text}");
        assert!(!events.contains("response.completed"), "{text}");
    }
    let nameless = stream("", &[r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#], "tool_calls");
    assert_eq!(nameless.unwrap_err().code, "adapter_broke_contract");
}

#[test]
fn what_breaks_off_ends_with_an_error() {
    let mut answer = answer("");
    let mut text = String::new();
    answer.chunk(&chunk(r#"{"index":0,"delta":{"content":"a"}}"#), &mut text).unwrap();
    let before = text.len();
    answer.broken(&ApiError::wrong("x", "\"y\"\nz"), &mut text);
    let told = events(&text);
    let [.., error, failed] = &told[..] else { panic!("{text}") };
    let message = "`x` has to be \"y\"\nz";
    let nested = json!({ "message": message, "type": "invalid_request_error", "param": "x", "code": "invalid_value" });
    let number = told.len() - 2;
    assert_eq!(
        error.data,
        json!({ "type": "error", "sequence_number": number, "code": "invalid_value", "message": message, "param": "x", "error": nested })
    );
    assert_eq!(
        (failed.data["type"].as_str(), &failed.data["sequence_number"]),
        (Some("response.failed"), &json!(number + 1))
    );
    let response = &failed.data["response"];
    assert_eq!((&response["status"], &response["id"]), (&json!("failed"), &told[0].data["response"]["id"]));
    assert_eq!(response["error"], json!({ "code": "invalid_value", "message": message }));
    let after = text.len();
    assert!(after > before);
    answer.broken(&ApiError::wrong("x", "y"), &mut text);
    answer.chunk(&chunk(r#"{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}"#), &mut text).unwrap();
    answer.end(&mut text).unwrap();
    assert_eq!(text.len(), after, "nothing follows an error");
}

#[test]
fn a_providers_own_error_is_handed_through() {
    let body = "{\"error\":\r\n{\"message\":\"slow\",\n\"extra\":[1e400]}}".to_owned();
    let limit = RateLimit { message: "slow".into(), retry_after: None, body: Some(body) };
    let mut text = String::new();
    answer("").broken(&CallError::Adapter(AdapterError::RateLimited(limit)).into(), &mut text);
    assert!(text.contains(r#""sequence_number":0,"code":"rate_limit_exceeded""#), "{text}");
    assert!(text.ends_with("\"error\":{\"message\":\"slow\",\"extra\":[1e400]}}\n\n"), "{text}");
}
