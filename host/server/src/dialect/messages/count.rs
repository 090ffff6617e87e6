//! How many tokens a request for a message would take, as far as that can be told without its model.
//!
//! In goes the body of `POST /v1/messages/count_tokens`, out comes an estimate: each model cuts text in its own way, and only its provider
//! knows how. A token is about four bytes of text; what is not text counts as much as a picture of middling size.

use super::request::understand;
use crate::chat_request::ChatRequest;
use crate::error::ApiError;
use crate::json::{Members, decoded, elements};

/// Bytes of text that are a token, on the average of many texts.
const BYTES: usize = 4;
/// Tokens that stand around what is said in each message.
const MESSAGE: usize = 4;
/// Tokens of an image or a document.
const MEDIA: usize = 1_500;

/// Reads a request, and estimates what it would take: the chat request, for its model's name, and the tokens.
///
/// # Errors
/// If it is no such request, or asks for what a chat request can't say.
pub(crate) fn count(body: &str) -> Result<(ChatRequest, usize), ApiError> {
    // It is a request for a message, but for how long that may be.
    let request = Members::of(body).map(|mut request| {
        request.set("max_tokens", "1");
        request.json()
    });
    let (chat, _) = understand(request.as_deref().unwrap_or(body))?.parse()?;
    let tokens = estimate(chat.text());
    Ok((chat, tokens))
}

/// What a chat request would take.
fn estimate(chat: &str) -> usize {
    let Some(chat) = Members::of(chat) else { return 0 };
    let messages = chat.get("messages").and_then(elements).unwrap_or_default();
    let said = messages.iter().map(|message| MESSAGE + of(message)).sum::<usize>();
    // Models are shown schemas much as they are written.
    let shown = ["tools", "response_format"].into_iter().filter_map(|name| chat.get(name)).map(str::len);
    said + shown.sum::<usize>().div_ceil(BYTES)
}

/// What the strings in a value would take, but for names such as roles and types.
fn of(value: &str) -> usize {
    match value.bytes().next() {
        Some(b'"') if value.starts_with("\"data:") => MEDIA,
        Some(b'"') => decoded(value).len().div_ceil(BYTES),
        Some(b'[') => elements(value).unwrap_or_default().into_iter().map(of).sum(),
        Some(b'{') => {
            let members = Members::of(value).unwrap_or_default();
            members
                .iter()
                .filter(|(name, _)| !matches!(*name, "role" | "type" | "id" | "tool_call_id"))
                .map(|(_, value)| of(value))
                .sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(more: &str, expected: usize) {
        let (chat, tokens) = count(&format!(r#"{{"model":"m"{more}}}"#)).unwrap();
        assert_eq!((chat.model.as_str(), tokens), ("m", expected), "{more}");
    }

    #[test]
    fn estimates() {
        let message = |content: &str| format!(r#","messages":[{{"role":"user","content":{content}}}]"#);
        check(&message(r#""""#), 4);
        check(&message(r#""four""#), 5);
        check(&message(r#""five\u0035""#), 6);
        check(
            &format!(
                r#",{}"#,
                &message(r#""four""#)[1..].replace(']', r#",{"role":"assistant","content":"eight..."}]"#)
            ),
            11,
        );
        check(&format!(r#"{},"system":"four""#, message(r#""four""#)), 10);
        let image = r#"[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]"#;
        check(&message(image), 1_504);
        let tool = r#"{"name":"f","input_schema":{"type":"object"}}"#;
        let shown = r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#;
        check(&format!(r#"{},"tools":[{tool}]"#, message(r#""""#)), 4 + shown.len().div_ceil(4));
        assert_eq!(count("[]").unwrap_err().code, "invalid_json");
        assert_eq!(count(r#"{"model":"m"}"#).unwrap_err().param.as_deref(), Some("messages"));
    }
}
