//! A ledger's folder that a check fills, verifies and recovers.
//!
//! Compiled for this crate's own tests and with the feature `fuzzing` only. Panics where the folder can't be used.

#![expect(clippy::panic, reason = "a check that panics has failed")]

use super::chain::Head;
use super::files::{self, Begin, Ends};
use super::{recover, verify};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The files of a ledger: those that are full by the number of their first record, and the newest.
pub(crate) type Files = BTreeMap<Option<u64>, Vec<u8>>;

/// A folder that is deleted on drop.
pub(crate) struct LedgerFolder(PathBuf);

/// The content of a head file: the last record that is known to be on the disk, and the record before the first.
#[derive(Clone, Debug)]
pub(crate) struct HeadText {
    pub(crate) synced: (u64, String),
    pub(crate) before: (u64, String),
}

/// The result of verification.
pub(crate) struct Verified {
    pub(crate) holds: bool,
    pub(crate) records: u64,
}

/// The result of recovery.
pub(crate) struct Recovered {
    /// Its last record.
    pub(crate) seq: u64,
    pub(crate) hash: String,
    /// The bytes that were cut off.
    pub(crate) torn: Vec<u8>,
}

impl LedgerFolder {
    /// Makes a folder in `parent`, which others may use as well.
    pub(crate) fn new(parent: &Path) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("hauski-ledger-{}-{number}", std::process::id()));
        done(fs::create_dir(&folder));
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.join("egress.jsonl")
    }

    fn of(&self) -> files::Files {
        done(files::Files::of(&self.path()))
    }

    fn name(&self, first: Option<u64>) -> PathBuf {
        first.map_or_else(|| self.path(), |first| self.of().full(first))
    }

    /// Writes files and a head.
    pub(crate) fn write(&self, files: &Files, head: Option<&HeadText>) {
        for (first, text) in files {
            done(fs::write(self.name(*first), text));
        }
        if let Some(HeadText { synced, before }) = head {
            let head = |(seq, hash): &(u64, String)| Head { seq: *seq, hash: done(hash.parse()) };
            done(self.of().write_head(&Ends { synced: head(synced), oldest: Begin::after(head(before)) }));
        }
    }

    /// Writes a head as it stands in its file.
    pub(crate) fn write_head(&self, text: &[u8]) {
        done(fs::write(self.of().head(), text));
    }

    /// Reads all files again.
    pub(crate) fn files(&self) -> Files {
        let full = done(self.of().list()).into_iter().map(Some);
        let read = |first| Some((first, fs::read(self.name(first)).ok()?));
        full.chain([None]).filter_map(read).collect()
    }

    pub(crate) fn verify(&self) -> Verified {
        let mut told = 0;
        let Ok(report) = verify::read(&self.path(), None, &mut |_| told += 1, &mut |_, _| {}) else {
            return Verified { holds: false, records: 0 };
        };
        assert_eq!(told, report.records);
        Verified { holds: report.holds(), records: report.records }
    }

    /// Takes the ledger up; none if it is refused.
    pub(crate) fn recover(&self) -> Option<Recovered> {
        let ready = recover::recover(&self.of()).ok()?;
        let torn = ready.recovery.torn.map(|torn| done(fs::read(torn.kept))).unwrap_or_default();
        Some(Recovered { seq: ready.head.seq, hash: ready.head.hash.to_string(), torn })
    }
}

impl Drop for LedgerFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all::<&Path>(&self.0);
    }
}

fn done<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(done) => done,
        Err(error) => panic!("{error:?}"),
    }
}
