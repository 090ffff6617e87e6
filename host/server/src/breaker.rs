//! A circuit breaker for each model: one whose provider fails again and again is not asked for a while, then by one request at
//! a time until that is answered.
//!
//! In go the outcomes of requests; out comes whether the next one may be sent. What an adapter or a client did wrong says
//! nothing about a provider, and is not counted.

use hauski_policy::AdapterLimits;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest time for which a model is not asked, as a multiple of the first.
const LONGEST: u32 = 8;

/// Whether a model is asked.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    /// Failures in a row that open it.
    failures: u32,
    /// How long it stays open the first time.
    open: Duration,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    /// Nobody is let through until then; `times` it has opened in a row.
    Open {
        until: Instant,
        times: u32,
    },
    /// One request is on its way to find out.
    Probing {
        times: u32,
    },
}

/// Leave to ask, and the duty to say how it went. Dropped without a word, it counts as nothing.
#[derive(Debug)]
pub(crate) struct Pass(Option<Arc<Breaker>>);

impl Breaker {
    pub(crate) fn new(limits: &AdapterLimits) -> Self {
        Self {
            state: Mutex::new(State::Closed { failures: 0 }),
            failures: limits.breaker_failures,
            open: limits.breaker_open,
        }
    }

    /// Leave to ask, or how long there is none.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Pass, Duration> {
        let (now, mut state) = (Instant::now(), self.lock());
        match *state {
            State::Closed { .. } => {}
            State::Open { until, times } if until <= now => *state = State::Probing { times },
            State::Open { until, .. } => return Err(until - now),
            // How long the probe takes is not known; the next one is allowed soon after it.
            State::Probing { .. } => return Err(self.open),
        }
        Ok(Pass(Some(self.clone())))
    }

    /// `closed`, `open` or `half-open`, as numbers: 0, 1, 2.
    pub(crate) fn code(&self) -> i64 {
        match *self.lock() {
            State::Closed { .. } => 0,
            State::Open { .. } => 1,
            State::Probing { .. } => 2,
        }
    }

    /// Notes that the provider could be used.
    pub(crate) fn succeeded(&self) {
        *self.lock() = State::Closed { failures: 0 };
    }

    /// Notes that it could not.
    pub(crate) fn failed(&self) {
        let mut state = self.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.failures => State::Closed { failures: failures + 1 },
            State::Closed { .. } => self.opened(1),
            State::Probing { times } => self.opened((times * 2).min(LONGEST)),
            State::Open { until, times } if until <= Instant::now() => self.opened(times),
            // Those that were under way when it opened.
            State::Open { until, times } => State::Open { until, times },
        };
    }

    fn opened(&self, times: u32) -> State {
        State::Open { until: Instant::now() + self.open * times, times }
    }

    /// A probe ended without a word: the next one may find out.
    fn gave_up(&self) {
        let mut state = self.lock();
        if let State::Probing { times } = *state {
            *state = State::Open { until: Instant::now(), times };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The provider answered.
    pub(crate) fn succeeded(mut self) {
        if let Some(breaker) = self.0.take() {
            breaker.succeeded();
        }
    }

    /// The provider could not be used.
    pub(crate) fn failed(mut self) {
        if let Some(breaker) = self.0.take() {
            breaker.failed();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(breaker) = self.0.take() {
            breaker.gave_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    fn breaker(failures: u32, open: Duration) -> Arc<Breaker> {
        Arc::new(Breaker { state: Mutex::new(State::Closed { failures: 0 }), failures, open })
    }

    const SHORT: Duration = Duration::from_millis(30);

    #[test]
    fn failures_in_a_row_open_it() {
        let breaker = breaker(3, Duration::from_secs(60));
        let fail = || breaker.enter().unwrap().failed();
        fail();
        fail();
        breaker.enter().unwrap().succeeded();
        fail();
        fail();
        drop(breaker.enter().unwrap());
        assert_eq!(breaker.code(), 0);
        fail();
        assert_eq!(breaker.code(), 1);
        let left = breaker.enter().unwrap_err();
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60));
    }

    #[test]
    fn one_probe_at_a_time_closes_it_again() {
        let breaker = breaker(1, SHORT);
        breaker.enter().unwrap().failed();
        assert!(breaker.enter().is_err());
        sleep(SHORT);
        let probe = breaker.enter().unwrap();
        assert_eq!(breaker.code(), 2);
        assert!(breaker.enter().is_err());
        probe.succeeded();
        assert_eq!(breaker.code(), 0);
        breaker.enter().unwrap();
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_longer() {
        let breaker = breaker(1, SHORT);
        let mut open = Duration::ZERO;
        breaker.enter().unwrap().failed();
        for times in [1, 2, 4, 8, 8] {
            open = breaker.enter().unwrap_err();
            assert!(open <= SHORT * times && open > SHORT * times / 2, "{times}: {open:?}");
            sleep(open);
            breaker.enter().unwrap().failed();
        }
        assert!(open > Duration::ZERO);
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_room_for_the_next() {
        let breaker = breaker(1, SHORT);
        breaker.enter().unwrap().failed();
        sleep(SHORT);
        drop(breaker.enter().unwrap());
        drop(breaker.enter().unwrap());
        assert_eq!(breaker.code(), 1);
        breaker.enter().unwrap().succeeded();
        assert_eq!(breaker.code(), 0);
    }
}
