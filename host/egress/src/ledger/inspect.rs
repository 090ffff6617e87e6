//! Looks after the ledger's files while they are written to: whether they are still in their places, and since when they hold
//! records.
//!
//! The file that is written to is an open one, so that renaming, replacing or deleting it fails no write. It is found here, from
//! the paths, long before the next start or `hauski ledger verify` refuses the ledger.

use super::files::{Begin, Files};
use super::lines::Lines;
use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A change of the ledger's files that the gateway did not make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    path: PathBuf,
    what: &'static str,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path.display(), self.what)
    }
}

/// The file that is written to.
pub(crate) struct Written<'a> {
    pub(crate) file: &'a File,
    /// Its length, unless lines may have been written in part.
    pub(crate) length: Option<u64>,
}

/// Returns the first change that is found. A file that can't be looked at is no change.
pub(crate) fn find_change(files: &Files, written: Option<Written<'_>>, full: &VecDeque<Begin>) -> Option<Change> {
    if let Some(what) = written.and_then(|written| what_happened(files.active(), &written).ok()?) {
        return Some(Change { path: files.active().to_owned(), what });
    }
    let kept = full.iter().map(|begin| files.full(begin.first)).chain([files.head()]);
    kept.filter(|path| is_missing(path)).map(|path| Change { path, what: "is missing" }).next()
}

fn what_happened(path: &Path, Written { file, length }: &Written<'_>) -> io::Result<Option<&'static str>> {
    if is_missing(path) {
        return Ok(Some("was renamed or deleted"));
    }
    let (there, own) = (fs::symlink_metadata(path)?, file.metadata()?);
    let same = there.dev() == own.dev() && there.ino() == own.ino();
    Ok(match length {
        _ if !same => Some("was replaced by another file"),
        Some(length) if own.len() < *length => Some("was truncated"),
        Some(length) if own.len() > *length => Some("was written to by another process"),
        Some(_) | None => None,
    })
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Returns the time of a file's first record, if it has one.
pub(crate) fn first_time(path: &Path) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        time: Cow<'a, str>,
    }
    let mut lines = Lines::of(BufReader::new(File::open(path).ok()?));
    let line = lines.next().ok()??;
    serde_json::from_slice::<Record<'_>>(line.bytes).ok()?.time.parse().ok()
}
