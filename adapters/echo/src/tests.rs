//! An adapter's functions are plain functions: they are tested without a host.

use super::*;

fn request(rest: &str) -> ChatRequest {
    let messages =
        r#"[{"role":"user","content":"first"},{"role":"user","content":"two words"},{"role":"system","content":"x"}]"#;
    ChatRequest::new(format!(r#"{{"model":"m","messages":{messages}{rest}}}"#))
}

fn stream(rest: &str) -> String {
    let mut chunks = Echo::start(request(rest)).unwrap();
    std::iter::from_fn(|| chunks.next().unwrap()).flatten().collect()
}

#[test]
fn answers_with_the_last_message_of_the_user() {
    let answer = Echo::complete(request("")).unwrap();
    assert!(answer.contains(r#""model":"m""#) && answer.contains(r#""content":"two words""#), "{answer}");
}

#[test]
fn streams_word_by_word_and_tells_usage_if_asked() {
    let chunks = stream("");
    assert!(chunks.contains(r#""content":"two ""#) && chunks.contains(r#""content":"words""#), "{chunks}");
    assert!(chunks.ends_with(r#""finish_reason":"stop"}]}"#), "{chunks}");
    assert!(
        stream(r#","stream_options":{"include_usage":true}"#).contains(r#""choices":[],"usage":{"prompt_tokens":2"#)
    );
}

#[test]
fn refuses_what_has_no_message_of_the_user() {
    let request = ChatRequest::new(r#"{"model":"m","messages":[]}"#);
    assert!(matches!(Echo::complete(request), Err(Error::InvalidRequest(_))));
}
