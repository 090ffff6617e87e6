//! What an operator has approved: adapters by their bytes, with their imports and grants as they were then.
//!
//! In go a lock and what is there now; out come a verdict for one adapter, or all that differs.

use crate::id::{AdapterId, Digest};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// `adapters.lock`: the adapters that were approved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The adapters, by id.
    pub adapters: BTreeMap<AdapterId, Locked>,
}

/// An adapter as it was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The digest of its bytes.
    pub digest: Digest,
    /// The names of its imports, with their versions.
    pub imports: BTreeSet<String>,
    /// What it might reach then, a line each, see [`crate::Grant::summary`].
    pub grants: BTreeSet<String>,
}

/// Why an adapter is not approved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unapproved {
    /// The lock has no such id.
    #[error(
        "adapters.lock has no adapter `{id}`: `hauski adapters approve {id} --dry-run` shows what it is, and without `--dry-run` approves it"
    )]
    Absent {
        /// The adapter's id.
        id: AdapterId,
    },
    /// It has other bytes.
    #[error(
        "its bytes are not those of adapters.lock, which has {locked}: `hauski adapters approve {id} --dry-run` shows what it is, and without `--dry-run` approves it"
    )]
    OtherBytes {
        /// The adapter's id.
        id: AdapterId,
        /// The digest that was approved.
        locked: Digest,
    },
    /// The lock names other imports than its bytes have.
    #[error(
        "its imports are not those of adapters.lock: `hauski adapters approve {id} --dry-run` shows what it is, and without `--dry-run` approves it"
    )]
    OtherImports {
        /// The adapter's id.
        id: AdapterId,
    },
}

/// What differs of one adapter between a lock and what is there now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The adapter's id.
    pub adapter: String,
    /// Whether it is new, gone, or another than it was.
    pub kind: DriftKind,
    /// What differs.
    pub changes: Vec<Change>,
}

/// How an adapter differs from the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// It is not in the lock.
    New,
    /// It is only in the lock.
    Gone,
    /// It is another than the lock's.
    Changed,
}

/// One line that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `digest`, `import` or `grant`.
    pub what: &'static str,
    /// Whether it is there now; else it was there when the lock was written.
    pub is_now: bool,
    /// The digest, the import's name, or the grant.
    pub text: String,
}

impl Lock {
    /// Checks whether an adapter with these bytes and imports was approved.
    ///
    /// # Errors
    /// If it was not.
    pub fn judge(&self, id: &AdapterId, digest: &Digest, imports: &BTreeSet<String>) -> Result<(), Unapproved> {
        if self.judge_digest(id, digest)?.imports == *imports {
            Ok(())
        } else {
            Err(Unapproved::OtherImports { id: id.clone() })
        }
    }

    /// Returns the entry for an adapter with these bytes. It tells approved bytes from others before they are parsed.
    ///
    /// # Errors
    /// If they were not approved.
    pub fn judge_digest(&self, id: &AdapterId, digest: &Digest) -> Result<&Locked, Unapproved> {
        let id = id.clone();
        match self.adapters.get(&id) {
            None => Err(Unapproved::Absent { id }),
            Some(locked) if locked.digest != *digest => Err(Unapproved::OtherBytes { id, locked: locked.digest }),
            Some(locked) => Ok(locked),
        }
    }

    /// All that differs in `now`.
    #[must_use]
    pub fn drift(&self, now: &Self) -> Vec<Drift> {
        let ids: BTreeSet<_> = self.adapters.keys().chain(now.adapters.keys()).collect();
        let drift = |id: &AdapterId| {
            let (was, is) = (self.adapters.get(id), now.adapters.get(id));
            let kind = match (was, is) {
                (Some(was), Some(is)) if was == is => return None,
                (Some(_), Some(_)) => DriftKind::Changed,
                (Some(_), None) => DriftKind::Gone,
                (None, _) => DriftKind::New,
            };
            let changes = if kind == DriftKind::Gone { Vec::new() } else { changes(was, is) };
            Some(Drift { adapter: id.to_string(), kind, changes })
        };
        ids.into_iter().filter_map(drift).collect()
    }

    /// The text of the file.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut text = HEAD.to_owned();
        text.push_str(if self.adapters.is_empty() { "adapters: []\n" } else { "adapters:\n" });
        for (id, locked) in &self.adapters {
            let _ = write!(text, "  - id: {}\n    digest: \"{}\"\n", quote(id.as_str()), locked.digest);
            for (name, items) in [("imports", &locked.imports), ("grants", &locked.grants)] {
                let _ = writeln!(text, "    {name}:{}", if items.is_empty() { " []" } else { "" });
                items.iter().for_each(|item| text.push_str(&format!("      - {}\n", quote(item))));
            }
        }
        text
    }
}

/// What a person who opens the file should know.
const HEAD: &str = "\
# yaml-language-server: $schema=lock.schema.json
#
# The adapters that were approved. Written by `hauski audit --lock` and `hauski adapters approve ID`; `hauski audit --check` fails on
# anything else. With `require_lock: true` in limits.yaml nothing else is served.
";

/// A JSON string is a YAML one.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn changes(was: Option<&Locked>, is: Option<&Locked>) -> Vec<Change> {
    let digest = |locked: Option<&Locked>| locked.map(|locked| locked.digest.to_string()).into_iter().collect();
    let imports = |locked: Option<&Locked>| locked.map(|locked| locked.imports.clone()).unwrap_or_default();
    let grants = |locked: Option<&Locked>| locked.map(|locked| locked.grants.clone()).unwrap_or_default();
    let all: [(_, BTreeSet<String>, BTreeSet<String>); 3] = [
        ("digest", digest(was), digest(is)),
        ("import", imports(was), imports(is)),
        ("grant", grants(was), grants(is)),
    ];
    let mut changes = Vec::new();
    for (what, was, is) in &all {
        let gone = was.difference(is).map(|text| (false, text));
        let new = is.difference(was).map(|text| (true, text));
        changes.extend(gone.chain(new).map(|(is_now, text)| Change { what, is_now, text: text.clone() }));
    }
    changes
}

/// As a person reads it: a line for the adapter, and one for each change with `+` or `-`.
impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DriftKind::New => "not in the lock",
            DriftKind::Gone => "in the lock, but not in the folder",
            DriftKind::Changed => "not what the lock has",
        };
        write!(f, "{}: {kind}", self.adapter)?;
        self.changes.iter().try_for_each(|change| {
            write!(f, "\n  {} {} {}", if change.is_now { '+' } else { '-' }, change.what, change.text)
        })
    }
}
