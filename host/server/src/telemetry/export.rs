//! The way out: two bounded queues, and a thread that sends what is in them to the collector.
//!
//! Requests only ever try to put something into a queue; where it is full, it is dropped and counted. The thread has a door of its own
//! and asks like an adapter called `telemetry`: what no entry grants is denied, and recorded, and so is all that is sent. After a
//! failure it waits before it asks again, so that a collector that is gone does not fill log and ledger.

use super::instruments::Instruments;
use super::link::{Link, Signal};
use super::{Endpoint, Telemetry};
use crate::app::Gateway;
use crate::metrics::Metrics;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanLimits, SpanProcessor};
use prometheus::IntCounter;
use prost::Message;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// The most spans that wait: some megabytes.
const QUEUE: usize = 2_048;
/// The most spans that are sent at once.
const BATCH: usize = 512;
/// How long a span waits for others at most.
const SPANS_EVERY: Duration = Duration::from_secs(5);
/// How often the metrics are sent.
const METRICS_EVERY: Duration = Duration::from_secs(60);
/// The time for what is left at a stop.
const LAST: Duration = Duration::from_secs(2);

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
pub(crate) fn start(endpoint: &Endpoint, gateway: &Gateway) -> io::Result<(Telemetry, Export)> {
    let resource = Resource::builder_empty().with_service_name("hauski");
    let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
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
        instruments: Instruments::new(&meters.meter_with_scope(scope)),
        scheme: if gateway.speaks_tls() { "https" } else { "http" },
    };
    let (shared, endpoint, resource) = (gateway.egress.clone(), endpoint.clone(), (&resource).into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = watch::channel(false);
    let run = move || {
        runtime.block_on(async {
            let (link, batch) = (Link::new(shared, endpoint), Vec::with_capacity(BATCH));
            Sender { link, resource, to_send, metered, batch, due: None, under_way: None, dropped }.run(stopped).await;
        });
        // A look-up of the system's can't be cancelled; nobody waits for it.
        runtime.shutdown_background();
    };
    let thread = thread::Builder::new().name("hauski-telemetry".to_owned()).spawn(run)?;
    Ok((telemetry, Export { meters, stop, thread }))
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

/// The thread's part.
struct Sender {
    link: Link,
    resource: ResourceAttributesWithSchema,
    to_send: mpsc::Receiver<SpanData>,
    metered: mpsc::Receiver<Vec<u8>>,
    batch: Vec<SpanData>,
    /// When the batch is sent, whatever is in it.
    due: Option<Instant>,
    /// What is being sent: where to, and how much it counts.
    under_way: Option<(IntCounter, u64)>,
    dropped: Dropped,
}

impl Sender {
    /// Sends until it is `stopped`, and then what is under way and what is left.
    async fn run(mut self, stopped: Stop) {
        let mut last = stopped.clone();
        let patience = async {
            is_set(&mut last).await;
            sleep(LAST).await;
        };
        tokio::select! {
            () = patience => {}
            () = self.all(stopped) => {}
        }
        // What was cut off may have arrived or not.
        self.lose();
        let rest = self.batch.len() + self.to_send.len();
        self.dropped.spans.inc_by(rest as u64);
        self.dropped.metrics.inc_by(self.metered.len() as u64);
    }

    async fn all(&mut self, mut stopped: Stop) {
        while self.wait(&mut stopped).await {
            tokio::select! {
                () = is_set(&mut stopped) => break,
                () = self.link.rest() => {}
            }
        }
        self.finish().await;
    }

    /// Waits until there is something to be sent, and sends it; false if it is `stopped` first.
    async fn wait(&mut self, stopped: &mut Stop) -> bool {
        loop {
            let room = BATCH - self.batch.len();
            let due = self.due.unwrap_or_else(|| Instant::now() + METRICS_EVERY);
            tokio::select! {
                () = is_set(stopped) => return false,
                Some(body) = self.metered.recv() => {
                    self.send_metrics(body).await;
                    return true;
                }
                1.. = self.to_send.recv_many(&mut self.batch, room), if room > 0 => {
                    self.due.get_or_insert_with(|| Instant::now() + SPANS_EVERY);
                }
                () = sleep_until(due) => {}
            }
            let is_due = self.due.is_some_and(|due| due <= Instant::now());
            if is_due || self.batch.len() == BATCH {
                self.send_batch().await;
                return true;
            }
        }
    }

    /// Sends all that is there.
    async fn finish(&mut self) {
        while let Ok(body) = self.metered.try_recv() {
            self.send_metrics(body).await;
        }
        loop {
            while let (true, Ok(span)) = (self.batch.len() < BATCH, self.to_send.try_recv()) {
                self.batch.push(span);
            }
            if self.batch.is_empty() {
                return;
            }
            self.send_batch().await;
        }
    }

    async fn send_batch(&mut self) {
        self.due = None;
        self.under_way = Some((self.dropped.spans.clone(), self.batch.len() as u64));
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let sent = self.link.send(Signal::Traces, body).await;
        self.settle(sent);
    }

    async fn send_metrics(&mut self, body: Vec<u8>) {
        self.under_way = Some((self.dropped.metrics.clone(), 1));
        let sent = self.link.send(Signal::Metrics, body).await;
        self.settle(sent);
    }

    /// Counts what was under way as dropped, unless it was `sent`.
    fn settle(&mut self, sent: bool) {
        if sent {
            self.under_way = None;
        }
        self.lose();
    }

    fn lose(&mut self) {
        if let Some((counter, count)) = self.under_way.take() {
            counter.inc_by(count);
        }
    }
}

/// Whether the export is to stop.
type Stop = watch::Receiver<bool>;

/// Waits until it is, or nobody is left who could say so.
async fn is_set(stop: &mut Stop) {
    let _ = stop.wait_for(|stop| *stop).await;
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
