//! JSON without a model of it: an object's members as they came, and objects written member by member.
//!
//! In go texts that are JSON; out come the texts of their members, and JSON. What is passed on is never decoded, so that
//! numbers, escapes and the order of names stay as they were written.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The members of an object that nobody has taken yet, in order.
#[derive(Default)]
pub(super) struct Members<'a>(Vec<Member<'a>>);

struct Member<'a> {
    /// The name as it was written, quotes and escapes included.
    written: &'a str,
    name: Cow<'a, str>,
    value: &'a str,
}

impl<'a> Members<'a> {
    /// The members of the object `text`; none if it is something else.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// A member's value. A member that is `null` is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|member| member.name == name).map(|member| member.value).filter(|value| *value != "null")
    }

    /// Takes a member's value out. A member that is `null` is as good as none.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|member| member.name == name)?;
        Some(self.0.remove(at).value).filter(|value| *value != "null")
    }

    /// The first name that is left with a value that is not `null`.
    pub(super) fn first(&self) -> Option<&str> {
        self.0.iter().find(|member| member.value != "null").map(|member| &*member.name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((written, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    let (written, value) = (written.get(), value.get());
                    members.push(Member { written, name: decoded(written), value });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// What stands between the quotes of a JSON string, escapes as they were written.
pub(super) fn inner(string: &str) -> &str {
    string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
}

/// The text that a JSON string stands for. One that stands for none, such as half a surrogate pair, is left as it was written.
pub(super) fn decoded(string: &str) -> Cow<'_, str> {
    let inner = inner(string);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(string).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// The JSON string for a text.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The JSON on one line, as events need it. Only between tokens can JSON have line breaks, and they mean nothing there.
pub(super) fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { Cow::Owned(json.replace(['\n', '\r'], "")) } else { Cow::Borrowed(json) }
}

/// The elements of an array; none if `text` is something else.
pub(super) fn elements(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// The array of some JSON texts.
pub(super) fn array<T: AsRef<str>>(elements: &[T]) -> String {
    let mut text = String::from("[");
    for (at, element) in elements.iter().enumerate() {
        text.push_str(if at == 0 { "" } else { "," });
        text.push_str(element.as_ref());
    }
    text.push(']');
    text
}

/// An object that is being written.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Adds a member. `name` needs no escapes, `value` is JSON.
    pub(super) fn put(mut self, name: &str, value: &str) -> Self {
        self.separate();
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(value);
        self
    }

    /// Adds a member whose value is a text.
    pub(super) fn text(self, name: &str, value: &str) -> Self {
        self.put(name, &quoted(value))
    }

    /// Adds a member if there is a value for it.
    pub(super) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    /// Adds members as they came.
    pub(super) fn pass(mut self, members: &Members) -> Self {
        for member in &members.0 {
            self.separate();
            self.0.push_str(member.written);
            self.0.push(':');
            self.0.push_str(member.value);
        }
        self
    }

    /// Adds what [`Object::members`] gave.
    pub(super) fn splice(mut self, members: &str) -> Self {
        if !members.is_empty() {
            self.separate();
            self.0.push_str(members);
        }
        self
    }

    /// The members without the braces.
    pub(super) fn members(mut self) -> String {
        self.0.remove(0);
        self.0
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn separate(&mut self) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_keeps_its_bytes() {
        let text = r#"{"a":1e400,"t\u0061ken":{"z":1,"a": 18446744073709551616},"n":null,"\ud800":"\ud800"}"#;
        let mut members = Members::of(text).unwrap();
        assert_eq!(members.take("taken"), Some(r#"{"z":1,"a": 18446744073709551616}"#));
        assert_eq!((members.take("taken"), members.first()), (None, Some("a")));
        assert_eq!(Object::new().pass(&members).end(), r#"{"a":1e400,"n":null,"\ud800":"\ud800"}"#);
        assert_eq!((members.take("n"), members.first()), (None, Some("a")));
    }

    #[test]
    fn only_objects_have_members() {
        for text in ["[]", "1", "null", "\"a\"", r#"["a",1]"#] {
            assert!(Members::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn strings() {
        assert_eq!((inner(r#""a\"b""#), inner("\"\"")), (r#"a\"b"#, ""));
        assert_eq!((decoded(r#""a\u0062""#).as_ref(), decoded(r#""\ud800""#).as_ref()), ("ab", r"\ud800"));
        assert_eq!(one_line("[1,\r\n \"\\n\"]"), r#"[1, "\n"]"#);
    }
}
