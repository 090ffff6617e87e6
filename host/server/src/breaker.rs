//! A circuit breaker for each model: one whose provider fails again and again is not asked for a while, then by one request at
//! a time until that is answered.
//!
//! What an adapter or a client did wrong says nothing about a provider, and is not counted. Some failures of a provider are provoked
//! by what it is sent, so the breaker has a circuit for all clients and one for each client with failures: a client alone opens its
//! own, and the one for all only together with another client.

use crate::circuit::{self, Circuit};
use hauski_policy::AdapterLimits;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The circuits of one model.
#[derive(Debug)]
pub(crate) struct Breaker {
    all: Arc<Circuit>,
    clients: Mutex<Clients>,
}

/// The circuits of clients with failures since their last success.
#[derive(Debug)]
struct Clients {
    circuits: BTreeMap<Arc<str>, Arc<Circuit>>,
    limits: AdapterLimits,
}

/// Leave to ask, and the duty to say how it went. Dropped without a word, it counts as nothing.
#[derive(Debug)]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    all: circuit::Pass,
    own: Option<circuit::Pass>,
    client: Option<Arc<str>>,
}

impl Breaker {
    pub(crate) fn new(limits: &AdapterLimits) -> Self {
        let clients = Clients { circuits: BTreeMap::new(), limits: *limits };
        Self { all: Arc::new(Circuit::new(limits)), clients: Mutex::new(clients) }
    }

    /// Puts other limits in force: for failures from now on, and for how long it opens the next time. What it has counted stays.
    pub(crate) fn set_limits(&self, limits: &AdapterLimits) {
        self.all.set_limits(limits);
        let mut clients = self.lock();
        clients.limits = *limits;
        clients.circuits.values().for_each(|circuit| circuit.set_limits(limits));
    }

    /// Leave to ask for `client`, or how long there is none. Without a client, the request is told from no other.
    pub(crate) fn enter(self: &Arc<Self>, client: Option<Arc<str>>) -> Result<Pass, Duration> {
        let circuit = client.as_ref().and_then(|client| self.lock().circuits.get(client).cloned());
        let own = circuit.map(|circuit| circuit.enter()).transpose()?;
        Ok(Pass { breaker: self.clone(), all: self.all.enter()?, own, client })
    }

    /// `closed`, `open` or `half-open` for all clients, as numbers: 0, 1, 2. The last is so also where the next request would find
    /// out.
    pub(crate) fn code(&self) -> i64 {
        self.all.code()
    }

    /// Notes a look that found the provider well. Where requests have met failures, only a request can tell that they are over.
    pub(crate) fn looked_well(&self) {
        self.all.looked_well();
    }

    /// Notes a look that found it can't be used.
    pub(crate) fn looked_ill(&self) {
        self.all.looked_ill();
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The provider answered.
    pub(crate) fn succeeded(self) {
        self.all.succeeded();
        if let (Some(own), Some(client)) = (self.own, &self.client) {
            own.succeeded();
            self.breaker.lock().circuits.remove(client);
        }
    }

    /// The provider could not be used.
    pub(crate) fn failed(self) {
        self.all.failed(self.client.as_ref());
        let Some(client) = self.client else { return };
        let own = self.own.or_else(|| {
            let mut clients = self.breaker.lock();
            let limits = clients.limits;
            let circuit = clients.circuits.entry(client).or_insert_with(|| Arc::new(Circuit::new(&limits)));
            circuit.enter().ok()
        });
        own.into_iter().for_each(|own| own.failed(None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::tests::any_limits;
    use std::thread::sleep;

    const OPEN: Duration = Duration::from_millis(300);

    fn breaker(failures: u32) -> Arc<Breaker> {
        let limits = AdapterLimits { breaker_failures: failures, breaker_open: OPEN, ..any_limits() };
        Arc::new(Breaker::new(&limits))
    }

    fn client(name: &str) -> Option<Arc<str>> {
        Some(name.into())
    }

    fn fail(breaker: &Arc<Breaker>, name: &str) {
        breaker.enter(client(name)).unwrap().failed();
    }

    /// L12: prompts that provoke ten errors cut off everybody.
    #[test]
    fn client_alone_opens_its_own_circuit_only() {
        let breaker = breaker(10);
        (0..10).for_each(|_| fail(&breaker, "a"));
        assert!(breaker.enter(client("a")).is_err());
        assert_eq!(breaker.code(), 0);
        breaker.enter(client("b")).unwrap().succeeded();
        assert!(breaker.enter(client("a")).is_err(), "another's success says nothing of what it sends");
        sleep(OPEN);
        breaker.enter(client("a")).unwrap().succeeded();
        breaker.enter(client("a")).unwrap().succeeded();
        assert!(breaker.lock().circuits.is_empty());
    }

    #[test]
    fn failures_of_several_clients_open_the_circuit_of_all() {
        let breaker = breaker(10);
        (0..9).for_each(|_| fail(&breaker, "a"));
        (0..4).for_each(|_| fail(&breaker, "b"));
        assert_eq!(breaker.code(), 0, "those of one client are at most half");
        fail(&breaker, "b");
        assert_eq!(breaker.code(), 1);
        assert!(breaker.enter(client("c")).is_err() && breaker.enter(None).is_err());
    }

    #[test]
    fn success_of_any_client_ends_the_row() {
        let breaker = breaker(2);
        fail(&breaker, "a");
        breaker.enter(client("c")).unwrap().succeeded();
        fail(&breaker, "b");
        assert_eq!(breaker.code(), 0);
        fail(&breaker, "c");
        assert_eq!(breaker.code(), 1);
    }

    #[test]
    fn failures_without_a_client_are_all_counted() {
        let breaker = breaker(3);
        (0..3).for_each(|_| breaker.enter(None).unwrap().failed());
        assert_eq!(breaker.code(), 1);
        assert!(breaker.lock().circuits.is_empty());
    }

    #[test]
    fn circuits_of_clients_follow_the_limits() {
        let limits = AdapterLimits { breaker_failures: 2, breaker_open: OPEN, ..any_limits() };
        for before in [0, 1] {
            let breaker = breaker(10);
            (0..before).for_each(|_| fail(&breaker, "a"));
            breaker.set_limits(&limits);
            (before..2).for_each(|_| fail(&breaker, "a"));
            assert!(breaker.enter(client("a")).is_err(), "{before}");
            assert_eq!(breaker.code(), 0, "{before}");
        }
    }
}
