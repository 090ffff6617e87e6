//! Reads a ledger from its oldest file to its end and holds every line against its place in the chain.
//!
//! It takes no lock and changes nothing: a gateway may write meanwhile. The files are opened together first, so that a file
//! that is renamed or deleted while it is read is read all the same.

use super::chain::Head;
use super::check::{Checker, Place, Problem, ProblemKind};
use super::error::LedgerError;
use super::files::{Ends, Files};
use super::lines::Lines;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// How often the files are looked for anew, where a gateway begins a new one at that very moment.
const ATTEMPTS: usize = 20;
/// Bytes between two words on the progress.
const STRIDE: u64 = 1 << 20;

/// What a ledger has.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many files.
    pub files: usize,
    /// How many bytes.
    pub bytes: u64,
    /// How many records that hold and stand where they belong.
    pub records: u64,
    /// The number of the first record; `None` where there is none.
    pub first: Option<u64>,
    /// The last record, which stands for all of them: kept elsewhere, it shows whether the ledger was replaced as a whole.
    pub head: Head,
    /// Bytes of a last line that is not whole: it is being written, or a crash has left it and the next start cuts it off.
    pub torn: Option<u64>,
    /// What is wrong, in the order of the files; the first hundred.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub more: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads the ledger whose newest file is `path`.
///
/// `record` is given the line of each record that holds and stands where it belongs; `progress` the bytes that are read and
/// those there are. With `noted`, the ledger has to have that record.
///
/// # Errors
/// [`LedgerError`]: if there is no ledger, or it can't be read. What is wrong with its records is in the report.
pub fn read(
    path: &Path,
    noted: Option<Head>,
    record: &mut dyn FnMut(&[u8]),
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, LedgerError> {
    let files = Files::of(path)?;
    let snapshot = Snapshot::take(&files)?;
    let total = snapshot.files.iter().map(|file| file.bytes).sum();
    let mut checker = Checker::new(snapshot.ends, noted);
    let (mut records, mut bytes, mut told, mut torn) = (0, 0, 0, None);
    for file in &snapshot.files {
        // A crash can tear the file that is written to alone: those that are full were brought to the disk as a whole.
        let can_be_torn = file.path == files.active();
        let mut lines = Lines::of(BufReader::with_capacity(1 << 16, &file.file));
        while let Some(line) = lines.next().map_err(LedgerError::file("read", &file.path))? {
            let place = Place { file: &file.path, line: Some(line.number) };
            if !line.whole && can_be_torn {
                torn = Some(line.end - line.offset);
                break;
            }
            if !line.whole {
                let message = "the line feed at its end is missing".to_owned();
                checker.tell(ProblemKind::Changed, place, None, message);
            }
            bytes += line.end - line.offset;
            if bytes - told >= STRIDE {
                told = bytes;
                progress(bytes, total);
            }
            if checker.line(place, line.bytes) {
                records += 1;
                record(line.bytes);
            }
        }
    }
    if snapshot.ends.is_none() {
        let message = "it says where the ledger ends, and without it records can be missing there".to_owned();
        checker.tell(ProblemKind::HeadMissing, Place { file: &files.head(), line: None }, None, message);
    }
    let checked = checker.finish(path);
    let (first, head) = (checked.first, checked.head);
    let files = snapshot.files.len();
    Ok(Report { files, bytes, records, first, head, torn, problems: checked.problems, more: checked.more })
}

/// All files of a ledger at one moment.
struct Snapshot {
    ends: Option<Ends>,
    files: Vec<Opened>,
}

struct Opened {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Snapshot {
    fn take(files: &Files) -> Result<Self, LedgerError> {
        for _ in 0..ATTEMPTS {
            // The head first: the file may be ahead of it, never behind.
            let ends = files.read_head()?;
            let full = list(files)?;
            let mut opened = Vec::new();
            let paths = full.iter().map(|first| files.full(*first)).chain([files.active().to_owned()]);
            for path in paths {
                opened.extend(open(path)?);
            }
            let oldest = |ends: Option<Ends>| ends.map(|ends| ends.oldest);
            if list(files)? == full && oldest(files.read_head()?) == oldest(ends) {
                let absent = opened.is_empty() && ends.is_none();
                let whole = Self { ends, files: opened };
                return if absent { Err(LedgerError::Absent(files.active().to_owned())) } else { Ok(whole) };
            }
        }
        let error = io::Error::other("its files are replaced faster than they can be opened");
        Err(LedgerError::file("read", files.active())(error))
    }
}

/// The full files; where there is no folder, none.
fn list(files: &Files) -> Result<Vec<u64>, LedgerError> {
    match files.list() {
        Err(LedgerError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

fn open(path: PathBuf) -> Result<Option<Opened>, LedgerError> {
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((bytes, file)) => Ok(Some(Opened { path, file, bytes })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::file("read", &path)(error)),
    }
}
