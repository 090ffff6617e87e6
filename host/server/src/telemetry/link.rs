//! A link to the collector, for one kind of what it is sent: one request at a time through the door, and a rest after each failure.

use super::Endpoint;
use bytes::{Bytes, BytesMut};
use hauski_egress::{Ask, Caller, Destination, Door, EgressError, OutboundBody, ResponseBody, Shared, Timeouts};
use hauski_policy::Scope;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the collector is left alone after a failure; it doubles with each further one, up to the second.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often it is looked whether the policy has changed meanwhile.
const LOOK: Duration = Duration::from_secs(1);
/// The most bytes of an answer that are read.
const READ: usize = 64 << 10;
/// The request's id in log and ledger.
const ID: &str = "telemetry";

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

/// The thread's way to the collector for one of them.
pub(super) struct Link {
    shared: Arc<Shared>,
    door: Door,
    caller: Caller,
    endpoint: Endpoint,
    signal: Signal,
    /// Failures since the last success.
    failures: u32,
    /// How long the collector has asked to be left alone.
    asked: Option<Duration>,
    /// The status by which it does not take anything, which is logged when it changes.
    refused: Option<StatusCode>,
}

/// What the collector answers.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// How much it has not kept of what it has taken.
    rejected: u64,
}

impl Link {
    pub(super) fn new(shared: &Arc<Shared>, endpoint: &Endpoint, signal: Signal) -> Self {
        let (shared, door, caller) = (shared.clone(), Door::new(shared.clone()), Caller::telemetry());
        Self { shared, door, caller, endpoint: endpoint.clone(), signal, failures: 0, asked: None, refused: None }
    }

    /// Sends a body. Gives how much of it the collector rejected; none if it did not take it. The door and its observer say why.
    pub(super) async fn send(&mut self, body: Vec<u8>) -> Option<u64> {
        // What fails otherwise is logged already.
        let answer = self.exchange(body).await.ok();
        self.asked = answer.as_ref().and_then(|answer| answer.retry_after);
        let signal = self.signal.as_str();
        match answer {
            Some(Answer { status, rejected, .. }) if status.is_success() => {
                if rejected > 0 {
                    tracing::warn!(signal, rejected, "the collector of telemetry rejects some of it");
                }
                (self.failures, self.refused) = (0, None);
                return Some(rejected);
            }
            Some(Answer { status, .. }) if self.refused.replace(status) != Some(status) => {
                tracing::warn!(signal, status = status.as_u16(), "the collector of telemetry does not take it");
            }
            Some(_) | None => {}
        }
        self.failures = self.failures.saturating_add(1);
        None
    }

    async fn exchange(&self, body: Vec<u8>) -> Result<Answer, EgressError> {
        let url = match self.signal {
            Signal::Traces => &*self.endpoint.traces,
            Signal::Metrics => &*self.endpoint.metrics,
        };
        // One of its own each time: the ledger counts by it what is denied again and again.
        let id = Arc::<str>::from(ID);
        let ask = Ask {
            request_id: &id,
            scope: &Scope::Gateway,
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
        let (status, mut answer) = (response.status, response.body);
        let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let retry_after = asks.then(|| seconds(&response.headers)).flatten();
        let said = if status == StatusCode::OK { read(&mut answer).await } else { None };
        // What it says more is nobody's concern.
        answer.release();
        Ok(Answer { status, retry_after, rejected: said.map_or(0, |said| self.signal.rejected(&said)) })
    }

    /// After a failure, waits before the next try: longer each time, as long as the collector asks for, and not beyond a change of the
    /// policy.
    pub(super) async fn rest(&self) {
        let until = Instant::now() + pause(self.failures, self.asked);
        let policy = self.shared.policy().generation;
        while Instant::now() < until && self.shared.policy().generation == policy {
            sleep(LOOK.min(until - Instant::now())).await;
        }
    }
}

/// How long to wait after so many failures, where the collector has asked for this.
fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let (shortest, longest) = REST;
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    (shortest * 2_u32.saturating_pow(doublings)).max(asked.unwrap_or_default()).min(longest)
}

/// The seconds of `Retry-After`.
fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The whole body, unless it is too long or breaks off.
async fn read(body: &mut ResponseBody) -> Option<BytesMut> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.read().await.ok()? {
        if whole.len() + piece.len() > READ {
            return None;
        }
        whole.extend_from_slice(&piece);
    }
    Some(whole)
}

impl Signal {
    fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    /// How much the collector rejected of what it has taken, as this answer says.
    fn rejected(self, answer: &[u8]) -> u64 {
        let rejected = match self {
            Self::Traces => {
                let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
                answer.partial_success.map(|partial| partial.rejected_spans)
            }
            Self::Metrics => {
                let answer = ExportMetricsServiceResponse::decode(answer).unwrap_or_default();
                answer.partial_success.map(|partial| partial.rejected_data_points)
            }
        };
        rejected.and_then(|rejected| rejected.try_into().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failures: u32, asked: Option<u64>, expected: u64) {
        let asked = asked.map(Duration::from_secs);
        assert_eq!(pause(failures, asked), Duration::from_secs(expected), "{failures} {asked:?}");
    }

    #[test]
    fn pauses_grow_and_are_what_is_asked_for() {
        check(0, None, 0);
        check(1, None, 1);
        check(3, None, 4);
        check(7, None, 60);
        check(u32::MAX, None, 60);
        check(1, Some(20), 20);
        check(6, Some(20), 32);
        check(1, Some(u64::MAX), 60);
        check(1, Some(0), 1);
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds() {
        for (value, expected) in
            [("20", Some(20)), (" 0 ", Some(0)), ("-1", None), ("soon", None), ("1.5", None), ("", None)]
        {
            let headers = [(header::RETRY_AFTER, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(seconds(&headers), expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(seconds(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_rejected_is_read_of_either_answer() {
        // Field 1 is the partial success, whose field 1 is the number: here 3, and -1.
        for (answer, expected) in [
            (&[0x0a, 2, 0x08, 3][..], 3),
            (&[0x0a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], 0),
            (&[], 0),
            (b"{\"partialSuccess\":{}}", 0),
        ] {
            for signal in [Signal::Traces, Signal::Metrics] {
                assert_eq!(signal.rejected(answer), expected, "{} {answer:?}", signal.as_str());
            }
        }
    }
}
