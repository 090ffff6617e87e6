//! What the instances of one adapter take, those of all its versions together: counted while it happens, to be shown.

use crate::budget::MemoryAccount;
use crate::error::{CallError, Full};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The limits of an adapter that end a request, by their keys in `limits.yaml`. Those on providers' answers are the egress door's.
const LIMITS: [&str; 6] = ["memory_mib", "total_memory_mib", "cpu_ms", "total_ms", "queue", "queue_ms"];

/// What the instances of one adapter have taken and take at this moment.
pub struct Consumption {
    requests: AtomicU64,
    /// When the last instance was given, in milliseconds of Unix time.
    last: AtomicU64,
    memory: Arc<MemoryAccount>,
    /// Bytes of request bodies that providers have not yet taken.
    outbound: AtomicUsize,
    /// Nanoseconds.
    cpu: AtomicU64,
    hits: [AtomicU64; LIMITS.len()],
    /// How many requests in a row have computed for long.
    slow: AtomicU32,
}

/// The bound that a request body does not fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoOutbound {
    /// The adapter's bodies have all of their place.
    OfAdapter,
    /// The memory of all adapters together is taken.
    OfAll { total: usize },
}

/// After so many of them the next ones begin aside, until one is quick: a large request among small ones changes nothing for those.
pub(crate) const SLOW: u32 = 3;

impl Consumption {
    /// Nothing so far. Memory is taken from this account.
    pub(crate) fn new(memory: Arc<MemoryAccount>) -> Self {
        Self {
            requests: AtomicU64::default(),
            last: AtomicU64::default(),
            memory,
            outbound: AtomicUsize::default(),
            cpu: AtomicU64::default(),
            hits: Default::default(),
            slow: AtomicU32::default(),
        }
    }

    /// How many instances were given for a request so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// When the last one was.
    #[must_use]
    pub fn last(&self) -> Option<SystemTime> {
        (self.requests() > 0).then(|| UNIX_EPOCH + Duration::from_millis(self.last.load(Relaxed)))
    }

    /// The linear memory and the tables of the instances that live at this moment, the request bodies that they have handed over and
    /// that providers have not yet taken, and large answers that clients have not yet taken, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// The time that instances have computed.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu.load(Relaxed))
    }

    /// How many requests each limit has ended, by its key in `limits.yaml`.
    pub fn hits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        LIMITS.into_iter().zip(self.hits.iter().map(|hits| hits.load(Relaxed)))
    }

    /// An instance is given.
    pub(crate) fn begin(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Relaxed);
        self.requests.fetch_add(1, Relaxed);
    }

    /// The account that memory is taken from.
    pub(crate) fn memory(&self) -> &Arc<MemoryAccount> {
        &self.memory
    }

    /// Reserves the bytes of a request body, if the adapter then has no more than `max` of them, and memory is left.
    pub(crate) fn try_reserve_outbound(&self, bytes: usize, max: usize) -> Result<(), NoOutbound> {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= max);
        self.outbound.fetch_update(Relaxed, Relaxed, more).map_err(|_| NoOutbound::OfAdapter)?;
        if !self.memory.try_take(bytes) {
            self.outbound.fetch_sub(bytes, Relaxed);
            return Err(NoOutbound::OfAll { total: self.memory.total() });
        }
        Ok(())
    }

    /// Releases the bytes of a request body that is sent or canceled.
    pub(crate) fn release_outbound(&self, bytes: usize) {
        self.outbound.fetch_sub(bytes, Relaxed);
        self.memory.give_back(bytes);
    }

    /// An instance has computed for so long.
    pub(crate) fn computed(&self, time: Duration) {
        self.cpu.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether it was slow in each of its last requests.
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Relaxed) >= SLOW
    }

    /// A request has ended, which has computed for long or not.
    pub(crate) fn note_speed(&self, is_slow: bool) {
        if is_slow {
            let _ = self.slow.fetch_update(Relaxed, Relaxed, |slow| (slow < SLOW).then_some(slow + 1));
        } else if self.slow.load(Relaxed) > 0 {
            self.slow.store(0, Relaxed);
        }
    }

    /// A request has ended with this; counts the limit, if it is one.
    pub(crate) fn note(&self, error: &CallError) {
        let limit = match error {
            CallError::OutOfMemory(_) => "memory_mib",
            CallError::ComputedTooLong(_) => "cpu_ms",
            CallError::TotalTimeout(_) => "total_ms",
            CallError::Busy(Full::Queue { .. }) => "queue",
            CallError::Busy(Full::Adapter { .. } | Full::Client { .. }) => "queue_ms",
            CallError::Busy(Full::Memory { .. }) => "total_memory_mib",
            CallError::Busy(Full::Pool)
            | CallError::Adapter(_)
            | CallError::NotServed(_)
            | CallError::HandedOverTooMuch(_)
            | CallError::Trapped(_) => return,
        };
        if let Some(at) = LIMITS.iter().position(|own| *own == limit) {
            self.hits[at].fetch_add(1, Relaxed);
        }
    }
}

/// As if it were alone, with all the memory there is.
#[cfg(test)]
impl Default for Consumption {
    fn default() -> Self {
        Self::new(crate::budget::MemoryBudget::new(usize::MAX).open())
    }
}
