//! How much one request may send: a number of requests in all, and a number of answers held at once.
//!
//! Both ways out share the count. It bounds what a guest can cost in connections, and in log lines by being denied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
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
    held: Arc<Semaphore>,
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
}

impl Sends {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Left { all: AtomicU32::new(ALL), held: Arc::new(Semaphore::new(HELD)) }))
    }

    /// Counts one more.
    pub(crate) fn begin(&self) -> Result<Held, TooMany> {
        let held = self.0.held.clone().try_acquire_owned().map_err(|_| TooMany::Held)?;
        let fewer = |left: u32| left.checked_sub(1);
        self.0.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).map_err(|_| TooMany::All)?;
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_hold() {
        let sends = Sends::new();
        let held: Vec<_> = (0..HELD).map(|_| sends.begin().unwrap()).collect();
        assert_eq!(sends.begin().err(), Some(TooMany::Held));
        drop(held);
        for _ in HELD..ALL as usize {
            drop(sends.clone().begin().unwrap());
        }
        assert_eq!(sends.begin().err(), Some(TooMany::All));
    }
}
