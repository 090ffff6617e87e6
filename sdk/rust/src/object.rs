//! JSON objects that keep every byte of what is not touched.
//!
//! In: JSON text. Out: its members, in order, as slices of that text; and text again. Numbers such as `1e400` or `1.0`,
//! 64-bit integers, escapes and even duplicate keys come out as they went in, because values are never interpreted.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Json;

/// A JSON object whose values are text.
#[derive(Debug, Clone, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, RawValue>, Cow<'a, RawValue>)>,
}

impl<'a> Object<'a> {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the members of the object that `text` is.
    ///
    /// # Errors
    /// If `text` is not one JSON object.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The value of `key` as JSON text. Of duplicates it is the last one, which is what most parsers take.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.members.iter().rev().find(|(name, _)| names(name, key)).map(|(_, value)| value.get())
    }

    /// The value of `key` as a `T`; `None` if there is none, or if it is `null`.
    ///
    /// # Errors
    /// If the value is something else than a `T`.
    pub fn read<'s, T: Deserialize<'s>>(&'s self, key: &str) -> Result<Option<T>, serde_json::Error> {
        match self.get(key) {
            Some(text) => serde_json::from_str(text),
            None => Ok(None),
        }
    }

    /// The items of the array `key`, each as JSON text; none if there is no such member, or if it is `null`.
    ///
    /// # Errors
    /// If the value is no array.
    pub fn items(&self, key: &str) -> Result<Vec<Json>, serde_json::Error> {
        let items = self.read::<Vec<&RawValue>>(key)?.unwrap_or_default();
        Ok(items.into_iter().map(|item| item.get().to_owned()).collect())
    }

    /// Sets `key` to a value, at the place of the first member with that name, or at the end. No duplicate of it stays.
    ///
    /// # Errors
    /// If the value cannot be written as JSON.
    pub fn set(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<(), serde_json::Error> {
        let value = Cow::Owned(serde_json::value::to_raw_value(value)?);
        match self.members.iter().position(|(name, _)| names(name, key)) {
            Some(at) => {
                self.members[at].1 = value;
                let mut index = 0;
                self.members.retain(|(name, _)| {
                    index += 1;
                    index <= at + 1 || !names(name, key)
                });
            }
            None => self.members.push((Cow::Owned(serde_json::value::to_raw_value(key)?), value)),
        }
        Ok(())
    }

    /// Takes out all members with the name `key`, and tells whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.members.len();
        self.members.retain(|(name, _)| !names(name, key));
        self.members.len() < before
    }

    /// The members in order: names without escapes, values as JSON text.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        self.members.iter().map(|(name, value)| (plain(name), value.get()))
    }

    /// The object as JSON text: names and values as they came, with no space between them.
    #[must_use]
    pub fn into_json(self) -> Json {
        let length = self.members.iter().map(|(name, value)| name.get().len() + value.get().len() + 2).sum::<usize>();
        let mut text = String::with_capacity(length + 2);
        text.push('{');
        for (index, (name, value)) in self.members.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(name.get());
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        text
    }
}

/// Whether a member's name, as written, means `key`.
fn names(name: &RawValue, key: &str) -> bool {
    let inner = &name.get()[1..name.get().len() - 1];
    if inner.contains('\\') { plain(name) == key } else { inner == key }
}

fn plain(name: &RawValue) -> Cow<'_, str> {
    let inner = &name.get()[1..name.get().len() - 1];
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    // A lone surrogate is valid JSON but no text; it then stands for itself, escaped.
    serde_json::from_str::<String>(name.get()).map_or(Cow::Borrowed(inner), Cow::Owned)
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<&RawValue>()? {
                    if !name.get().starts_with('"') {
                        return Err(A::Error::custom("a member's name is not a string"));
                    }
                    members.push((Cow::Borrowed(name), Cow::Borrowed(map.next_value::<&RawValue>()?)));
                }
                Ok(Object { members })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = r#"{"a":1.0,"big":18446744073709551615,"huge":1e400,"a":-0,"esc\u0061pe":"\u00e9\/","deep":{"z": [1, 2.50],"z":null}}"#;

    #[test]
    fn untouched_text_survives() {
        for text in [ODD, "{}", r#"{"":0}"#, r#"{"\ud800":"\udfff"}"#] {
            assert_eq!(Object::parse(text).unwrap().into_json(), text);
        }
        assert_eq!(Object::parse(" {\n\"a\" : [ 1 ] , \"b\":2 } ").unwrap().into_json(), r#"{"a":[ 1 ],"b":2}"#);
    }

    #[test]
    fn get_reads_names_without_escapes_and_the_last_duplicate() {
        let object = Object::parse(ODD).unwrap();
        assert_eq!(object.get("a"), Some("-0"));
        assert_eq!(object.get("escape"), Some(r#""\u00e9\/""#));
        assert_eq!(object.read::<String>("escape").unwrap().as_deref(), Some("é/"));
        assert_eq!(object.get("z"), None);
        assert_eq!(object.read::<u64>("missing").unwrap(), None);
        assert_eq!(object.iter().map(|(name, _)| name.into_owned()).nth(4).as_deref(), Some("escape"));
        assert!(object.read::<String>("big").is_err());
        assert_eq!(Object::parse(r#"{"l":[1.0, {"a":  2}]}"#).unwrap().items("l").unwrap(), ["1.0", r#"{"a":  2}"#]);
        assert!(object.items("big").is_err());
        assert!(object.items("missing").unwrap().is_empty());
    }

    #[test]
    fn set_keeps_the_place_and_leaves_no_duplicate() {
        let mut object = Object::parse(ODD).unwrap();
        object.set("a", "x").unwrap();
        object.set("new", &[1, 2]).unwrap();
        assert!(object.remove("deep"));
        assert!(!object.remove("deep"));
        assert_eq!(
            object.into_json(),
            r#"{"a":"x","big":18446744073709551615,"huge":1e400,"esc\u0061pe":"\u00e9\/","new":[1,2]}"#
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "null", "{", r#"{"a":}"#, r#"{"a":1}x"#, "{1:2}", r#"{"a":NaN}"#, r#"{"a" 1}"#] {
            assert!(Object::parse(text).is_err(), "{text}");
        }
    }
}
