//! `models.yml`: read at the start and whenever it changes.

use crate::app::Stale;
use crate::environment::MODELS;
use crate::setup::{Problem, read_file};
use crate::source::{Seen, read_all};
use hauski_policy::{Models, Parsed};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// The file with the models, and whether it is invalid at present.
pub(crate) struct ModelsFile {
    path: PathBuf,
    stale: RwLock<Option<Stale>>,
}

impl ModelsFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stale: RwLock::default() }
    }

    /// Reads the file, and returns what it held as well.
    pub(crate) fn load(path: &Path) -> (Result<Parsed<Models>, Problem>, Seen) {
        read_all(|read| read_file(path, MODELS, Models::parse, read))
    }

    pub(crate) fn load_again(&self) -> (Result<Parsed<Models>, Problem>, Seen) {
        Self::load(&self.path)
    }

    /// Notes whether the file is valid.
    pub(crate) fn note(&self, problem: Option<&Problem>) {
        let mut stale = self.stale.write().unwrap_or_else(PoisonError::into_inner);
        *stale = problem.map(|problem| Stale::now(stale.as_ref(), problem.place()));
    }

    /// Returns since when and why the file is invalid, if it is: its last valid version is in use.
    pub(crate) fn stale(&self) -> Option<Stale> {
        self.stale.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
