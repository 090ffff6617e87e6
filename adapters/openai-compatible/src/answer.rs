//! Whether a body with a good status is an answer.

use hauski_adapter_sdk::{Error, Json, Object};
use serde::de::IgnoredAny;

/// A completion: the body, unless it says that it is an error.
pub(crate) fn completion(body: String, media_type: &str) -> Result<Json, Error> {
    let object = parse(&body, media_type)?;
    if has_error(&object) {
        return Err(Error::from_error_body(&body));
    }
    // With something in it it is an answer, whatever else it says.
    let choices: Option<Vec<IgnoredAny>> = object.read("choices").ok().flatten();
    if choices.is_none_or(|choices| choices.is_empty())
        && let Some(error) = Error::told_by(&body)
    {
        return Err(error);
    }
    Ok(body)
}

/// Embeddings: the body, if there is an array of them in it.
pub(crate) fn embeddings(body: String, media_type: &str) -> Result<Json, Error> {
    let object = parse(&body, media_type)?;
    if has_error(&object) {
        return Err(Error::from_error_body(&body));
    }
    let data: Option<Vec<IgnoredAny>> = object.read("data").ok().flatten();
    if data.is_none() {
        return Err(no_answer(&body, "the provider's answer has no `data`"));
    }
    Ok(body)
}

/// The entries of a list of models.
pub(crate) fn entries(list: &str, media_type: &str) -> Result<Vec<Json>, Error> {
    let object = parse(list, media_type)?;
    let entries = object.get("data").and_then(|_| object.items("data").ok()).filter(|_| !has_error(&object));
    entries.ok_or_else(|| no_answer(list, "the provider's list of models has no array `data`"))
}

/// The error that a JSON body is where a stream was asked for.
pub(crate) fn instead_of_stream(body: &str) -> Error {
    no_answer(body, &other_kind("an event stream", "application/json"))
}

fn parse<'a>(body: &'a str, media_type: &str) -> Result<Object<'a>, Error> {
    Object::parse(body).map_err(|_| {
        // Gemini wraps its errors in an array.
        Error::told_by(body).unwrap_or_else(|| match is_json(media_type) {
            true => bad("the provider's answer is not a JSON object"),
            false => instead_of("JSON", media_type),
        })
    })
}

fn has_error(object: &Object<'_>) -> bool {
    !matches!(object.get("error"), None | Some("null"))
}

/// The error that a body is which is no answer: in the provider's words, or else in these.
fn no_answer(body: &str, otherwise: &str) -> Error {
    Error::instead_of_answer(body, otherwise)
}

/// The error that an answer of another kind is.
pub(crate) fn instead_of(wanted: &str, media_type: &str) -> Error {
    bad(&other_kind(wanted, media_type))
}

fn other_kind(wanted: &str, media_type: &str) -> String {
    let got = if media_type.is_empty() { "no content type" } else { media_type };
    format!("the provider answered with {got} instead of {wanted}")
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

fn bad(message: &str) -> Error {
    Error::upstream(502, message, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";

    #[track_caller]
    fn check(got: Result<Json, Error>, expected: Result<&str, (u16, &str)>) {
        match (got, expected) {
            (Ok(answer), Ok(body)) => assert_eq!(answer, body),
            (Err(Error::Upstream(failure)), Err(expected)) => {
                assert_eq!((failure.status, failure.message.as_str()), expected);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn completions() {
        for body in [
            r#" {"choices":[{}], "x":1e400,"error":null}"#,
            r#"{"choices":[1,2],"success":false}"#,
            r#"{"choices":[]}"#,
            "{}",
        ] {
            check(completion(body.into(), "text/plain"), Ok(body));
        }
        for (body, status, words) in [
            (r#"{"error":{"message":"no"},"choices":[{}]}"#, 502, "no"),
            (r#"{"error":{},"choices":[{}]}"#, 502, "no reason was given"),
            (r#"[{"error":{"message":"no","code":400}}]"#, 400, "no"),
            (r#"{"result":null,"success":false,"errors":[{"code":7003,"message":"no"}],"messages":[]}"#, 502, "no"),
            (r#"{"object":"error","message":"no"}"#, 502, "no"),
            ("[]", 502, "the provider's answer is not a JSON object"),
        ] {
            check(completion(body.into(), JSON), Err((status, words)));
        }
    }

    #[test]
    fn other_kinds() {
        for (body, media_type, words) in [
            ("{", "application/problem+json", "the provider's answer is not a JSON object"),
            ("ok", "text/plain", "the provider answered with text/plain instead of JSON"),
            ("", "", "the provider answered with no content type instead of JSON"),
        ] {
            check(completion(body.into(), media_type), Err((502, words)));
            check(embeddings(body.into(), media_type), Err((502, words)));
            check(entries(body, media_type).map(|list| list.concat()), Err((502, words)));
        }
    }

    #[test]
    fn vectors() {
        for body in [r#"{"data":[{"embedding":[1e400]}]}"#, r#"{"data":[]}"#] {
            check(embeddings(body.into(), JSON), Ok(body));
        }
        for body in [r#"{"choices":[{}]}"#, r#"{"data":null}"#, r#"{"data":{}}"#] {
            check(embeddings(body.into(), JSON), Err((502, "the provider's answer has no `data`")));
        }
        check(embeddings(r#"{"detail":"no"}"#.into(), JSON), Err((502, "no")));
    }

    #[test]
    fn streams_that_are_none() {
        for (body, words) in [
            (r#"{"error":"no"}"#, "no"),
            (r#"{"detail":"no"}"#, "no"),
            (r#"[{"error":{"message":"no"}}]"#, "no"),
            (r#"{"choices":[]}"#, "the provider answered with application/json instead of an event stream"),
        ] {
            check(Err(instead_of_stream(body)), Err((502, words)));
        }
    }

    #[test]
    fn lists_of_models() {
        let list = r#"{"object":"list","data":[{"id":"a","n":1.0},{"id":"b"}],"models":[]}"#;
        assert_eq!(
            entries(list, JSON).ok(),
            Some(vec![r#"{"id":"a","n":1.0}"#.to_owned(), r#"{"id":"b"}"#.to_owned()])
        );
        assert!(entries(r#"{"data":null}"#, JSON).is_ok_and(|list| list.is_empty()));
        for (list, words) in [
            (r#"{"data":{}}"#, "the provider's list of models has no array `data`"),
            (r#"{"models":[]}"#, "the provider's list of models has no array `data`"),
            (r#"{"data":[],"error":"no"}"#, "no"),
            (r#"{"detail":"no"}"#, "no"),
        ] {
            check(entries(list, JSON).map(|list| list.concat()), Err((502, words)));
        }
    }
}
