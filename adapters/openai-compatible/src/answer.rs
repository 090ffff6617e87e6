//! Whether a body with a good status is an answer.

use hauski_adapter_sdk::{Error, Json, Object};

/// The body, if it is a JSON object and no error.
pub(crate) fn checked(body: String, media_type: &str) -> Result<Json, Error> {
    match Object::parse(&body) {
        Ok(object) if matches!(object.get("error"), None | Some("null")) => Ok(body),
        Ok(_) => Err(Error::from_error_body(&body)),
        Err(_) if is_json(media_type) => Err(bad("the provider's answer is not a JSON object")),
        Err(_) => Err(instead_of("JSON", media_type)),
    }
}

/// The entries of a list of models.
pub(crate) fn entries(list: &str) -> Result<Vec<Json>, Error> {
    let entries =
        Object::parse(list).ok().filter(|list| list.get("data").is_some()).and_then(|list| list.items("data").ok());
    entries.ok_or_else(|| bad("the provider's list of models has no array `data`"))
}

/// The error that a JSON body is where a stream was asked for.
pub(crate) fn instead_of_stream(body: &str) -> Error {
    match Object::parse(body) {
        Ok(object) if !matches!(object.get("error"), None | Some("null")) => Error::from_error_body(body),
        _ => instead_of("an event stream", "application/json"),
    }
}

/// The error that an answer of another kind is.
pub(crate) fn instead_of(wanted: &str, media_type: &str) -> Error {
    let got = if media_type.is_empty() { "no content type" } else { media_type };
    bad(&format!("the provider answered with {got} instead of {wanted}"))
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

    #[track_caller]
    fn check(body: &str, media_type: &str, message: Option<&str>) {
        match (checked(body.into(), media_type), message) {
            (Ok(answer), None) => assert_eq!(answer, body),
            (Err(Error::Upstream(failure)), Some(message)) => {
                assert_eq!((failure.message.as_str(), failure.status), (message, 502));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers() {
        check(r#" {"choices":[], "x":1e400,"error":null}"#, "application/json", None);
        check("{}", "text/plain", None);
        check(r#"{"error":{"message":"no"}}"#, "application/json", Some("no"));
        check("[]", "application/json", Some("the provider's answer is not a JSON object"));
        check("{", "application/problem+json", Some("the provider's answer is not a JSON object"));
        check("ok", "text/plain", Some("the provider answered with text/plain instead of JSON"));
        check("", "", Some("the provider answered with no content type instead of JSON"));
    }

    #[test]
    fn streams_that_are_none() {
        let message = |body| match instead_of_stream(body) {
            Error::Upstream(failure) => failure.message,
            other => other.to_string(),
        };
        assert_eq!(message(r#"{"error":"no"}"#), "no");
        assert_eq!(
            message(r#"{"choices":[]}"#),
            "the provider answered with application/json instead of an event stream"
        );
    }

    #[test]
    fn lists_of_models() {
        let list = r#"{"object":"list","data":[{"id":"a","n":1.0},{"id":"b"}],"models":[]}"#;
        assert_eq!(entries(list).ok(), Some(vec![r#"{"id":"a","n":1.0}"#.to_owned(), r#"{"id":"b"}"#.to_owned()]));
        assert!(entries(r#"{"data":null}"#).is_ok_and(|list| list.is_empty()));
        assert!(entries(r#"{"data":{}}"#).is_err());
        assert!(entries(r#"{"models":[]}"#).is_err());
    }
}
