//! The account of one permitted request: what was sent and received, told to the observer exactly once, whether the permit was
//! used or not.

use crate::ledger::Slip;
use crate::pass::{Pass, Standing};
use crate::shared::Policy;
use crate::upload::Gauge;
use crate::{EgressError, End, Exchange, UploadError};
use http::StatusCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Told when it is closed or, where nobody closes it, when it is dropped.
pub(crate) struct Account {
    standing: Standing,
    /// Under which it was permitted: the secret comes from there.
    policy: Arc<Policy>,
    gauge: Option<Arc<Gauge>>,
    status: Option<StatusCode>,
    first_byte: Option<Duration>,
    pub(crate) reused: bool,
    pub(crate) received: u64,
    /// The place in the ledger, until it is told.
    slip: Option<Slip>,
}

impl Account {
    pub(crate) fn open(standing: Standing, policy: Arc<Policy>, slip: Option<Slip>) -> Self {
        Self { standing, policy, gauge: None, status: None, first_byte: None, reused: false, received: 0, slip }
    }

    pub(crate) fn pass(&self) -> &Arc<Pass> {
        &self.standing.pass
    }

    pub(crate) fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// What tells whether the request is still permitted.
    pub(crate) fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// An error, where the policy has changed and permits the request no longer.
    pub(crate) fn check(&mut self) -> Result<(), EgressError> {
        if self.standing.holds() { Ok(()) } else { Err(EgressError::Withdrawn) }
    }

    /// The same, where nothing is sent yet: a secret that was replaced is not sent any more.
    pub(crate) fn check_unsent(&mut self) -> Result<(), EgressError> {
        if self.standing.holds_unsent(&self.policy) { Ok(()) } else { Err(EgressError::Withdrawn) }
    }

    /// Follows the request's body.
    pub(crate) fn follow(&mut self, gauge: Arc<Gauge>) {
        self.gauge = Some(gauge);
    }

    /// Whether all of the request's body was sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.gauge.as_ref().is_none_or(|gauge| gauge.is_done())
    }

    /// Why the request's body was not sent to its end, if that is so.
    pub(crate) fn upload_error(&self) -> Option<EgressError> {
        match self.gauge.as_ref()?.failed()? {
            UploadError::Withdrawn => Some(EgressError::Withdrawn),
            error => Some(error.into()),
        }
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.first_byte = Some(self.elapsed());
    }

    /// Tells how it ended; only the first time counts.
    pub(crate) fn close(&mut self, end: End<'_>) {
        let Some(slip) = self.slip.take() else { return };
        let pass = &self.standing.pass;
        let exchange = Exchange {
            caller: &pass.caller,
            scope: &pass.scope,
            request_id: &pass.request_id,
            target: &pass.target,
            grant: &pass.grant,
            status: self.status,
            reused: self.reused,
            bytes_out: self.gauge.as_ref().map_or(0, |gauge| gauge.sent()),
            bytes_in: self.received,
            first_byte: self.first_byte,
            duration: self.elapsed(),
            end,
        };
        self.standing.shared.observer.finished(&exchange);
        slip.finished(&exchange);
    }

    /// Closes with an error, which it gives back.
    pub(crate) fn fail(&mut self, error: EgressError) -> EgressError {
        self.close(End::Failed(&error));
        error
    }

    fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.pass().clocks.started)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.close(End::Dropped);
    }
}

/// What was permitted.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pass().fmt(f)
    }
}
