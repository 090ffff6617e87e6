//! Anthropic's errors as the contract's, with bodies in OpenAI's form.
//!
//! In go `{"type":"error","error":{"type":..,"message":..}}` and a status, or the error's type where there is no status; out comes an
//! [`Error`] whose body has Anthropic's own words, its type as `type` and as `code`.

use hauski_adapter_sdk::http::Response;
use hauski_adapter_sdk::{Error, Json, Object};

/// The statuses of Anthropic's errors, for those that come without one.
const STATUSES: &[(&str, u16)] = &[
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// The answer, if its status is 2xx.
pub(crate) fn success(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status()) {
        return Ok(response);
    }
    Err(refusal(response.status(), response.header("retry-after"), &response.error_body()))
}

/// The error that an answer with another status than 2xx is.
fn refusal(status: u16, retry_after: Option<String>, body: &[u8]) -> Error {
    let told = str::from_utf8(body).ok().and_then(Told::read);
    match told {
        // Of a model that it doesn't know, Anthropic says no more than `model: …`.
        Some(told) if status == 404 && told.message.starts_with("model:") => Error::ModelNotFound(told.message),
        Some(told) => Error::from_answer(status, retry_after, told.body.as_bytes()),
        None => Error::from_answer(status, retry_after, body),
    }
}

/// The error that a body is, though the status was 2xx: alone, or in the midst of a stream.
pub(crate) fn error_in(body: &str) -> Error {
    let Some(told) = Told::read(body) else { return Error::from_error_body(body) };
    match STATUSES.iter().find(|(kind, _)| *kind == told.kind) {
        Some((_, status)) => Error::from_answer(*status, None, told.body.as_bytes()),
        None => Error::from_error_body(&told.body),
    }
}

/// The same, if the body says that it is one.
pub(crate) fn error_told_by(body: &str) -> Option<Error> {
    Error::told_by(body).map(|_| error_in(body))
}

/// What Anthropic said of an error.
struct Told {
    kind: String,
    message: String,
    /// The body in OpenAI's form.
    body: Json,
}

impl Told {
    fn read(body: &str) -> Option<Self> {
        let mut whole = Object::parse(body).ok()?;
        let text = whole.get("error")?.to_owned();
        let mut error = Object::parse(&text).ok()?;
        let kind: String = error.read("type").ok()??;
        let message = error.read("message").ok().flatten().unwrap_or_default();
        if error.get("param").is_none() {
            error.set("param", &()).ok()?;
        }
        if matches!(error.get("code"), None | Some("null")) {
            error.set("code", &kind).ok()?;
        }
        whole.remove("type");
        let error = serde_json::value::RawValue::from_string(error.into_json()).ok()?;
        whole.set("error", &error).ok()?;
        Some(Self { kind, message, body: whole.into_json() })
    }
}

/// The error that an answer of another kind is.
pub(crate) fn instead_of(wanted: &str, media_type: &str) -> Error {
    let got = if media_type.is_empty() { "no content type" } else { media_type };
    bad(&format!("the provider answered with {got} instead of {wanted}"))
}

/// What the provider answered can't be understood.
pub(crate) fn bad(message: &str) -> Error {
    Error::upstream(502, message, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauski_adapter_sdk::{RateLimit, UpstreamFailure};

    fn body(kind: &str, message: &str) -> String {
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}","n":1.0}},"request_id":"req_1"}}"#)
    }

    fn ours(kind: &str, message: &str) -> String {
        format!(
            r#"{{"error":{{"type":"{kind}","message":"{message}","n":1.0,"param":null,"code":"{kind}"}},"request_id":"req_1"}}"#
        )
    }

    fn upstream(status: u16, retryable: bool, kind: &str) -> Error {
        let body = Some(ours(kind, "no"));
        Error::Upstream(UpstreamFailure { status, message: "no".into(), retryable, body })
    }

    #[test]
    fn statuses_count() {
        for (status, kind, retryable) in [
            (400, "invalid_request_error", false),
            (402, "billing_error", false),
            (404, "not_found_error", false),
            (413, "request_too_large", false),
            (500, "api_error", true),
            (504, "timeout_error", true),
            (529, "overloaded_error", true),
        ] {
            assert_eq!(refusal(status, None, body(kind, "no").as_bytes()), upstream(status, retryable, kind));
            assert_eq!(error_in(&body(kind, "no")), upstream(status, retryable, kind), "the same without a status");
        }
        assert_eq!(error_in(&body("new_error", "no")), upstream(502, false, "new_error"));
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_come_back() {
        let limit = |retry_after: Option<&str>| {
            let body = Some(ours("rate_limit_error", "no"));
            Error::RateLimited(RateLimit { message: "no".into(), retry_after: retry_after.map(Into::into), body })
        };
        let theirs = body("rate_limit_error", "no");
        assert_eq!(refusal(429, Some("7".into()), theirs.as_bytes()), limit(Some("7")));
        assert_eq!(error_in(&theirs), limit(None));
    }

    #[test]
    fn keys_are_not_quoted() {
        for (status, kind) in [(401, "authentication_error"), (403, "permission_error")] {
            let expected = format!("status {status}, `{kind}`");
            assert_eq!(refusal(status, None, body(kind, "sk-ant").as_bytes()), Error::Unauthorized(expected.clone()));
            assert_eq!(error_in(&body(kind, "sk-ant")), Error::Unauthorized(expected));
        }
    }

    #[test]
    fn models_that_are_not_there() {
        let theirs = body("not_found_error", "model: claude-9");
        assert_eq!(refusal(404, None, theirs.as_bytes()), Error::ModelNotFound("model: claude-9".into()));
    }

    /// Proxies before the provider answer in forms of their own.
    #[test]
    fn other_forms() {
        for other in ["", "<html>", "[]", r#"{"error":"no"}"#, r#"{"error":{"message":"no","code":503}}"#, "\u{0}"] {
            assert_eq!(
                refusal(503, None, other.as_bytes()),
                Error::from_answer(503, None, other.as_bytes()),
                "{other}"
            );
            assert_eq!(error_in(other), Error::from_error_body(other), "{other}");
        }
        let theirs = r#"{"error":{"type":"t","message":"no","code":"c","param":"p"}}"#;
        let Error::Upstream(failure) = refusal(400, None, theirs.as_bytes()) else { panic!("another error") };
        assert_eq!(failure.body.as_deref(), Some(theirs), "what is there stays");
    }
}
