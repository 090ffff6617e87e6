//! The queue of one adapter: its places for instances, given in turn between the clients that wait.

use crate::budget::MemoryAccount;
use crate::consumption::Consumption;
use crate::error::{CallError, Full};
use hauski_policy::AdapterLimits;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

/// The client that a request is from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenant {
    /// The name of the client's key; empty where nobody has a key.
    pub name: Arc<str>,
    /// Whether there are clients with other keys. One client then has at most half of an adapter's instances, rounded up.
    pub has_others: bool,
}

/// Places for instances, and those who wait for one.
pub(crate) struct Queue {
    lines: Mutex<Lines>,
    pub(super) consumption: Arc<Consumption>,
}

#[derive(Default)]
pub(super) struct Lines {
    /// The number of places.
    pub(super) places: usize,
    /// The places in use. After `places` was lowered there can be more: those are not given again.
    pub(super) taken: usize,
    /// The places in use by each client that has at most half of them.
    pub(super) held: BTreeMap<Arc<str>, usize>,
    /// The most requests that wait.
    most_waiting: usize,
    pub(super) waiting: usize,
    /// Waiting requests, a FIFO for each client. They are handed a place.
    pub(super) lines: BTreeMap<Tenant, VecDeque<oneshot::Sender<Place>>>,
    /// The round-robin order of the clients.
    pub(super) turns: VecDeque<Tenant>,
    /// The slots of the pool that are reserved for the adapter.
    pub(super) reserved: Option<Arc<Semaphore>>,
}

/// A place for one instance.
pub(crate) struct Place {
    queue: Arc<Queue>,
    /// The client that has it, if its places are counted.
    holder: Option<Arc<str>>,
}

impl Queue {
    /// An empty queue, whose adapter takes memory from `account`.
    pub(super) fn new(limits: &AdapterLimits, account: Arc<MemoryAccount>) -> Self {
        let lines = Lines { places: limits.instances, most_waiting: limits.queue, ..Lines::default() };
        Self { lines: Mutex::new(lines), consumption: Arc::new(Consumption::new(account)) }
    }

    /// Puts other limits in force. Requests that wait or run go on: new places go to those that wait, in turn, and places beyond a
    /// lower limit are not given again when their requests end. A shorter queue turns away new requests only.
    pub(super) fn set_limits(self: &Arc<Self>, limits: &AdapterLimits) {
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
            next.hand_over(self);
        }
    }

    pub(super) fn has_reservation(&self) -> bool {
        self.lock().reserved.is_some()
    }

    pub(super) fn reserve(&self, slots: Arc<Semaphore>) {
        self.lock().reserved = Some(slots);
        self.consumption.memory().set_reserved(true);
    }

    /// Returns the reservation of an unloaded adapter without instances: nothing else has its queue.
    pub(super) fn give_up_reservation(queue: &Arc<Self>) -> Option<Arc<Semaphore>> {
        // Bodies and answers may be on their way still, and would count against what is common.
        if Arc::strong_count(queue) > 1 || queue.consumption.memory_bytes() > 0 {
            return None;
        }
        let slots = queue.lock().reserved.take()?;
        queue.consumption.memory().set_reserved(false);
        Some(slots)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, or waits for one until `until`.
    pub(super) async fn enter(self: &Arc<Self>, tenant: &Tenant, until: Instant) -> Result<Place, CallError> {
        let (place, full, late) = {
            let mut lines = self.lock();
            if lines.taken < lines.places && lines.has_share_left(tenant) {
                lines.taken += 1;
                return Ok(Place { queue: self.clone(), holder: lines.hold(tenant) });
            }
            let full = CallError::Busy(Full::Queue { waiting: lines.most_waiting });
            if lines.waiting >= lines.most_waiting && !lines.make_room(tenant) {
                return Err(full);
            }
            lines.waiting += 1;
            let late = CallError::Busy(match lines.taken < lines.places {
                true => Full::Client { instances: lines.share() },
                false => Full::Adapter { instances: lines.places },
            });
            (lines.line_up(tenant), full, late)
        };
        let _waiting = Waiting(self);
        // An evicted request fails with the error of one that found the queue full.
        timeout_at(until, place).await.map_err(|_| late)?.map_err(|_| full)
    }
}

impl Lines {
    /// Puts one more at the end of `tenant`'s line.
    fn line_up(&mut self, tenant: &Tenant) -> oneshot::Receiver<Place> {
        let (hand_over, place) = oneshot::channel();
        match self.lines.get_mut(tenant) {
            Some(line) => {
                // Those who left are still in it.
                line.retain(|waiter| !waiter.is_closed());
                line.push_back(hand_over);
            }
            None => {
                self.lines.insert(tenant.clone(), VecDeque::from([hand_over]));
                self.turns.push_back(tenant.clone());
            }
        }
        place
    }

    /// Sends away the last one of the longest line, if that line is longer than `tenant`'s would be: whoever fills the queue does not
    /// keep others out of it.
    fn make_room(&mut self, tenant: &Tenant) -> bool {
        let waits = |line: &VecDeque<oneshot::Sender<Place>>| line.iter().filter(|waiter| !waiter.is_closed()).count();
        let own = self.lines.get(tenant).map_or(0, waits);
        let Some(longest) = self.lines.values_mut().max_by_key(|line| waits(line)) else { return false };
        if waits(longest) <= own + 1 {
            return false;
        }
        longest.retain(|waiter| !waiter.is_closed());
        longest.pop_back().is_some()
    }

    /// Removes from the lines, and returns, the next one in turn who still waits, and may have one more place.
    fn next(&mut self) -> Option<Next> {
        // Clients that have their share stay in the rotation.
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            if !self.has_share_left(&tenant) {
                self.turns.push_back(tenant);
                continue;
            }
            let Some(line) = self.lines.get_mut(&tenant) else { continue };
            let next = std::iter::from_fn(|| line.pop_front()).find(|waiter| !waiter.is_closed());
            if line.is_empty() {
                self.lines.remove(&tenant);
            } else {
                self.turns.push_back(tenant.clone());
            }
            if let Some(waiter) = next {
                return Some(Next { waiter, holder: self.hold(&tenant) });
            }
        }
        None
    }

    /// The most places of one client where there are others: half of them.
    fn share(&self) -> usize {
        self.places.div_ceil(2)
    }

    fn has_share_left(&self, tenant: &Tenant) -> bool {
        !tenant.has_others || self.held.get(&tenant.name).is_none_or(|held| *held < self.share())
    }

    /// Counts one more place of `tenant`, if its places are counted, and returns the name for [`release`](Self::release).
    fn hold(&mut self, tenant: &Tenant) -> Option<Arc<str>> {
        tenant.has_others.then(|| {
            *self.held.entry(tenant.name.clone()).or_default() += 1;
            tenant.name.clone()
        })
    }

    fn release(&mut self, holder: &Arc<str>) {
        if let Some(held) = self.held.get_mut(holder) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(holder);
            }
        }
    }
}

/// The next request to get a place.
struct Next {
    waiter: oneshot::Sender<Place>,
    holder: Option<Arc<str>>,
}

impl Next {
    /// Hands a place over. A request that has left meanwhile drops it, and so hands it on.
    fn hand_over(self, queue: &Arc<Queue>) {
        drop(self.waiter.send(Place { queue: queue.clone(), holder: self.holder }));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut lines = self.queue.lock();
            if let Some(holder) = &self.holder {
                lines.release(holder);
            }
            let next = if lines.taken > lines.places { None } else { lines.next() };
            if next.is_none() {
                lines.taken -= 1;
            }
            next
        };
        if let Some(next) = next {
            next.hand_over(&self.queue);
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
