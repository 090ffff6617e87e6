//! The adapters folder: opened once, read file by file, and never left.

use crate::adapter::Adapter;
use crate::audit::plain;
use crate::load::{LoadError, Loader};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt};
use hauski_policy::{AdapterId, Limits};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is loaded, in bytes. Adapters made from Python have about 18 MB.
pub(crate) const FILE_BYTES: u64 = 128 << 20;

/// The adapters folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It can't be read.
    #[error("the adapters folder `{}` can't be read: {source}; create it, or set `HAUSKI_ADAPTERS` to the folder with the `.wasm` files", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anyone on the machine could drop code into it.
    #[error("everyone may write to the adapters folder `{}`: take that right away with `chmod o-w`", path.display())]
    Writable {
        /// The folder.
        path: PathBuf,
    },
}

/// A file of the folder that serves nothing, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// The file's name, with control characters escaped.
    pub file: String,
    /// Why it is not loaded, and what to do.
    pub reason: String,
}

/// What the folder held when it was read.
#[derive(Default)]
pub struct Adapters {
    loaded: BTreeMap<AdapterId, Arc<Adapter>>,
    refused: Vec<Refused>,
}

impl Adapters {
    /// The adapter with this id, if it could be loaded.
    #[must_use]
    pub fn get(&self, id: &AdapterId) -> Option<&Arc<Adapter>> {
        self.loaded.get(id)
    }

    /// All adapters that could be loaded, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&AdapterId, &Arc<Adapter>)> {
        self.loaded.iter()
    }

    /// The files that could not be loaded, by name.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
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

/// Loads each `.wasm` file of the folder.
pub(crate) async fn load(loader: &Loader<'_>, path: &Path, limits: &Limits) -> Result<Adapters, FolderError> {
    let fail = |source| FolderError::Unreadable { path: path.to_owned(), source };
    let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(fail)?;
    if is_writable_by_all(&dir.dir_metadata().map_err(fail)?) {
        return Err(FolderError::Writable { path: path.to_owned() });
    }
    let mut names: Vec<_> = dir
        .entries()
        .map_err(fail)?
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<Result<_, _>>()
        .map_err(fail)?;
    names.sort();
    let mut adapters = Adapters::default();
    for name in names {
        let Some(kind) = Path::new(&name).extension().and_then(|extension| extension.to_str()) else { continue };
        let loaded = match kind {
            "wasm" => load_file(loader, &dir, Path::new(&name), limits).await,
            "cwasm" => Err(LoadError::Precompiled),
            _ => continue,
        };
        match loaded {
            Ok((id, adapter)) => {
                adapters.loaded.insert(id, Arc::new(adapter));
            }
            Err(error) => {
                let file = plain(&name.to_string_lossy());
                adapters.refused.push(Refused { file, reason: error.to_string() });
            }
        }
    }
    Ok(adapters)
}

async fn load_file(
    loader: &Loader<'_>,
    dir: &Dir,
    name: &Path,
    limits: &Limits,
) -> Result<(AdapterId, Adapter), LoadError> {
    let stem = name.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let id: AdapterId = stem.parse()?;
    if id.is_reserved() {
        return Err(LoadError::Reserved(id));
    }
    let metadata = dir.symlink_metadata(name)?;
    if !metadata.is_file() {
        return Err(LoadError::NotAFile);
    }
    if is_writable_by_all(&metadata) {
        return Err(LoadError::Writable);
    }
    let mut bytes = Vec::new();
    dir.open(name)?.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(LoadError::TooLarge(dir.metadata(name)?.len()));
    }
    let adapter = loader.load(id.clone(), &bytes, *limits.adapter(&id)).await?;
    Ok((id, adapter))
}

/// Whether anyone on the machine may write to it.
fn is_writable_by_all(metadata: &Metadata) -> bool {
    metadata.mode() & 0o002 != 0
}
