//! The way of an answer through the gateway, as the pipeline has it but for metrics and the network.

use crate::chat_request::ChatRequest;
use crate::dialect::{Answer, chat, completions, messages, responses};
use crate::error::ApiError;
use crate::json::{check_answer, checked};
use crate::normalise::Normaliser;

/// A client's dialect that has answers of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Chat,
    Completions,
    Messages,
    Responses,
}

impl Dialect {
    pub(super) const ALL: [Self; 4] = [Self::Chat, Self::Completions, Self::Messages, Self::Responses];

    /// A request that makes the converter of answers use most of its branches.
    pub(super) fn request(self) -> &'static str {
        match self {
            Self::Chat => r#"{"model":"m","messages":[],"stream":true,"n":2,"stream_options":{"include_usage":true}}"#,
            Self::Completions => r#"{"model":"m","prompt":"p","stream":true,"stream_options":{"include_usage":true}}"#,
            Self::Messages => {
                r#"{"model":"m","messages":[],"max_tokens":9,"stream":true,"stop_sequences":["s","\u00e9"]}"#
            }
            Self::Responses => {
                r#"{"model":"m","input":"i","stream":true,"tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]}"#
            }
        }
    }
}

/// A request that was accepted, with the converter of its answer.
pub(super) type Understood = (ChatRequest, Box<dyn Answer>);

/// Reads a client's body.
pub(super) fn understand(dialect: Dialect, body: &[u8]) -> Result<Understood, ApiError> {
    let body = checked(body.to_vec())?;
    match dialect {
        Dialect::Chat => chat::understand(body),
        Dialect::Completions => completions::understand(&body)?.parse(),
        Dialect::Messages => messages::understand(&body)?.parse(),
        Dialect::Responses => responses::understand(&body)?.parse(),
    }
}

/// A converter of one answer.
pub(super) struct Converter {
    normaliser: Normaliser,
    answer: Box<dyn Answer>,
}

impl Converter {
    /// Returns the converter for `body`, or for the dialect's own request where that is not accepted.
    pub(super) fn new(dialect: Dialect, body: &[u8], is_route: bool) -> Self {
        let known = || understand(dialect, dialect.request().as_bytes());
        let understood = understand(dialect, body).or_else(|_| known());
        let Ok((request, mut answer)) = understood else { unreachable!("the request of {dialect:?} is accepted") };
        answer.named("0123456789abcdefghijklmnop");
        Self { normaliser: Normaliser::new(is_route.then_some("public"), request.choices), answer }
    }

    /// Converts a whole answer.
    pub(super) fn whole(&mut self, answer: &str) -> Result<String, ApiError> {
        if self.answer.reads_values() {
            check_answer(answer)?;
        }
        self.answer.whole(self.normaliser.whole(answer.to_owned())?)
    }

    fn chunk(&mut self, chunk: &str, events: &mut String) -> Result<(), ApiError> {
        if self.answer.reads_values() {
            check_answer(chunk)?;
        }
        let chunk = self.normaliser.chunk(chunk.to_owned())?;
        self.answer.chunk(&chunk, events)
    }

    /// Converts an answer in chunks: its events, and why it broke off.
    pub(super) fn stream<T: AsRef<str>>(mut self, chunks: &[T]) -> Streamed {
        let mut events = String::new();
        let converted = chunks.iter().try_for_each(|chunk| self.chunk(chunk.as_ref(), &mut events));
        let ended = converted.and_then(|()| self.answer.end(&mut events));
        if let Err(error) = &ended {
            self.answer.broken(error, &mut events);
        }
        Streamed { events, error: ended.err() }
    }
}

/// A stream as its client gets it.
pub(super) struct Streamed {
    pub(super) events: String,
    pub(super) error: Option<ApiError>,
}
