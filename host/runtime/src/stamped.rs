//! What a component's bytes say of it, without running or compiling them: what it imports, and what its builder has stamped into it.
//!
//! All of it is the builder's word. It is bounded and made plain, and grants nothing.

use crate::audit::plain;
use serde::Serialize;
use std::collections::BTreeSet;
use wasmparser::{BinaryReaderError, CustomSectionReader, Parser, Payload, ProducersSectionReader};

/// Entries of a list; more are left out.
const ENTRIES: usize = 64;

/// What a component says of itself in its own sections, as the registries' tools stamp it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stamped {
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authors: Option<String>,
    /// Its licence, as an SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
    /// Where its source is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where more is to be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The commit that it was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What it was made with, such as `language Rust 2021` and `processed-by rustc 1.95.0`.
    pub producers: BTreeSet<String>,
}

/// What its bytes say.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) stamped: Stamped,
    /// The names of its imports, with their versions.
    pub(crate) imports: BTreeSet<String>,
    /// The names of its exports.
    pub(crate) exports: BTreeSet<String>,
    /// The version of our contract that it is built for.
    pub(crate) contract: Option<String>,
}

/// Imports and exports of one component. All that are known are fewer than 40.
pub(crate) const MAX_NAMES: usize = 256;
/// Bytes of their names.
pub(crate) const MAX_NAME_BYTES: usize = 64 << 10;

/// Bytes that have no outline.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutlineError {
    /// They are no component.
    #[error(transparent)]
    Malformed(#[from] BinaryReaderError),
    /// There are too many imports and exports, or their names are too long. A file that nobody approved is read before it is rejected.
    #[error("too many imports and exports")]
    ManyNames,
}

/// Reads a component's sections, and keeps no more than the names that an adapter can have.
///
/// # Errors
/// [`OutlineError`]
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline, OutlineError> {
    let mut outline = Outline::default();
    let (mut names, mut name_bytes) = (0, 0);
    let mut count = |name: &str| {
        (names, name_bytes) = (names + 1, name_bytes + name.len());
        if names > MAX_NAMES || name_bytes > MAX_NAME_BYTES { Err(OutlineError::ManyNames) } else { Ok(()) }
    };
    // Modules and components within it; what they import is the affair of the one around them.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let name = import?.name.name;
                    count(name)?;
                    outline.note_contract(name);
                    outline.imports.insert(name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    let name = export?.name.name;
                    count(name)?;
                    outline.note_contract(name);
                    outline.exports.insert(name.to_owned());
                }
            }
            Payload::CustomSection(section) => outline.stamped.read(&section, depth == 0),
            _ => {}
        }
    }
    Ok(outline)
}

impl Outline {
    fn note_contract(&mut self, name: &str) {
        let version = name.strip_prefix("hauski:adapter/").and_then(|name| name.split_once('@'));
        if let Some((_, version)) = version {
            self.contract = Some(plain(version));
        }
    }
}

impl Stamped {
    /// Takes over a custom section. One that is malformed says nothing.
    fn read(&mut self, section: &CustomSectionReader<'_>, is_own: bool) {
        if section.name() == "producers" {
            // Compilers stamp the modules within.
            let _ = self.read_producers(section);
            return;
        }
        let field = match section.name() {
            "version" => &mut self.version,
            "description" => &mut self.description,
            "authors" => &mut self.authors,
            "licenses" => &mut self.licenses,
            "source" => &mut self.source,
            "homepage" => &mut self.homepage,
            "revision" => &mut self.revision,
            _ => return,
        };
        if let Ok(text) = std::str::from_utf8(section.data())
            && is_own
        {
            *field = Some(plain(text));
        }
    }

    fn read_producers(&mut self, section: &CustomSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for field in ProducersSectionReader::new(section.data_reader())? {
            let field = field?;
            for value in field.values {
                let value = value?;
                if self.producers.len() < ENTRIES {
                    self.producers.insert(plain(format!("{} {} {}", field.name, value.name, value.version).trim()));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with these custom sections, each a name and what follows it.
    fn component(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for (name, data) in sections {
            let length = |n: usize| u8::try_from(n).unwrap();
            bytes.extend([0, length(1 + name.len() + data.len()), length(name.len())]);
            bytes.extend(name.as_bytes());
            bytes.extend(*data);
        }
        bytes
    }

    #[test]
    fn what_is_stamped_is_read_and_made_plain() {
        let producers = b"\x01\x08language\x01\x04Rust\x042024";
        let bytes = component(&[
            ("version", b"1.2.3"),
            ("authors", b"\x1b[31mEve\x1b[0m"),
            ("licenses", b"\xff"),
            ("other", b"x"),
            ("producers", producers),
        ]);
        let Outline { stamped, imports, contract, .. } = outline(&bytes).unwrap();
        let producers = BTreeSet::from(["language Rust 2024".to_owned()]);
        let expected = Stamped {
            version: Some("1.2.3".into()),
            authors: Some("\\u{1b}[31mEve\\u{1b}[0m".into()),
            producers,
            ..Stamped::default()
        };
        assert_eq!((stamped, imports.len(), contract), (expected, 0, None));
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        for producers in [&b"\xff\xff\xff\xff\x0f"[..], b"\x01\x08lang", b""] {
            let outline = outline(&component(&[("producers", producers), ("version", b"1")])).unwrap();
            assert_eq!((outline.stamped.producers.len(), outline.stamped.version.as_deref()), (0, Some("1")));
        }
        let whole = component(&[("version", b"1")]);
        assert!(outline(&whole[..whole.len() - 1]).is_err() && outline(b"").is_err());
    }
}
