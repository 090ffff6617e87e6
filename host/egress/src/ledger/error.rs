//! Why a ledger can't be opened or read, and why a request's record can't be taken.

use super::Head;
use std::io;
use std::path::{Path, PathBuf};

/// Why a ledger can't be opened or read. None of these changes a file of it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The path is no name for a ledger.
    #[error("`{}` is no name for a ledger: write the path of a file, such as `ledger/egress.jsonl`", .0.display())]
    Path(PathBuf),
    /// A file or folder can't be used.
    #[error("`{}` can't be {what}: {source}", path.display())]
    File {
        /// What was to be done with it, as in `can't be read`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process, or another ledger of this one, writes to it.
    #[error("`{}` is locked: another process writes this ledger; stop it, or give each a ledger of its own", .0.display())]
    Locked(PathBuf),
    /// There is no such ledger.
    #[error("there is no ledger `{}`", .0.display())]
    Absent(PathBuf),
    /// The small file that says where the ledger ends is missing or can't be read.
    #[error("`{}`, which says where the ledger ends, {what}; {INSTEAD}", path.display())]
    HeadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A record is not what was written.
    #[error("`{}`, line {line}: {what}; {INSTEAD}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Records are missing at the end.
    #[error("`{}` ends with record {last}, but record {} was written to disk; {INSTEAD}", path.display(), head.seq)]
    Short {
        /// The file.
        path: PathBuf,
        /// The number of its last record.
        last: u64,
        /// The last record that is known to have been written.
        head: Head,
    },
}

/// What to do with a ledger that was changed: nothing of it is thrown away.
const INSTEAD: &str = "run `hauski ledger verify` for what is wrong, then move the ledger's folder away: a new ledger begins in its place";

impl LedgerError {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

/// Why the ledger can't take the record of a request, which is therefore refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerUnavailable {
    /// It was not opened.
    #[error("the ledger is not open")]
    NotOpen,
    /// More requests are under way, or wait to be written, than there are places for.
    #[error("the ledger's queue is full")]
    Full,
    /// It can't be written at the moment, such as on a full disk. It is tried again every second.
    #[error("the ledger can't be written at the moment")]
    Down,
    /// The disk has not kept what was written to it.
    #[error("the ledger's disk has failed")]
    Failed,
    /// The gateway is stopping.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerUnavailable {
    /// The reason's stable code, for log and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        "ledger-unavailable"
    }
}
