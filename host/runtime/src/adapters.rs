//! The adapters of one moment: those that serve, and the files that don't, each with its reason.

use crate::adapter::Adapter;
use crate::imports::Import;
use crate::stamped::Stamped;
use hauski_policy::AdapterId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file of the folder that could not be loaded, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file's name, with control characters escaped.
    pub file: String,
    /// Whether it is `quarantined`, since nobody has approved it, `loading`, which takes long, or else `refused`.
    pub state: &'static str,
    /// Why it is not loaded, and what to do.
    pub reason: String,
    /// What its bytes say, where they are a component's.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// The digest of the last good version, if that serves on.
    pub serving: Option<String>,
}

/// What is known of a component that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The SHA-256 of its bytes, as `sha256:…`.
    pub digest: String,
    /// The file's size in bytes.
    pub bytes: usize,
    /// The version of the contract that it is built for.
    pub contract: Option<String>,
    /// What its builder has stamped into it.
    pub stamped: Stamped,
    /// What it imports, and what would become of each.
    pub imports: Vec<Import>,
}

/// What serves at one moment, and what does not.
#[derive(Clone, Default)]
pub struct Adapters {
    pub(crate) loaded: BTreeMap<AdapterId, Arc<Adapter>>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) stale: Option<String>,
}

impl Adapters {
    /// The adapter with this id, if there is one that can serve.
    #[must_use]
    pub fn get(&self, id: &AdapterId) -> Option<&Arc<Adapter>> {
        self.loaded.get(id)
    }

    /// All adapters that can serve, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&AdapterId, &Arc<Adapter>)> {
        self.loaded.iter()
    }

    /// The files that could not be loaded, by name. Of some of them an earlier version serves on.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Why nothing is known of the folder any more, where that is so: what was there before serves on.
    #[must_use]
    pub fn stale(&self) -> Option<&str> {
        self.stale.as_deref()
    }

    /// Why the adapter with this id is not there.
    #[must_use]
    pub fn why_missing(&self, id: &AdapterId) -> String {
        let file = format!("{id}.wasm");
        match self.refused.iter().find(|refused| refused.file == file) {
            Some(refused) => format!("`{file}` is not loaded: {}", refused.reason),
            None => format!("there is no `{file}` in the adapters folder"),
        }
    }
}
