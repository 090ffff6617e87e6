//! One budget for the memory of all instances together: linear memories and tables, bodies on their way to providers, large answers on
//! their way to clients.
//!
//! Half of it is common. The other half is divided: each of the first [`MAX_RESERVATIONS`] adapters has a part that the others can't take.
//! A reservation that does not fit fails at once; nothing is reclaimed from others.

use crate::slots::MAX_RESERVATIONS;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The memory that adapters share.
pub(crate) struct MemoryBudget {
    /// All of it, in bytes.
    total: usize,
    /// The bytes in use of the common half. Changed while the account's lock is held, so that both always agree.
    common: AtomicUsize,
}

/// The account of one adapter, which all of its versions share.
pub(crate) struct MemoryAccount {
    budget: Arc<MemoryBudget>,
    taken: Mutex<Taken>,
}

#[derive(Clone, Copy, Default)]
struct Taken {
    bytes: usize,
    /// True if the adapter has a part of its own.
    is_reserved: bool,
}

/// Bytes of an account; given back on drop.
pub(crate) struct Reservation {
    account: Arc<MemoryAccount>,
    bytes: usize,
}

impl MemoryBudget {
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, common: AtomicUsize::new(0) })
    }

    /// Opens the account of one adapter, without a part of its own.
    pub(crate) fn open(self: &Arc<Self>) -> Arc<MemoryAccount> {
        Arc::new(MemoryAccount { budget: self.clone(), taken: Mutex::default() })
    }

    /// Bytes that one adapter alone may take, if it has a part of its own.
    fn part(&self) -> usize {
        self.total / 2 / MAX_RESERVATIONS as usize
    }

    /// The bytes of `taken` that count against the common half.
    fn of_common(&self, taken: Taken) -> usize {
        taken.bytes.saturating_sub(if taken.is_reserved { self.part() } else { 0 })
    }
}

impl MemoryAccount {
    /// Takes so many bytes more, if they fit into the adapter's own part and the common half.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        let mut taken = self.lock();
        let Some(after) = taken.bytes.checked_add(bytes) else { return false };
        let after = Taken { bytes: after, ..*taken };
        let more = self.budget.of_common(after) - self.budget.of_common(*taken);
        let half = self.budget.total / 2;
        let fits = |common: usize| common.checked_add(more).filter(|common| *common <= half);
        if more > 0 && self.budget.common.fetch_update(Relaxed, Relaxed, fits).is_err() {
            return false;
        }
        *taken = after;
        true
    }

    /// Gives back so many bytes that were taken.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.replace(|taken| Taken { bytes: taken.bytes - bytes, ..taken });
    }

    /// As [`try_take`](Self::try_take), with a guard that gives the bytes back.
    pub(crate) fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        self.try_take(bytes).then(|| Reservation { account: self.clone(), bytes })
    }

    /// Gives the adapter a part of its own, or takes it away.
    pub(crate) fn set_reserved(&self, is_reserved: bool) {
        self.replace(|taken| Taken { is_reserved, ..taken });
    }

    /// The bytes that the adapter has taken.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The total of the budget, for errors.
    pub(crate) fn total(&self) -> usize {
        self.budget.total
    }

    fn replace(&self, change: impl FnOnce(Taken) -> Taken) {
        let mut taken = self.lock();
        let after = change(*taken);
        let (before, now) = (self.budget.of_common(*taken), self.budget.of_common(after));
        self.budget.common.fetch_add(now.saturating_sub(before), Relaxed);
        self.budget.common.fetch_sub(before.saturating_sub(now), Relaxed);
        *taken = after;
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the number of bytes.
impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reservation").field(&self.bytes).finish()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: usize = 4_800;
    /// Of one adapter.
    const PART: usize = 100;
    const HALF: usize = 2_400;

    #[test]
    fn account_has_its_part_beside_others_that_take_all_of_the_common_half() {
        let budget = MemoryBudget::new(TOTAL);
        let (greedy, modest, late) = (budget.open(), budget.open(), budget.open());
        greedy.set_reserved(true);
        modest.set_reserved(true);
        assert!(greedy.try_take(PART + HALF));
        assert!(!greedy.try_take(1));
        assert!(modest.try_take(PART));
        assert!(!modest.try_take(1), "the rest is taken");
        assert!(!late.try_take(1), "it has no part of its own");
        greedy.give_back(HALF + 1);
        assert!(late.try_take(HALF));
        assert!(!modest.try_take(1));
        assert!(greedy.try_take(1), "its own part");
        assert_eq!((greedy.bytes(), modest.bytes(), late.bytes()), (PART, PART, HALF));
        late.give_back(HALF);
        greedy.give_back(PART);
        modest.give_back(PART);
        assert_eq!(budget.common.load(Relaxed), 0);
    }

    #[test]
    fn part_can_be_given_and_taken_away_while_bytes_are_taken() {
        let budget = MemoryBudget::new(TOTAL);
        let account = budget.open();
        assert!(account.try_take(PART + 50));
        assert_eq!(budget.common.load(Relaxed), PART + 50);
        account.set_reserved(true);
        assert_eq!(budget.common.load(Relaxed), 50);
        account.set_reserved(false);
        assert_eq!(budget.common.load(Relaxed), PART + 50);
        account.give_back(PART + 50);
        assert_eq!(budget.common.load(Relaxed), 0);
    }

    #[test]
    fn reservation_is_given_back_on_drop() {
        let budget = MemoryBudget::new(TOTAL);
        let account = budget.open();
        let held = account.try_reserve(HALF).unwrap();
        assert!(account.try_reserve(1).is_none());
        drop(held);
        assert_eq!(account.bytes(), 0);
        assert!(account.try_reserve(usize::MAX).is_none());
        assert!(account.try_take(1) && !account.try_take(usize::MAX), "sums that overflow fit nowhere");
    }
}
