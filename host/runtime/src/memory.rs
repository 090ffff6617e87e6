//! The limit on a guest's linear memory, which remembers whether it was hit.

use crate::engine::TABLE_ELEMENTS;
use wasmtime::ResourceLimiter;

/// Grants memory up to a number of bytes, over all memories of the request's instance.
pub(crate) struct MemoryLimit {
    limit: usize,
    used: usize,
    hit: bool,
}

impl MemoryLimit {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: 0, hit: false }
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
        self.used = after;
        // Whoever was refused and gets something now has coped.
        self.hit = false;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_count_together() {
        let mut limit = MemoryLimit::new(100);
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.memory_growing(60, 80, None).unwrap());
        assert!(!limit.memory_growing(0, 21, None).unwrap());
        assert_eq!(limit.hit(), Some(100));
        assert!(limit.memory_growing(0, 20, None).unwrap());
        assert_eq!(limit.hit(), None);
    }
}
