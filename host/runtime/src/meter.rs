//! Time on the processor: how long a request's instance has really computed, waiting not counted.
//!
//! The clock runs while the instance's future is polled. The epoch callback asks it in between, so that a guest that never
//! comes back is found out as well.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The time that one request has computed.
pub(crate) struct Meter {
    start: Instant,
    /// Nanoseconds of finished polls.
    used: AtomicU64,
    /// When the running poll began, in nanoseconds since `start`; `IDLE` between polls.
    since: AtomicU64,
}

const IDLE: u64 = u64::MAX;

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), used: AtomicU64::new(0), since: AtomicU64::new(IDLE) })
    }

    /// The time computed so far, the running poll included.
    pub(crate) fn used(&self) -> Duration {
        let running = match self.since.load(Relaxed) {
            IDLE => 0,
            since => self.now().saturating_sub(since),
        };
        Duration::from_nanos(self.used.load(Relaxed) + running)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(IDLE - 1)
    }
}

/// A future whose polls are counted by a [`Meter`].
pub(crate) struct Metered<F> {
    pub(crate) future: F,
    pub(crate) meter: Arc<Meter>,
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let begin = self.meter.now();
        self.meter.since.store(begin, Relaxed);
        let poll = Pin::new(&mut self.future).poll(cx);
        self.meter.since.store(IDLE, Relaxed);
        self.meter.used.fetch_add(self.meter.now().saturating_sub(begin), Relaxed);
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn computing_counts_and_waiting_does_not() {
        let meter = Meter::new();
        let work = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(20) {
                std::hint::spin_loop();
            }
            meter.used()
        };
        let inside = Metered { future: Box::pin(work), meter: meter.clone() }.await;
        assert!(inside >= Duration::from_millis(20), "{inside:?}");
        assert!(meter.used() >= inside && meter.used() < Duration::from_millis(150), "{:?}", meter.used());
    }
}
