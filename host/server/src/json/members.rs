//! An object's members, each as it was written.
//!
//! In goes an object's text; out come values by name, and the object again, with what was changed. A member that is `null` is as good
//! as none, but stays where it is.

use super::{Object, decoded};
use crate::work::visit;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The members of an object, in order.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<Member<'a>>);

/// A member of an object.
#[derive(Debug)]
struct Member<'a> {
    name: Cow<'a, str>,
    /// The name as it was written, quotes and escapes included.
    written: Cow<'a, str>,
    value: &'a str,
}

impl<'a> Members<'a> {
    /// The members of the object that `text` is.
    ///
    /// # Errors
    /// If it is not one JSON object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        visit(text.len());
        serde_json::from_str(text)
    }

    /// The same where nobody wants to know what is wrong.
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        Self::parse(text).ok()
    }

    /// A member's value.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.find(name).map(|at| self.0[at].value).filter(|value| *value != "null")
    }

    /// Takes a member out; gives its value.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a str> {
        visit(self.0.len());
        self.find(name).map(|at| self.0.remove(at).value).filter(|value| *value != "null")
    }

    /// Sets a member's value, at its place or else at the end. `name` needs no escapes.
    pub(crate) fn set(&mut self, name: &'a str, value: &'a str) {
        match self.find(name) {
            Some(at) => self.0[at].value = value,
            None => self.0.push(Member { name: name.into(), written: format!("\"{name}\"").into(), value }),
        }
    }

    /// The members that are not `null`: names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().filter(|member| member.value != "null").map(|member| (&*member.name, member.value))
    }

    /// The members as they were written: names with their quotes, and values.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|member| (&*member.written, member.value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as JSON text, without space between its members.
    pub(crate) fn json(&self) -> String {
        let length: usize = self.written().map(|(name, value)| name.len() + value.len() + 2).sum();
        Object::with_capacity(length + 2).pass(self).end()
    }

    fn find(&self, name: &str) -> Option<usize> {
        visit(self.0.len());
        self.0.iter().position(|member| member.name == name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((written, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    let (written, value) = (written.get(), value.get());
                    if !written.starts_with('"') {
                        return Err(A::Error::custom("a member's name is not a string"));
                    }
                    members.push(Member { name: decoded(written), written: written.into(), value });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_keeps_its_bytes() {
        let text = r#"{"a":1e400,"t\u0061ken":{"z":1,"a": 18446744073709551616}, "n":null,"\ud800":"\ud800"}"#;
        let mut members = Members::parse(text).unwrap();
        assert_eq!(members.get("taken"), Some(r#"{"z":1,"a": 18446744073709551616}"#));
        assert_eq!(members.take("taken"), Some(r#"{"z":1,"a": 18446744073709551616}"#));
        assert_eq!((members.take("taken"), members.get("n")), (None, None));
        assert_eq!(members.iter().collect::<Vec<_>>(), [("a", "1e400"), (r"\ud800", r#""\ud800""#)]);
        assert_eq!(members.json(), r#"{"a":1e400,"n":null,"\ud800":"\ud800"}"#);
        assert_eq!((members.take("n"), members.json().as_str()), (None, r#"{"a":1e400,"\ud800":"\ud800"}"#));
    }

    #[test]
    fn what_is_set_stays_at_its_place() {
        let mut members = Members::parse(r#"{"a":1, "b\u0062":[1.0],"c":null}"#).unwrap();
        members.set("d", "\"x\"");
        members.set("bb", "7");
        members.take("c");
        assert_eq!(members.json(), r#"{"a":1,"b\u0062":7,"d":"x"}"#);
        assert_eq!(Members::parse("{}").unwrap().json(), "{}");
    }

    #[test]
    fn only_objects_have_members() {
        for bad in ["[]", "7", "null", "\"a\"", r#"["a",1]"#, "{", r#"{"a":1}x"#] {
            assert!(Members::parse(bad).is_err(), "{bad}");
        }
    }
}
