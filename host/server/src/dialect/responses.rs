//! OpenAI's Responses API in front, chat completions behind, without a memory: nothing is stored.
//!
//! In goes the body of `POST /v1/responses`; out come a chat request and the [`Answer`](super::Answer) that says in responses what
//! the adapter says in chat completions. What chat can't say is refused with the field's name, never dropped.

use super::Understood;
use crate::error::ApiError;

mod answer;
mod content;
mod input;
mod output;
mod request;
mod response;
mod spoken;
#[cfg(test)]
mod tests;
mod tools;

/// Understands a request. `body` is JSON text without duplicate names.
///
/// # Errors
/// If it is no request for a response, or asks for what chat completions can't do; the error names the field.
pub(crate) fn understand(body: &str) -> Result<Understood, ApiError> {
    let asked = request::read(body)?;
    let output = output::Told { summary: asked.summary, namespaces: asked.namespaces };
    Ok(Understood { chat: asked.chat, answer: Box::new(answer::Response::new(asked.echo, output)) })
}
