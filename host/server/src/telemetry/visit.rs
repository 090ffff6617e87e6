//! A client's request: one span of the server's kind where it asks a model, and its duration.

use super::{Telemetry, Trace, error_type, operation, parent};
use http::HeaderMap;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::Span;
use std::sync::Arc;
use std::time::Duration;

/// A request on its way.
pub(crate) struct Visit {
    telemetry: Arc<Telemetry>,
    method: &'static str,
    /// As the router has it; none where there is nothing at the path.
    route: Option<Arc<str>>,
    /// Where it asks a model: its span, and what it asks.
    asks: Option<(Span, &'static str)>,
}

/// How a request ended.
pub(crate) struct Ended {
    /// The status, if one was sent.
    pub(crate) status: Option<u16>,
    /// What went wrong, where that is the gateway's or the provider's failure, and not the client's.
    pub(crate) error: Option<&'static str>,
    /// Whether the client left before the answer's end.
    pub(crate) left: bool,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Visit {
    /// Takes note of a request to `route` with the id `id`.
    pub(crate) fn begin(
        telemetry: &Arc<Telemetry>,
        (method, route): (&'static str, Option<&Arc<str>>),
        headers: &HeaderMap,
        id: &Arc<str>,
    ) -> Self {
        let span = |(route, operation): (&Arc<str>, _)| {
            let builder = SpanBuilder::from_name(format!("{method} {route}")).with_kind(SpanKind::Server);
            let builder = builder.with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", Value::from(route.clone())),
                // The route's: what stands in its place is the client's.
                KeyValue::new("url.path", Value::from(route.clone())),
                KeyValue::new("url.scheme", telemetry.scheme),
                KeyValue::new("hauski.request_id", Value::from(id.clone())),
            ]);
            let around = Context::new();
            let around = parent::of(headers).map_or(around.clone(), |parent| around.with_remote_span_context(parent));
            (telemetry.tracer.build_with_context(builder, &around), operation)
        };
        let asks = route.filter(|_| method == "POST").and_then(|route| Some((route, operation(route)?)));
        Self { telemetry: telemetry.clone(), method, route: route.cloned(), asks: asks.map(span) }
    }

    /// What the request's attempts at models belong to.
    pub(crate) fn trace(&self) -> Option<Trace> {
        let (span, operation) = self.asks.as_ref()?;
        let parent = Context::new().with_remote_span_context(span.span_context().clone());
        Some(Trace { telemetry: self.telemetry.clone(), parent, operation })
    }

    /// Notes its end.
    pub(crate) fn end(self, ended: &Ended) {
        let status = ended.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status)));
        let about = || status.clone().into_iter().chain(ended.error.map(error_type));
        if let Some((mut span, _)) = self.asks {
            span.set_attributes(about());
            if ended.left {
                span.set_attribute(KeyValue::new("hauski.client_left", true));
            }
            if ended.error.is_some() {
                span.set_status(Status::error(""));
            }
            span.end();
        }
        // The conventions' word for methods that are none.
        let method = if self.method == "other" { "_OTHER" } else { self.method };
        let labels: Vec<_> = about()
            .chain([KeyValue::new("http.request.method", method), KeyValue::new("url.scheme", self.telemetry.scheme)])
            .chain(self.route.map(|route| KeyValue::new("http.route", Value::from(route))))
            .collect();
        self.telemetry.instruments.http.record(ended.took.as_secs_f64(), &labels);
    }
}
