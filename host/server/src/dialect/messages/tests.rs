//! Tables: what a request becomes, what is refused and where, what an answer and a stream become.

mod answers;
mod errors;
mod refusals;
mod requests;
mod streams;

use super::understand;
use crate::dialect::Answer;
use crate::error::ApiError;

const HEAD: &str = r#""model":"m","max_tokens":9"#;

/// A request with these messages and these further members.
fn request(messages: &str, more: &str) -> String {
    format!(r#"{{{HEAD},"messages":{messages}{more}}}"#)
}

/// What answers a request with these further members.
fn answer(more: &str) -> Box<dyn Answer> {
    understand(&request("[]", more)).unwrap().answer
}

/// The events of these chunks, each by name and data, and why they break off.
fn events(more: &str, chunks: &[&str]) -> (Vec<(String, serde_json::Value)>, Option<ApiError>) {
    let mut answer = answer(more);
    let mut text = String::new();
    let told = chunks.iter().try_for_each(|chunk| answer.chunk(chunk, &mut text));
    let error = told.and_then(|()| answer.end(&mut text)).err();
    (parsed(&text), error)
}

#[track_caller]
fn parsed(events: &str) -> Vec<(String, serde_json::Value)> {
    let Some(events) = events.strip_suffix("\n\n") else {
        assert_eq!(events, "");
        return Vec::new();
    };
    let one = |event: &str| {
        let lines: Vec<_> = event.split('\n').collect();
        assert_eq!(lines.len(), 2, "{event}");
        let name = lines[0].strip_prefix("event: ").unwrap().to_owned();
        let data: serde_json::Value = serde_json::from_str(lines[1].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name, "{event}");
        (name, data)
    };
    events.split("\n\n").map(one).collect()
}
