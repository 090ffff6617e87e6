//! The account of one permitted request: what was sent and received, told to the observer exactly once.

use crate::upload::Gauge;
use crate::{EgressError, End, Exchange, Permit, Shared};
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Told when it is closed or, where nobody closes it, when it is dropped.
pub(crate) struct Account {
    shared: Arc<Shared>,
    permit: Permit,
    gauge: Option<Arc<Gauge>>,
    status: Option<StatusCode>,
    first_byte: Option<Duration>,
    pub(crate) reused: bool,
    pub(crate) received: u64,
    told: bool,
}

impl Account {
    pub(crate) fn open(shared: Arc<Shared>, permit: Permit) -> Self {
        Self { shared, permit, gauge: None, status: None, first_byte: None, reused: false, received: 0, told: false }
    }

    pub(crate) fn permit(&self) -> &Permit {
        &self.permit
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
        self.gauge.as_ref().and_then(|gauge| gauge.failed()).map(EgressError::Upload)
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.first_byte = Some(self.elapsed());
    }

    /// Tells how it ended; only the first time counts.
    pub(crate) fn close(&mut self, end: End<'_>) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.shared.observer.finished(&Exchange {
            caller: self.permit.caller(),
            request_id: self.permit.request_id(),
            target: self.permit.target(),
            grant: self.permit.grant(),
            status: self.status,
            reused: self.reused,
            bytes_out: self.gauge.as_ref().map_or(0, |gauge| gauge.sent()),
            bytes_in: self.received,
            first_byte: self.first_byte,
            duration: self.elapsed(),
            end,
        });
    }

    /// Closes with an error, which it gives back.
    pub(crate) fn fail(&mut self, error: EgressError) -> EgressError {
        self.close(End::Failed(&error));
        error
    }

    fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.permit.clocks().started)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.close(End::Dropped);
    }
}
