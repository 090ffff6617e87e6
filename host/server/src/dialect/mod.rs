//! The dialects of the front: what clients speak, put into OpenAI's chat dialect and back.
//!
//! In goes a request's body in a client's dialect; out come a chat request for an adapter and an [`Answer`] that turns what the
//! adapter says into what the client expects. All of it is pure: text to text. An adapter only ever sees chat requests.

use crate::chat_request::ChatRequest;
use crate::error::ApiError;

mod arguments;
pub(crate) mod calls;
pub(crate) mod chat;
pub(crate) mod completions;
mod finish;
pub(crate) mod messages;
pub(crate) mod responses;
mod words;

/// Reads a request's body, which is JSON: what the adapter is to be asked, and what makes the client's answer of the adapter's.
pub(crate) type Understand = fn(String) -> Result<(ChatRequest, Box<dyn Answer>), ApiError>;

/// A client's request, understood.
pub(crate) struct Understood {
    /// The chat request, JSON text in the form of `POST /v1/chat/completions`, with the public name in `model`.
    pub(crate) chat: String,
    /// What makes the client's answer of the adapter's.
    pub(crate) answer: Box<dyn Answer>,
}

impl Understood {
    /// The chat request in its own form.
    pub(crate) fn parse(self) -> Result<(ChatRequest, Box<dyn Answer>), ApiError> {
        Ok((ChatRequest::parse(self.chat)?, self.answer))
    }
}

/// The adapter's answer is not what it has to be; `how` completes "the adapter's answer". It is logged, so it never quotes.
fn broke(how: &str) -> ApiError {
    ApiError::broke_contract(format!("the adapter's answer {how}"))
}

/// The adapter's answer is none of this form. The parser's own message would quote what was said.
fn misread(form: &str, error: &serde_json::Error) -> ApiError {
    let what = if error.is_data() { "a field is missing or of another type" } else { "it is no JSON" };
    broke(&format!("is no {form}: {what}, line {} column {}", error.line(), error.column()))
}

/// What a provider calls an answer is no other one's name, too, if it has so many characters.
const UNIQUE: usize = 20;

/// Says in a client's dialect what an adapter answers. One for each request; what it is told comes in order.
pub(crate) trait Answer: Send {
    /// Returns whether the dialect reads values within an answer, which are bounded then. One that passes answers on reads none.
    fn reads_values(&self) -> bool {
        true
    }

    /// Takes a name that no other answer has, for those dialects whose clients tell answers apart by it: some providers give all of
    /// theirs the same one, or one of few.
    fn named(&mut self, _unique: &str) {}

    /// The body of a whole answer. `completion` is JSON of the form `chat.completion`.
    ///
    /// # Errors
    /// `ApiError::broke_contract` if `completion` has not that form.
    fn whole(&mut self, completion: String) -> Result<String, ApiError>;

    /// Appends the events that a chunk gives, blank line included; none is possible. `chunk` is JSON of the form
    /// `chat.completion.chunk`.
    ///
    /// # Errors
    /// `ApiError::broke_contract` if `chunk` has not that form.
    fn chunk(&mut self, chunk: &str, events: &mut String) -> Result<(), ApiError>;

    /// Appends the events that end the answer: all chunks were there.
    ///
    /// # Errors
    /// `ApiError::broke_contract` if the chunks were no complete answer.
    fn end(&mut self, events: &mut String) -> Result<(), ApiError>;

    /// Appends the event that says why the answer breaks off here. It must not look like an end.
    fn broken(&mut self, error: &ApiError, events: &mut String);
}
