//! The files of a ledger: which there are, what they are called, and how each is replaced without a moment in which it is half.
//!
//! `egress.jsonl` is written to; `egress.<number of its first record>.jsonl` are full; `egress.head` says where the ledger ends
//! and begins; `egress.lock` is held by the one process that writes; `egress.torn-<number>` are bytes that a crash left.

use super::chain::{Hash, Head};
use super::error::LedgerError;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Digits of the number in a full file's name: those of the largest number, so that names sort as numbers do.
const DIGITS: usize = 20;

/// The files of one ledger, by name.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    active: PathBuf,
    stem: OsString,
    extension: Option<OsString>,
}

impl Files {
    /// The files of the ledger whose newest is `path`.
    pub(crate) fn of(path: &Path) -> Result<Self, LedgerError> {
        let invalid = || LedgerError::Path(path.to_owned());
        let stem = path.file_stem().ok_or_else(invalid)?.to_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let extension = path.extension().map(OsStr::to_owned);
        let files = Self { folder: folder.to_owned(), active: path.to_owned(), stem, extension };
        let taken = [files.head(), files.lock_file(), files.beside("head.tmp")];
        if taken.iter().any(|own| own.file_name() == path.file_name()) { Err(invalid()) } else { Ok(files) }
    }

    /// The file that is written to.
    pub(crate) fn active(&self) -> &Path {
        &self.active
    }

    /// The full file that begins with record `first`.
    pub(crate) fn full(&self, first: u64) -> PathBuf {
        let mut name = self.stem.clone();
        name.push(format!(".{first:0DIGITS$}"));
        if let Some(extension) = &self.extension {
            name.push(".");
            name.push(extension);
        }
        self.folder.join(name)
    }

    /// The file that says where the ledger ends and begins.
    pub(crate) fn head(&self) -> PathBuf {
        self.beside("head")
    }

    fn lock_file(&self) -> PathBuf {
        self.beside("lock")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.stem.clone();
        name.push(".");
        name.push(ending);
        self.folder.join(name)
    }

    /// The numbers of the first records of all full files, in order.
    pub(crate) fn list(&self) -> Result<Vec<u64>, LedgerError> {
        let read = || LedgerError::file("read", &self.folder);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(read())? {
            let name = entry.map_err(read())?.file_name();
            found.extend(self.number_of(&name));
        }
        found.sort_unstable();
        Ok(found)
    }

    fn number_of(&self, name: &OsStr) -> Option<u64> {
        let rest = name.as_encoded_bytes().strip_prefix(self.stem.as_encoded_bytes())?.strip_prefix(b".")?;
        let (digits, rest) = rest.split_at_checked(DIGITS)?;
        let extension = rest.strip_prefix(b".");
        let own = self.extension.as_ref().map(|extension| extension.as_encoded_bytes());
        let number = std::str::from_utf8(digits).ok()?;
        let plain =
            number.bytes().all(|b| b.is_ascii_digit()) && extension == own && (own.is_some() || rest.is_empty());
        if plain { number.parse().ok() } else { None }
    }

    /// Makes the folder where there is none; only this user may look into it.
    pub(crate) fn make_folder(&self) -> Result<(), LedgerError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(LedgerError::file("created", &self.folder))
    }

    /// Takes the ledger for this process, until the lock is dropped or the process ends.
    pub(crate) fn lock(&self) -> Result<Lock, LedgerError> {
        let path = self.lock_file();
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = opened.map_err(LedgerError::file("opened", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(LedgerError::Locked(path)),
            Err(TryLockError::Error(error)) => Err(LedgerError::file("locked", &path)(error)),
        }
    }

    /// Opens the file that is written to, which is there.
    pub(crate) fn open_active(&self) -> io::Result<File> {
        OpenOptions::new().append(true).read(true).open(&self.active)
    }

    /// Makes the file that is written to, which is not there. Its name is on the disk once the folder is synced.
    pub(crate) fn create_active(&self) -> io::Result<File> {
        OpenOptions::new().append(true).read(true).create_new(true).mode(0o600).open(&self.active)
    }

    /// Gives the file that is written to the name of a full one, whose first record is `first`.
    pub(crate) fn retire(&self, first: u64) -> io::Result<()> {
        let full = self.full(first);
        if full.try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{}` is there already", full.display())));
        }
        fs::rename(&self.active, full)
    }

    /// Deletes a full file; that it is not there is what is wanted.
    pub(crate) fn delete(&self, first: u64) -> io::Result<()> {
        match fs::remove_file(self.full(first)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps `bytes`, which stood where record `seq` would, in a file of their own.
    pub(crate) fn keep_torn(&self, seq: u64, bytes: &mut impl io::Read) -> io::Result<PathBuf> {
        let mut attempt = 1;
        loop {
            let again = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let path = self.beside(&format!("torn-{seq}{again}"));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    io::copy(bytes, &mut file)?;
                    file.sync_all()?;
                    self.sync_folder()?;
                    return Ok(path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Brings names that were made, changed or deleted to the disk.
    pub(crate) fn sync_folder(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.beside("no-sync").exists() {
            return Err(io::Error::other("a test wants it to fail"));
        }
        File::open(&self.folder)?.sync_all()
    }

    /// Replaces the head, as a whole or not at all.
    pub(crate) fn write_head(&self, ends: &Ends) -> io::Result<()> {
        let text = serde_json::to_string(&EndsText::from(ends)).map_err(io::Error::other)?;
        let next = self.beside("head.tmp");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(next, self.head())
    }

    /// The head; `None` where there is no such file.
    pub(crate) fn read_head(&self) -> Result<Option<Ends>, LedgerError> {
        let path = self.head();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LedgerError::file("read", &path)(error)),
        };
        let ends = serde_json::from_slice::<EndsText<'_>>(&text).ok().and_then(|text| text.parse());
        ends.map(Some).ok_or(LedgerError::HeadFile { path, what: "can't be understood" })
    }
}

/// The ledger is this process's.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started has a copy of it for a moment.
        let _ = self.0.unlock();
    }
}

/// Where a ledger ends and begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The last record that is known to be on the disk. There may be more behind it.
    pub(crate) synced: Head,
    /// The first record that is kept.
    pub(crate) oldest: Begin,
}

/// Where a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// The number of its first record.
    pub(crate) first: u64,
    /// The hash of the record before.
    pub(crate) prev: Hash,
}

impl Begin {
    /// The beginning of what comes after `head`.
    pub(crate) fn after(head: Head) -> Self {
        Self { first: head.seq + 1, prev: head.hash }
    }

    /// What stands before the first record.
    pub(crate) fn before(self) -> Head {
        Head { seq: self.first.saturating_sub(1), hash: self.prev }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndsText<'a> {
    seq: u64,
    #[serde(borrow)]
    hash: std::borrow::Cow<'a, str>,
    oldest: u64,
    #[serde(borrow)]
    oldest_prev: std::borrow::Cow<'a, str>,
}

impl From<&Ends> for EndsText<'_> {
    fn from(ends: &Ends) -> Self {
        Self {
            seq: ends.synced.seq,
            hash: ends.synced.hash.to_string().into(),
            oldest: ends.oldest.first,
            oldest_prev: ends.oldest.prev.to_string().into(),
        }
    }
}

impl EndsText<'_> {
    fn parse(&self) -> Option<Ends> {
        let synced = Head { seq: self.seq, hash: self.hash.parse().ok()? };
        let oldest = Begin { first: self.oldest, prev: self.oldest_prev.parse().ok()? };
        // A ledger can't begin behind its end.
        (oldest.first >= 1 && oldest.first - 1 <= synced.seq).then_some(Ends { synced, oldest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_known_by_their_names() {
        let files = Files::of(Path::new("ledger/egress.jsonl")).unwrap();
        let full = files.full(42);
        assert_eq!(full, Path::new("ledger/egress.00000000000000000042.jsonl"));
        let number = |name: &str| files.number_of(OsStr::new(name));
        assert_eq!(number("egress.00000000000000000042.jsonl"), Some(42));
        for other in
            ["egress.jsonl", "egress.42.jsonl", "egress.00000000000000000042", "egress.0000000000000000004x.jsonl", "e"]
        {
            assert_eq!(number(other), None, "{other}");
        }
        let bare = Files::of(Path::new("egress")).unwrap();
        assert_eq!(bare.number_of(bare.full(7).file_name().unwrap()), Some(7));
        for bad in ["/", "..", "a/egress.head", "egress.lock", ""] {
            assert!(Files::of(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(&folder.path().join("egress.jsonl")).unwrap();
        let held = files.lock().unwrap();
        assert!(matches!(files.lock(), Err(LedgerError::Locked(_))));
        drop(held);
        assert!(files.lock().is_ok());
    }
}
