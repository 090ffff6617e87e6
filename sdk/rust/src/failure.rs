//! Which error of the contract a provider's answer is.
//!
//! In: status, `Retry-After` and body of an answer. Out: an [`Error`] with the provider's own words where it had any.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{Error, Object, RateLimit, UpstreamFailure};

/// Statuses after which the same request may succeed.
const RETRYABLE: [u16; 7] = [408, 429, 500, 502, 503, 504, 529];

impl Error {
    /// An `upstream` error without a body of the provider.
    pub fn upstream(status: u16, message: impl Into<String>, retryable: bool) -> Self {
        Self::Upstream(UpstreamFailure { status, message: message.into(), retryable, body: None })
    }

    /// The error that an answer with another status than 2xx is.
    ///
    /// `retry_after` is the value of the `Retry-After` field as it came.
    #[must_use]
    pub fn from_answer(status: u16, retry_after: Option<String>, body: &[u8]) -> Self {
        Self::classify(status, retry_after, RETRYABLE.contains(&status), &Said::read(body))
    }

    /// The error that a body with an `error` member is, though the status was 2xx: alone, or in the midst of a stream.
    ///
    /// A status is taken from the error's `code` if that is one, and is 502 otherwise.
    #[must_use]
    pub fn from_error_body(body: &str) -> Self {
        let said = Said::read(body.as_bytes());
        let status = said.code.as_deref().and_then(|code| code.parse().ok()).filter(|code| (400..600).contains(code));
        match status {
            Some(status) => Self::classify(status, None, RETRYABLE.contains(&status), &said),
            None => Self::classify(502, None, false, &said),
        }
    }

    fn classify(status: u16, retry_after: Option<String>, retryable: bool, said: &Said<'_>) -> Self {
        // Providers like to quote a part of the key when they refuse it, so of what they say only the code is told.
        if matches!(status, 401 | 403) {
            let code =
                said.code.as_deref().filter(|code| is_word(code)).map(|code| format!(", `{code}`")).unwrap_or_default();
            return Self::Unauthorized(format!("the provider refused the credentials (status {status}{code})"));
        }
        let message = match &said.message {
            Some(message) => message.to_string(),
            None if (300..400).contains(&status) => {
                format!("the provider answered with status {status}; redirects are not followed")
            }
            None => format!("the provider answered with status {status}"),
        };
        let body = said.body.map(str::to_owned);
        match status {
            404 if said.no_such_model() => Self::ModelNotFound(message),
            429 => Self::RateLimited(RateLimit { message, retry_after, body }),
            _ => Self::Upstream(UpstreamFailure { status, message, retryable, body }),
        }
    }
}

/// What a provider said of an error.
#[derive(Default)]
struct Said<'a> {
    message: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    /// The whole body, if it is an object with an `error` member.
    body: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn read(body: &'a [u8]) -> Self {
        let Some((text, object)) = str::from_utf8(body).ok().and_then(|text| Some((text, Object::parse(text).ok()?)))
        else {
            return Self::default();
        };
        match object.get("error") {
            None | Some("null") => {
                Self { message: first(&object, &["message", "detail"]), code: first(&object, &["code"]), body: None }
            }
            Some(error) => match Object::parse(error) {
                Ok(error) => Self {
                    message: first(&error, &["message"]),
                    code: first(&error, &["code", "type"]),
                    body: Some(text),
                },
                Err(_) => Self { message: first(&object, &["error", "message"]), code: None, body: Some(text) },
            },
        }
    }

    /// Whether a 404 is about the model, not about the path.
    fn no_such_model(&self) -> bool {
        if self.code.as_deref() == Some("model_not_found") {
            return true;
        }
        let message = self.message.as_deref().unwrap_or_default().to_lowercase();
        let missing = ["not found", "not exist", "unknown model", "no such model", "not available"];
        message.contains("model") && missing.iter().any(|words| message.contains(words))
    }
}

/// The first of the members that is a string with something in it, or a number.
fn first(object: &Object<'_>, keys: &[&str]) -> Option<Cow<'static, str>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Is(String),
        Number(i64),
    }
    keys.iter().find_map(|key| match object.read::<Text>(key) {
        Ok(Some(Text::Is(text))) if !text.is_empty() => Some(text.into()),
        Ok(Some(Text::Number(number))) => Some(number.to_string().into()),
        _ => None,
    })
}

fn is_word(code: &str) -> bool {
    code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests;
