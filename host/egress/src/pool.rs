//! Connections that are open and free, for each adapter apart.
//!
//! In goes a connection whose answer was read to its end; out it comes for a permit that names its peer's address.

use crate::connection::{Link, MAX_STREAMS, Many, One};
use crate::pass::Pass;
use crate::{Caller, tls};
use hauski_policy::{AdapterId, Digest, Egress, Holder, Host, Scheme, Target};
use jiff::civil::Date;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// Free HTTP/1.1 connections that are kept for one origin.
const MAX_IDLE: usize = 64;

/// Origins of one adapter that are kept apart: a wildcard grant has as many as a guest can think of.
const MAX_ORIGINS: usize = 64;

/// How long a connection is kept without use.
const IDLE: Duration = Duration::from_secs(60);

/// How often all of them are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// The open connections of one door.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Shelves>);

#[derive(Default)]
struct Shelves {
    // A handful of adapters: compared, not hashed.
    shelves: Vec<Shelf>,
    swept: Option<Instant>,
}

/// What belongs to one adapter with these bytes and to no other.
struct Shelf {
    id: AdapterId,
    digest: Digest,
    tls: Option<TlsConnector>,
    origins: Vec<Origin>,
    used: Instant,
}

/// The connections to one scheme, host and port.
struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
    free: Vec<(One, Instant)>,
    shared: Vec<(Arc<Many>, Instant)>,
}

impl Pool {
    /// An open connection to one of the addresses that `pass` names.
    pub(crate) fn take(&self, pass: &Pass) -> Option<Link> {
        let now = Instant::now();
        let mut shelves = self.lock();
        shelves.sweep(now);
        let origin = shelves.shelf(&pass.caller)?.origin(&pass.target)?;
        origin.prune(now);
        let may_dial = |peer: SocketAddr| pass.addresses.contains(&peer);
        let usable = |many: &Arc<Many>| may_dial(many.peer) && Arc::strong_count(many) <= MAX_STREAMS as usize;
        if let Some((many, used)) = origin.shared.iter_mut().find(|(many, _)| usable(many)) {
            *used = now;
            return Some(Link::Many(Arc::clone(many)));
        }
        // The one used last: it is the likeliest to be open still.
        let last = origin.free.iter().rposition(|(one, _)| may_dial(one.peer))?;
        Some(Link::One(origin.free.remove(last).0))
    }

    /// The adapter's TLS connector: sessions are never shared between adapters.
    pub(crate) fn tls(&self, caller: &Caller, shared: &ClientConfig) -> TlsConnector {
        self.lock().shelf_or_new(caller).tls.get_or_insert_with(|| tls::connector(shared)).clone()
    }

    /// Makes a new HTTP/2 connection known, so that requests at the same time can use it.
    pub(crate) fn share(&self, pass: &Pass, many: &Arc<Many>) {
        let now = Instant::now();
        let mut shelves = self.lock();
        let origin = shelves.shelf_or_new(&pass.caller).origin_or_new(&pass.target);
        origin.prune(now);
        // Of several that were opened at the same time one is kept.
        let known = |(other, _): &(Arc<Many>, Instant)| {
            other.peer == many.peer && Arc::strong_count(other) <= MAX_STREAMS as usize
        };
        if !origin.shared.iter().any(known) {
            origin.shared.push((Arc::clone(many), now));
        }
    }

    /// Takes back a connection whose answer was read to its end. One that can't take a request now, because it was closed or
    /// is still busy with the last one, is not kept.
    pub(crate) fn give_back(&self, pass: &Pass, link: Link) {
        // Of a shared one the pool has its own reference.
        if let Link::One(one) = link
            && one.is_ready()
        {
            self.keep(&pass.caller, &pass.target, one);
        }
    }

    /// Sees to it that no further request uses `link`. It closes as soon as those under way are over, whether anybody asks for
    /// its origin again or not.
    pub(crate) fn retire(&self, pass: &Pass, link: &Link) {
        link.retire();
        if let Some(origin) = self.lock().shelf(&pass.caller).and_then(|shelf| shelf.origin(&pass.target)) {
            origin.prune(Instant::now());
        }
    }

    fn keep(&self, caller: &Caller, target: &Target, one: One) {
        let now = Instant::now();
        let mut shelves = self.lock();
        shelves.sweep(now);
        let origin = shelves.shelf_or_new(caller).origin_or_new(target);
        if origin.free.len() >= MAX_IDLE {
            origin.free.remove(0);
        }
        origin.free.push((one, now));
    }

    /// Closes what is open to the origin of `target`: it is no longer permitted.
    pub(crate) fn close(&self, caller: &Caller, target: &Target) {
        if let Some(shelf) = self.lock().shelf(caller) {
            shelf.origins.retain(|origin| !origin.is(target));
        }
    }

    /// Closes what is open to origins that `egress` no longer lets their adapter reach.
    pub(crate) fn withdraw(&self, egress: &Egress, today: Date) {
        for Shelf { id, digest, origins, .. } in &mut self.lock().shelves {
            let holder = Holder { id, digest };
            origins.retain(|origin| egress.reaches(holder, origin.scheme, &origin.host, origin.port, today));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn shelf(&mut self, caller: &Caller) -> Option<&mut Shelf> {
        self.shelves.iter_mut().find(|shelf| shelf.digest == *caller.digest() && shelf.id == *caller.id())
    }

    fn shelf_or_new(&mut self, caller: &Caller) -> &mut Shelf {
        let now = Instant::now();
        let is_his = |shelf: &Shelf| shelf.digest == *caller.digest() && shelf.id == *caller.id();
        let at = self.shelves.iter().position(is_his).unwrap_or(self.shelves.len());
        if at == self.shelves.len() {
            let (id, digest) = (caller.id().clone(), *caller.digest());
            self.shelves.push(Shelf { id, digest, tls: None, origins: Vec::new(), used: now });
        }
        let shelf = &mut self.shelves[at];
        shelf.used = now;
        shelf
    }

    /// Now and then, drops what is closed or was not used for long, of all adapters.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP) {
            return;
        }
        self.swept = Some(now);
        for shelf in &mut self.shelves {
            shelf.origins.iter_mut().for_each(|origin| origin.prune(now));
            shelf.origins.retain(|origin| !origin.is_empty());
        }
        self.shelves.retain(|shelf| !shelf.origins.is_empty() || now < shelf.used + IDLE);
    }
}

impl Shelf {
    fn origin(&mut self, target: &Target) -> Option<&mut Origin> {
        self.origins.iter_mut().find(|origin| origin.is(target))
    }

    fn origin_or_new(&mut self, target: &Target) -> &mut Origin {
        let at = self.origins.iter().position(|origin| origin.is(target)).unwrap_or_else(|| {
            if self.origins.len() >= MAX_ORIGINS {
                self.origins.remove(0);
            }
            let (scheme, host, port) = (target.scheme(), target.host().clone(), target.port());
            self.origins.push(Origin { scheme, host, port, free: Vec::new(), shared: Vec::new() });
            self.origins.len() - 1
        });
        &mut self.origins[at]
    }
}

impl Origin {
    fn is(&self, target: &Target) -> bool {
        self.port == target.port() && self.scheme == target.scheme() && self.host == *target.host()
    }

    fn is_empty(&self) -> bool {
        self.free.is_empty() && self.shared.is_empty()
    }

    fn prune(&mut self, now: Instant) {
        self.free.retain(|(one, since)| now < *since + IDLE && !one.is_closed());
        // One that is in use is kept: its count is above the pool's own reference.
        let in_use = |many: &Arc<Many>| Arc::strong_count(many) > 1;
        self.shared.retain(|(many, used)| !many.is_closed() && (now < *used + IDLE || in_use(many)));
    }
}
