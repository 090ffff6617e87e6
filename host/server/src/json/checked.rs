//! A client's body as text: checked for what two parsers could read differently.
//!
//! In goes a body; out come the same bytes as text, or an error that says where. No value is ever interpreted.

use super::inner_text;
use crate::error::ApiError;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::HashSet;

/// How deeply arrays and objects may be nested in a client's body.
const DEPTH: usize = 128;
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
    check_structure(&text).map_err(invalid)?;
    Ok(text)
}

/// Checks depth and keys of `text`, which is JSON.
fn check_structure(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let mut open: Vec<Option<Keys<'_>>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                if open.len() == DEPTH {
                    return Err(format!("the body is nested more than {DEPTH} levels deep at byte {at}"));
                }
                open.push((*byte == b'{').then(Keys::default));
            }
            b'}' | b']' => drop(open.pop()),
            b',' => {
                if let Some(Some(keys)) = open.last_mut() {
                    keys.expected = true;
                }
            }
            b'"' => {
                let end = string_end(bytes, at);
                if let Some(Some(keys)) = open.last_mut()
                    && std::mem::take(&mut keys.expected)
                    && !keys.insert(inner_text(&text[at + 1..end]))
                {
                    let key: String = text[at + 1..end].chars().take(64).collect();
                    return Err(format!("the key `{key}` stands twice in the object, again at byte {at}"));
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Where the string that begins at `start` ends: at its closing quote.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
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
            (Err(error), Some(wrong)) => assert!(error.message.contains(wrong), "{body}: {}", error.message),
            (other, wrong) => panic!("{body}: {other:?}, not {wrong:?}"),
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
        check(r#"{"a":1,"b":2,"a":3}"#, Some("the key `a` stands twice in the object, again at byte 13"));
        check(r#"{"a":1,"\u0061":3}"#, Some("stands twice"));
        check(r#"[{"x":{"a":[1,{"b":1,"b":2}]}}]"#, Some("the key `b` stands twice"));
        check(r#"{"a":{"c":1},"b":[],"b":""}"#, Some("the key `b` stands twice"));
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
            check(&keys(twice), Some(&format!("the key `{twice}` stands twice")));
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
    fn not_utf_8() {
        let error = checked(b"{\"model\":\"\xff\"}".to_vec()).unwrap_err();
        assert_eq!(error.code, "invalid_utf8");
        assert_eq!(error.message, "the body is not UTF-8: byte 10 begins no character");
    }
}
