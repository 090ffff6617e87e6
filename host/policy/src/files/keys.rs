//! `keys.yaml`: who may ask for what. It has hashes of keys, and neither they nor what stands in their place is ever shown.

use super::grant::Day;
use super::model_names::{self, RawModelNames};
use crate::diagnostics::{Diagnostics, Parsed};
use crate::id::Digest;
use crate::keys::{Argon2id, Key, KeyHash, Keys};
use crate::node::{Node, Value};
use crate::raw::{FromNode, raw};
use crate::reader::Reader;
use crate::render::quote;
use crate::scalar::{Checked, Fault, Grammar, Whole};
use crate::yaml;
use serde::{Serialize, Serializer};
use serde_json::{Map, json};
use std::collections::HashMap;

raw! {
    /// Who may ask for what.
    #[schemars(rename = "Keys")]
    pub(super) struct RawKeys {
        required {
            /// The keys. Their names and hashes are distinct. An empty list lets nobody in.
            keys: Vec<RawKey> = "[]",
        }
        optional {}
    }
}

raw! {
    /// A key and what its holder may.
    #[schemars(rename = "Key")]
    pub(super) struct RawKey {
        required {
            /// The name, for listings, logs and metrics.
            name: Checked<KeyName> = "laptop",
            /// What the key is recognised by, as `hauski keys new` makes it: `sha256:` and 64 hexadecimal digits, or a PHC string of
            /// Argon2id.
            hash: Checked<KeyHash> = "\"sha256:...\"",
            /// The public names of models and routes that may be asked. `"*"` alone is all of them.
            models: RawModelNames = "[my-model]",
        }
        optional {
            /// The most requests in a minute. No limit, where the key is not there.
            requests_per_minute: Whole<1, 1_000_000>,
            /// The most requests at once, streams until their end included. No limit, where the key is not there.
            concurrent: Whole<1, 10_000>,
            /// True if each request is local-only. `false`, where the key is not there.
            local_only: bool,
            /// Whether its holder may see the console. `false`, where the key is not there.
            operator: bool,
            /// The last day on which it holds, in UTC: `2027-01-31`.
            expires: Checked<Day>,
        }
    }
}

impl Keys {
    /// Parses the text of `file`, whose name is for diagnostics only.
    ///
    /// # Errors
    /// All that is wrong with it. No hash is shown, nor anything that may be a key.
    pub fn parse(file: &str, text: &[u8]) -> Result<Parsed<Self>, Diagnostics> {
        let (mut reader, root) = yaml::parse(file, text);
        let value = root.and_then(|root| {
            reader.source.hide_comments(|_| true);
            hide_hashes(&root, &mut reader);
            RawKeys::from_node(&root, &mut reader)?.validate(&mut reader)
        });
        reader.finish(value)
    }

    /// The keys in the shape of the file, without their hashes.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "keys": self.list.iter().map(key_to_json).collect::<Vec<_>>() })
    }
}

/// As [`Keys::to_json`].
impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

fn key_to_json(key: &Key) -> serde_json::Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: serde_json::Value| map.insert(name.to_owned(), value);
    put("name", (*key.name).into());
    put("models", model_names::to_json(&key.models));
    if let Some(number) = key.requests_per_minute {
        put("requests_per_minute", number.into());
    }
    if let Some(number) = key.concurrent {
        put("concurrent", number.into());
    }
    put("local_only", key.local_only.into());
    put("operator", key.operator.into());
    if let Some(day) = key.expires {
        put("expires", day.to_string().into());
    }
    map.into()
}

impl RawKeys {
    fn validate(self, reader: &mut Reader) -> Option<Keys> {
        let (mut names, mut hashes) = (HashMap::new(), HashMap::new());
        let mut list = Vec::new();
        for raw in self.keys.get()? {
            let spans = raw.name.span().cloned().zip(raw.hash.span().cloned());
            let Some((key, (name, hash))) = raw.validate().zip(spans) else { continue };
            let line = reader.line(&name);
            if let Some(first) = names.insert(key.name.clone(), line) {
                let message = format!("the key {} stands on line {first} already", quote(&key.name));
                reader.error("duplicate-key-name", &name, message).help("give one of the two another `name`");
            }
            if let Some(first) = hashes.insert(key.hash.clone(), line) {
                let message = format!("{} has the hash of the key on line {first}", quote(&key.name));
                reader
                    .error("duplicate-hash", &hash, message)
                    .help("delete one of the two: `hauski keys new` makes another");
            }
            list.push(key);
        }
        Some(Keys { list })
    }
}

impl RawKey {
    fn validate(self) -> Option<Key> {
        let requests = self.requests_per_minute.get().and_then(|number| u32::try_from(number.0).ok());
        Some(Key {
            name: self.name.get()?.0.0,
            hash: self.hash.get()?.0,
            models: self.models.get()?.0,
            requests_per_minute: requests,
            concurrent: self.concurrent.get().and_then(|number| u32::try_from(number.0).ok()),
            local_only: self.local_only.get().unwrap_or_default(),
            operator: self.operator.get().unwrap_or_default(),
            expires: self.expires.get().map(|day| day.0.0),
        })
    }
}

/// What may be shown of a key: the values of these. All else may be a hash, or the key itself where it does not belong.
const SHOWN: [&str; 7] = ["name", "models", "requests_per_minute", "concurrent", "local_only", "operator", "expires"];

fn hide_hashes(node: &Node, reader: &mut Reader) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| hide_hashes(item, reader)),
        Value::Map(entries) => {
            for (key, child) in entries {
                // A hash without quotes falls apart at its commas where the map is written in braces.
                if key.text.contains(['$', '=']) {
                    reader.source.hide(&key.span);
                }
                if !SHOWN.contains(&&*key.text) {
                    hide_hashes(child, reader);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => reader.hide(node, &|_| true),
    }
}

/// A key's name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyName(Box<str>);

impl Grammar for KeyName {
    const PATTERN: &'static str = "^[a-z0-9._-]{1,64}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if (1..=64).contains(&text.len()) && text.bytes().all(ok) {
            return Ok(Self(text.into()));
        }
        Err(Fault {
            code: "key-name-invalid",
            at: 0..text.len(),
            message: "a key's name is 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`".to_owned(),
            help: "write a name such as `laptop`".to_owned(),
        })
    }
}

// No message here quotes the text: where a person wrote the key itself, it would end in a log.
impl Grammar for KeyHash {
    const PATTERN: &'static str =
        r"^(sha256:[0-9a-f]{64}|\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let sha256 = || text.parse().ok().map(|digest: Digest| Self::Sha256(*digest.as_bytes()));
        let argon2id = || Argon2id::parse(text).map(Self::Argon2id);
        sha256().or_else(argon2id).ok_or_else(|| Fault {
            code: "hash-invalid",
            at: 0..text.len(),
            message: "the hash is neither `sha256:` and 64 hexadecimal digits in lower case, nor a PHC string of Argon2id with at \
                      most `m=262144`, `t=10`, `p=8`"
                .to_owned(),
            help: "`hauski keys new` makes one: write it in quotes, and if this was the key itself, make another".to_owned(),
        })
    }
}
