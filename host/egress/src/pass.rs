//! What was permitted, and whether it still is: the policy can change while a request is under way.

use crate::timeouts::Clocks;
use crate::{Caller, Shared};
use hauski_policy::{Egress, Grant, Target, address};
use jiff::civil::Date;
use jiff::tz::Offset;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the guard decided over one request.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) caller: Caller,
    pub(crate) request_id: Arc<str>,
    pub(crate) target: Target,
    pub(crate) local_only: bool,
    pub(crate) grant: Arc<Grant>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) clocks: Clocks,
}

impl Pass {
    /// Whether the same request to the same addresses would be permitted by `egress` as well.
    fn holds_under(&self, egress: &Egress) -> bool {
        let covers = |grant: &Arc<Grant>| {
            self.addresses.iter().all(|address| grant.network.covers(address::classify(address.ip())))
        };
        egress.decide(self.caller.holder(), &self.target, today(), self.local_only).is_ok_and(covers)
    }
}

/// A pass, and the policy under which it was last seen to hold.
#[derive(Clone)]
pub(crate) struct Standing {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pass: Arc<Pass>,
    generation: u64,
}

impl Standing {
    /// `pass`, which was decided under the policy of `generation`.
    pub(crate) fn new(shared: Arc<Shared>, pass: Arc<Pass>, generation: u64) -> Self {
        Self { shared, pass, generation }
    }

    /// Whether the policy of this moment still permits it. Where the policy is the same, a look at one number.
    pub(crate) fn holds(&mut self) -> bool {
        if self.shared.generation() == self.generation {
            return true;
        }
        let policy = self.shared.policy();
        let holds = self.pass.holds_under(&policy.egress);
        if holds {
            self.generation = policy.generation;
        }
        holds
    }
}

/// The day in UTC, on which grants end.
pub(crate) fn today() -> Date {
    Offset::UTC.to_datetime(jiff::Timestamp::now()).date()
}
