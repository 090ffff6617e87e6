//! What adapters were denied, as operators want to see it: each kind once, with how often, and the entry that would allow it.
//!
//! In go the door's decisions; out comes a list that stays short whatever adapters ask for. Requests that are allowed don't come here,
//! and of one that is denied there is a line in the log already, so that a lock costs nothing to speak of.

use hauski_egress::{Decision, Verdict};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// So many kinds are kept: the ledger has all of them.
const KEPT: usize = 32;

/// What was denied since the start.
#[derive(Default)]
pub(crate) struct Denials(Mutex<List>);

/// The kinds, and how many there were in all.
#[derive(Clone, Default)]
pub(super) struct List {
    /// The one that was denied last comes first.
    pub(super) kinds: VecDeque<Denial>,
    pub(super) all: u64,
}

/// One kind of request that was denied.
#[derive(Clone)]
pub(super) struct Denial {
    pub(super) adapter: String,
    /// Method and URL, as the ledger has them.
    pub(super) asked: String,
    pub(super) code: &'static str,
    pub(super) why: String,
    /// The entry of `egress.allow` that would allow it, if one could.
    pub(super) entry: Option<String>,
    pub(super) times: u64,
    pub(super) last: Timestamp,
}

impl Denials {
    /// Notes a decision, if it is a denial.
    pub(crate) fn note(&self, decision: &Decision<'_>) {
        let Verdict::Denied(denied) = decision.verdict else { return };
        let mut one = Denial {
            adapter: decision.caller.id().to_string(),
            asked: decision.asked.to_string(),
            code: denied.code(),
            why: denied.to_string(),
            entry: decision.entry(),
            times: 1,
            last: Timestamp::now(),
        };
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.all += 1;
        let same = |other: &Denial| {
            (&other.adapter, &other.asked, &other.why, &other.entry) == (&one.adapter, &one.asked, &one.why, &one.entry)
        };
        if let Some(known) = list.kinds.iter().position(same).and_then(|at| list.kinds.remove(at)) {
            one.times += known.times;
        }
        list.kinds.push_front(one);
        list.kinds.truncate(KEPT);
    }

    pub(super) fn list(&self) -> List {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
