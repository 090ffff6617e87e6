//! What a provider says of an error, in the forms that providers have for it.
//!
//! In: a body, whole or of one event. Out: its words, its code, and whether it is an error at all. These forms are read: OpenAI's
//! object with `error`, a string or an object; Gemini's array around it; the bare object of vLLM with `"object":"error"`; Mistral's, whose
//! `message` can be a list; Cloudflare's list `errors`; `FastAPI`'s `detail`, a string or a list of complaints; and `FastChat`'s `error_code`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Object;

/// Where words may stand in an object, the best ones first.
const WORDS: [&str; 4] = ["message", "detail", "msg", "errors"];

/// How deep words may lie: `message`, `detail`, its list, the complaint, its `msg`.
const DEPTH: u8 = 5;

/// What a provider said of an error.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub(super) message: Option<String>,
    pub(super) code: Option<String>,
    /// The object with an `error` member, if there is one.
    pub(super) body: Option<&'a str>,
}

impl<'a> Said<'a> {
    pub(super) fn read(body: &'a [u8]) -> Self {
        let Ok(text) = str::from_utf8(body).map(unwrapped) else { return Self::default() };
        let Ok(object) = Object::parse(text) else { return Self { message: words(text, DEPTH), ..Self::default() } };
        if let Some(error) = given(&object, "error") {
            let code = Object::parse(error).ok().and_then(|error| first(&error, &["code", "type"]));
            let message = words(error, DEPTH).or_else(|| in_object(&object, DEPTH));
            return Self { message, code, body: Some(text) };
        }
        let spare = || given(&object, "error_code").and_then(|_| words(object.get("text")?, DEPTH));
        let listed =
            || Object::parse(object.items("errors").ok()?.first()?).ok().and_then(|one| first(&one, &["code"]));
        Self {
            message: in_object(&object, DEPTH).or_else(spare),
            code: first(&object, &["code", "error_code"]).or_else(listed),
            body: None,
        }
    }

    /// Whether a 404 is about the model, not about the path.
    pub(super) fn no_such_model(&self) -> bool {
        if self.code.as_deref() == Some("model_not_found") {
            return true;
        }
        let message = self.message.as_deref().unwrap_or_default().to_lowercase();
        let missing = ["not found", "not exist", "unknown model", "no such model", "not available"];
        message.contains("model") && missing.iter().any(|words| message.contains(words))
    }
}

/// Whether a body with a good status says that it is an error.
pub(super) fn is_error(body: &str) -> bool {
    let Ok(object) = Object::parse(unwrapped(body)) else { return false };
    let is = |key, value| object.get(key) == Some(value);
    given(&object, "error").is_some()
        || is("object", r#""error""#)
        || is("type", r#""error""#)
        || is("success", "false")
        // FastChat writes 0 where nothing went wrong.
        || given(&object, "error_code").is_some_and(|code| code != "0")
        || object.items("errors").is_ok_and(|errors| !errors.is_empty())
}

/// The first item of an array, in which Gemini wraps its errors; the text as it is if it is no array.
fn unwrapped(text: &str) -> &str {
    if !text.trim_start().starts_with('[') {
        return text;
    }
    let items: Result<Vec<&RawValue>, _> = serde_json::from_str(text);
    items.ok().and_then(|items| items.first().map(|first| first.get())).unwrap_or(text)
}

/// A member that is there and not `null`.
fn given<'s>(object: &'s Object<'_>, key: &str) -> Option<&'s str> {
    object.get(key).filter(|value| *value != "null")
}

/// The words in what stands where others have a message: a string, a list, or an object around either.
fn words(value: &str, depth: u8) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    match value.as_bytes().first()? {
        b'"' => serde_json::from_str(value).ok().filter(|text: &String| !text.is_empty()),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(value).ok()?;
            let all: Vec<_> = items.iter().filter_map(|item| words(item.get(), depth)).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        b'{' => in_object(&Object::parse(value).ok()?, depth),
        _ => None,
    }
}

/// The words in an object, after the place that they are about, if it is told.
fn in_object(object: &Object<'_>, depth: u8) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Step {
        Name(String),
        Index(u64),
    }
    let words = WORDS.iter().find_map(|key| words(object.get(key)?, depth))?;
    let steps: Vec<Step> = object.read("loc").ok().flatten().unwrap_or_default();
    if steps.is_empty() {
        return Some(words);
    }
    let steps = steps.into_iter().map(|step| match step {
        Step::Name(name) => name,
        Step::Index(index) => index.to_string(),
    });
    Some(format!("`{}`: {words}", steps.collect::<Vec<_>>().join(".")))
}

/// The first of the members that is a string with something in it, or a number.
fn first(object: &Object<'_>, keys: &[&str]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Is(String),
        Number(i64),
    }
    keys.iter().find_map(|key| match object.read::<Text>(key) {
        Ok(Some(Text::Is(text))) if !text.is_empty() => Some(text),
        Ok(Some(Text::Number(number))) => Some(number.to_string()),
        _ => None,
    })
}
