//! OpenAI's older completions in front, chat behind.
//!
//! In go the body of `POST /v1/completions` and what an adapter answers to it; out come a chat request whose one message is the
//! prompt, and a `text_completion`, whole or in chunks. What the prompt's own API could do with its text is refused by name.

mod answer;
#[cfg(test)]
mod tests;

use super::Understood;
use super::messages::json::{At, Members, Object, items, list, quoted};
use crate::error::ApiError;
use answer::TextCompletion;

const PROMPT: &str = "a string, or an array of one string";

/// Fields that chat doesn't have, and what of each asks for nothing.
const REFUSED: &[(&str, &[&str])] = &[
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
    let request = Members::parse(body).ok_or_else(|| {
        ApiError::invalid("invalid_json", None, "the body is no JSON object for a request to completions")
    })?;
    for (name, nothing) in REFUSED {
        if request.get(name).is_some_and(|value| !nothing.contains(&value)) {
            let instead = "leave it out, or send a chat request to a model that can do it";
            return Err(At::Body.member(name).unsupported(instead));
        }
    }
    let model = request.string("model", &At::Body)?;
    let message = Object::new().raw("role", &quoted("user")).raw("content", prompt(&request)?).end();
    let mut chat = Object::new().raw("model", model).raw("messages", &list(&[message]));
    let translated = ["model", "prompt", "suffix", "echo", "best_of", "logprobs", "messages"];
    for member in request.others(&translated) {
        chat = chat.member(member.key, member.value);
    }
    let stream = request.flag("stream", &At::Body)?;
    let answer = TextCompletion::new(model.to_owned(), stream && usage_asked(&request)?);
    Ok(Understood { chat: chat.end(), answer: Box::new(answer) })
}

/// The JSON string of the one prompt.
fn prompt<'a>(request: &Members<'a>) -> Result<&'a str, ApiError> {
    let at = At::Member(&At::Body, "prompt");
    let prompt = request.get("prompt").ok_or_else(|| at.wrong(PROMPT))?;
    if prompt.starts_with('"') {
        return Ok(prompt);
    }
    match items(prompt, &at, PROMPT)?[..] {
        [prompt] if prompt.starts_with('"') => Ok(prompt),
        [] => Err(at.wrong(PROMPT)),
        [first, ..] if first.starts_with('"') => Err(at.unsupported("send a request for each prompt")),
        _ => Err(at.unsupported("send the prompt as text: the numbers of tokens differ from model to model")),
    }
}

/// Whether a stream is to say what it took.
fn usage_asked(request: &Members<'_>) -> Result<bool, ApiError> {
    let at = At::Member(&At::Body, "stream_options");
    let Some(options) = request.get("stream_options") else { return Ok(false) };
    Members::at(options, &at)?.flag("include_usage", &at)
}
