//! Time on the processor: how long a request's instance has really computed. Waiting does not count, nor does being preempted.
//!
//! The time of each poll of the instance's future is added up. The thread's processor time, which leaves out preemption, costs a
//! system call; on a worker's thread it is asked only once the engine's clock has moved while the guest computed. Until then the time on
//! the wall stands in for it, and can't be more than a tick. A poll that took longer all the same was preempted, or the host worked for
//! the guest, which meets no tick: from then on every poll of the request asks for the processor's time.

use crate::consumption::Consumption;
use crate::engine::TICK;
use rustix::time::{ClockId, clock_gettime};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The time that one request has computed. All numbers are nanoseconds.
pub(crate) struct Meter {
    /// Where it is added up with that of others.
    consumption: Arc<Consumption>,
    start: Instant,
    /// Of finished polls.
    used: AtomicU64,
    /// When the running poll began, since `start`; `NONE` between polls.
    begin: AtomicU64,
    /// The thread's processor time at the first tick of the running poll; `NONE` before it.
    base: AtomicU64,
    /// Of the running poll, until `base`.
    before: AtomicU64,
    /// Of finished polls, less a part of the time between them.
    recent: AtomicU64,
    /// When the last poll ended, since `start`.
    end: AtomicU64,
    /// Whether it ever was long.
    was_long: AtomicBool,
    /// Whether all polls ask for the processor's time, since they may be preempted for long.
    is_aside: AtomicBool,
    /// True once a poll exceeded a tick without meeting one. Later polls read the CPU clock.
    is_watched: AtomicBool,
}

/// A guest may compute for one part in so many of the time without ever being taken for one that computes for long.
const PARTS: u64 = 8;

const NONE: u64 = u64::MAX;

impl Meter {
    pub(crate) fn new(consumption: Arc<Consumption>) -> Arc<Self> {
        let number = AtomicU64::new;
        Arc::new(Self {
            consumption,
            start: Instant::now(),
            used: number(0),
            begin: number(NONE),
            base: number(NONE),
            before: number(0),
            recent: number(0),
            end: number(0),
            was_long: AtomicBool::new(false),
            is_aside: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
        })
    }

    /// The time computed so far, the running poll included.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Relaxed)) + self.running()
    }

    /// Returns the time computed in finished polls: on any thread.
    pub(crate) fn finished(&self) -> Duration {
        Duration::from_nanos(self.used.load(Relaxed))
    }

    /// The time computed in the running poll. To be asked on the thread that polls.
    pub(crate) fn running(&self) -> Duration {
        match (self.begin.load(Relaxed), self.base.load(Relaxed)) {
            (NONE, _) => Duration::ZERO,
            (_, NONE) => self.wall(),
            (_, base) => Duration::from_nanos(self.before.load(Relaxed) + processor_time().saturating_sub(base)),
        }
    }

    /// Whether the guest has lately computed for a tick more than its part of the time, in one poll or in many.
    pub(crate) fn is_long(&self) -> bool {
        self.recent.load(Relaxed) >= nanos(TICK)
    }

    /// Takes into account that it has waited since the last poll.
    pub(crate) fn rest(&self) {
        let now = nanos(self.start.elapsed());
        let waited = now.saturating_sub(self.end.swap(now, Relaxed));
        self.recent.store(self.recent.load(Relaxed).saturating_sub(waited / PARTS), Relaxed);
    }

    /// From here on it is polled where others may go first, or not any more.
    pub(crate) fn set_aside(&self, is_aside: bool) {
        self.is_aside.store(is_aside, Relaxed);
    }

    /// Whether it is.
    pub(crate) fn is_aside(&self) -> bool {
        self.is_aside.load(Relaxed)
    }

    /// How long the running poll takes on the wall.
    pub(crate) fn turn(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_nanos(self.begin.load(Relaxed)))
    }

    /// To be called when the engine's clock has moved: from here on the processor's time counts.
    pub(crate) fn tick(&self) {
        if self.base.load(Relaxed) == NONE {
            self.before.store(nanos(self.wall()), Relaxed);
            self.base.store(processor_time(), Relaxed);
        }
    }

    /// The running poll by the time on the wall, a tick at the most: a guest that had computed longer would have met one, as long as the
    /// host did not work for it.
    fn wall(&self) -> Duration {
        self.turn().min(TICK)
    }

    fn begin(&self) {
        self.rest();
        self.base.store(NONE, Relaxed);
        self.begin.store(self.end.load(Relaxed), Relaxed);
        if self.is_aside() || self.is_watched.load(Relaxed) {
            self.tick();
        }
    }

    fn end(&self) {
        let (now, running) = (nanos(self.start.elapsed()), self.running());
        let turn = Duration::from_nanos(now.saturating_sub(self.begin.load(Relaxed)));
        self.used.fetch_add(nanos(running), Relaxed);
        self.consumption.computed(running);
        if self.base.load(Relaxed) == NONE && turn > TICK {
            self.is_watched.store(true, Relaxed);
        }
        // Without a tick this is the time on the wall, for most of which it may have been preempted.
        let sure = if self.base.load(Relaxed) == NONE { running.min(TICK / 16) } else { running };
        let recent = self.recent.load(Relaxed) + nanos(sure);
        // Enough to be forgotten a moment after it has become quick again.
        self.recent.store(recent.min(2 * nanos(TICK)), Relaxed);
        if self.is_long() {
            self.was_long.store(true, Relaxed);
        }
        self.end.store(now, Relaxed);
        self.begin.store(NONE, Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.consumption.note_speed(self.was_long.load(Relaxed));
    }
}

/// The processor time of this thread.
fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NONE - 1)
}

/// A future whose polls are counted by a [`Meter`]. It gives nothing once they have taken longer than `cpu` in all: the host's work for a
/// guest meets no tick that would end it.
pub(crate) struct Metered<F> {
    pub(crate) future: F,
    pub(crate) meter: Arc<Meter>,
    pub(crate) cpu: Duration,
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        self.meter.begin();
        let poll = Pin::new(&mut self.future).poll(cx);
        self.meter.end();
        match poll {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.meter.finished() > self.cpu => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes for so long, and meets a tick.
    fn compute(meter: &Meter, span: Duration) {
        meter.tick();
        let until = meter.running() + span;
        while meter.running() < until {
            std::hint::spin_loop();
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn computing_counts_and_waiting_does_not() {
        let meter = Meter::new(Arc::default());
        let work = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            meter.tick();
            // Blocks the thread without computing, as being preempted does.
            std::thread::sleep(Duration::from_millis(100));
            let idle = meter.used();
            compute(&meter, Duration::from_millis(20));
            (idle, meter.used())
        };
        let metered = Metered { future: Box::pin(work), meter: meter.clone(), cpu: Duration::MAX };
        let (idle, busy) = metered.await.unwrap();
        assert!(idle < Duration::from_millis(50), "{idle:?}");
        assert!(busy >= idle + Duration::from_millis(20), "{idle:?} {busy:?}");
        assert!(meter.used() >= busy && meter.used() < busy + Duration::from_millis(50), "{:?}", meter.used());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn short_polls_add_up() {
        let meter = Meter::new(Arc::default());
        let work = async {
            for _ in 0..30 {
                compute(&meter, Duration::from_millis(1));
                tokio::task::yield_now().await;
            }
        };
        Metered { future: Box::pin(work), meter: meter.clone(), cpu: Duration::MAX }.await;
        assert!(meter.used() >= Duration::from_millis(30), "{:?}", meter.used());
    }

    /// The host works for a guest: the thread computes, and the engine's clock is not asked.
    fn work_for_guest(span: Duration) {
        let begin = processor_time();
        while processor_time() - begin < nanos(span) {
            std::hint::spin_loop();
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn work_of_the_host_counts_once_it_has_taken_long() {
        let meter = Meter::new(Arc::default());
        for _ in 0..3 {
            poll(&meter, async { work_for_guest(10 * TICK) }).await;
        }
        // Of the first poll it can't be told from being preempted.
        assert!(meter.used() >= 20 * TICK, "{:?}", meter.used());
        assert!(meter.is_long());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn work_of_the_host_ends_at_the_limit() {
        let meter = Meter::new(Arc::default());
        let mut polls = 0;
        let work = async {
            loop {
                polls += 1;
                work_for_guest(5 * TICK);
                tokio::task::yield_now().await;
            }
        };
        let metered = Metered { future: Box::pin(work), meter: meter.clone(), cpu: 20 * TICK };
        assert_eq!(metered.await, None::<()>);
        assert!((3..=7).contains(&polls), "{polls}");
    }

    async fn poll(meter: &Arc<Meter>, work: impl Future<Output = ()>) {
        Metered { future: Box::pin(work), meter: meter.clone(), cpu: Duration::MAX }.await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn many_short_polls_are_long_and_waiting_makes_up_for_them() {
        let meter = Meter::new(Arc::default());
        let tick = || compute(&meter, TICK / 4);
        let mut polls = 0;
        while !meter.is_long() {
            poll(&meter, async { tick() }).await;
            polls += 1;
        }
        assert!(polls >= 4, "{polls}");
        // However often it waits, if only for a moment.
        poll(&meter, async {
            for _ in 0..16 {
                tick();
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(meter.is_long());
        std::thread::sleep(3 * TICK * 8);
        poll(&meter, async {}).await;
        assert!(!meter.is_long());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_mostly_waits_is_never_long() {
        let meter = Meter::new(Arc::default());
        for _ in 0..30 {
            poll(&meter, async { compute(&meter, TICK / 4) }).await;
            std::thread::sleep(TICK * 3);
        }
        assert!(!meter.is_long());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_waits_a_little_is_long() {
        let meter = Meter::new(Arc::default());
        for _ in 0..200 {
            poll(&meter, async { compute(&meter, TICK / 4) }).await;
            std::thread::sleep(TICK / 2);
            if meter.is_long() {
                return;
            }
        }
        panic!("a guest that waits for two thirds of the time is not long");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn little_counts_of_what_may_have_been_preempted() {
        let meter = Meter::new(Arc::default());
        // Each counts a 16th of a tick.
        for _ in 0..15 {
            poll(&meter, async { std::thread::sleep(TICK) }).await;
        }
        assert!(!meter.is_long());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_poll_without_a_tick_counts_a_tick_at_the_most() {
        let meter = Meter::new(Arc::default());
        let work = async { std::thread::sleep(Duration::from_millis(50)) };
        Metered { future: Box::pin(work), meter: meter.clone(), cpu: Duration::MAX }.await;
        assert!(meter.used() <= TICK, "{:?}", meter.used());
    }
}
