//! JSON as it was written: an object's members in their order, each value as its bytes.
//!
//! In goes JSON text; out come its parts, borrowed, and objects made of such parts. Nothing becomes a number or a map on its way,
//! so what is passed on keeps its bytes.

use crate::error::ApiError;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A member of an object.
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The name as it was written, quotes included.
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
}

/// An object's members. `null` is the same as no member, except to [`Members::others`].
pub(crate) struct Members<'a>(Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// The members of `json`, if it is an object.
    pub(crate) fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The members `members`, each with its name and its value.
    pub(crate) fn of<const N: usize>(members: [(&'a str, &'a str); N]) -> Self {
        Self(members.map(|(name, value)| Member { name: name.into(), key: name, value }).into())
    }

    /// The members of the object that is at `at`.
    pub(crate) fn at(json: &'a str, at: &At<'_>) -> Result<Self, ApiError> {
        Self::parse(json).ok_or_else(|| at.wrong("an object"))
    }

    /// The value of the member `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|member| member.name == name).map(|member| member.value).filter(|value| *value != "null")
    }

    /// The JSON string that has to be in the member `name` of the object at `at`.
    pub(crate) fn string(&self, name: &str, at: &At<'_>) -> Result<&'a str, ApiError> {
        self.get(name).filter(|value| value.starts_with('"')).ok_or_else(|| at.member(name).wrong("a string"))
    }

    /// The string that says what the object at `at` is.
    pub(crate) fn kind(&self, at: &At<'_>) -> Result<Cow<'a, str>, ApiError> {
        self.string("type", at).map(decoded)
    }

    /// The value of a member that is `true` or `false`, which is what it is if it is not there.
    pub(crate) fn flag(&self, name: &str, at: &At<'_>) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(at.member(name).wrong("`true` or `false`")),
        }
    }

    /// The members that are none of `names`.
    pub(crate) fn others(&self, names: &[&str]) -> impl Iterator<Item = &Member<'a>> {
        self.0.iter().filter(move |member| !names.contains(&&*member.name))
    }

    /// Refuses members of the object at `at` that are none of `names`: they ask for something, and there is nowhere to put them.
    pub(crate) fn only(&self, names: &[&str], at: &At<'_>) -> Result<(), ApiError> {
        match self.others(names).find(|member| !matches!(member.value, "null" | "false")) {
            Some(member) => Err(at.member(&member.name).unsupported("leave it out: a chat request can't say it")),
            None => Ok(()),
        }
    }
}

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'a> Visitor<'a> for Object {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Members<'a>, M::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((key, value)) = map.next_entry::<&'a RawValue, &'a RawValue>()? {
                    members.push(Member { name: decoded(key.get()), key: key.get(), value: value.get() });
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}

/// The items of the array that is at `at`; `expected` completes "has to be".
pub(crate) fn items<'a>(json: &'a str, at: &At<'_>, expected: &str) -> Result<Vec<&'a str>, ApiError> {
    let items: Vec<&'a RawValue> = serde_json::from_str(json).map_err(|_| at.wrong(expected))?;
    Ok(items.into_iter().map(RawValue::get).collect())
}

/// What a JSON string says. One that is not Unicode (half a surrogate pair) stays as it is written: it equals no name.
pub(crate) fn decoded(json: &str) -> Cow<'_, str> {
    match inner(json) {
        plain if !plain.contains('\\') => Cow::Borrowed(plain),
        escaped => serde_json::from_str(json).map_or(Cow::Borrowed(escaped), Cow::Owned),
    }
}

/// A JSON string without its quotes.
pub(crate) fn inner(json: &str) -> &str {
    json.get(1..json.len().saturating_sub(1)).unwrap_or_default()
}

/// An object in the making.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".into())
    }

    /// Adds a member whose value is JSON.
    pub(crate) fn raw(self, name: &str, value: &str) -> Self {
        // All names that come this way are the gateway's own, and need no escape.
        self.member(&format!("\"{name}\""), value)
    }

    /// Adds a member whose value is JSON, if there is one.
    pub(crate) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.raw(name, value),
            None => self,
        }
    }

    /// Adds a member as a client wrote it.
    pub(crate) fn member(mut self, key: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(key);
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// An array of JSON values.
pub(crate) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// Text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A place in the client's body, said when something is wrong there.
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
    pub(crate) fn wrong(&self, expected: &str) -> ApiError {
        ApiError::wrong(self.to_string(), expected)
    }

    /// What is here can't be passed on. Anthropic's errors have no field for the place, so the message says it too.
    pub(crate) fn unsupported(&self, instead: &str) -> ApiError {
        ApiError::unsupported(self.to_string(), format!("`{self}` is not supported: {instead}"))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Member(Self::Body, name) => f.write_str(name),
            Self::Member(of, name) => write!(f, "{of}.{name}"),
            Self::Item(of, at) => write!(f, "{of}[{at}]"),
        }
    }
}
