//! The queue before comparisons with Argon2id hashes: one comparison at a time, few that wait, and few of them of one network.
//!
//! A client that tries keys fills its own places only. Where all places are taken, the request that has waited longest makes room:
//! it is the one that is nearest to its time limit, and a queue that refused newcomers would be kept full by those that try again
//! at once.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// The most requests that wait for a comparison.
const MAX_WAITING: usize = 16;

/// The most requests of one network that wait for a comparison.
const MAX_WAITING_OF_NETWORK: usize = 2;

/// The longest wait for a comparison.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The leave to compare; given back on drop.
pub(super) type Turn = OwnedSemaphorePermit;

/// The queue before the one place for comparisons.
pub(super) struct ComparisonQueue {
    turn: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The oldest first.
    waiters: VecDeque<Waiter>,
    next: u64,
}

struct Waiter {
    number: u64,
    network: Option<IpAddr>,
    /// Dropped where the request has to make room.
    _stay: oneshot::Sender<()>,
}

/// A place in the queue; given back on drop.
struct Place<'a> {
    queue: &'a ComparisonQueue,
    number: u64,
}

impl ComparisonQueue {
    pub(super) fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), waiting: Mutex::default() }
    }

    /// Waits for the leave to compare on behalf of a client at `peer`. `None` if the wait took too long, or made room for others.
    pub(super) async fn turn(&self, peer: Option<IpAddr>) -> Option<Turn> {
        let (_place, evicted) = self.enter(peer.and_then(network));
        tokio::select! {
            biased;
            _ = evicted => None,
            turn = timeout(WAIT_TIMEOUT, self.turn.clone().acquire_owned()) => turn.ok()?.ok(),
        }
    }

    /// Takes a place, and says when it is lost.
    fn enter(&self, network: Option<IpAddr>) -> (Place<'_>, oneshot::Receiver<()>) {
        let mut waiting = self.lock();
        let of_network = |waiter: &Waiter| network.is_some() && waiter.network == network;
        if waiting.waiters.iter().filter(|waiter| of_network(waiter)).count() >= MAX_WAITING_OF_NETWORK {
            let oldest = waiting.waiters.iter().position(of_network);
            oldest.and_then(|at| waiting.waiters.remove(at));
        } else if waiting.waiters.len() >= MAX_WAITING {
            waiting.waiters.pop_front();
        }
        let (stay, evicted) = oneshot::channel();
        let number = waiting.next;
        waiting.next += 1;
        waiting.waiters.push_back(Waiter { number, network, _stay: stay });
        (Place { queue: self, number }, evicted)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.lock().waiters.retain(|waiter| waiter.number != self.number);
    }
}

/// Returns the network whose requests share places: an IPv4 address, or the first 64 bits of an IPv6 one. `None` for this
/// machine's: a proxy on it sends for many clients.
fn network(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    match peer {
        IpAddr::V6(peer) => Some(Ipv6Addr::from_bits(peer.to_bits() >> 64 << 64).into()),
        IpAddr::V4(_) => Some(peer),
    }
}

#[cfg(test)]
impl ComparisonQueue {
    /// Returns whether a comparison could begin at once.
    pub(super) fn is_free(&self) -> bool {
        self.turn.available_permits() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::pin::Pin;

    type Wait<'a> = Pin<Box<dyn Future<Output = Option<Turn>> + 'a>>;

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// A wait that has begun. It is polled however often this test's task has been busy.
    fn begin<'a>(queue: &'a ComparisonQueue, from: Option<IpAddr>) -> Wait<'a> {
        let mut wait: Wait<'a> = Box::pin(tokio::task::unconstrained(queue.turn(from)));
        assert!(wait.as_mut().now_or_never().is_none());
        wait
    }

    /// M9: forty connections with wrong keys kept everybody else out for good.
    #[tokio::test]
    async fn client_that_floods_keeps_nobody_else_out() {
        for attacker in ["192.0.2.1", "2001:db8::1"] {
            let queue = ComparisonQueue::new();
            let held = queue.turn(None).await.unwrap();
            let mut flood: Vec<_> = (0..40).map(|_| begin(&queue, peer(attacker))).collect();
            let mut holder = begin(&queue, peer("192.0.2.2"));
            flood.extend((0..40).map(|_| begin(&queue, peer(attacker))));
            assert_eq!(queue.lock().waiters.len(), MAX_WAITING_OF_NETWORK + 1);
            drop(held);
            let left = flood.iter_mut().filter_map(|wait| wait.as_mut().now_or_never().flatten()).count();
            assert!(left <= MAX_WAITING_OF_NETWORK, "{left}");
            assert!(holder.as_mut().now_or_never().flatten().is_some(), "{attacker}");
        }
    }

    /// A queue that refused newcomers would be kept full.
    #[tokio::test]
    async fn oldest_request_makes_room() {
        let queue = ComparisonQueue::new();
        let held = queue.turn(None).await.unwrap();
        let mut waits: Vec<_> = (0..=MAX_WAITING).map(|_| begin(&queue, None)).collect();
        assert!(waits[0].as_mut().now_or_never().unwrap().is_none(), "it has made room");
        drop(held);
        for wait in &mut waits[1..] {
            assert!(wait.as_mut().now_or_never().unwrap().is_some());
        }
        drop(waits);
        assert!(queue.lock().waiters.is_empty() && queue.is_free());
    }

    #[test]
    fn networks_are_addresses_or_halves_of_them() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::2:0:0:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let [one, other] = [one, other].map(|text| network(text.parse().unwrap()));
            assert_eq!(one == other, same, "{one:?} {other:?}");
        }
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.2"] {
            assert_eq!(network(own.parse().unwrap()), None, "{own}");
        }
    }
}
