//! JSON as it was written: an object's members as slices of its text, and objects written member by member.
//!
//! In goes a client's body or an adapter's answer; out come its parts, borrowed, and JSON made of such parts. No value is ever
//! interpreted, so numbers such as `1e400`, escapes and the order of keys come out as they went in.

mod checked;
mod members;
mod node;
mod object;

pub(crate) use checked::{check_answer, checked, string_end};
pub(crate) use members::Members;
pub(crate) use node::Node;
pub(crate) use object::{Object, array};

use crate::work::visit;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What stands between the quotes of a JSON string, escapes as they were written.
pub(crate) fn inner(string: &str) -> &str {
    string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
}

/// The text that a JSON string stands for. One that stands for none, such as half a surrogate pair, is left as it was written: it
/// equals no name.
pub(crate) fn decoded(string: &str) -> Cow<'_, str> {
    inner_text(inner(string))
}

/// The same of what stands between the quotes.
fn inner_text(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    visit(inner.len());
    serde_json::from_str(&format!("\"{inner}\"")).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// The JSON string for a text.
pub(crate) fn quoted(text: &str) -> String {
    visit(text.len());
    Value::from(text).to_string()
}

/// The JSON on one line, as events need it. Only between tokens can JSON have line breaks, and they mean nothing there.
pub(crate) fn one_line(json: &str) -> Cow<'_, str> {
    visit(json.len());
    if json.contains(['\n', '\r']) { Cow::Owned(json.replace(['\n', '\r'], "")) } else { Cow::Borrowed(json) }
}

/// The elements of an array as JSON; none if `text` is something else.
pub(crate) fn elements(text: &str) -> Option<Vec<&str>> {
    visit(text.len());
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        assert_eq!((inner(r#""a\"b""#), inner("\"\""), inner("7")), (r#"a\"b"#, "", ""));
        assert_eq!((decoded(r#""a\u0062""#).as_ref(), decoded(r#""\ud800""#).as_ref()), ("ab", r"\ud800"));
        assert_eq!(quoted("a\"\n"), r#""a\"\n""#);
        assert_eq!(one_line("[1,\r\n \"\\n\"]"), r#"[1, "\n"]"#);
        assert_eq!((elements("[1, [2]]"), elements("{}"), elements("[1")), (Some(vec!["1", "[2]"]), None, None));
    }
}
