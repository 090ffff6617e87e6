//! The limit on a guest's linear memory, which remembers whether it was hit.

use crate::consumption::Consumption;
use crate::engine::{CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES, TABLE_ELEMENTS};
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// Grants memory up to a number of bytes, over all memories of the request's instance.
pub(crate) struct MemoryLimit {
    consumption: Arc<Consumption>,
    limit: usize,
    used: usize,
    hit: bool,
}

impl MemoryLimit {
    pub(crate) fn new(consumption: Arc<Consumption>, limit: usize) -> Self {
        Self { consumption, limit, used: 0, hit: false }
    }

    /// The bytes that the guest has.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The limit in bytes, if the guest has wanted more.
    pub(crate) fn hit(&self) -> Option<usize> {
        self.hit.then_some(self.limit)
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let after = self.used.saturating_add(desired.saturating_sub(current));
        if after > self.limit {
            self.hit = true;
            return Ok(false);
        }
        self.consumption.grow(after - self.used);
        self.used = after;
        // Whoever was refused and gets something now has coped.
        self.hit = false;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
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
        self.consumption.shrink(self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_count_together() {
        let consumption = Arc::<Consumption>::default();
        let mut limit = MemoryLimit::new(consumption.clone(), 100);
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.memory_growing(60, 80, None).unwrap());
        assert!(!limit.memory_growing(0, 21, None).unwrap());
        assert_eq!(limit.hit(), Some(100));
        assert!(limit.memory_growing(0, 20, None).unwrap());
        assert_eq!((limit.hit(), consumption.memory_bytes()), (None, 100));
        drop(limit);
        assert_eq!(consumption.memory_bytes(), 0);
    }
}
