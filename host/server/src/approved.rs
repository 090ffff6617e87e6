//! Which adapters were approved: `adapters.lock`, read at the start and whenever it changes.

use crate::app::Stale;
use crate::environment::LOCK;
use crate::setup::{Problem, read_file};
use crate::source::{Seen, read_all};
use hauski_policy::Lock;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// The file with the lock, in a gateway that serves nothing else.
pub(crate) struct Approved {
    path: PathBuf,
    stale: RwLock<Option<Stale>>,
}

impl Approved {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stale: RwLock::default() }
    }

    /// Reads the lock, and tells what the file held. One that is not there approves nothing.
    pub(crate) fn load(path: &Path) -> (Result<Lock, Problem>, Seen) {
        read_all(|read| match read_file(path, LOCK, Lock::parse, read) {
            Ok(parsed) => Ok(parsed.value),
            Err(Problem::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Lock::default()),
            Err(problem) => Err(problem),
        })
    }

    pub(crate) fn load_again(&self) -> (Result<Lock, Problem>, Seen) {
        Self::load(&self.path)
    }

    /// Notes whether the file can hold.
    pub(crate) fn note(&self, problem: Option<&Problem>) {
        let mut stale = self.stale.write().unwrap_or_else(PoisonError::into_inner);
        *stale = problem.map(|problem| Stale::now(stale.as_ref(), problem.place()));
    }

    /// Why what holds is not what the file says, if that is so.
    pub(crate) fn stale(&self) -> Option<Stale> {
        self.stale.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The lock in `path`; where there is no file, one that approves nothing.
///
/// # Errors
/// If the file can't be read, or says what can't hold.
pub fn lock(path: &Path) -> Result<Lock, Problem> {
    Approved::load(path).0
}
