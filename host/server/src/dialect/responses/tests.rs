//! Tests of the dialect as a whole: requests, refusals, answers and streams, as tables.

use super::understand;
use crate::dialect::Answer;
use crate::error::ApiError;

mod answers;
mod breaks;
mod client;
mod refusals;
mod requests;
mod streams;

/// The answer for a request with these members besides the model.
fn answer(members: &str) -> Box<dyn Answer> {
    understand(&format!(r#"{{"model":"m","input":"hi"{members}}}"#)).unwrap().answer
}

/// Says a stream: chunks by their deltas, and a last one with `finish`.
fn stream(members: &str, deltas: &[&str], finish: &str) -> Result<String, ApiError> {
    let mut answer = answer(members);
    let mut text = String::new();
    for delta in deltas {
        answer.chunk(&chunk(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}"#)), &mut text)?;
    }
    answer.chunk(&chunk(&format!(r#"{{"index":0,"delta":{{}},"finish_reason":"{finish}"}}"#)), &mut text)?;
    answer.end(&mut text)?;
    Ok(text)
}

fn chunk(choice: &str) -> String {
    format!(r#"{{"id":"chatcmpl-a.1","object":"chat.completion.chunk","created":7,"model":"p","choices":[{choice}]}}"#)
}
