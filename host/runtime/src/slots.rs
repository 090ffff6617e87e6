//! Who may have an instance: a limit for each adapter with a queue before it, and a limit for the pool that all of them share.
//!
//! The queue is bounded, and fair between those who ask: whoever has many requests in it gets one instance in turn with the
//! others, not before them, and if it is full, makes room for who has fewer. An exhausted pool is an error of the engine; with a semaphore
//! in front it is a wait instead. A part of the pool is reserved for each adapter, so that the others cannot take it.

use crate::consumption::Consumption;
use crate::engine::{SLOTS, TABLES_PER_SLOT};
use crate::error::{CallError, Full};
use hauski_policy::{AdapterId, AdapterLimits, Limits};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use wasmtime::component::Component;

/// Slots that are reserved for one adapter: four instances of the largest components.
const RESERVED_SLOTS: u32 = 32;
/// Adapters for which slots are reserved. Further ones have the common slots alone.
const MAX_RESERVATIONS: u32 = 24;

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
    queues: BTreeMap<AdapterId, Arc<Queue>>,
}

impl Queues {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self(Arc::new(Mutex::new(ById { limits, queues: BTreeMap::new() })))
    }

    /// The queue of the adapter with this id.
    pub(crate) fn of(&self, id: &AdapterId) -> Arc<Queue> {
        let ById { limits, queues } = &mut *self.lock();
        let queue = queues.entry(id.clone()).or_insert_with(|| Arc::new(Queue::new(limits.adapter(id)))).clone();
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
        let queue = Queue::new(limits);
        // The adapter's own instances may have all common slots.
        if let Some(reserved) = self.queue.lock().reserved.clone() {
            queue.reserve(reserved);
        }
        Self { pool: self.pool.clone(), queue: Arc::new(queue), weight: self.weight }
    }

    /// Waits for a slot in `tenant`'s turn, at the longest until `deadline`, and no longer than `wait`.
    pub(crate) async fn acquire(&self, tenant: &str, deadline: Instant, wait: Duration) -> Result<Slot, CallError> {
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

/// Places for instances, and those who wait for one.
pub(crate) struct Queue {
    lines: Mutex<Lines>,
    consumption: Arc<Consumption>,
}

#[derive(Default)]
struct Lines {
    /// The number of places.
    places: usize,
    /// The places in use. After `places` was lowered there can be more: those are not given again.
    taken: usize,
    /// The most requests that wait.
    most_waiting: usize,
    waiting: usize,
    /// Who waits, each in a line of its own. What is handed over is a place.
    lines: BTreeMap<Box<str>, VecDeque<oneshot::Sender<Place>>>,
    /// Whose turn it is, and whose after that.
    turns: VecDeque<Box<str>>,
    /// The slots of the pool that are reserved for the adapter.
    reserved: Option<Arc<Semaphore>>,
}

/// A place for one instance.
struct Place(Arc<Queue>);

impl Queue {
    fn new(limits: &AdapterLimits) -> Self {
        let lines = Lines { places: limits.instances, most_waiting: limits.queue, ..Lines::default() };
        Self { lines: Mutex::new(lines), consumption: Arc::default() }
    }

    /// Puts other limits in force. Requests that wait or run go on: new places go to those that wait, in turn, and places beyond a
    /// lower limit are not given again when their requests end. A shorter queue turns away new requests only.
    fn set_limits(self: &Arc<Self>, limits: &AdapterLimits) {
        let served: Vec<_> = {
            let mut lines = self.lock();
            lines.places = limits.instances;
            lines.most_waiting = limits.queue;
            let mut served = Vec::new();
            while lines.taken < lines.places
                && let Some(next) = lines.next()
            {
                lines.taken += 1;
                served.push(next);
            }
            served
        };
        // Without the lock, which a place takes that comes back because its request has left.
        for next in served {
            drop(next.send(Place(self.clone())));
        }
    }

    fn has_reservation(&self) -> bool {
        self.lock().reserved.is_some()
    }

    fn reserve(&self, slots: Arc<Semaphore>) {
        self.lock().reserved = Some(slots);
    }

    /// Returns the reservation of an unloaded adapter without instances: nothing else has its queue.
    fn give_up_reservation(queue: &Arc<Self>) -> Option<Arc<Semaphore>> {
        if Arc::strong_count(queue) > 1 { None } else { queue.lock().reserved.take() }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, or waits for one until `until`.
    async fn enter(self: &Arc<Self>, tenant: &str, until: Instant) -> Result<Place, CallError> {
        let (place, full, late) = {
            let mut lines = self.lock();
            if lines.taken < lines.places {
                lines.taken += 1;
                return Ok(Place(self.clone()));
            }
            let full = CallError::Busy(Full::Queue { waiting: lines.most_waiting });
            if lines.waiting >= lines.most_waiting && !lines.make_room(tenant) {
                return Err(full);
            }
            lines.waiting += 1;
            let late = CallError::Busy(Full::Adapter { instances: lines.places });
            (lines.line_up(tenant), full, late)
        };
        let _waiting = Waiting(self);
        // Whose place in the queue was given to somebody else is told what he would have been told before.
        timeout_at(until, place).await.map_err(|_| late)?.map_err(|_| full)
    }
}

impl Lines {
    /// Puts one more at the end of `tenant`'s line.
    fn line_up(&mut self, tenant: &str) -> oneshot::Receiver<Place> {
        let (hand_over, place) = oneshot::channel();
        match self.lines.get_mut(tenant) {
            Some(line) => {
                // Those who left are still in it.
                line.retain(|waiter| !waiter.is_closed());
                line.push_back(hand_over);
            }
            None => {
                self.lines.insert(tenant.into(), VecDeque::from([hand_over]));
                self.turns.push_back(tenant.into());
            }
        }
        place
    }

    /// Sends away the last one of the longest line, if that line is longer than `tenant`'s would be: whoever fills the queue does not
    /// keep others out of it.
    fn make_room(&mut self, tenant: &str) -> bool {
        let waits = |line: &VecDeque<oneshot::Sender<Place>>| line.iter().filter(|waiter| !waiter.is_closed()).count();
        let own = self.lines.get(tenant).map_or(0, waits);
        let Some(longest) = self.lines.values_mut().max_by_key(|line| waits(line)) else { return false };
        if waits(longest) <= own + 1 {
            return false;
        }
        longest.retain(|waiter| !waiter.is_closed());
        longest.pop_back().is_some()
    }

    /// The next one in turn who still waits.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some(tenant) = self.turns.pop_front() {
            let Some(line) = self.lines.get_mut(&tenant) else { continue };
            let next = std::iter::from_fn(|| line.pop_front()).find(|waiter| !waiter.is_closed());
            if line.is_empty() {
                self.lines.remove(&tenant);
            } else {
                self.turns.push_back(tenant);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut lines = self.0.lock();
            let next = if lines.taken > lines.places { None } else { lines.next() };
            if next.is_none() {
                lines.taken -= 1;
            }
            next
        };
        // Whoever has left meanwhile drops what he is handed, and so hands it on.
        if let Some(next) = next {
            drop(next.send(Place(self.0.clone())));
        }
    }
}

/// Counts one who waits.
struct Waiting<'a>(&'a Queue);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

#[cfg(test)]
mod tests;
