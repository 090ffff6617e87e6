//! Counts what one inbound request was denied beyond its first few denials: an adapter can't fill the ledger, or wash what stands
//! in it out of the files that are kept, by asking for what it does not get.
//!
//! In go records, out comes which of them is written, and how many were not once the request is over. Only what was denied by its
//! text alone goes without a record: what came as far as a look-up of its name has been seen by others. Requests are told apart
//! by where their id lies in memory, since clients can give several the same one. Whoever can still make a record of a request
//! shares its id, so that a request whose id nobody else has is over.

use super::record::Record;
use crate::Caller;
use std::collections::HashMap;
use std::sync::Arc;

/// So many records of one request and adapter are written one by one.
const FIRST: u64 = 16;

/// The inbound requests under way that were denied something.
#[derive(Default)]
pub(crate) struct Repeats(HashMap<usize, Request>);

struct Request {
    /// Kept, so that no other request's id comes to lie in its place.
    id: Arc<str>,
    /// By adapter: of one request there are few.
    callers: Vec<(Caller, u64)>,
}

/// How many denials of one adapter have no record each.
pub(crate) struct Repeated {
    /// The inbound request's id.
    pub(crate) request: Arc<str>,
    /// The adapter.
    pub(crate) caller: Caller,
    /// How many.
    pub(crate) count: u64,
}

impl Repeats {
    /// Counts a record that may be left out. Whether it is written.
    pub(crate) fn take(&mut self, record: &Record) -> bool {
        if !record.is_of_text() {
            return true;
        }
        let (id, caller) = (record.request_id(), record.caller());
        let new = || Request { id: Arc::clone(id), callers: Vec::new() };
        let request = self.0.entry(Arc::as_ptr(id).addr()).or_insert_with(new);
        let Some((_, count)) = request.callers.iter_mut().find(|(known, _)| is_same(known, caller)) else {
            request.callers.push((caller.clone(), 1));
            return true;
        };
        *count += 1;
        *count <= FIRST
    }

    /// Whether a request is counted.
    pub(crate) fn is_counting(&self) -> bool {
        !self.0.is_empty()
    }

    /// The counts of the requests that are over; with `all`, of those that are not as well.
    pub(crate) fn over(&mut self, all: bool) -> Vec<Repeated> {
        let over = self.0.extract_if(|_, request| all || Arc::strong_count(&request.id) == 1);
        let counts = over.flat_map(|(_, Request { id, callers })| {
            let beyond = callers.into_iter().filter(|(_, count)| *count > FIRST);
            beyond.map(move |(caller, count)| Repeated { request: Arc::clone(&id), caller, count: count - FIRST })
        });
        counts.collect()
    }
}

fn is_same(one: &Caller, other: &Caller) -> bool {
    one.id() == other.id() && one.digest() == other.digest()
}
