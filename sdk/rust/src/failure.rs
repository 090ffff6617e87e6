//! Which error of the contract a provider's answer is.
//!
//! In: status, `Retry-After` and body of an answer. Out: an [`Error`] with the provider's own words where it had any, in whichever of
//! the forms that `said.rs` knows.

mod said;

use crate::{Error, RateLimit, UpstreamFailure};
use said::Said;

/// Statuses after which the same request may succeed.
const RETRYABLE: [u16; 7] = [408, 429, 500, 502, 503, 504, 529];

/// What is told where the provider told nothing. The host says before it what happened, with the status.
const WORDLESS: &str = "no reason was given";

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
        let otherwise = if (300..400).contains(&status) { "redirects are not followed" } else { WORDLESS };
        Self::classify(status, retry_after, RETRYABLE.contains(&status), &Said::read(body), otherwise)
    }

    /// The error that a body is though the status was 2xx, alone or in the midst of a stream: if it says that it is one, in a form
    /// that providers have for that.
    #[must_use]
    pub fn told_by(body: &str) -> Option<Self> {
        said::is_error(body).then(|| Self::from_error_body(body))
    }

    /// The error that a body is, though the status was 2xx, for those who know that it is one.
    ///
    /// A status is taken from the error's `code` if that is one, and is 502 otherwise.
    #[must_use]
    pub fn from_error_body(body: &str) -> Self {
        Self::instead_of_answer(body, WORDLESS)
    }

    /// The same in other words, if the provider had none: for a body that lacks what makes it an answer.
    #[must_use]
    pub fn instead_of_answer(body: &str, otherwise: &str) -> Self {
        let said = Said::read(body.as_bytes());
        let status = said.code.as_deref().and_then(|code| code.parse().ok()).filter(|code| (400..600).contains(code));
        match status {
            Some(status) => Self::classify(status, None, RETRYABLE.contains(&status), &said, otherwise),
            None => Self::classify(502, None, false, &said, otherwise),
        }
    }

    fn classify(status: u16, retry_after: Option<String>, retryable: bool, said: &Said<'_>, otherwise: &str) -> Self {
        // Providers like to quote a part of the key when they refuse it, so of what they say only the code is told.
        if matches!(status, 401 | 403) {
            let code = said.code.as_deref().filter(|code| is_word(code));
            let code = code.map(|code| format!(", `{code}`")).unwrap_or_default();
            return Self::Unauthorized(format!("status {status}{code}"));
        }
        let message = said.message.as_deref().unwrap_or(otherwise).to_owned();
        let body = said.body.map(str::to_owned);
        match status {
            404 if said.no_such_model() => Self::ModelNotFound(message),
            429 => Self::RateLimited(RateLimit { message, retry_after, body }),
            _ => Self::Upstream(UpstreamFailure { status, message, retryable, body }),
        }
    }
}

fn is_word(code: &str) -> bool {
    code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests;
