//! The open connections: how many there may be, in all and of one address, and which of them is closed to make room.
//!
//! A connection is idle while none of its requests is under way. At the limit, a new connection takes the place of the one that has
//! been idle for longest, if that is more than a moment, so that silent connections keep nobody out. A head that takes longer than [`HEAD_TIMEOUT`] ends its connection.

use crate::capacity::Capacity;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::timeout;

/// The time that a request's head may take, from its first byte to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that a connection may be idle before it has to give its place to a new one.
const IDLE_GRACE: Duration = Duration::from_secs(1);
/// The interval at which a connection that waits for a place looks for an idle one.
const ADMIT_INTERVAL: Duration = Duration::from_millis(50);
/// The part of all places that one address may take, where others than this machine can connect.
const ADDRESS_SHARE: usize = 2;
/// No time.
const NEVER: u64 = u64::MAX;

/// The open connections.
pub(crate) struct Connections {
    capacity: Capacity,
    started: Instant,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// How many there are of each network.
    by_network: HashMap<Network, usize>,
    /// All of them, by number. Those that have ended are left out in time.
    all: HashMap<u64, Weak<State>>,
    next: u64,
}

/// What counts as one address: an IPv4 address, or the /64 network of an IPv6 address, which one machine has as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network([u8; 8]);

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            // No IPv6 address of the internet begins so.
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                Self([0, 0, 0, 4, a, b, c, d])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// What a connection does at this moment. Times are nanoseconds since the start.
#[derive(Debug)]
struct State {
    /// The begin of the idle time; `NEVER` while a request is under way.
    idle_since: AtomicU64,
    /// The time of the first byte of a head that is not whole yet, or `NEVER`.
    head_since: AtomicU64,
    /// True once it was asked to close, until a request begins all the same.
    is_closing: AtomicBool,
    close: Notify,
}

impl State {
    fn close(&self) {
        self.is_closing.store(true, Relaxed);
        self.close.notify_one();
    }
}

/// A place among the open connections.
pub(crate) struct Place {
    connections: Arc<Connections>,
    number: u64,
    network: Network,
    state: Arc<State>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { capacity: Capacity::new(limit), started: Instant::now(), open: Mutex::default() })
    }

    /// Changes the number of connections that may be open.
    pub(crate) fn resize(&self, limit: usize) {
        self.capacity.resize(limit);
    }

    /// Waits for a place for a connection from `address`, and closes the connection that has been idle for longest if there is none.
    /// `None`: so many of `limit` places are that address's already that it gets no more, where `is_public`.
    pub(crate) async fn admit(self: &Arc<Self>, address: IpAddr, limit: usize, is_public: bool) -> Option<Place> {
        let network = Network::of(address);
        let most = if is_public { (limit / ADDRESS_SHARE).max(1) } else { usize::MAX };
        {
            let mut open = self.lock();
            let count = open.by_network.entry(network).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        let counted = Counted { connections: self, network };
        let permit = match self.capacity.try_acquire(1) {
            Some(permit) => permit,
            None => loop {
                // One that is closed leaves in a moment, unless its worker is busy.
                let wait = if self.close_idlest() { IDLE_GRACE } else { ADMIT_INTERVAL };
                if let Ok(permit) = timeout(wait, self.capacity.acquire()).await {
                    break permit?;
                }
            },
        };
        std::mem::forget(counted);
        let number = AtomicU64::new;
        let state = Arc::new(State {
            idle_since: number(self.now()),
            head_since: number(NEVER),
            is_closing: AtomicBool::new(false),
            close: Notify::new(),
        });
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.all.insert(number, Arc::downgrade(&state));
        Some(Place { connections: self.clone(), number, network, state, _permit: permit })
    }

    /// Ends the connection that has been idle for longest, if any has been for long enough, and returns whether it did.
    fn close_idlest(&self) -> bool {
        let Some(before) = self.started.elapsed().checked_sub(IDLE_GRACE).map(nanos) else { return false };
        let open = self.lock();
        let states = open.all.values().filter_map(Weak::upgrade);
        let idle = states.filter(|state| state.idle_since.load(Relaxed) < before && !state.is_closing.load(Relaxed));
        let idlest = idle.min_by_key(|state| state.idle_since.load(Relaxed));
        idlest.inspect(|state| state.close()).is_some()
    }

    /// Ends the connections whose heads take too long. To be called now and then.
    pub(crate) fn close_slow_heads(&self) {
        let Some(before) = self.started.elapsed().checked_sub(HEAD_TIMEOUT).map(nanos) else { return };
        let open = self.lock();
        let states = open.all.values().filter_map(Weak::upgrade);
        // The head of the next request may wait for the end of one that is under way.
        let is_slow = |state: &State| state.head_since.load(Relaxed).max(state.idle_since.load(Relaxed)) < before;
        states.filter(|state| is_slow(state)).for_each(|state| state.close());
    }

    fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, network: Network) {
        let mut open = self.lock();
        if let Some(count) = open.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.by_network.remove(&network);
            }
        }
    }
}

/// A connection that is counted and has no place yet.
struct Counted<'a> {
    connections: &'a Connections,
    network: Network,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.connections.leave(self.network);
    }
}

impl Place {
    /// Returns a handle by which the connection tells what it does.
    pub(crate) fn activity(&self) -> Activity {
        Activity { connections: self.connections.clone(), state: self.state.clone() }
    }

    /// Waits until the connection has to be closed. To be polled after what reads from it: a request that has arrived is answered.
    pub(crate) async fn closed(&self) {
        loop {
            self.state.close.notified().await;
            if self.state.is_closing.load(Relaxed) {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().all.remove(&self.number);
        self.connections.leave(self.network);
    }
}

/// What a connection tells of itself.
#[derive(Clone)]
pub(crate) struct Activity {
    connections: Arc<Connections>,
    state: Arc<State>,
}

impl Activity {
    /// A request is under way until the result is dropped.
    pub(crate) fn begin(&self) -> Busy {
        self.state.idle_since.store(NEVER, Relaxed);
        self.state.is_closing.store(false, Relaxed);
        Busy(self.clone())
    }

    /// Bytes were read, after which a head is begun and not whole, or not.
    pub(crate) fn read(&self, is_in_head: bool) {
        let since = &self.state.head_since;
        match (is_in_head, since.load(Relaxed)) {
            (true, NEVER) => since.store(self.connections.now(), Relaxed),
            (false, begun) if begun != NEVER => since.store(NEVER, Relaxed),
            _ => {}
        }
    }
}

/// A request that is under way.
pub(crate) struct Busy(Activity);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state.idle_since.store(self.0.connections.now(), Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(50);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn address_gets_half_of_the_places_where_others_can_connect() {
        let connections = Connections::new(4);
        let admit = async |text: &str, is_public| connections.admit(address(text), 4, is_public).await;
        let held = [admit("192.0.2.1", true).await.unwrap(), admit("::ffff:192.0.2.1", true).await.unwrap()];
        assert!(admit("192.0.2.1", true).await.is_none());
        let other = admit("192.0.2.2", true).await.unwrap();
        drop(held);
        let of_network = [admit("2001:db8::1", true).await.unwrap(), admit("2001:db8::2", true).await.unwrap()];
        assert!(admit("2001:db8::3", true).await.is_none(), "a network of 64 bits is one machine's");
        assert!(admit("2001:db8:0:1::1", true).await.is_some());
        drop((other, of_network));
        let all: Vec<_> =
            [admit("127.0.0.1", false).await, admit("127.0.0.1", false).await, admit("127.0.0.1", false).await].into();
        assert!(all.iter().all(Option::is_some));
        drop(all);
        assert!(connections.lock().by_network.is_empty() && connections.lock().all.is_empty());
    }

    #[tokio::test]
    async fn new_connection_takes_the_place_of_the_idlest() {
        let connections = Connections::new(3);
        let admit = || connections.admit(address("192.0.2.1"), 3, false);
        let (first, second, third) = (admit().await.unwrap(), admit().await.unwrap(), admit().await.unwrap());
        let busy = first.activity().begin();
        drop(second.activity().begin());
        // The third has been idle for longer than the second, which had a request since.
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.admit(address("192.0.2.2"), 3, false).await.is_some() }
        });
        assert!(timeout(MOMENT, third.closed()).await.is_err(), "not in its first moment");
        timeout(2 * IDLE_GRACE, third.closed()).await.unwrap();
        assert!(!second.state.is_closing.load(Relaxed) && !first.state.is_closing.load(Relaxed));
        drop(third);
        assert!(waiting.await.unwrap());
        drop(busy);
    }

    #[tokio::test]
    async fn connections_with_requests_are_not_closed_for_others() {
        let connections = Connections::new(1);
        let admit = || connections.admit(address("192.0.2.1"), 1, false);
        let one = admit().await.unwrap();
        let busy = one.activity().begin();
        assert!(timeout(MOMENT, admit()).await.is_err());
        assert!(timeout(MOMENT, one.closed()).await.is_err());
        assert_eq!(connections.lock().by_network.values().sum::<usize>(), 1, "who gave up waiting is not counted");
        drop(busy);
    }

    #[tokio::test]
    async fn slow_heads_are_closed() {
        let connections = Connections::new(2);
        let admit = || connections.admit(address("192.0.2.1"), 2, false);
        let (slow, quick) = (admit().await.unwrap(), admit().await.unwrap());
        slow.activity().read(true);
        quick.activity().read(true);
        quick.activity().read(false);
        slow.state.head_since.store(0, Relaxed);
        slow.state.idle_since.store(0, Relaxed);
        connections.close_slow_heads();
        assert!(timeout(MOMENT, slow.closed()).await.is_err(), "not before its time");
        let begun = connections.started.checked_sub(HEAD_TIMEOUT + MOMENT).unwrap();
        let later = Connections { capacity: Capacity::new(0), started: begun, open: Mutex::default() };
        later.lock().all.extend(connections.lock().all.iter().map(|(number, state)| (*number, state.clone())));
        later.close_slow_heads();
        timeout(MOMENT, slow.closed()).await.unwrap();
        assert!(timeout(MOMENT, quick.closed()).await.is_err());
        // With a request under way, the next head waits; and a request that begins undoes the closing.
        let busy = slow.activity().begin();
        later.close_slow_heads();
        assert!(timeout(MOMENT, slow.closed()).await.is_err());
        drop(busy);
    }

    #[tokio::test]
    async fn request_that_arrives_in_time_keeps_its_connection() {
        let connections = Connections::new(1);
        let one = connections.admit(address("192.0.2.1"), 1, false).await.unwrap();
        one.state.close();
        let busy = one.activity().begin();
        assert!(timeout(MOMENT, one.closed()).await.is_err());
        drop(busy);
    }
}
