//! A semaphore whose number of permits can change while some of them are held.
//!
//! Permits that are added can be had at once. Permits that are taken away and not free are a debt: it is paid by permits that come
//! back, before anything else can have them. So whatever holds a permit keeps it, and the number is never negative.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A semaphore that can be resized.
pub(crate) struct Capacity {
    permits: Arc<Semaphore>,
    /// How many permits there are, once the debt is paid. Held while the number changes.
    total: Mutex<usize>,
    /// How many permits have to come back before there are so many.
    debt: AtomicUsize,
}

impl Capacity {
    pub(crate) fn new(total: usize) -> Self {
        let total = total.min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(total)), total: Mutex::new(total), debt: AtomicUsize::new(0) }
    }

    /// Changes the number of permits.
    pub(crate) fn resize(&self, total: usize) {
        let total = total.min(Semaphore::MAX_PERMITS);
        let mut before = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        self.debt.fetch_add(before.saturating_sub(total), Ordering::AcqRel);
        self.permits.add_permits(total.saturating_sub(*before));
        *before = total;
        self.pay();
    }

    /// Returns how many permits are free.
    pub(crate) fn available(&self) -> usize {
        self.settle();
        self.permits.available_permits()
    }

    /// Takes `count` permits, if they are free.
    pub(crate) fn try_acquire(&self, count: u32) -> Option<OwnedSemaphorePermit> {
        self.settle();
        self.permits.clone().try_acquire_many_owned(count).ok()
    }

    /// Waits for a permit. At most one task may wait at a time: each permit that comes back passes it, and pays the debt first.
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let permit = self.permits.clone().acquire_owned().await.ok()?;
            if !self.owes_one() {
                return Some(permit);
            }
            permit.forget();
        }
    }

    /// Pays the debt with free permits, if there is one.
    fn settle(&self) {
        if self.debt.load(Ordering::Acquire) > 0 {
            let _total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
            self.pay();
        }
    }

    /// Pays the debt with free permits, while the number can't change.
    fn pay(&self) {
        let debt = self.debt.load(Ordering::Acquire);
        let paid = self.permits.forget_permits(debt);
        self.debt.fetch_sub(paid, Ordering::AcqRel);
    }

    /// Takes one permit off the debt, if there is one.
    fn owes_one(&self) -> bool {
        let _total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        let less = |debt: usize| debt.checked_sub(1);
        self.debt.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[test]
    fn capacity_grows_at_once() {
        let capacity = Capacity::new(1);
        let one = capacity.try_acquire(1).unwrap();
        assert!(capacity.try_acquire(1).is_none());
        capacity.resize(3);
        assert_eq!(capacity.available(), 2);
        drop(one);
        assert_eq!(capacity.available(), 3);
    }

    #[test]
    fn capacity_takes_back_held_permits_as_they_return() {
        let capacity = Capacity::new(4);
        let (two, other) = (capacity.try_acquire(2).unwrap(), capacity.try_acquire(1).unwrap());
        capacity.resize(1);
        assert_eq!(capacity.available(), 0);
        drop(other);
        assert_eq!(capacity.available(), 0, "two are still held, and one is over");
        drop(two);
        assert_eq!(capacity.available(), 1);
        capacity.resize(4);
        assert_eq!(capacity.available(), 4);
    }

    #[test]
    fn capacity_pays_its_debt_with_new_permits_when_it_grows_again() {
        let capacity = Capacity::new(4);
        let three = capacity.try_acquire(3).unwrap();
        capacity.resize(1);
        capacity.resize(3);
        assert_eq!(capacity.available(), 0);
        capacity.resize(5);
        assert_eq!(capacity.available(), 2);
        drop(three);
        assert_eq!(capacity.available(), 5);
    }

    #[tokio::test]
    async fn capacity_serves_the_waiting_task_when_it_grows() {
        let capacity = Arc::new(Capacity::new(1));
        let held = capacity.acquire().await.unwrap();
        let waiting = tokio::spawn({
            let capacity = capacity.clone();
            async move { capacity.acquire().await.is_some() }
        });
        tokio::task::yield_now().await;
        capacity.resize(2);
        assert!(waiting.await.unwrap());
        drop(held);
        assert_eq!(capacity.available(), 2);
    }

    #[tokio::test]
    async fn capacity_pays_its_debt_before_the_waiting_task() {
        let capacity = Arc::new(Capacity::new(2));
        let (one, two) = (capacity.acquire().await.unwrap(), capacity.acquire().await.unwrap());
        capacity.resize(1);
        drop(one);
        let early = timeout(Duration::from_millis(50), capacity.acquire()).await;
        assert!(early.is_err(), "one is still held, and there is one");
        drop(two);
        assert!(timeout(Duration::from_secs(5), capacity.acquire()).await.unwrap().is_some());
    }
}
