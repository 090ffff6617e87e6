//! The link to the collector: one request at a time through the door, and a rest after each failure.

use super::Endpoint;
use bytes::Bytes;
use hauski_egress::{Ask, Caller, Destination, Door, EgressError, OutboundBody, Shared, Timeouts};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the collector is left alone after a failure; it doubles with each further one, up to the second.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often it is looked whether the policy has changed meanwhile.
const LOOK: Duration = Duration::from_secs(1);
/// The request's id in log and ledger.
const ID: &str = "telemetry";

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

/// The thread's way to the collector.
pub(super) struct Link {
    shared: Arc<Shared>,
    door: Door,
    caller: Caller,
    endpoint: Endpoint,
    /// Failures since the last success.
    failures: u32,
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>, endpoint: Endpoint) -> Self {
        let door = Door::new(shared.clone());
        Self { shared, door, caller: Caller::telemetry(), endpoint, failures: 0 }
    }

    /// Sends a body; false if it was not taken. The door and its observer say why.
    pub(super) async fn send(&mut self, signal: Signal, body: Vec<u8>) -> bool {
        let taken = match self.exchange(signal, body).await {
            Ok(status) if status.is_success() => true,
            Ok(status) => {
                tracing::warn!(status = status.as_u16(), "the collector of telemetry does not take it");
                false
            }
            // It is logged already.
            Err(_) => false,
        };
        self.failures = if taken { 0 } else { self.failures.saturating_add(1) };
        taken
    }

    async fn exchange(&self, signal: Signal, body: Vec<u8>) -> Result<StatusCode, EgressError> {
        let url = match signal {
            Signal::Traces => &*self.endpoint.traces,
            Signal::Metrics => &*self.endpoint.metrics,
        };
        // One of its own each time: the ledger counts by it what is denied again and again.
        let id = Arc::<str>::from(ID);
        let ask = Ask {
            request_id: &id,
            method: "POST",
            to: Destination::Url(url),
            local_only: false,
            timeouts: Timeouts::default(),
        };
        let permit = self.door.permit(&self.caller, ask).await?;
        let mut fields = HeaderMap::with_capacity(2);
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        fields.insert(header::USER_AGENT, HeaderValue::from_static(concat!("hauski/", env!("CARGO_PKG_VERSION"))));
        let response = self.door.send(permit, fields, OutboundBody::Whole(Bytes::from(body))).await?;
        // What it says more is nobody's concern.
        response.body.release();
        Ok(response.status)
    }

    /// After a failure, waits before the next try: longer each time, and not beyond a change of the policy.
    pub(super) async fn rest(&self) {
        let Some(doublings) = self.failures.checked_sub(1) else { return };
        let (shortest, longest) = REST;
        let until = Instant::now() + (shortest * 2_u32.saturating_pow(doublings)).min(longest);
        let policy = self.shared.policy().generation;
        while Instant::now() < until && self.shared.policy().generation == policy {
            sleep(LOOK.min(until - Instant::now())).await;
        }
    }
}
