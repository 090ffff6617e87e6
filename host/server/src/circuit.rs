//! The circuit of a circuit breaker: it opens after failures in a row, lets nothing through for a while, then one request at a time
//! until one succeeds.
//!
//! In go the outcomes of requests, and of the gateway's own looks; out comes whether the next request may be sent. What began before
//! the circuit last opened or closed is not counted.

use hauski_policy::AdapterLimits;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest time for which a model is not asked, as a multiple of the first.
const LONGEST: u32 = 8;

/// A circuit: closed, open or on trial.
#[derive(Debug)]
pub(crate) struct Circuit {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Failures in a row that open it.
    failures: u32,
    /// How long it stays open the first time.
    open: Duration,
    /// How often it has opened, gone on trial or closed. A request counts for the time in which it was let through.
    epoch: u64,
    /// Whether a request has met one of the failures: a provider that can tell its models may still fail to answer.
    met: bool,
    /// The failures in a row by client, where it is known.
    of_clients: BTreeMap<Arc<str>, u32>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    /// Nobody is let through until then; `times` it has opened in a row.
    Open {
        until: Instant,
        times: u32,
    },
    /// One request is on its way to find out; if it takes longer than that, another one may.
    Trial {
        until: Instant,
        times: u32,
    },
}

/// Leave to ask, and the duty to say how it went. Dropped without a word, it counts as nothing.
#[derive(Debug)]
pub(crate) struct Pass {
    /// None once it is said how it went.
    circuit: Option<Arc<Circuit>>,
    epoch: u64,
}

impl Circuit {
    pub(crate) fn new(limits: &AdapterLimits) -> Self {
        Self::with(limits.breaker_failures, limits.breaker_open)
    }

    fn with(failures: u32, open: Duration) -> Self {
        let inner = Inner {
            state: State::Closed { failures: 0 },
            failures,
            open,
            epoch: 0,
            met: false,
            of_clients: BTreeMap::new(),
        };
        Self { inner: Mutex::new(inner) }
    }

    /// Puts other limits in force: for failures from now on, and for how long it opens the next time. What it has counted stays.
    pub(crate) fn set_limits(&self, limits: &AdapterLimits) {
        let mut inner = self.lock();
        inner.failures = limits.breaker_failures;
        inner.open = limits.breaker_open;
    }

    /// Leave to ask, or how long there is none.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Pass, Duration> {
        let (now, mut inner) = (Instant::now(), self.lock());
        let open = inner.open;
        let trial = |times| State::Trial { until: now + open, times };
        match inner.state {
            State::Closed { .. } => {}
            State::Open { until, times } if until <= now => inner.turn(trial(times)),
            State::Trial { until, times } if until <= now => inner.state = trial(times),
            State::Open { until, .. } | State::Trial { until, .. } => return Err(until - now),
        }
        Ok(Pass { circuit: Some(self.clone()), epoch: inner.epoch })
    }

    /// `closed`, `open` or `half-open`, as numbers: 0, 1, 2. The last is so also where the next request would find out.
    pub(crate) fn code(&self) -> i64 {
        match self.lock().state {
            State::Closed { .. } => 0,
            State::Open { until, .. } if until > Instant::now() => 1,
            State::Open { .. } | State::Trial { .. } => 2,
        }
    }

    /// Notes a look that found the provider well. Where requests have met failures, only a request can tell that they are over.
    pub(crate) fn looked_well(&self) {
        let mut inner = self.lock();
        match inner.state {
            _ if !inner.met => inner.close(),
            State::Open { times, .. } => inner.state = State::Open { until: Instant::now(), times },
            State::Closed { .. } | State::Trial { .. } => {}
        }
    }

    /// Notes a look that found it can't be used.
    pub(crate) fn looked_ill(&self) {
        let mut inner = self.lock();
        match inner.state {
            // Still so.
            State::Open { until, times } if until <= Instant::now() => inner.state = inner.opened(times),
            _ => inner.count(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Goes over to another kind of state: those let through before count no more.
    fn turn(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
        self.of_clients.clear();
    }

    /// Returns whether a failure of `client` counts: those of one client are at most half of those that open the circuit, so that
    /// prompts which provoke them cut off nobody else.
    fn counts(&mut self, client: Option<&Arc<str>>) -> bool {
        let Some(client) = client else { return true };
        let counted = self.of_clients.entry(client.clone()).or_default();
        *counted = counted.saturating_add(1);
        *counted <= self.failures.div_ceil(2)
    }

    fn count(&mut self, client: Option<&Arc<str>>) {
        if matches!(self.state, State::Closed { .. }) && !self.counts(client) {
            return;
        }
        match self.state {
            State::Closed { failures } if failures + 1 < self.failures => {
                self.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } => self.turn(self.opened(1)),
            State::Trial { times, .. } => self.turn(self.opened((times * 2).min(LONGEST))),
            State::Open { .. } => {}
        }
    }

    fn opened(&self, times: u32) -> State {
        State::Open { until: Instant::now() + self.open * times, times }
    }

    fn close(&mut self) {
        self.met = false;
        self.of_clients.clear();
        match self.state {
            State::Closed { .. } => self.state = State::Closed { failures: 0 },
            State::Open { .. } | State::Trial { .. } => self.turn(State::Closed { failures: 0 }),
        }
    }
}

impl Pass {
    /// The provider answered.
    pub(crate) fn succeeded(self) {
        self.end(Inner::close);
    }

    /// The provider could not be used for a request of `client`, where the failures of one client are limited.
    pub(crate) fn failed(self, client: Option<&Arc<str>>) {
        self.end(|inner| {
            inner.met = true;
            inner.count(client);
        });
    }

    fn end(mut self, note: impl FnOnce(&mut Inner)) {
        let Some(circuit) = self.circuit.take() else { return };
        let mut inner = circuit.lock();
        if inner.epoch == self.epoch {
            note(&mut inner);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(circuit) = self.circuit.take() else { return };
        let mut inner = circuit.lock();
        if let (State::Trial { times, .. }, true) = (inner.state, inner.epoch == self.epoch) {
            // The next one may find out at once.
            inner.state = State::Trial { until: Instant::now(), times };
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::thread::sleep;

    fn circuit(failures: u32, open: Duration) -> Arc<Circuit> {
        Arc::new(Circuit::with(failures, open))
    }

    const SHORT: Duration = Duration::from_millis(30);

    #[test]
    fn failures_in_a_row_open_it() {
        let circuit = circuit(3, Duration::from_secs(60));
        let fail = || circuit.enter().unwrap().failed(None);
        fail();
        fail();
        circuit.enter().unwrap().succeeded();
        fail();
        fail();
        drop(circuit.enter().unwrap());
        assert_eq!(circuit.code(), 0);
        fail();
        assert_eq!(circuit.code(), 1);
        let left = circuit.enter().unwrap_err();
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60));
    }

    #[test]
    fn one_probe_at_a_time_closes_it_again() {
        let circuit = circuit(1, SHORT);
        circuit.enter().unwrap().failed(None);
        assert!(circuit.enter().is_err());
        sleep(SHORT);
        let probe = circuit.enter().unwrap();
        assert_eq!(circuit.code(), 2);
        assert!(circuit.enter().is_err());
        probe.succeeded();
        assert_eq!(circuit.code(), 0);
        circuit.enter().unwrap();
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_longer() {
        let circuit = circuit(1, SHORT);
        let mut open = Duration::ZERO;
        circuit.enter().unwrap().failed(None);
        for times in [1, 2, 4, 8, 8] {
            open = circuit.enter().unwrap_err();
            assert!(open <= SHORT * times && open > SHORT * times / 2, "{times}: {open:?}");
            sleep(open);
            circuit.enter().unwrap().failed(None);
        }
        assert!(open > Duration::ZERO);
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_room_for_the_next() {
        let circuit = circuit(1, SHORT);
        circuit.enter().unwrap().failed(None);
        sleep(SHORT);
        drop(circuit.enter().unwrap());
        drop(circuit.enter().unwrap());
        assert_eq!(circuit.code(), 2);
        circuit.enter().unwrap().succeeded();
        assert_eq!(circuit.code(), 0);
    }

    #[test]
    fn what_began_before_counts_no_more() {
        let circuit = circuit(1, SHORT);
        let (old, other, third) = (circuit.enter().unwrap(), circuit.enter().unwrap(), circuit.enter().unwrap());
        circuit.enter().unwrap().failed(None);
        old.succeeded();
        assert!(circuit.enter().is_err(), "a success of before closes nothing");
        sleep(SHORT);
        let probe = circuit.enter().unwrap();
        drop(other);
        assert!(circuit.enter().is_err(), "nor does it let another one through");
        third.failed(None);
        assert_eq!(circuit.code(), 2, "nor does a failure of before open it for longer");
        probe.succeeded();
        assert_eq!(circuit.code(), 0);
    }

    #[test]
    fn a_trial_that_takes_long_is_not_waited_for() {
        let circuit = circuit(1, SHORT);
        circuit.enter().unwrap().failed(None);
        sleep(SHORT);
        let slow = circuit.enter().unwrap();
        assert!(circuit.enter().is_err());
        sleep(SHORT);
        let second = circuit.enter().unwrap();
        slow.succeeded();
        assert_eq!(circuit.code(), 0);
        second.failed(None);
        assert_eq!(circuit.code(), 0, "it is over");
    }

    #[test]
    fn circuit_follows_its_limits() {
        let circuit = circuit(3, Duration::from_secs(60));
        let fail = || circuit.enter().unwrap().failed(None);
        let limits = |failures, open| AdapterLimits { breaker_failures: failures, breaker_open: open, ..any_limits() };
        fail();
        circuit.set_limits(&limits(5, SHORT));
        fail();
        fail();
        assert_eq!(circuit.code(), 0, "it opens later now");
        circuit.set_limits(&limits(2, SHORT));
        fail();
        assert_eq!(circuit.code(), 1, "and sooner, with the failures that it has counted");
        assert!(circuit.enter().unwrap_err() <= SHORT);
        circuit.set_limits(&limits(2, Duration::from_secs(60)));
        sleep(SHORT);
        circuit.enter().unwrap().failed(None);
        assert!(circuit.enter().unwrap_err() > Duration::from_secs(100), "the next time counts the new duration");
    }

    pub(crate) fn any_limits() -> AdapterLimits {
        let limits = include_bytes!("../../../policies/limits.yaml");
        *hauski_policy::Limits::parse("limits.yaml", limits).unwrap().value.adapter(&"any".parse().unwrap())
    }

    #[test]
    fn looks() {
        let circuit = circuit(2, Duration::from_secs(60));
        let (ill, well) = (|| circuit.looked_ill(), || circuit.looked_well());
        ill();
        well();
        ill();
        assert_eq!(circuit.code(), 0);
        ill();
        assert_eq!(circuit.code(), 1);
        well();
        assert_eq!(circuit.code(), 0, "what looks have found looks can take back");
        circuit.enter().unwrap().failed(None);
        well();
        circuit.enter().unwrap().failed(None);
        assert_eq!(circuit.code(), 1, "what requests have met they can't");
        well();
        assert_eq!(circuit.code(), 2);
        circuit.enter().unwrap().failed(None);
        assert_eq!(circuit.code(), 1);
        well();
        circuit.enter().unwrap().succeeded();
        assert_eq!(circuit.code(), 0);
    }
}
