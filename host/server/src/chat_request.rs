//! The client's chat request: what the gateway must know of it, and the text that the adapter gets.
//!
//! Only the model's name is replaced; every other byte reaches the adapter as it came.

use crate::error::ApiError;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A chat request whose outer form is right.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    text: String,
    /// Where the model's JSON string stands in `text`.
    model_at: std::ops::Range<usize>,
    /// The model's public name.
    pub(crate) model: String,
    /// Whether the answer is to come piece by piece.
    pub(crate) stream: bool,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
}

impl ChatRequest {
    /// Parses a request body.
    ///
    /// # Errors
    /// If it is not UTF-8 or JSON, or if `model`, `messages` or `stream` is missing or of another type.
    pub(crate) fn parse(body: Vec<u8>) -> Result<Self, ApiError> {
        let text = String::from_utf8(body).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            ApiError::invalid("invalid_utf8", None, format!("the body is not UTF-8: byte {at} begins no character"))
        })?;
        // An array of the right length would do for a derived structure.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(ApiError::invalid("invalid_json", None, "the body is no JSON object"));
        }
        let outer: Outer = serde_json::from_str(&text).map_err(|error| {
            ApiError::invalid("invalid_json", None, format!("the body is no JSON object for a chat request: {error}"))
        })?;
        let raw =
            outer.model.ok_or_else(|| wrong("model", "a string with the model's name; `GET /v1/models` lists them"))?;
        let model = serde_json::from_str(raw.get()).map_err(|_| wrong("model", "a string with the model's name"))?;
        if !outer.messages.is_some_and(|messages| messages.get().starts_with('[')) {
            return Err(wrong("messages", "an array of messages"));
        }
        let stream = match outer.stream.map(RawValue::get) {
            None | Some("null" | "false") => false,
            Some("true") => true,
            Some(_) => return Err(wrong("stream", "`true` or `false`")),
        };
        let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        let model_at = start..start + raw.get().len();
        Ok(Self { text, model_at, model, stream })
    }

    /// The request's text with the provider's name for the model.
    pub(crate) fn for_provider(self, name: &str) -> String {
        let mut text = self.text;
        if self.model != name {
            text.replace_range(self.model_at, &serde_json::Value::from(name).to_string());
        }
        text
    }
}

fn wrong(param: &'static str, expected: &str) -> ApiError {
    ApiError::invalid("invalid_value", Some(param), format!("`{param}` has to be {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_models_name_changes() {
        let body = r#" {"x": 1e400, "model" : "a\u0062", "messages":[ {"model":"ab"} ],"stream":null, "y":{"z":1.0}} "#;
        let parse = || ChatRequest::parse(body.into()).unwrap();
        assert_eq!((parse().model.as_str(), parse().stream), ("ab", false));
        assert_eq!(parse().for_provider("q\"x"), body.replace(r#""a\u0062""#, r#""q\"x""#));
        assert_eq!(parse().for_provider("ab"), body);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, param) in [
            (r#"{"messages":[]}"#, Some("model")),
            (r#"{"model":1,"messages":[]}"#, Some("model")),
            (r#"{"model":null,"messages":[]}"#, Some("model")),
            (r#"{"model":"a"}"#, Some("messages")),
            (r#"{"model":"a","messages":"hi"}"#, Some("messages")),
            (r#"{"model":"a","messages":[],"stream":1}"#, Some("stream")),
            (r#"{"model":"a","messages":[],"stream":"true"}"#, Some("stream")),
            (r#"{"model":"a","model":"b","messages":[]}"#, None),
            ("[]", None),
            (r#"["a",[],false]"#, None),
            ("{", None),
            ("", None),
            (r#"{"model":"a","messages":[]} x"#, None),
            (r#"{"model":"a","messages":[NaN]}"#, None),
        ] {
            let error = ChatRequest::parse(body.into()).unwrap_err();
            assert_eq!((error.status.as_u16(), error.param), (400, param), "{body}: {error:?}");
        }
        let error = ChatRequest::parse(b"{\"model\":\"\xff\"}".to_vec()).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            ("invalid_utf8", "the body is not UTF-8: byte 10 begins no character")
        );
    }
}
