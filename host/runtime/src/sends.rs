//! Outbound quotas of one request: requests and bytes in all, responses held at once, bytes of bodies in flight.
//!
//! Both ways out share them, but for the bytes in flight: `wasi:http` hands bodies over in small pieces. They bound what a guest can cost in connections, in the host's memory, and in log lines by being denied.

use crate::consumption::{Consumption, NoOutbound};
use crate::instance::HostMemoryLimits;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests to providers that one request may make, denied ones included.
const ALL: u32 = 256;
/// Answers of providers, and with them connections, that it may hold at once.
const HELD: usize = 32;

/// What one request has left. A clone shares it.
#[derive(Clone)]
pub(crate) struct Sends(Arc<Left>);

struct Left {
    all: AtomicU32,
    /// Bytes of bodies that may still be sent.
    total: AtomicU64,
    max_total: u64,
    held: Arc<Semaphore>,
    /// Bytes of bodies that may still be on their way at once.
    bytes: Arc<Semaphore>,
    max_bytes: usize,
    /// The same for all requests of the adapter.
    max_of_adapter: usize,
    consumption: Arc<Consumption>,
}

/// An answer's place among those that are held; given back on drop.
pub(crate) type Held = OwnedSemaphorePermit;

/// Why a request may not send once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    #[error("too many requests to providers: {ALL} in all")]
    All,
    #[error("too many answers are held at once: drop some before sending more, {HELD} are the most")]
    Held,
    #[error("sending the request failed: its bodies exceed {} MiB in all; raise `request_mib` or `response_mib`", .0 >> 20)]
    Total(u64),
    #[error("sending the request failed: its bodies in flight exceed {} MiB (limit `memory_mib`); wait until one is sent", .0 >> 20)]
    Bytes(usize),
    #[error("sending the request failed: the adapter's bodies in flight exceed {} MiB; retry later, or raise `buffered_mib`", .0 >> 20)]
    BytesOfAdapter(usize),
    #[error("sending the request failed: the adapters have all of their {} MiB of memory together (limit `total_memory_mib`); retry later", .0 >> 20)]
    BytesOfAll(usize),
}

/// A body in the host's memory, counted until the connection has all of it.
struct Body {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
    consumption: Arc<Consumption>,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.consumption.release_outbound(self.bytes.len());
    }
}

impl Sends {
    /// Returns what a request may send: bodies of at most `max_bytes` on their way at once, `bounds.outbound` with all other requests of
    /// the adapter, and `bounds.sent` in all.
    pub(crate) fn new(max_bytes: usize, bounds: HostMemoryLimits, consumption: Arc<Consumption>) -> Self {
        let max_bytes = max_bytes.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Left {
            all: AtomicU32::new(ALL),
            total: AtomicU64::new(bounds.sent),
            max_total: bounds.sent,
            held: Arc::new(Semaphore::new(HELD)),
            bytes: Arc::new(Semaphore::new(max_bytes)),
            max_bytes,
            max_of_adapter: bounds.outbound,
            consumption,
        }))
    }

    /// Counts so many more bytes of bodies.
    pub(crate) fn count(&self, bytes: usize) -> Result<(), TooMany> {
        let fewer = |left: u64| left.checked_sub(bytes as u64);
        let counted = self.0.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        counted.map(drop).map_err(|_| TooMany::Total(self.0.max_total))
    }

    /// Counts one more.
    pub(crate) fn begin(&self) -> Result<Held, TooMany> {
        let held = self.0.held.clone().try_acquire_owned().map_err(|_| TooMany::Held)?;
        let fewer = |left: u32| left.checked_sub(1);
        self.0.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).map_err(|_| TooMany::All)?;
        Ok(held)
    }

    /// Counts the body of a request for as long as any of it is in the host's memory.
    pub(crate) fn body(&self, bytes: Vec<u8>) -> Result<Bytes, TooMany> {
        let left = &self.0;
        if bytes.is_empty() {
            return Ok(Bytes::new());
        }
        self.count(bytes.len())?;
        let over = TooMany::Bytes(left.max_bytes);
        let permits = u32::try_from(bytes.len()).map_err(|_| over)?;
        let permit = left.bytes.clone().try_acquire_many_owned(permits).map_err(|_| over)?;
        left.consumption.try_reserve_outbound(bytes.len(), left.max_of_adapter).map_err(|none| match none {
            NoOutbound::OfAdapter => TooMany::BytesOfAdapter(left.max_of_adapter),
            NoOutbound::OfAll { total } => TooMany::BytesOfAll(total),
        })?;
        Ok(Bytes::from_owner(Body { bytes, _permit: permit, consumption: left.consumption.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: HostMemoryLimits = HostMemoryLimits { in_one_call: 0, outbound: 150, sent: 1_000 };

    #[test]
    fn bytes_in_all_are_limited() {
        let sends = Sends::new(1_000, BOUNDS, Arc::default());
        sends.count(900).unwrap();
        assert_eq!(sends.body(vec![0; 101]).err(), Some(TooMany::Total(1_000)));
        drop(sends.body(vec![0; 100]).unwrap());
        assert_eq!(sends.clone().count(1), Err(TooMany::Total(1_000)));
    }

    #[test]
    fn both_numbers_hold() {
        let sends = Sends::new(100, BOUNDS, Arc::default());
        let held: Vec<_> = (0..HELD).map(|_| sends.begin().unwrap()).collect();
        assert_eq!(sends.begin().err(), Some(TooMany::Held));
        drop(held);
        for _ in HELD..ALL as usize {
            drop(sends.clone().begin().unwrap());
        }
        assert_eq!(sends.begin().err(), Some(TooMany::All));
    }

    #[test]
    fn bodies_are_counted_until_all_of_them_is_gone() {
        let consumption = Arc::<Consumption>::default();
        let sends = Sends::new(100, BOUNDS, consumption.clone());
        let mut first = sends.body(vec![0; 60]).unwrap();
        assert_eq!(sends.body(vec![0; 41]).err(), Some(TooMany::Bytes(100)));
        let second = sends.body(vec![0; 40]).unwrap();
        assert_eq!(consumption.memory_bytes(), 100);
        let other = Sends::new(100, BOUNDS, consumption.clone());
        assert_eq!(other.body(vec![0; 51]).err(), Some(TooMany::BytesOfAdapter(150)));
        assert_eq!(consumption.memory_bytes(), 100, "what was refused is not counted");
        let third = other.body(vec![0; 50]).unwrap();
        // A connection takes pieces of it.
        let piece = first.split_to(10);
        drop((first, third));
        assert_eq!(consumption.memory_bytes(), 100);
        drop((piece, second));
        assert_eq!(consumption.memory_bytes(), 0);
        assert_eq!(sends.body(vec![0; 100]).map(|body| body.len()), Ok(100));
    }
}
