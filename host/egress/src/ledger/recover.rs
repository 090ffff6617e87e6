//! Takes a ledger up where the last process left it, or refuses to.
//!
//! A crash leaves a head that is behind, and at most an end that is not whole: the bytes behind the last whole record, which are
//! kept in a file of their own and cut off. Whatever else is wrong is no crash's doing, and is left as it is.

use super::chain::{self, Head};
use super::error::LedgerError;
use super::files::{Begin, Ends, Files};
use super::lines::Lines;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Of a record whose number the head has, with another hash.
const OTHER: &str = "it is not the record that was written to disk";

/// The largest number of a record that can be followed by others. No ledger comes near it by writing.
const MAX_SEQ: u64 = u64::MAX / 2;
/// Of a record with a larger number.
const TOO_LARGE: &str = "its number is larger than any that was written";

/// What was found when a ledger was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The number of the last record, 0 for a new ledger.
    pub records: u64,
    /// Whether whoever wrote it last did not close it: requests that were under way then have no record.
    pub unclosed: bool,
    /// What was cut off.
    pub torn: Option<Torn>,
}

/// The end of a ledger that was not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// How many bytes.
    pub bytes: u64,
    /// The file in which they are.
    pub kept: PathBuf,
}

/// A ledger that can be written to.
pub(crate) struct Ready {
    /// Its last record.
    pub(crate) head: Head,
    /// The full files, oldest first.
    pub(crate) full: VecDeque<Begin>,
    /// The file that is written to, where there is one.
    pub(crate) active: Option<Active>,
    pub(crate) recovery: Recovery,
}

/// The file that is written to.
pub(crate) struct Active {
    pub(crate) file: File,
    pub(crate) begin: Begin,
    pub(crate) length: u64,
}

/// Reads the end of the ledger and, where a crash has torn it, cuts it. The caller holds the lock.
pub(crate) fn recover(files: &Files) -> Result<Ready, LedgerError> {
    let Some(ends) = begin(files)? else {
        let (head, recovery) = (Head::NONE, Recovery::default());
        return Ok(Ready { head, full: VecDeque::new(), active: None, recovery });
    };
    let full = full(files, &ends)?;
    let (mut head, mut last) = (ends.oldest.before(), None);
    if let Some(newest) = full.back() {
        let tail = read_full(&files.full(newest.first), ends.synced)?;
        (head, last) = (tail.head, Some(tail.last));
    }
    let mut active = active(files)?;
    let mut torn = None;
    if let Some(active) = &mut active {
        let tail = Tail::read(files.active(), &mut active.file, head, ends.synced)?;
        active.begin = Begin::after(head);
        (head, active.length) = (tail.head, tail.end);
        last = if tail.last.is_empty() { last } else { Some(tail.last) };
        if tail.torn > 0 {
            ends_with(files, last.as_ref().map(|_| head), &ends)?;
            let kept = cut(files, active, head).map_err(LedgerError::file("recovered", files.active()))?;
            torn = Some(Torn { bytes: tail.torn, kept });
        }
    }
    ends_with(files, last.as_ref().map(|_| head), &ends)?;
    let unclosed = last.is_some_and(|line| !says_closed(&line));
    Ok(Ready { head, full, active, recovery: Recovery { records: head.seq, unclosed, torn } })
}

/// Where the ledger ends and begins; `None` for a new one, for which both is noted first: from then on, a ledger without a head
/// is one from which it was taken.
fn begin(files: &Files) -> Result<Option<Ends>, LedgerError> {
    if let Some(ends) = files.read_head()? {
        return Ok(Some(ends));
    }
    let there = files.active().try_exists().map_err(LedgerError::file("read", files.active()))?;
    if there || !files.list()?.is_empty() {
        return Err(LedgerError::HeadFile { path: files.head(), what: "is missing" });
    }
    let ends = Ends { synced: Head::NONE, oldest: Begin::after(Head::NONE) };
    let noted = files.write_head(&ends).and_then(|()| files.sync_folder());
    noted.map_err(LedgerError::file("written", &files.head()))?;
    Ok(None)
}

/// The full files that are kept. Those before the oldest were to be deleted when a crash came.
fn full(files: &Files, ends: &Ends) -> Result<VecDeque<Begin>, LedgerError> {
    let mut kept = VecDeque::new();
    for first in files.list()? {
        let path = files.full(first);
        if first < ends.oldest.first {
            files.delete(first).map_err(LedgerError::file("deleted", &path))?;
            continue;
        }
        let file = File::open(&path).map_err(LedgerError::file("read", &path))?;
        let mut lines = Lines::of(BufReader::new(file));
        let line = lines.next().map_err(LedgerError::file("read", &path))?;
        let link = line.and_then(|line| chain::check(line.bytes).ok()).filter(|link| link.head.seq == first);
        let damaged = || LedgerError::Damaged { path, line: 1, what: "it is not the record that the file's name says" };
        kept.push_back(Begin { first, prev: link.ok_or_else(damaged)?.prev });
    }
    Ok(kept)
}

/// The end of a file.
struct Tail {
    /// Its last whole record, or what stands before the file.
    head: Head,
    /// The line of that record, empty where there is none.
    last: Vec<u8>,
    /// Where the whole records end.
    end: u64,
    /// How many bytes stand behind them.
    torn: u64,
}

impl Tail {
    /// Follows the chain from `before`, the record before the file, through the whole file.
    fn read(path: &Path, file: &mut File, before: Head, synced: Head) -> Result<Self, LedgerError> {
        let mut tail = Self { head: before, last: Vec::new(), end: 0, torn: 0 };
        let read = || LedgerError::file("read", path);
        let mut lines = Lines::of(BufReader::new(&*file));
        let fault = loop {
            let Some(line) = lines.next().map_err(read())? else { break None };
            match chain::check(line.bytes) {
                Ok(link) if line.whole => {
                    if link.head.seq > MAX_SEQ {
                        return Err(LedgerError::Damaged { path: path.to_owned(), line: line.number, what: TOO_LARGE });
                    }
                    let follows = link.head.seq == tail.head.seq + 1 && link.prev == tail.head.hash;
                    if !follows {
                        break Some((line.number, "it does not follow the record before it"));
                    }
                    if link.head.seq == synced.seq && link.head != synced {
                        break Some((line.number, OTHER));
                    }
                    (tail.head, tail.end) = (link.head, line.end);
                    line.bytes.clone_into(&mut tail.last);
                }
                _ => break Some((line.number, "it was changed")),
            }
        };
        if let Some((line, what)) = fault {
            let torn = torn(file, tail.end).map_err(read())?;
            tail.torn = torn.ok_or_else(|| LedgerError::Damaged { path: path.to_owned(), line, what })?;
        }
        Ok(tail)
    }
}

/// How many bytes stand behind `end`, if a crash can have left them: a line without its end, or, after a power failure, a stretch
/// that was never written and reads as zeros.
fn torn(file: &mut File, end: u64) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(end))?;
    let (mut bytes, mut ended, mut zeros) = (0, false, false);
    let mut chunk = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut chunk)?;
        if n == 0 {
            return Ok((zeros || !ended).then_some(bytes));
        }
        bytes += n as u64;
        ended |= chunk[..n].contains(&b'\n');
        zeros |= chunk[..n].contains(&0);
    }
}

/// The end of a full file, which has to be whole: the last record, and its line.
fn read_full(path: &Path, synced: Head) -> Result<Tail, LedgerError> {
    let file = File::open(path).map_err(LedgerError::file("read", path))?;
    let mut lines = Lines::of(BufReader::new(file));
    let (mut last, mut number, mut whole) = (Vec::new(), 0, false);
    while let Some(line) = lines.next().map_err(LedgerError::file("read", path))? {
        line.bytes.clone_into(&mut last);
        (number, whole) = (line.number, line.whole);
    }
    let damaged = |what| LedgerError::Damaged { path: path.to_owned(), line: number, what };
    let link = chain::check(&last).ok().filter(|_| whole).ok_or_else(|| damaged("it was changed"))?;
    if link.head.seq == synced.seq && link.head != synced {
        return Err(damaged(OTHER));
    }
    if link.head.seq > MAX_SEQ {
        return Err(damaged(TOO_LARGE));
    }
    Ok(Tail { head: link.head, last, end: 0, torn: 0 })
}

fn active(files: &Files) -> Result<Option<Active>, LedgerError> {
    match files.open_active() {
        Ok(file) => Ok(Some(Active { file, begin: Begin::after(Head::NONE), length: 0 })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::file("opened", files.active())(error)),
    }
}

/// Keeps what stands behind the whole records in a file of its own, then cuts it off.
fn cut(files: &Files, active: &mut Active, head: Head) -> io::Result<PathBuf> {
    active.file.seek(SeekFrom::Start(active.length))?;
    let kept = files.keep_torn(head.seq + 1, &mut active.file)?;
    active.file.set_len(active.length)?;
    active.file.sync_all()?;
    Ok(kept)
}

/// Holds the last record against the head. More records than it knows of are fine: it is written after them. None at all are
/// not, whatever it says of the oldest, as some are always kept.
fn ends_with(files: &Files, last: Option<Head>, ends: &Ends) -> Result<(), LedgerError> {
    let last = last.map_or(0, |last| last.seq);
    if last < ends.synced.seq {
        let (path, head) = (files.active().to_owned(), ends.synced);
        return Err(LedgerError::Short { path, last, head });
    }
    Ok(())
}

fn says_closed(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Kind {
        kind: String,
    }
    serde_json::from_slice::<Kind>(line).is_ok_and(|record| record.kind == "closed")
}
