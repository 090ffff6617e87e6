//! The newest lines of the ledger as they were written, for those who want to see them come.
//!
//! In go lines, on the writer's thread, so that no request pays for it; out come copies, and how many of those before are gone. It keeps
//! few: who reads slowly misses some and is told so, and nobody waits for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// So many lines are kept.
const KEPT: usize = 200;

/// The newest lines.
#[derive(Debug, Default)]
pub struct Recent {
    lines: Mutex<VecDeque<Arc<str>>>,
    /// The number of the newest.
    last: watch::Sender<u64>,
}

/// Lines that came after a certain one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// How many came that are not kept any more.
    pub missed: u64,
    /// The others by their numbers in the ledger, the oldest first.
    pub lines: Vec<(u64, Arc<str>)>,
}

impl Recent {
    /// Takes whole lines that were written; `last` is the number of the last one.
    pub(crate) fn push(&self, last: u64, written: &[u8]) {
        let newest: Vec<_> =
            written.strip_suffix(b"\n").unwrap_or(written).rsplit(|b| *b == b'\n').take(KEPT).collect();
        let mut lines = self.lock();
        for line in newest.into_iter().rev().filter_map(|line| std::str::from_utf8(line).ok()) {
            lines.push_back(line.into());
        }
        let old = lines.len().saturating_sub(KEPT);
        lines.drain(..old);
        drop(lines);
        self.last.send_replace(last);
    }

    /// What came after the line with the number `seen`. Where there was no such line yet, it was another ledger's, and all are told.
    #[must_use]
    pub fn since(&self, seen: u64) -> Since {
        let lines = self.lock();
        let last = *self.last.borrow();
        let first = (last + 1).saturating_sub(lines.len() as u64);
        let (missed, seen) = if seen > last { (0, 0) } else { (first.saturating_sub(seen + 1), seen) };
        let numbered = (first..).zip(lines.iter().cloned());
        Since { missed, lines: numbered.filter(|(number, _)| *number > seen).collect() }
    }

    /// The number of the newest line, and word of each that comes.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(numbers: std::ops::RangeInclusive<u64>) -> Vec<u8> {
        numbers.flat_map(|number| format!("line {number}\n").into_bytes()).collect()
    }

    #[track_caller]
    fn check(recent: &Recent, seen: u64, missed: u64, numbers: std::ops::RangeInclusive<u64>) {
        let lines = numbers.map(|number| (number, format!("line {number}").into())).collect();
        assert_eq!(recent.since(seen), Since { missed, lines }, "after {seen}");
    }

    #[test]
    fn who_is_slow_is_told_how_many_are_gone() {
        let recent = Recent::default();
        assert_eq!(recent.since(0), Since::default());
        // A ledger that goes on: its first lines were written by another process.
        recent.push(42, &written(41..=42));
        check(&recent, 0, 40, 41..=42);
        check(&recent, 41, 0, 42..=42);
        assert_eq!(recent.since(42), Since::default());
        recent.push(43, &written(43..=43));
        check(&recent, 42, 0, 43..=43);
        // What another ledger had numbers for.
        check(&recent, 9_000, 0, 41..=43);
        let last = 43 + 3 * KEPT as u64;
        recent.push(last, &written(44..=last));
        check(&recent, 43, 2 * KEPT as u64, last - 199..=last);
        check(&recent, last - 1, 0, last..=last);
    }

    #[tokio::test]
    async fn word_comes_with_each_write() {
        let recent = Recent::default();
        let mut follow = recent.follow();
        recent.push(2, &written(1..=2));
        follow.changed().await.unwrap();
        assert_eq!(*follow.borrow_and_update(), 2);
        assert!(!follow.has_changed().unwrap());
    }
}
