//! The way out: two bounded queues, and a thread that sends what is in them to the collector.
//!
//! Requests only ever try to put something into a queue; where it is full, it is dropped and counted. The thread has a door of its own
//! and asks like an adapter called `telemetry`: what no entry grants is denied, and recorded, and so is all that is sent. After a
//! failure it waits before it asks again, so that a collector that is gone does not fill log and ledger.

use super::instruments::Instruments;
use super::link::{Link, Signal};
use super::sender::{self, LAST, Lane, Spans, Stop};
use super::{Endpoint, Telemetry};
use crate::app::Gateway;
use crate::metrics::Metrics;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SdkTracerProvider, Span, SpanData, SpanLimits, SpanProcessor,
};
use prometheus::IntCounter;
use prost::Message;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};
use tokio::sync::{mpsc, watch};

/// The most spans that wait: some megabytes.
const QUEUE: usize = 2_048;
/// How often the metrics are sent.
const METRICS_EVERY: Duration = Duration::from_secs(60);

/// What sends; it is stopped when no request can have more to say.
pub(crate) struct Export {
    meters: SdkMeterProvider,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// Begins to export to `endpoint`.
///
/// # Errors
/// If the system gives no thread or no event queue.
pub(crate) fn start(endpoint: &Endpoint, gateway: &Arc<Gateway>) -> io::Result<(Telemetry, Export)> {
    let resource = Resource::builder_empty().with_service_name("hauski");
    let resource = resource.with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance_id()),
    ]);
    let resource = resource.build();
    let ((spans, to_send), (bodies, metered)) = (mpsc::channel(QUEUE), mpsc::channel(2));
    let dropped = Dropped::new(&gateway.metrics);
    // All that the environment could change is said here: it has no effect.
    let tracers = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        .with_span_limits(SpanLimits::default())
        .with_resource(resource.clone())
        .with_span_processor(Queue { spans, dropped: dropped.spans.clone() })
        .build();
    let reader = Metered { bodies, dropped: dropped.metrics.clone() };
    let reader = PeriodicReader::builder(reader).with_interval(METRICS_EVERY).build();
    let meters = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader).build();
    let scope = InstrumentationScope::builder("hauski")
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url("https://opentelemetry.io/schemas/1.37.0")
        .build();
    let telemetry = Telemetry {
        tracer: tracers.tracer_with_scope(scope.clone()),
        instruments: Instruments::new(&meters.meter_with_scope(scope), gateway),
        scheme: if gateway.speaks_tls() { "https" } else { "http" },
    };
    let lane = |signal, dropped| Lane::new(Link::new(&gateway.egress, endpoint, signal), dropped);
    let spans = Spans::new(lane(Signal::Traces, dropped.spans), (&resource).into(), to_send);
    let metrics = sender::Metrics::new(lane(Signal::Metrics, dropped.metrics), metered);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped): (_, Stop) = watch::channel(false);
    let run = move || {
        runtime.block_on(sender::run(spans, metrics, stopped));
        // A look-up of the system's can't be cancelled; nobody waits for it.
        runtime.shutdown_background();
    };
    let thread = thread::Builder::new().name("hauski-telemetry".to_owned()).spawn(run)?;
    Ok((telemetry, Export { meters, stop, thread }))
}

/// An id that no other process has: a UUID of version 4 (RFC 9562, section 5.4).
fn instance_id() -> String {
    let random = u128::from_be_bytes(RandomIdGenerator::default().new_trace_id().to_bytes());
    let id = random & !(0xf << 76 | 0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{id:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl Export {
    /// Sends what is left, as far as it goes in two seconds.
    pub(crate) fn stop(self) {
        // Puts the metrics into their queue, and takes no time.
        let _ = self.meters.shutdown_with_timeout(LAST);
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the export of telemetry ended by a panic");
        }
    }
}

/// What was not delivered.
struct Dropped {
    spans: IntCounter,
    metrics: IntCounter,
}

impl Dropped {
    fn new(metrics: &Metrics) -> Self {
        let of = |kind: &str| metrics.telemetry_dropped.with_label_values(&[kind]);
        Self { spans: of("spans"), metrics: of("metrics") }
    }
}

/// Where spans go when they end.
struct Queue {
    spans: mpsc::Sender<SpanData>,
    dropped: IntCounter,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

/// Where the metrics go, again and again, by a thread of the library's.
struct Metered {
    bodies: mpsc::Sender<Vec<u8>>,
    dropped: IntCounter,
}

impl PushMetricExporter for Metered {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        if self.bodies.try_send(ExportMetricsServiceRequest::from(metrics).encode_to_vec()).is_err() {
            self.dropped.inc();
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Span as _, Tracer as _};

    /// Requests wait for nobody: what has no place is counted and gone.
    #[test]
    fn a_full_queue_drops_and_counts() {
        let dropped = Dropped::new(&Metrics::new().unwrap());
        let ((spans, mut to_send), (bodies, mut metered)) = (mpsc::channel(2), mpsc::channel(1));
        let queue = Queue { spans, dropped: dropped.spans.clone() };
        let tracers = SdkTracerProvider::builder().with_span_processor(queue).build();
        for _ in 0..5 {
            tracers.tracer("test").start("span").end();
        }
        assert_eq!((dropped.spans.get(), to_send.len()), (3, 2));
        assert!(to_send.try_recv().is_ok());
        let metered_by = Metered { bodies, dropped: dropped.metrics.clone() };
        let reader = PeriodicReader::builder(metered_by).with_interval(METRICS_EVERY).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        meters.meter("test").u64_counter("x").build().add(1, &[]);
        for _ in 0..3 {
            meters.force_flush().unwrap();
        }
        assert_eq!((dropped.metrics.get(), metered.try_recv().is_ok()), (2, true));
    }
}
