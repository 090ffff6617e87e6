//! OpenAI's older completions in front, chat behind.
//!
//! In go the body of `POST /v1/completions` and what an adapter answers to it; out come a chat request whose one message is the
//! prompt, and a `text_completion`, whole or in chunks. What the prompt's own API could do with its text is refused by name.

mod answer;
#[cfg(test)]
mod tests;

use super::Understood;
use crate::error::ApiError;
use crate::json::{Node, Object, array, elements};
use answer::TextCompletion;

/// Fields that chat doesn't have, and what of each asks for nothing.
const REFUSED: [(&str, &[&str]); 5] = [
    ("suffix", &[r#""""#]),
    ("echo", &["false"]),
    ("best_of", &["0", "1"]),
    // Zero is a request: it asks for the chosen token's own.
    ("logprobs", &[]),
    // What is made of the prompt; chat requests have it once.
    ("messages", &[]),
];

/// Reads a request for a completion.
///
/// # Errors
/// If the body is not such a request, or asks for what a chat request can't say.
pub(crate) fn understand(body: &str) -> Result<Understood, ApiError> {
    let mut top = Node::body(body)?;
    for (name, harmless) in REFUSED {
        top.refuse(name, harmless, "leave it out, or send a chat request to a model that can do it")?;
    }
    let model = top.needed("model")?;
    let message = Object::new().text("role", "user").put("content", prompt(&mut top)?).end();
    let stream = top.is("stream")?;
    let usage_asked = match top.peek("stream_options") {
        Some(options) => Node::new(options, top.path("stream_options"))?.is("include_usage")?,
        None => false,
    };
    let chat = Object::new().put("model", model).put("messages", &array(&[message]));
    let answer = TextCompletion::new(model.to_owned(), stream && usage_asked);
    Ok(Understood { chat: chat.pass(&top.rest(&[])?).end(), answer: Box::new(answer) })
}

/// Takes the JSON string of the one prompt.
fn prompt<'a>(top: &mut Node<'a>) -> Result<&'a str, ApiError> {
    let wrong = |top: &Node| Err(top.wrong("prompt", "a string, or an array of one string"));
    let Some(prompt) = top.take("prompt") else { return wrong(top) };
    if prompt.starts_with('"') {
        return Ok(prompt);
    }
    match elements(prompt).as_deref() {
        Some([prompt]) if prompt.starts_with('"') => Ok(prompt),
        None | Some([]) => wrong(top),
        Some([first, ..]) if first.starts_with('"') => Err(top.unsupported("prompt", "send a request for each prompt")),
        Some(_) => {
            Err(top.unsupported("prompt", "send the prompt as text: the numbers of tokens differ from model to model"))
        }
    }
}
