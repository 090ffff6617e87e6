//! The limit on a guest's linear memory and tables, which remembers whether it was hit.

use crate::budget::MemoryAccount;
use crate::engine::{CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES, TABLE_ELEMENTS};
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// The size of a table's element in the host.
const ELEMENT_BYTES: usize = size_of::<usize>();

/// Grants memory up to a number of bytes, over all memories and tables of the request's instance.
pub(crate) struct MemoryLimit {
    account: Arc<MemoryAccount>,
    limit: usize,
    used: usize,
    hit: Option<Hit>,
}

/// What the guest has hit by wanting more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// The limit of one instance, in bytes.
    Own(usize),
    /// The limit of all instances together, in bytes.
    Total(usize),
}

impl MemoryLimit {
    pub(crate) fn new(account: Arc<MemoryAccount>, limit: usize) -> Self {
        Self { account, limit, used: 0, hit: None }
    }

    /// The bytes that the guest has.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The limit that the guest's last wish has hit.
    pub(crate) fn hit(&self) -> Option<Hit> {
        self.hit
    }

    fn grow(&mut self, bytes: usize) -> bool {
        let after = self.used.saturating_add(bytes);
        // A later growth that succeeds clears the hit: the guest has handled the refusal.
        self.hit = if after > self.limit {
            Some(Hit::Own(self.limit))
        } else if !self.account.try_take(bytes) {
            Some(Hit::Total(self.account.total()))
        } else {
            self.used = after;
            None
        };
        self.hit.is_none()
    }
}

/// Returns whether the type of a memory or table allows a size. The engine asks its limiter first, so that what can't succeed would
/// stay counted.
fn is_possible(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_none_or(|maximum| desired <= maximum)
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(is_possible(desired, maximum) && self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let is_possible = is_possible(desired, maximum) && desired <= TABLE_ELEMENTS;
        Ok(is_possible && self.grow(desired.saturating_sub(current) * ELEMENT_BYTES))
    }

    // The pool has the same limits. These hold where there is no address space for one.
    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        self.account.give_back(self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::MemoryBudget;

    #[test]
    fn all_memories_and_tables_count_together() {
        let account = MemoryBudget::new(1_000).open();
        let mut limit = MemoryLimit::new(account.clone(), 100);
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.memory_growing(60, 70, None).unwrap());
        assert!(limit.table_growing(1, 2, None).unwrap());
        assert!(!limit.memory_growing(0, 23, None).unwrap());
        assert_eq!(limit.hit(), Some(Hit::Own(100)));
        assert!(limit.memory_growing(0, 22, None).unwrap());
        assert_eq!((limit.hit(), account.bytes()), (None, 100));
        assert!(!limit.table_growing(2, 3, None).unwrap());
        drop(limit);
        // What the type of a memory or table does not allow is no limit of ours, and not counted.
        let mut limit = MemoryLimit::new(account.clone(), 1_000);
        assert!(!limit.memory_growing(0, 21, Some(20)).unwrap() && !limit.table_growing(0, 2, Some(1)).unwrap());
        assert_eq!((limit.hit(), limit.used()), (None, 0));
        assert!(limit.memory_growing(0, 20, Some(20)).unwrap() && limit.table_growing(0, 1, Some(1)).unwrap());
        drop(limit);
        assert_eq!(account.bytes(), 0);
    }

    #[test]
    fn memory_is_refused_when_all_instances_together_have_their_total() {
        let account = MemoryBudget::new(400).open();
        let (mut one, mut other) = (MemoryLimit::new(account.clone(), 150), MemoryLimit::new(account.clone(), 150));
        assert!(one.memory_growing(0, 120, None).unwrap());
        assert!(!other.memory_growing(0, 81, None).unwrap());
        assert_eq!(other.hit(), Some(Hit::Total(400)));
        drop(one);
        assert!(other.memory_growing(0, 81, None).unwrap());
        assert_eq!(other.hit(), None);
    }
}
