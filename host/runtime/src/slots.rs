//! Who may have an instance: a limit for each adapter, and one for the pool that all of them share.
//!
//! An exhausted pool is an error of the engine; with the semaphores in front it is a wait instead.

use crate::engine::{SLOTS, TABLES_PER_SLOT};
use crate::error::{CallError, Full};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wasmtime::component::Component;

/// How long a request waits for an instance. A client that is told to come back soon is better off than one that waits for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pool's slots, shared by all adapters.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Semaphore>);

impl Pool {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(SLOTS as usize)))
    }
}

/// The slots of one adapter. A clone shares them.
#[derive(Clone)]
pub(crate) struct Slots {
    pool: Pool,
    own: Arc<Semaphore>,
    instances: usize,
    /// Slots of the pool that one instance takes.
    weight: u32,
}

/// The right to one instance; given back on drop.
pub(crate) struct Slot {
    _own: OwnedSemaphorePermit,
    _pool: OwnedSemaphorePermit,
}

impl Slots {
    /// Slots for at most `instances` of `component` at once.
    pub(crate) fn new(pool: Pool, component: &Component, instances: usize) -> Self {
        let needs = component.resources_required();
        let weight = needs.map_or(1, |needs| needs.num_memories.max(needs.num_tables.div_ceil(TABLES_PER_SLOT)));
        Self { pool, own: Arc::new(Semaphore::new(instances)), instances, weight: weight.clamp(1, SLOTS) }
    }

    /// Waits for a slot, at the longest until `deadline`, and no longer than [`PATIENCE`].
    pub(crate) async fn acquire(&self, deadline: Instant) -> Result<Slot, CallError> {
        let until = deadline.min(Instant::now() + PATIENCE);
        let own = self.own.clone().acquire_owned();
        let own = timeout_at(until, own).await.ok().and_then(Result::ok);
        let own = own.ok_or(CallError::Busy(Full::Adapter { instances: self.instances }))?;
        let pool = self.pool.0.clone().acquire_many_owned(self.weight);
        let pool = timeout_at(until, pool).await.ok().and_then(Result::ok).ok_or(CallError::Busy(Full::Pool))?;
        Ok(Slot { _own: own, _pool: pool })
    }

    /// Instances that exist at this moment.
    pub(crate) fn in_use(&self) -> usize {
        self.instances.saturating_sub(self.own.available_permits())
    }
}
