//! Bounds of untrusted JSON: depth, number of values, duplicate keys.
//!
//! Accepted text is returned unchanged; an error names the position. No value is ever interpreted.

use super::inner_text;
use crate::error::ApiError;
use crate::work::visit;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::HashSet;

/// The most levels of arrays and objects: what recurses on a worker's stack goes no deeper.
const DEPTH: usize = 128;
/// The most values of a client's body. Each takes some dozen bytes where a dialect reads it. The largest are embeddings of tokens, of which
/// OpenAI takes 300,000 in a request.
const MAX_VALUES: usize = 400_000;
/// The most values of an answer that a dialect converts. The largest have the probabilities of tokens.
const MAX_ANSWER_VALUES: usize = 2_000_000;
/// An object with more keys than this is searched by hashes.
const FEW: usize = 16;

/// A client's body as text: UTF-8 and JSON, without duplicate keys, and not too deep for a parser that recurses.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn checked(body: Vec<u8>) -> Result<String, ApiError> {
    let text = String::from_utf8(body).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ApiError::invalid("invalid_utf8", None, format!("the body is not UTF-8: byte {at} begins no character"))
    })?;
    let invalid = |message: String| ApiError::invalid("invalid_json", None, message);
    serde_json::from_str::<IgnoredAny>(&text).map_err(|error| invalid(format!("the body is no JSON: {error}")))?;
    match check_structure(&text, MAX_VALUES, true) {
        Ok(()) => Ok(text),
        Err(StructureError::TooMany { at }) => {
            let message = format!("the body has more than {MAX_VALUES} values, the next at byte {at}; send fewer");
            Err(ApiError::invalid("too_many_values", None, message))
        }
        Err(error) => Err(invalid(format!("the body {error}"))),
    }
}

/// Checks depth and number of values of an adapter's answer, which need not be JSON.
///
/// # Errors
/// If one of them is over its bound.
pub(crate) fn check_answer(text: &str) -> Result<(), ApiError> {
    check_structure(text, MAX_ANSWER_VALUES, false)
        .map_err(|error| ApiError::broke_contract(format!("the adapter's answer {error}")))
}

/// A bound that a JSON text is over.
#[derive(Debug, thiserror::Error)]
enum StructureError {
    #[error("is nested more than {DEPTH} levels deep at byte {at}")]
    TooDeep { at: usize },
    #[error("has too many values, the next at byte {at}")]
    TooMany { at: usize },
    #[error("has the key `{key}` twice in one object, again at byte {at}")]
    Twice { key: String, at: usize },
    #[error("has the key `{key}` at byte {at}, which some servers take for `{meant}`: write that")]
    Disguised { key: String, meant: &'static str, at: usize },
}

/// Checks depth, number of values and, where `are_unique` says so, keys of `text`. Keys are looked at in JSON alone.
fn check_structure(text: &str, max_values: usize, are_unique: bool) -> Result<(), StructureError> {
    visit(text.len());
    let bytes = text.as_bytes();
    let mut open: Vec<Option<Keys<'_>>> = Vec::new();
    let (mut at, mut values) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                if open.len() == DEPTH {
                    return Err(StructureError::TooDeep { at });
                }
                open.push((are_unique && *byte == b'{').then(Keys::default));
                values += 1;
            }
            b'}' | b']' => drop(open.pop()),
            b',' => {
                values += 1;
                if let Some(Some(keys)) = open.last_mut() {
                    keys.expected = true;
                }
            }
            b'"' => {
                let end = string_end(bytes, at);
                let is_outer = open.len() == 1;
                if let Some(Some(keys)) = open.last_mut()
                    && std::mem::take(&mut keys.expected)
                {
                    let key = inner_text(&text[at + 1..end]);
                    let shown = || text[at + 1..end].chars().take(64).collect();
                    if let Some(meant) = disguised(&key).filter(|_| is_outer) {
                        return Err(StructureError::Disguised { key: shown(), meant, at });
                    }
                    if !keys.insert(key) {
                        return Err(StructureError::Twice { key: shown(), at });
                    }
                }
                at = end;
            }
            _ => {}
        }
        if values > max_values {
            return Err(StructureError::TooMany { at });
        }
        at += 1;
    }
    Ok(())
}

/// Returns the member that the gateway reads and that some servers take `key` for. Go's `encoding/json` ignores the case of keys, folds
/// two characters beyond ASCII, and takes the last of several: such a server would do something else than was checked.
fn disguised(key: &str) -> Option<&'static str> {
    const READ: [&str; 12] = [
        "model",
        "messages",
        "input",
        "image",
        "images",
        "modality",
        "stream",
        "stream_options",
        "n",
        "prompt_cache_key",
        "safety_identifier",
        "user",
    ];
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    let is_read = |name: &&str| key != *name && key.chars().map(fold).eq(name.chars());
    READ.into_iter().find(is_read)
}

/// Returns where the string that begins at `start` ends: at its closing quote, or at the end of the text.
pub(crate) fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    visit(at - start);
    at.min(bytes.len())
}

/// The keys of an object that is being read.
struct Keys<'a> {
    /// Whether the next string is a key.
    expected: bool,
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl Default for Keys<'_> {
    fn default() -> Self {
        Self { expected: true, few: Vec::new(), many: HashSet::new() }
    }
}

impl<'a> Keys<'a> {
    /// Notes a key; false if it was there.
    fn insert(&mut self, key: Cow<'a, str>) -> bool {
        visit(self.few.len());
        if self.few.len() < FEW {
            let new = !self.few.contains(&key);
            self.few.push(key);
            return new;
        }
        !self.few.contains(&key) && self.many.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, wrong: Option<&str>) {
        match (checked(body.into()), wrong) {
            (Ok(text), None) => assert_eq!(text, body),
            (Err(error), Some(wrong)) => assert!(error.message.contains(wrong), "{:.80}: {}", body, error.message),
            (other, wrong) => panic!("{body:.80}: {:?}, not {wrong:?}", other.map(drop)),
        }
    }

    #[test]
    fn bodies() {
        for good in [
            "{}",
            r#" {"a":1e400,"b":[{"a":1},{"a":2}],"c":{"a":{"a":"a\\"}}} "#,
            r#"{"a":"\"","b":",{","c":["a","a"]}"#,
            r#"{"a":"x","b":"a","\ud800":1,"\ud801":2}"#,
            "7",
        ] {
            check(good, None);
        }
        check(r#"{"a":1,"b":2,"a":3}"#, Some("the key `a` twice in one object, again at byte 13"));
        check(r#"{"a":1,"\u0061":3}"#, Some("twice in one object"));
        check(r#"[{"x":{"a":[1,{"b":1,"b":2}]}}]"#, Some("the key `b` twice"));
        check(r#"{"a":{"c":1},"b":[],"b":""}"#, Some("the key `b` twice"));
        for key in ["Model", "MESSAGES", "me\u{17f}sages", r"\u004dodel", "User"] {
            check(&format!(r#"{{"{key}":1}}"#), Some("which some servers take for"));
            check(&format!(r#"[{{"{key}":1}}]"#), None);
        }
        check(r#"{"a":NaN}"#, Some("no JSON"));
        check(r#"{"a":Infinity}"#, Some("no JSON"));
        check("", Some("no JSON"));
        check("{} {}", Some("no JSON"));
    }

    #[test]
    fn many_keys() {
        let keys = |last: &str| {
            let keys: Vec<_> = (0..100).map(|n| format!("\"k{n}\":{n}")).collect();
            format!("{{{},\"{last}\":0}}", keys.join(","))
        };
        check(&keys("k100"), None);
        for twice in ["k0", "k15", "k16", "k99"] {
            check(&keys(twice), Some(&format!("the key `{twice}` twice")));
        }
    }

    #[test]
    fn depth() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(DEPTH), None);
        check(&nested(DEPTH + 1), Some("nested more than 128 levels deep at byte 128"));
        check(&nested(1_000_000), Some("nested more than 128"));
        check(&format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200)), Some("nested"));
    }

    #[test]
    fn values_are_limited_in_number() {
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        check(&list(MAX_VALUES), None);
        check(&list(MAX_VALUES + 1), Some("more than 400000 values, the next at byte 800000; send fewer"));
        check(&format!("[{}]", vec!["[]"; MAX_VALUES].join(",")), Some("more than 400000 values"));
        // Text is none.
        check(&format!("[\"{}\"]", ",".repeat(MAX_VALUES + 1)), None);
    }

    #[test]
    fn answers_are_limited_in_depth_and_number_of_values() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check_answer(&nested(DEPTH)).is_ok());
        for (answer, expected) in [
            (nested(DEPTH + 1), "the adapter's answer is nested more than 128 levels deep at byte 128"),
            (nested(1_000_000), "nested more than 128 levels"),
            (
                format!("[{}]", "0,".repeat(MAX_ANSWER_VALUES)),
                "the adapter's answer has too many values, the next at byte 4000000",
            ),
        ] {
            let error = check_answer(&answer).unwrap_err();
            assert_eq!(error.code, "adapter_broke_contract");
            assert!(error.message.contains(expected), "{}", error.message);
        }
        // The parser reports invalid JSON.
        for text in ["", "\"", "\"\\", "]]]}", "{\"a\":1,\"a\":2}"] {
            assert!(check_answer(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn not_utf_8() {
        let error = checked(b"{\"model\":\"\xff\"}".to_vec()).unwrap_err();
        assert_eq!(error.code, "invalid_utf8");
        assert_eq!(error.message, "the body is not UTF-8: byte 10 begins no character");
    }
}
