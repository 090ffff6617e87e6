//! Properties of a ledger's readers, whatever stands in its files.
//!
//! An input is taken twice: as the newest file itself, and as a script, of which [`Script`] makes a ledger that is then changed.

use crate::ledger::fuzzing::{Files, HeadText, LedgerFolder};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// The hash that the first record names.
const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Reads, verifies and recovers what a fuzzer made up, in folders within `parent`.
pub fn check(data: &[u8], parent: &Path) {
    check_raw(data, parent);
    check_script(data, parent);
}

/// A record as it stands in a file, read naively.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    seq: u64,
    prev: String,
    hash: String,
}

fn read(line: &[u8]) -> Option<Read> {
    let (at, hash) = (line.len().checked_sub(64 + 2)?, line.get(line.len().checked_sub(64 + 2)?..)?);
    let hash = std::str::from_utf8(hash.strip_suffix(b"\"}")?).ok()?;
    let hashed = line[..at].strip_suffix(b",\"hash\":\"")?;
    let json: Value = serde_json::from_slice(line).ok()?;
    let computed = format!("{:x}", Sha256::digest(hashed));
    let prev = json["prev"].as_str()?.to_owned();
    let is_hash = prev.len() == 64 && prev.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    (computed == hash && is_hash).then_some(Read { seq: json["seq"].as_u64()?, prev, hash: hash.to_owned() })
}

/// The records at the beginning of `text` that follow each other, and where they end.
fn chain(text: &[u8], seq: u64, prev: &str) -> (Vec<Read>, usize) {
    let (mut records, mut end) = (Vec::<Read>::new(), 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let Some(record) = line.strip_suffix(b"\n").and_then(read) else { break };
        let before = records.last().map_or((seq, prev), |last| (last.seq, &last.hash));
        if (Some(record.seq), &*record.prev) != (before.0.checked_add(1), before.1) {
            break;
        }
        end += line.len();
        records.push(record);
    }
    (records, end)
}

/// Takes the bytes for the newest file, with heads that fit it and heads that do not.
fn check_raw(data: &[u8], parent: &Path) {
    let (records, end) = chain(data, 0, NONE);
    let last = records.last().map(|last| (last.seq, last.hash.clone()));
    let heads = [None, Some((0, NONE.to_owned())), last, Some((3, NONE.replace('0', "a")))];
    for head in heads {
        let head = head.map(|synced| HeadText { synced, before: (0, NONE.to_owned()) });
        let folder = LedgerFolder::new(parent);
        folder.write(&BTreeMap::from([(None, data.to_vec())]), head.as_ref());
        let verified = folder.verify();
        assert!(verified.records <= data.iter().filter(|byte| **byte == b'\n').count() as u64 + 1);
        if head.is_none() {
            assert!(!verified.holds);
        }
        if verified.holds {
            // All but an end without its line feed is one chain.
            let rest = &data[end..];
            assert!(!rest.contains(&b'\n'), "a ledger holds whose records do not: {}", data.escape_ascii());
            assert_eq!(verified.records, records.len() as u64);
        }
        check_recovery(&folder, &BTreeMap::from([(None, data.to_vec())]), end, records.last());
    }
    // A head that is none.
    let folder = LedgerFolder::new(parent);
    folder.write(&BTreeMap::from([(None, Vec::new())]), None);
    folder.write_head(data);
    let _ = (folder.verify(), folder.recover());
}

/// Recovers a ledger whose newest file has whole records up to `end`: they stay, and what stands behind them is kept elsewhere. A
/// ledger that is refused is left as it is.
fn check_recovery(folder: &LedgerFolder, files: &Files, end: usize, last: Option<&Read>) {
    let newest = files.get(&None).map(Vec::as_slice).unwrap_or_default();
    match folder.recover() {
        None => assert_eq!(&folder.files(), files, "what is refused was changed"),
        Some(recovered) => {
            assert_eq!(folder.files().get(&None).map(Vec::as_slice).unwrap_or_default(), &newest[..end]);
            assert_eq!(recovered.torn, &newest[end..], "torn bytes are kept");
            if let Some(last) = last {
                assert_eq!((recovered.seq, &recovered.hash), (last.seq, &last.hash));
            }
            assert!(folder.verify().holds, "a recovered ledger holds");
        }
    }
}

/// A fuzzer's bytes, one decision each; zeros follow.
struct Script<'a>(std::slice::Iter<'a, u8>);

impl Script<'_> {
    fn next(&mut self) -> usize {
        self.0.next().copied().unwrap_or_default().into()
    }

    /// A place in something with so many.
    fn place(&mut self, of: usize) -> usize {
        (self.next() << 8 | self.next()) % of.max(1)
    }

    /// The lines of a ledger, of which each holds what the bytes say.
    fn lines(&mut self, count: usize, before: &(u64, String)) -> Vec<Vec<u8>> {
        let (mut lines, mut prev) = (Vec::new(), before.1.clone());
        for seq in (before.0..).take(count).map(|before| before + 1) {
            let text: String = (0..self.next() % 9).map(|_| char::from(b' ' + (self.next() % 95) as u8)).collect();
            let line = format!(r#"{{"seq":{seq},"kind":"request","text":{},"prev":"{prev}""#, Value::from(text));
            prev = format!("{:x}", Sha256::digest(line.as_bytes()));
            lines.push(format!("{line},\"hash\":\"{prev}\"}}\n").into_bytes());
        }
        lines
    }

    /// Changes one thing in a text that consists of lines.
    fn change(&mut self, text: &mut Vec<u8>) {
        let at = |script: &mut Self, text: &[u8]| script.place(text.len());
        let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        match self.next() % 8 {
            0 => {
                let at = at(self, text);
                let flip = self.next() as u8;
                text.get_mut(at).into_iter().for_each(|byte| *byte ^= flip);
            }
            1 => {
                let at = at(self, text);
                text.truncate(at);
            }
            2 => {
                let at = at(self, text);
                text.insert(at, self.next() as u8);
            }
            3 if !text.is_empty() => {
                let at = at(self, text);
                text.remove(at);
            }
            4 if !lines.is_empty() => {
                lines.remove(self.place(lines.len()));
                *text = lines.concat();
            }
            5 if !lines.is_empty() => {
                let line = lines[self.place(lines.len())].clone();
                lines.insert(self.place(lines.len() + 1), line);
                *text = lines.concat();
            }
            6 if !lines.is_empty() => {
                let (one, other) = (self.place(lines.len()), self.place(lines.len()));
                lines.swap(one, other);
                *text = lines.concat();
            }
            _ => (0..self.next() % 40).for_each(|_| text.push(self.next() as u8)),
        }
    }
}

/// Makes a ledger over one file or two, changes it, and looks at what is found.
fn check_script(data: &[u8], parent: &Path) {
    let mut script = Script(data.iter());
    let count = script.next() % 6 + 2;
    let before = match script.next() % 4 {
        0 => (41, NONE.replace('0', "b")),
        1 => (u64::MAX - count as u64, NONE.replace('0', "c")),
        _ => (0, NONE.to_owned()),
    };
    let lines = script.lines(count, &before);
    let hashes: Vec<_> = lines.iter().filter_map(|line| read(line.trim_ascii_end())).map(|read| read.hash).collect();
    assert_eq!(hashes.len(), lines.len());
    let full = script.next() % lines.len();
    let synced = script.next() % (lines.len() - full) + full + 1;
    let mut files = Files::from([(None, lines[full..].concat())]);
    let (first, newest_from) = (before.0 + 1, before.0 + full as u64);
    if full > 0 {
        files.insert(Some(first), lines[..full].concat());
    }
    let head = HeadText { synced: (before.0 + synced as u64, hashes[synced - 1].clone()), before };
    let folder = LedgerFolder::new(parent);
    folder.write(&files, Some(&head));
    let verified = folder.verify();
    assert!(verified.holds && verified.records == lines.len() as u64);

    let original = files.clone();
    for _ in 0..script.next() % 3 + 1 {
        let which = if full > 0 && script.next() % 2 == 1 { Some(first) } else { None };
        files.get_mut(&which).into_iter().for_each(|text| script.change(text));
    }
    let folder = LedgerFolder::new(parent);
    folder.write(&files, Some(&head));
    let verified = folder.verify();
    let (before, newest) = (if full > 0 { &hashes[full - 1] } else { &head.before.1 }, &files[&None]);
    let (records, end) = chain(newest, newest_from, before);
    if verified.holds {
        // Records that are not known to be on the disk can go with a crash; all others are there, and nothing else is.
        assert_eq!(files.get(&Some(first)), original.get(&Some(first)));
        assert!(original[&None].starts_with(&newest[..end]), "a record was changed: {}", newest.escape_ascii());
        assert!(!newest[end..].contains(&b'\n') && full + records.len() >= synced, "{}", newest.escape_ascii());
    }
    if files.get(&Some(first)) == original.get(&Some(first)) {
        check_recovery(&folder, &files, end, records.last());
    } else {
        // Recovery reads the ends of full files alone; what it takes up is left as it is all the same.
        let _ = folder.recover();
        assert_eq!(folder.files().get(&Some(first)), files.get(&Some(first)));
    }
}

#[cfg(test)]
mod tests {
    /// Replays the files that the fuzzer keeps.
    #[test]
    fn ledger_holds_for_the_corpus() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/ledger");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(files.len() >= 5);
        let parent = tempfile::tempdir().unwrap();
        for file in files {
            super::check(&std::fs::read(file.unwrap().path()).unwrap(), parent.path());
        }
    }
}
