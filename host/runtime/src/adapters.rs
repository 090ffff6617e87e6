//! The adapters of one moment: those that serve, and the files that don't, each with its reason.

use crate::adapter::Adapter;
use hauski_policy::AdapterId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file of the folder that could not be loaded, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file's name, with control characters escaped.
    pub file: String,
    /// Why it is not loaded, and what to do.
    pub reason: String,
    /// The digest of the last good version, if that serves on.
    pub serving: Option<String>,
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
