//! What was permitted, and whether it still is: the policy can change while a request is under way.

use crate::shared::Policy;
use crate::timeouts::Clocks;
use crate::{Caller, Shared};
use hauski_policy::{Egress, Grant, Scope, Target, address};
use jiff::civil::Date;
use jiff::tz::Offset;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often a request that waits looks whether it is still permitted.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// What the guard decided over one request.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) caller: Caller,
    pub(crate) request_id: Arc<str>,
    pub(crate) scope: Scope,
    pub(crate) target: Target,
    pub(crate) local_only: bool,
    /// When it was permitted, in UTC: a grant that ends meanwhile is not taken back.
    pub(crate) day: Date,
    pub(crate) grant: Arc<Grant>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) clocks: Clocks,
}

impl Pass {
    /// The grant by which `egress` permits the same request to the same addresses as well, if it does.
    fn granted_by<'a>(&self, egress: &'a Egress) -> Option<&'a Arc<Grant>> {
        let covers = |grant: &&Arc<Grant>| {
            self.addresses.iter().all(|address| grant.network.covers(address::classify(address.ip())))
        };
        egress.decide(self.caller.holder(), &self.scope, &self.target, self.day, self.local_only).ok().filter(covers)
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
        let holds = self.pass.granted_by(&policy.egress).is_some();
        if holds {
            self.generation = policy.generation;
        }
        holds
    }

    /// The same for a request of which nothing is sent yet: with the secret that it would be sent with, which is `permitted`'s.
    pub(crate) fn holds_unsent(&mut self, permitted: &Policy) -> bool {
        if self.shared.generation() == permitted.generation {
            return true;
        }
        let policy = self.shared.policy();
        let secret = |policy: &Policy, grant: &Grant| {
            let template = grant.secret.as_ref()?;
            Some((template.clone(), policy.secrets.get(template).map(|attached| attached.value)))
        };
        let old = secret(permitted, &self.pass.grant);
        self.pass.granted_by(&policy.egress).is_some_and(|grant| secret(&policy, grant) == old)
    }
}

/// The day in UTC, on which grants end.
#[must_use]
pub fn today() -> Date {
    Offset::UTC.to_datetime(jiff::Timestamp::now()).date()
}
