//! `adapters.lock`: the adapters that were approved. Written by the program, read by people and by it.

use super::grant::AdapterIdText;
use crate::diagnostics::{Diagnostics, Parsed};
use crate::id::Digest;
use crate::lock::{Lock, Locked};
use crate::raw::{FromNode, raw};
use crate::reader::Reader;
use crate::render::quote;
use crate::scalar::{Checked, Fault, Grammar};
use crate::source::is_invisible;
use crate::yaml;
use std::collections::BTreeMap;

raw! {
    /// The adapters that were approved.
    #[schemars(rename = "Lock")]
    pub(super) struct RawLock {
        required {
            /// The adapters, each id once. An empty list approves none.
            adapters: Vec<RawLocked> = "[]",
        }
        optional {}
    }
}

raw! {
    /// An adapter as it was approved.
    #[schemars(rename = "Locked")]
    pub(super) struct RawLocked {
        required {
            /// Its id: the stem of its file's name.
            id: Checked<AdapterIdText> = "echo",
            /// The digest of its bytes: `sha256:` and 64 hexadecimal digits.
            digest: Checked<DigestText> = "\"sha256:...\"",
            /// The names of its imports, with their versions.
            imports: Vec<Checked<Line>> = "[]",
            /// What it might reach, a line each.
            grants: Vec<Checked<Line>> = "[]",
        }
        optional {}
    }
}

impl Lock {
    /// Parses the text of `file`, whose name is for diagnostics only.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &[u8]) -> Result<Parsed<Self>, Diagnostics> {
        let (mut reader, root) = yaml::parse(file, text);
        let value = root.and_then(|root| RawLock::from_node(&root, &mut reader)?.validate(&mut reader));
        reader.finish(value)
    }
}

impl RawLock {
    fn validate(self, reader: &mut Reader) -> Option<Lock> {
        let mut adapters = BTreeMap::new();
        for raw in self.adapters.get()? {
            let span = raw.id.span().cloned();
            if let Some((id, digest)) = raw.id.span().zip(raw.digest.span())
                && id.start > digest.start
            {
                // An entry that ends within its id would have the id of another adapter.
                let message =
                    "the id stands behind the digest, so a file that was cut off could approve another adapter";
                reader.error("id-behind-digest", id, message).help("write `id` first, or write the lock anew");
            }
            let Some(((id, locked), span)) = raw.validate().zip(span) else { continue };
            if adapters.insert(id.clone(), locked).is_some() {
                let message = format!("the adapter {} stands here twice", quote(id.as_str()));
                reader.error("duplicate-adapter", &span, message).help("delete one of the two, or write the lock anew");
            }
        }
        Some(Lock { adapters })
    }
}

impl RawLocked {
    fn validate(self) -> Option<(crate::AdapterId, Locked)> {
        let lines = |list: Vec<Checked<Line>>| list.into_iter().map(|line| line.0.0).collect();
        let (id, digest) = (self.id.get()?.0.0, self.digest.get()?.0.0);
        Some((id, Locked { digest, imports: lines(self.imports.get()?), grants: lines(self.grants.get()?) }))
    }
}

/// A digest.
#[derive(Debug)]
pub(super) struct DigestText(Digest);

impl Grammar for DigestText {
    const PATTERN: &'static str = "^sha256:[0-9a-f]{64}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map(Self).map_err(|error: crate::id::InvalidDigest| Fault {
            code: "digest-invalid",
            at: 0..text.len(),
            message: error.to_string(),
            help: "`hauski adapters approve ID` writes it".to_owned(),
        })
    }
}

/// A line of text.
#[derive(Debug)]
pub(super) struct Line(String);

impl Grammar for Line {
    const PATTERN: &'static str = r"^[^\x00-\x1f]{1,1000}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if (1..=1000).contains(&text.len()) && !text.chars().any(|c| is_invisible(c) || c.is_control()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault {
            code: "line-invalid",
            at: 0..text.len(),
            message: "it is no line of text of up to 1000 bytes".to_owned(),
            help: "`hauski audit --lock` writes the file anew".to_owned(),
        })
    }
}
