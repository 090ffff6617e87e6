//! OpenAI's chat completions: the adapters' own dialect, so that what they say passes as it is.
//!
//! Only usage is moved: it comes once, in the last chunk and without choices, to those who asked for it.

use super::Answer;
use crate::chat_request::ChatRequest;
use crate::error::ApiError;
use crate::json::Members;
use crate::sse;

/// What a client wants to be told of the tokens that its streamed request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Nothing.
    Unasked,
    /// All of it, at the end (`stream_options.include_usage`).
    Last,
    /// What it is so far in each chunk as well (`stream_options.continuous_usage_stats`, which vLLM has).
    Continuous,
}

/// Reads the body of `POST /v1/chat/completions`.
pub(crate) fn understand(body: String) -> Result<(ChatRequest, Box<dyn Answer>), ApiError> {
    let request = ChatRequest::parse(body)?;
    let answer = Box::new(Chat::new(request.usage));
    Ok((request, answer))
}

/// A chat completion's answer.
pub(crate) struct Chat {
    usage: Usage,
    /// The chunk with the usage, to be sent last.
    last: Option<String>,
}

impl Chat {
    /// The answer to a request that wants `usage`.
    pub(crate) fn new(usage: Usage) -> Self {
        Self { usage, last: None }
    }

    /// Takes the usage out of a chunk; gives what is left to be sent, if anything is.
    fn take_usage(&mut self, chunk: &str) -> Option<String> {
        let mut members = Members::of(chunk)?;
        members.get("usage")?;
        let choices = members.get("choices").filter(|choices| choices.starts_with('['));
        if choices.is_some_and(is_empty) {
            self.last = Some(chunk.to_owned());
            return Some(String::new());
        }
        let has_choices = choices.is_some();
        let mut last = Members::of(chunk)?;
        last.set("choices", "[]");
        self.last = Some(last.json());
        if !has_choices {
            return Some(String::new());
        }
        if self.usage == Usage::Continuous {
            return None;
        }
        members.take("usage");
        Some(members.json())
    }
}

/// Whether an array has no items.
fn is_empty(array: &str) -> bool {
    array[1..].trim_ascii_start().starts_with(']')
}

impl Answer for Chat {
    fn reads_values(&self) -> bool {
        false
    }

    fn whole(&mut self, completion: String) -> Result<String, ApiError> {
        Ok(completion)
    }

    fn chunk(&mut self, chunk: &str, events: &mut String) -> Result<(), ApiError> {
        // Most chunks have none: they are not read for it.
        let rest = if chunk.contains("\"usage\"") { self.take_usage(chunk) } else { None };
        match rest.as_deref() {
            None => sse::event(events, None, chunk),
            Some("") => {}
            Some(rest) => sse::event(events, None, rest),
        }
        Ok(())
    }

    fn end(&mut self, events: &mut String) -> Result<(), ApiError> {
        if let Some(last) = self.last.take().filter(|_| self.usage != Usage::Unasked) {
            sse::event(events, None, &last);
        }
        sse::event(events, None, "[DONE]");
        Ok(())
    }

    fn broken(&mut self, error: &ApiError, events: &mut String) {
        sse::event(events, None, &error.body());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"id":"a","choices":[{"index":0,"delta":{"content":"\"usage\""}}]}"#;
    const NULL: &str = r#"{"choices":[{"index":0}],"usage":null}"#;
    const FINISH: &str = r#"{"choices":[{"finish_reason":"stop"}],"usage":{"total_tokens":1},"x":1e400}"#;
    const LAST: &str = r#"{"choices":[ ],"usage":{"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0}}}"#;

    #[track_caller]
    fn check(usage: Usage, chunks: &[&str], events: &[&str]) {
        let (mut chat, mut out) = (Chat::new(usage), String::new());
        for chunk in chunks {
            chat.chunk(chunk, &mut out).unwrap();
        }
        chat.end(&mut out).unwrap();
        let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        assert_eq!(out, format!("{events}data: [DONE]\n\n"));
    }

    #[test]
    fn usage_comes_last_and_once() {
        let bare = r#"{"choices":[{"finish_reason":"stop"}],"x":1e400}"#;
        let made = r#"{"choices":[],"usage":{"total_tokens":1},"x":1e400}"#;
        check(Usage::Last, &[TEXT, NULL, FINISH], &[TEXT, NULL, bare, made]);
        check(Usage::Last, &[TEXT, FINISH, LAST], &[TEXT, bare, LAST]);
        check(Usage::Last, &[LAST, TEXT], &[TEXT, LAST]);
        check(Usage::Last, &[TEXT], &[TEXT]);
        for without in [r#"{"usage":{"total_tokens":1},"choices":null}"#, r#"{"usage":{"total_tokens":1}}"#] {
            check(Usage::Last, &[TEXT, without], &[TEXT, r#"{"usage":{"total_tokens":1},"choices":[]}"#]);
        }
        check(Usage::Continuous, &[TEXT, FINISH, LAST], &[TEXT, FINISH, LAST]);
    }

    #[test]
    fn who_does_not_ask_is_not_told() {
        let bare = r#"{"choices":[{"finish_reason":"stop"}],"x":1e400}"#;
        check(Usage::Unasked, &[TEXT, NULL, FINISH, LAST], &[TEXT, NULL, bare]);
        check(
            Usage::Unasked,
            &[r#"{"choices":[],"prompt_filter_results":[]}"#],
            &[r#"{"choices":[],"prompt_filter_results":[]}"#],
        );
    }
}
