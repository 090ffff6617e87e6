//! Request id, metrics and log line of each request: in one place, outside all handlers.
//!
//! The line is written when the answer's last byte is handed over or the client has left. It names route, status, model, tokens,
//! outcome and cause; never a body, a query, or words that are not the gateway's own.

use crate::access::Named;
use crate::app::App;
use crate::error::{ApiError, Cause};
use crate::metrics::Metrics;
use crate::report::{Report, Tried};
use crate::telemetry::{Ended, Visit};
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id: the client's own, if it is short and plain, or a fresh one.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// Gives the request an id, and sees to its metrics and its log line.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let path = request.extensions().get::<MatchedPath>().map(|path| Arc::<str>::from(path.as_str()));
    let mut record = Record {
        metrics: app.gateway.metrics.clone(),
        method: known(request.method()),
        path: path.clone().unwrap_or_else(|| "unmatched".into()),
        id: id.clone(),
        client: app.gateway.access.keyring().map(|_| Named::default()),
        report: (request.method() == Method::POST).then(Report::default),
        started,
        status: None,
        cause: None,
        bytes: 0,
        end: End::Left,
        visit: None,
    };
    if let Some(telemetry) = &app.telemetry {
        let visit = Visit::begin(telemetry, (record.method, path.as_ref()), request.headers(), &id);
        if let Some(trace) = visit.trace() {
            request.extensions_mut().insert(trace);
        }
        record.visit = Some(visit);
    }
    request.extensions_mut().insert(RequestId(id.clone()));
    if let Some(client) = record.client.clone() {
        request.extensions_mut().insert(client);
    }
    if let Some(report) = record.report.clone() {
        request.extensions_mut().insert(report);
    }
    let mut response = next.run(request).await;
    record.status = Some(response.status().as_u16());
    record.cause = response.extensions_mut().remove::<Arc<ApiError>>().map(|error| error.cause());
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if body_is_empty(&response, record.method) {
        record.end = End::Complete;
    }
    response.map(|body| Body::new(Observed { body, record }))
}

/// Whether nothing will be asked of the body: the server sends none for HEAD.
fn body_is_empty(response: &Response, method: &str) -> bool {
    method == "HEAD" || response.body().is_end_stream()
}

/// The status that is counted where the client left before the answer's end; nginx' word for it. A provider's own 499, which is passed
/// on, ends as any other answer.
const LEFT: u16 = 499;

/// How an answer ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    /// It broke off: the adapter or the provider failed.
    BrokeOff,
    /// The client left, or does not read.
    Left,
    /// A mistake in the gateway ended it.
    Panicked,
}

/// The method as a label: unknown ones are `other`, so that clients can't make up labels.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

fn request_id(request: &Request) -> Arc<str> {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    given.filter(plain).map_or_else(fresh_id, Arc::from)
}

/// An id that no other request and no other answer of this machine has: the process' start and a count.
pub(crate) fn fresh_id() -> Arc<str> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static START: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or_default()
    });
    format!("{:x}-{:x}", *START, NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// What is noted of a request when it ends; written on drop, so that clients that leave are noted as well.
struct Record {
    metrics: Arc<Metrics>,
    method: &'static str,
    path: Arc<str>,
    id: Arc<str>,
    /// Whose key it shows, where keys are asked for.
    client: Option<Named>,
    /// The models that were tried for it, where a request can ask one.
    report: Option<Report>,
    started: Instant,
    /// Of the answer, once there is one.
    status: Option<u16>,
    cause: Option<Cause>,
    bytes: u64,
    end: End,
    /// The same for the collector, where one is named.
    visit: Option<Visit>,
}

impl Record {
    /// What the collector is told of the end: codes only.
    fn ended(&self, took: Duration) -> Ended {
        let code = match (&self.cause, self.end) {
            (_, End::BrokeOff) => Some("broke_off"),
            (Some(cause), _) => Some(cause.code),
            (None, End::Panicked) => Some("panicked"),
            (None, End::Left | End::Complete) => None,
        };
        // Refusals are the client's: they are no errors of the gateway's or a provider's.
        let failed =
            matches!(self.end, End::BrokeOff | End::Panicked) || self.status.is_some_and(|status| status >= 500);
        Ended { status: self.status, error: code.filter(|_| failed), left: self.end == End::Left, took }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        if self.end == End::Left && std::thread::panicking() {
            self.end = End::Panicked;
        }
        let status = match self.end {
            End::Complete => self.status.unwrap_or(LEFT),
            End::BrokeOff => StatusCode::BAD_GATEWAY.as_u16(),
            End::Left => LEFT,
            End::Panicked => StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
        };
        if let Some(visit) = self.visit.take() {
            visit.end(&self.ended(took));
        }
        self.metrics.finished(self.method, &self.path, &status.to_string(), took);
        self.log(status, took);
    }
}

impl Record {
    /// Returns the word for how the request ended: one of a small set that stays the same.
    fn outcome(&self, status: u16) -> &'static str {
        match self.end {
            End::BrokeOff => "broke_off",
            End::Left => "client_left",
            End::Panicked => "panicked",
            End::Complete if status >= 500 => "failed",
            End::Complete if status >= 400 => "refused",
            End::Complete => "complete",
        }
    }

    /// Writes the request's line.
    fn log(&self, status: u16, took: Duration) {
        let (request_id, method, path, bytes) = (&*self.id, self.method, &*self.path, self.bytes);
        // Microseconds: more digits are noise.
        let (ms, outcome) = ((took.as_secs_f64() * 1e6).round() / 1e3, self.outcome(status));
        let client = self.client.as_ref().and_then(Named::get);
        let tried = self.report.as_ref().map(Report::tried).unwrap_or_default();
        let Tried { locality, stream, input_tokens, output_tokens, .. } = tried;
        let (model, adapter) = (tried.model.as_deref(), tried.adapter.as_deref());
        let attempts = Some(tried.attempts).filter(|attempts| *attempts > 1);
        let code = self.cause.as_ref().map(|cause| cause.code);
        // The fields of all lines are the same; those that are absent are left out.
        macro_rules! line {
            ($level:ident, $message:literal $(, $more:ident = $value:expr)?) => {
                tracing::$level!(
                    request_id,
                    client,
                    method,
                    path,
                    status,
                    outcome,
                    ms,
                    bytes,
                    model,
                    adapter,
                    locality,
                    stream,
                    attempts,
                    input_tokens,
                    output_tokens,
                    code,
                    $($more = $value,)?
                    $message
                )
            };
        }
        match (&self.cause, self.end) {
            (Some(Cause { message, .. }), _) if status >= 500 => {
                line!(warn, "request failed", cause = message.as_deref());
            }
            (Some(_), _) => line!(info, "request refused"),
            (None, End::BrokeOff) => line!(warn, "answer broke off"),
            (None, End::Panicked) => line!(error, "request ended by a panic"),
            (None, End::Left) => line!(info, "client left"),
            (None, End::Complete) if status < 400 && PROBES.contains(&path) => line!(debug, "request"),
            (None, End::Complete) => line!(info, "request"),
        }
    }
}

/// The paths that monitors ask all the time: their successes are logged at `debug` only.
const PROBES: [&str; 3] = ["/health", "/ready", "/metrics"];

/// A body that tells its record what went through.
struct Observed {
    body: Body,
    record: Record,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        match &poll {
            Poll::Ready(Some(Ok(frame))) => {
                self.record.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.body.is_end_stream() {
                    self.record.end = End::Complete;
                }
            }
            Poll::Ready(Some(Err(_))) => self.record.end = End::BrokeOff,
            Poll::Ready(None) if self.record.end == End::Left => self.record.end = End::Complete,
            Poll::Ready(None) | Poll::Pending => {}
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn record(metrics: &Arc<Metrics>, status: Option<u16>, end: End) -> Record {
        Record {
            metrics: metrics.clone(),
            method: "POST",
            path: "/x".into(),
            id: "a".into(),
            client: None,
            report: None,
            started: Instant::now(),
            status,
            cause: None,
            bytes: 0,
            end,
            visit: None,
        }
    }

    /// What is counted, and what the collector is told, where a request with this status ends so.
    #[track_caller]
    fn check(status: Option<u16>, end: End, counted: &str, told: (Option<u16>, Option<&str>, bool)) {
        let metrics = Arc::new(Metrics::new().unwrap());
        let record = record(&metrics, status, end);
        let Ended { status, error, left, .. } = record.ended(Duration::ZERO);
        assert_eq!((status, error, left), told);
        drop(record);
        assert_eq!(metrics.requests.with_label_values(&["POST", "/x", counted]).get(), 1);
    }

    #[track_caller]
    fn check_outcome(status: u16, end: End, expected: &str) {
        let metrics = Arc::new(Metrics::new().unwrap());
        assert_eq!(record(&metrics, Some(status), end).outcome(status), expected);
    }

    #[test]
    fn outcome_is_one_of_a_few_words() {
        check_outcome(200, End::Complete, "complete");
        check_outcome(404, End::Complete, "refused");
        check_outcome(429, End::Complete, "refused");
        check_outcome(499, End::Complete, "refused");
        check_outcome(503, End::Complete, "failed");
        check_outcome(200, End::BrokeOff, "broke_off");
        check_outcome(200, End::Left, "client_left");
        check_outcome(200, End::Panicked, "panicked");
    }

    #[test]
    fn how_requests_end() {
        check(Some(200), End::Complete, "200", (Some(200), None, false));
        check(Some(404), End::Complete, "404", (Some(404), None, false));
        check(Some(499), End::Complete, "499", (Some(499), None, false));
        check(Some(200), End::BrokeOff, "502", (Some(200), Some("broke_off"), false));
        check(Some(200), End::Left, "499", (Some(200), None, true));
        check(None, End::Left, "499", (None, None, true));
        check(None, End::Panicked, "500", (None, Some("panicked"), false));
    }

    /// Whoever's request meets a mistake in the gateway has not left.
    #[test]
    fn a_panic_is_a_failure() {
        for (end, counted) in [(End::Left, "500"), (End::Complete, "200")] {
            let metrics = Arc::new(Metrics::new().unwrap());
            let record = record(&metrics, Some(200), end);
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let _record = record;
                panic!("on purpose");
            }));
            assert!(unwound.is_err());
            assert_eq!(metrics.requests.with_label_values(&["POST", "/x", counted]).get(), 1);
        }
    }
}
