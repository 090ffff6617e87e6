//! Completions and chunks, for adapters whose provider does not speak OpenAI's dialect.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{Error, Json};

/// Tokens that a request took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt: u64,
    /// Tokens of the answer.
    pub completion: u64,
}

/// What all chunks of an answer have in common: `id`, `created` and `model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    id: String,
    created: u64,
    model: String,
}

impl Answer {
    /// An answer made now, with an id of its own. Reads the clock, so the component imports `wasi:clocks/wall-clock`.
    pub fn new(model: impl Into<String>) -> Self {
        let now = now();
        Self::with(format!("chatcmpl-{:x}", now.as_nanos()), now.as_secs(), model)
    }

    /// An answer made now, with a provider's id. Reads the clock as well.
    pub fn named(id: impl Into<String>, model: impl Into<String>) -> Self {
        Self::with(id, now().as_secs(), model)
    }

    /// An answer with a provider's id and time, in seconds since 1970.
    pub fn with(id: impl Into<String>, created: u64, model: impl Into<String>) -> Self {
        Self { id: id.into(), created, model: model.into() }
    }

    /// A whole `chat.completion` with one choice that is text and stopped by itself.
    #[must_use]
    pub fn completion(&self, content: &str, usage: Option<Usage>) -> Json {
        self.envelope("chat.completion", &[whole(content)], usage.map(Tokens::from))
    }

    /// The first chunk: it says whose answer it is.
    #[must_use]
    pub fn role(&self) -> Json {
        self.chunk(&Delta { role: Some("assistant"), content: Some("") }, None)
    }

    /// A chunk with a piece of text.
    #[must_use]
    pub fn text(&self, piece: &str) -> Json {
        self.chunk(&Delta { role: None, content: Some(piece) }, None)
    }

    /// The last chunk of the choice, with the reason: `stop`, `length`, `tool_calls`, `content_filter`.
    #[must_use]
    pub fn finish(&self, reason: &str) -> Json {
        self.chunk(&Delta::default(), Some(reason))
    }

    /// The chunk after the last one, for clients that asked for `stream_options.include_usage`.
    #[must_use]
    pub fn usage(&self, usage: Usage) -> Json {
        self.envelope("chat.completion.chunk", &[(); 0], Some(Tokens::from(usage)))
    }

    /// A chunk with any delta, such as tool calls.
    ///
    /// # Errors
    /// `internal` if the delta cannot be written as JSON.
    pub fn delta(&self, delta: &(impl Serialize + ?Sized), finish_reason: Option<&str>) -> Result<Json, Error> {
        Ok(self.chunk(&written(delta)?, finish_reason))
    }

    /// A whole `chat.completion` with any choices, and with any usage: for what `completion` has no words for.
    ///
    /// # Errors
    /// `internal` if one of them cannot be written as JSON.
    pub fn completion_of(
        &self,
        choices: &(impl Serialize + ?Sized),
        usage: Option<&impl Serialize>,
    ) -> Result<Json, Error> {
        Ok(self.envelope("chat.completion", &written(choices)?, usage.map(written).transpose()?))
    }

    /// A chunk with any choices, and with any usage.
    ///
    /// # Errors
    /// `internal` if one of them cannot be written as JSON.
    pub fn chunk_of(&self, choices: &(impl Serialize + ?Sized), usage: Option<&impl Serialize>) -> Result<Json, Error> {
        Ok(self.envelope("chat.completion.chunk", &written(choices)?, usage.map(written).transpose()?))
    }

    fn chunk(&self, delta: &impl Serialize, finish_reason: Option<&str>) -> Json {
        self.envelope("chat.completion.chunk", &[Piece { index: 0, delta, finish_reason }], None::<Tokens>)
    }

    fn envelope(&self, object: &str, choices: &(impl Serialize + ?Sized), usage: Option<impl Serialize>) -> Json {
        let (id, created, model) = (&*self.id, self.created, &*self.model);
        let envelope = Envelope { id, object, created, model, choices, usage };
        // Strings, numbers and checked JSON can always be written.
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

/// The time since 1970.
#[cfg(target_family = "wasm")]
fn now() -> Duration {
    let now = crate::bindings::clock::wasi::clocks::wall_clock::now();
    Duration::new(now.seconds, now.nanoseconds)
}

#[cfg(not(target_family = "wasm"))]
fn now() -> Duration {
    std::time::UNIX_EPOCH.elapsed().unwrap_or_default()
}

fn written(value: &(impl Serialize + ?Sized)) -> Result<Box<RawValue>, Error> {
    to_raw_value(value).map_err(|error| Error::Internal(error.to_string()))
}

fn whole(content: &str) -> Whole<'_> {
    Whole { index: 0, message: Delta { role: Some("assistant"), content: Some(content) }, finish_reason: "stop" }
}

#[derive(Serialize)]
struct Envelope<'a, C: ?Sized, U> {
    id: &'a str,
    object: &'a str,
    created: u64,
    model: &'a str,
    choices: &'a C,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<U>,
}

#[derive(Serialize)]
struct Whole<'a> {
    index: u32,
    message: Delta<'a>,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct Piece<'a, D> {
    index: u32,
    delta: &'a D,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl From<Usage> for Tokens {
    fn from(Usage { prompt, completion }: Usage) -> Self {
        let total_tokens = prompt.saturating_add(completion);
        Self { prompt_tokens: prompt, completion_tokens: completion, total_tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let answer = Answer::with("i", 7, "m");
        let head = r#"{"id":"i","object":"chat.completion.chunk","created":7,"model":"m","#;
        let usage = Usage { prompt: 2, completion: 3 };
        assert_eq!(
            answer.completion("a\"b", None),
            r#"{"id":"i","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a\"b"},"finish_reason":"stop"}]}"#
        );
        assert!(
            answer
                .completion("", Some(usage))
                .ends_with(r#""usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}"#)
        );
        assert_eq!(
            answer.role(),
            format!(
                r#"{head}"choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"finish_reason":null}}]}}"#
            )
        );
        assert_eq!(
            answer.text("é"),
            format!(r#"{head}"choices":[{{"index":0,"delta":{{"content":"é"}},"finish_reason":null}}]}}"#)
        );
        assert_eq!(
            answer.finish("stop"),
            format!(r#"{head}"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}]}}"#)
        );
        assert_eq!(
            answer.usage(usage),
            format!(r#"{head}"choices":[],"usage":{{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}}}"#)
        );
        assert_eq!(
            answer.delta(&["x"], None).unwrap(),
            format!(r#"{head}"choices":[{{"index":0,"delta":["x"],"finish_reason":null}}]}}"#)
        );
        assert_eq!(
            answer.completion_of(&["x"], Some(&["y"])).unwrap(),
            r#"{"id":"i","object":"chat.completion","created":7,"model":"m","choices":["x"],"usage":["y"]}"#
        );
        assert_eq!(answer.chunk_of(&["x"], None::<&()>).unwrap(), format!(r#"{head}"choices":["x"]}}"#));
        assert_eq!(answer.chunk_of(&["x"], Some(&1)).unwrap(), format!(r#"{head}"choices":["x"],"usage":1}}"#));
    }
}
