//! The adapters of one moment: those that serve, and the files that don't, each with its reason.

use crate::adapter::Adapter;
use crate::audit::GrantLine;
use crate::imports::{Import, Named};
use crate::stamped::Stamped;
use hauski_policy::{AdapterFile, AdapterId, Digest, Egress, Holder};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state of a file that is being loaded.
pub(crate) const LOADING: &str = "loading";

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
    /// What it imports, and what would become of each. `None` where nobody has approved its bytes: they are not parsed then.
    pub imports: Option<Vec<Import>>,
    /// What it might reach if it were loaded, where a policy was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<GrantLine>,
}

impl Refused {
    /// Returns whether it is being loaded, so that nothing is wrong with it so far.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.state == LOADING
    }

    /// With what it would be granted under `egress` if it were loaded as it is: what to look at before it is approved.
    #[must_use]
    pub fn under(&self, egress: &Egress) -> Self {
        let mut refused = self.clone();
        let id = self.file.strip_suffix(".wasm").and_then(|id| id.parse::<AdapterId>().ok());
        let digest = self.known.as_ref().and_then(|known| known.digest.parse::<Digest>().ok());
        if let (Some(id), Some(digest), Some(known)) = (id, digest, &mut refused.known) {
            let holder = Holder { id: &id, digest: &digest };
            known.grants = GrantLine::held(egress, holder);
            let has_grants = known.grants.iter().any(|grant| !grant.expired);
            let judge = |import: &Import| Named::new(&import.name).judge(has_grants);
            known.imports = known.imports.take().map(|imports| imports.iter().map(judge).collect());
        }
        refused
    }
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

    /// Returns the facts about each file whose name is an adapter's id: those that can serve, and the ids of those that can't.
    #[must_use]
    pub fn files(&self) -> Vec<AdapterFile<'_>> {
        let loaded = self.loaded.values().map(|adapter| AdapterFile::Loaded(adapter.facts()));
        let ids =
            self.refused.iter().filter_map(|refused| refused.file.strip_suffix(".wasm")?.parse::<AdapterId>().ok());
        let others = ids.filter(|id| !self.loaded.contains_key(id)).map(AdapterFile::NotLoaded);
        loaded.chain(others).collect()
    }

    /// The files that could not be loaded, by name. Of some of them an earlier version serves on.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Returns the names of the files that are being loaded and of which no version serves.
    pub fn loading(&self) -> impl Iterator<Item = &str> {
        self.refused.iter().filter(|refused| refused.is_loading()).map(|refused| &*refused.file)
    }

    /// Returns whether the adapter with this id is being loaded, and no version of it serves.
    #[must_use]
    pub fn is_loading(&self, id: &AdapterId) -> bool {
        self.loading().any(|file| file.strip_suffix(".wasm") == Some(id.as_str()))
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
