//! What the writer's thread and those who ask for places know of each other.

use super::error::LedgerUnavailable;
use super::recent::Recent;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

/// How it stands with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Condition {
    /// Not opened yet.
    NotOpen,
    /// Records are taken.
    Up,
    /// It can't be written at the moment.
    Down,
    /// It was closed.
    Closed,
    /// The disk failed. Nothing comes after this.
    Failed,
}

impl Condition {
    const ALL: [Self; 5] = [Self::NotOpen, Self::Up, Self::Down, Self::Closed, Self::Failed];
}

/// The condition, and numbers for the metrics.
#[derive(Debug, Default)]
pub(crate) struct State {
    condition: AtomicU8,
    records: AtomicU64,
    refused: AtomicU64,
    /// Whether the files were changed by others.
    changed: AtomicBool,
    /// The time of the oldest record, in seconds of Unix time; 0 until it is known.
    oldest: AtomicI64,
    /// What was written last.
    pub(crate) recent: Recent,
}

impl State {
    /// Changes the condition; whether it changed.
    pub(crate) fn set(&self, next: Condition) -> bool {
        let keep = |now: u8| if now >= Condition::Closed as u8 && now >= next as u8 { None } else { Some(next as u8) };
        let before = self.condition.fetch_update(Ordering::AcqRel, Ordering::Acquire, keep);
        before.is_ok_and(|before| before != next as u8)
    }

    pub(crate) fn is(&self, condition: Condition) -> bool {
        self.condition.load(Ordering::Acquire) == condition as u8
    }

    /// Whether records are taken, or why not.
    pub(crate) fn check(&self) -> Result<(), LedgerUnavailable> {
        let now = usize::from(self.condition.load(Ordering::Acquire));
        match Condition::ALL.get(now) {
            Some(Condition::Up) => Ok(()),
            Some(Condition::NotOpen) => Err(LedgerUnavailable::NotOpen),
            Some(Condition::Down) => Err(LedgerUnavailable::Down),
            Some(Condition::Closed) => Err(LedgerUnavailable::Closed),
            Some(Condition::Failed) | None => Err(LedgerUnavailable::Failed),
        }
    }

    pub(crate) fn count(&self, records: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes whether the files were changed by others; returns whether that is news.
    pub(crate) fn set_changed(&self, changed: bool) -> bool {
        self.changed.swap(changed, Ordering::Relaxed) != changed
    }

    pub(crate) fn is_intact(&self) -> bool {
        !self.changed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_oldest(&self, seconds: i64) {
        self.oldest.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn oldest(&self) -> Option<i64> {
        Some(self.oldest.load(Ordering::Relaxed)).filter(|seconds| *seconds != 0)
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_failed_stays_so() {
        let state = State::default();
        assert_eq!(state.check(), Err(LedgerUnavailable::NotOpen));
        assert!(state.set(Condition::Up) && !state.set(Condition::Up));
        assert!(state.set(Condition::Down) && state.set(Condition::Up));
        assert_eq!(state.check(), Ok(()));
        assert!(state.set(Condition::Closed) && !state.set(Condition::Up) && state.set(Condition::Failed));
        assert!(!state.set(Condition::Up) && !state.set(Condition::Closed));
        assert_eq!(state.check(), Err(LedgerUnavailable::Failed));
    }
}
