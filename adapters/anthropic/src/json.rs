//! JSON as the client wrote it: an object's members in their order, each value as its bytes.
//!
//! In goes JSON text; out come its parts, borrowed. Nothing becomes a number or a map on its way, so what is passed on keeps its
//! bytes. `At` is the place in the request that an error names.

use std::borrow::Cow;
use std::fmt;

use hauski_adapter_sdk::Error;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value as it was written.
pub(crate) type Raw<'a> = &'a RawValue;

/// An object's members without those that are `null`, which say nothing.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Members<'a> {
    /// The members of the object that is at `at`.
    pub(crate) fn of(json: &'a str, at: &At<'_>) -> Result<Self, Error> {
        // An array would do for a derived structure, too; this takes objects only.
        serde_json::from_str(json).map_err(|_| at.wrong("an object"))
    }

    /// The value of the member `name`.
    pub(crate) fn get(&self, name: &str) -> Option<Raw<'a>> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The members of the object in the member `name`.
    pub(crate) fn object(&self, name: &str, at: &At<'_>) -> Result<Option<Self>, Error> {
        self.get(name).map(|value| Self::of(value.get(), &at.member(name))).transpose()
    }

    /// The items of the array in the member `name`; none if there is no such member.
    pub(crate) fn items(&self, name: &str, at: &At<'_>) -> Result<Vec<Raw<'a>>, Error> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        serde_json::from_str(value.get()).map_err(|_| at.member(name).wrong("an array"))
    }

    /// The string in the member `name`, as JSON.
    pub(crate) fn string(&self, name: &str, at: &At<'_>) -> Result<Option<Raw<'a>>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if is_string(value) { Ok(Some(value)) } else { Err(at.member(name).wrong("a string")) }
    }

    /// The string that has to be in the member `name`, as JSON.
    pub(crate) fn required(&self, name: &str, at: &At<'_>) -> Result<Raw<'a>, Error> {
        self.string(name, at)?.ok_or_else(|| at.member(name).wrong("a string"))
    }

    /// What the string in the member `name` says; empty if there is none.
    pub(crate) fn text(&self, name: &str, at: &At<'_>) -> Result<Cow<'a, str>, Error> {
        self.string(name, at)?.map_or(Ok(Cow::Borrowed("")), |value| decoded(value, &at.member(name)))
    }

    /// Whether the member `name` is `true`; `None` if it is not there.
    pub(crate) fn flag(&self, name: &str, at: &At<'_>) -> Result<Option<bool>, Error> {
        match self.get(name).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(at.member(name).wrong("`true` or `false`")),
        }
    }

    /// The members that are none of `names`.
    pub(crate) fn others(self, names: &[&str]) -> Self {
        self.without(|name| names.contains(&name))
    }

    /// The members whose names are not `unwanted`.
    pub(crate) fn without(mut self, unwanted: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|(name, _)| !unwanted(name));
        self
    }

    /// These members, and those of `more` behind them.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Refuses members that are none of `names` and say something: there is no place for them at the provider's.
    pub(crate) fn only(&self, names: &[&str], at: &At<'_>) -> Result<(), Error> {
        let empty = |value: &RawValue| matches!(value.get(), "false" | "[]" | "{}" | r#""""#);
        match self.0.iter().find(|(name, value)| !names.contains(&&**name) && !empty(value)) {
            Some((name, _)) => Err(at.member(name).refused("leave it out")),
            None => Ok(()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((name, value)) = map.next_entry::<Name<'de>, Raw<'de>>()? {
                    if value.get() != "null" {
                        members.push((name.0, value));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Whether a value is a string.
pub(crate) fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// A JSON string without its quotes.
pub(crate) fn inner(string: &RawValue) -> &str {
    let text = string.get();
    text.get(1..text.len().saturating_sub(1)).unwrap_or_default()
}

/// What a JSON string says.
pub(crate) fn decoded<'a>(string: Raw<'a>, at: &At<'_>) -> Result<Cow<'a, str>, Error> {
    if !is_string(string) {
        return Err(at.wrong("a string"));
    }
    match inner(string) {
        plain if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str(string.get()).map(Cow::Owned).map_err(|_| at.wrong("a string of whole characters")),
    }
}

/// Whether a JSON string has nothing but white space.
pub(crate) fn is_blank(string: &RawValue) -> bool {
    match inner(string) {
        plain if !plain.contains('\\') => plain.trim().is_empty(),
        _ => serde_json::from_str::<String>(string.get()).is_ok_and(|text| text.trim().is_empty()),
    }
}

/// A value of our own. `text` is JSON.
pub(crate) fn constant(text: &'static str) -> Raw<'static> {
    serde_json::from_str(text).unwrap_or(RawValue::NULL)
}

/// Whether two values mean the same.
pub(crate) fn same(value: &RawValue, other: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match (number(value.get()), number(other)) {
        (Some(value), Some(other)) => value == other,
        _ => {
            let json = |text| serde_json::from_str::<serde_json::Value>(text).ok();
            json(value.get()) == json(other)
        }
    }
}

/// A place in the request, said when something is wrong there.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Body,
    Member(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(crate) fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    pub(crate) fn item(&'a self, at: usize) -> Self {
        Self::Item(self, at)
    }

    /// What is here has the wrong type or value.
    pub(crate) fn wrong(&self, expected: &str) -> Error {
        Error::InvalidRequest(format!("`{self}` has to be {expected}"))
    }

    /// What is here can't be said to Anthropic.
    pub(crate) fn refused(&self, instead: &str) -> Error {
        Error::InvalidRequest(format!("`{self}` can't be said in Anthropic's Messages API: {instead}"))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("the request"),
            Self::Member(Self::Body, name) => f.write_str(name),
            Self::Member(of, name) => write!(f, "{of}.{name}"),
            Self::Item(of, at) => write!(f, "{of}[{at}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_bytes_and_nulls_say_nothing() {
        let text = r#"{"a": 1.0 ,"n":null,"huge":1e400,"esc\u0061pe":"\u00e9","o":{ "z":[1 ] }}"#;
        let members = Members::of(text, &At::Body).unwrap();
        assert_eq!(
            serde_json::to_string(&members).unwrap(),
            r#"{"a":1.0,"huge":1e400,"escape":"\u00e9","o":{ "z":[1 ] }}"#
        );
        assert_eq!(members.get("escape").map(RawValue::get), Some(r#""\u00e9""#));
        assert_eq!(members.text("escape", &At::Body).unwrap(), "é");
        assert!(members.get("n").is_none());
        assert_eq!(members.text("a", &At::Body), Err(Error::InvalidRequest("`a` has to be a string".into())));
        for bad in ["[]", "7", "{", "null"] {
            assert!(Members::of(bad, &At::Body).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_that_mean_the_same() {
        for (value, other, expected) in [
            ("0", "0", true),
            ("-0.0", "0", true),
            ("1.0", "1", true),
            ("1e400", "1", false),
            (r#"[ "text" ]"#, r#"["text"]"#, true),
            (r#"["text","audio"]"#, r#"["text"]"#, false),
            ("true", "false", false),
            (r#""0""#, "0", false),
        ] {
            assert_eq!(same(constant(value), other), expected, "{value} {other}");
        }
    }

    #[test]
    fn places() {
        let (messages, content) = (At::Body.member("messages"), "content");
        let item = messages.item(2);
        assert_eq!(item.member(content).item(0).member("type").to_string(), "messages[2].content[0].type");
        assert_eq!(At::Body.to_string(), "the request");
    }

    #[test]
    fn blank_strings() {
        for (text, expected) in [
            (r#""""#, true),
            (r#"" \n\t""#, true),
            ("\"\u{2003}\"", true),
            (r#""\u00e9""#, false),
            (r#""\ud800""#, false),
        ] {
            assert_eq!(is_blank(constant(text)), expected, "{text}");
        }
    }
}
