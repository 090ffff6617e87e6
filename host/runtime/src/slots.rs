//! Admission control for instances: a bounded, fair queue for each adapter, and a limit for the pool that all of them share.
//!
//! The queue is bounded, and fair between those who ask: whoever has many requests in it gets one instance in turn with the
//! others, not before them, and if it is full, makes room for who has fewer. Where several clients have keys, one of them has at most
//! half of the adapter's instances, rounded up: an instance can't be taken back, so the other half has to be kept. An exhausted pool is an error of the engine; with a semaphore
//! in front it is a wait instead. A part of the pool is reserved for each adapter, so that the others cannot take it.

mod queue;

pub use queue::Tenant;
pub(crate) use queue::{Place, Queue};

use crate::budget::MemoryBudget;
use crate::consumption::Consumption;
use crate::engine::{SLOTS, TABLES_PER_SLOT};
use crate::error::{CallError, Full};
use hauski_policy::{AdapterId, AdapterLimits, Limits};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wasmtime::component::Component;

/// Slots that are reserved for one adapter: four instances of the largest components.
const RESERVED_SLOTS: u32 = 32;
/// Adapters for which slots and memory are reserved. Further ones have only what is common.
pub(crate) const MAX_RESERVATIONS: u32 = 24;

/// The unreserved slots of the pool.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Semaphore>);

impl Pool {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new((SLOTS - MAX_RESERVATIONS * RESERVED_SLOTS) as usize)))
    }
}

/// The slots of one adapter. A clone shares them.
#[derive(Clone)]
pub(crate) struct Slots {
    pool: Pool,
    queue: Arc<Queue>,
    /// Slots of the pool that one instance takes.
    weight: u32,
}

/// The right to one instance; given back on drop.
pub(crate) struct Slot {
    _own: Place,
    _pool: OwnedSemaphorePermit,
}

/// The queues of all adapters, by id: versions of one that follow each other share its limits. A clone shares them.
#[derive(Clone)]
pub(crate) struct Queues(Arc<Mutex<ById>>);

struct ById {
    /// The limits in force, which queues and adapters are made with.
    limits: Arc<Limits>,
    /// The memory of all adapters together.
    memory: Arc<MemoryBudget>,
    queues: BTreeMap<AdapterId, Arc<Queue>>,
}

impl Queues {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        let memory = MemoryBudget::new(limits.total_memory);
        Self(Arc::new(Mutex::new(ById { limits, memory, queues: BTreeMap::new() })))
    }

    /// The queue of the adapter with this id.
    pub(crate) fn of(&self, id: &AdapterId) -> Arc<Queue> {
        let ById { limits, memory, queues } = &mut *self.lock();
        let new = || Arc::new(Queue::new(limits.adapter(id), memory.open()));
        let queue = queues.entry(id.clone()).or_insert_with(new).clone();
        if !queue.has_reservation() {
            let holders: Vec<_> = queues.values().filter(|queue| queue.has_reservation()).collect();
            if holders.len() < MAX_RESERVATIONS as usize {
                queue.reserve(Arc::new(Semaphore::new(RESERVED_SLOTS as usize)));
            } else if let Some(reserved) = holders.iter().find_map(|holder| Queue::give_up_reservation(holder)) {
                queue.reserve(reserved);
            }
        }
        queue
    }

    /// Returns the limits in force.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.lock().limits.clone()
    }

    /// Puts other limits in force for all queues, those of adapters included that serve no more or not yet.
    pub(crate) fn set_limits(&self, limits: Arc<Limits>) {
        let mut all = self.lock();
        for (id, queue) in &all.queues {
            queue.set_limits(limits.adapter(id));
        }
        all.limits = limits;
    }

    fn lock(&self) -> MutexGuard<'_, ById> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Slots for instances of `component`, as many at once as its `queue` has.
    pub(crate) fn new(pool: Pool, queue: Arc<Queue>, component: &Component) -> Self {
        let needs = component.resources_required();
        let weight = needs.map_or(1, |needs| needs.num_memories.max(needs.num_tables.div_ceil(TABLES_PER_SLOT)));
        Self { pool, queue, weight: weight.clamp(1, SLOTS) }
    }

    /// Slots for the same component outside of the adapter's queue.
    pub(crate) fn aside(&self, limits: &AdapterLimits) -> Self {
        let queue = Queue::new(limits, self.consumption().memory().clone());
        // The adapter's own instances may have all common slots.
        queue.lock().reserved = self.queue.lock().reserved.clone();
        Self { pool: self.pool.clone(), queue: Arc::new(queue), weight: self.weight }
    }

    /// Waits for a slot in `tenant`'s turn, at the longest until `deadline`, and no longer than `wait`.
    pub(crate) async fn acquire(&self, tenant: &Tenant, deadline: Instant, wait: Duration) -> Result<Slot, CallError> {
        let until = deadline.min(Instant::now() + wait);
        let own = self.queue.enter(tenant, until).await?;
        let pool = timeout_at(until, self.take_slots()).await.ok().flatten().ok_or(CallError::Busy(Full::Pool))?;
        self.queue.consumption.begin();
        Ok(Slot { _own: own, _pool: pool })
    }

    /// Takes the slots of one instance: those that are reserved for the adapter, or else the common ones, whichever come first.
    async fn take_slots(&self) -> Option<OwnedSemaphorePermit> {
        let common = self.pool.0.clone();
        let Some(reserved) = self.queue.lock().reserved.clone() else {
            return common.acquire_many_owned(self.weight).await.ok();
        };
        if let Ok(permit) = reserved.clone().try_acquire_many_owned(self.weight) {
            return Some(permit);
        }
        if let Ok(permit) = common.clone().try_acquire_many_owned(self.weight) {
            return Some(permit);
        }
        tokio::select! {
            permit = reserved.acquire_many_owned(self.weight) => permit.ok(),
            permit = common.acquire_many_owned(self.weight) => permit.ok(),
        }
    }

    /// What instances take.
    pub(crate) fn consumption(&self) -> &Arc<Consumption> {
        &self.queue.consumption
    }

    /// Instances that exist at this moment.
    pub(crate) fn in_use(&self) -> usize {
        self.queue.lock().taken
    }

    /// Requests that wait for an instance at this moment.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.lock().waiting
    }
}

#[cfg(test)]
mod tests;
