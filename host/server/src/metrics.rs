//! The metrics that `/metrics` shows, in Prometheus' text form. Labels are bounded: routes, adapters, granted destinations, codes.

mod alias;
mod conventions;
mod ledger;
mod limits;
mod process;

use crate::breakers::Breakers;
use crate::console::Pace;
use crate::view::View;
use alias::Alias;
use conventions::register;
use hauski_egress::Ledger;
use ledger::LedgerMetrics;
use limits::LimitMetrics;
use process::ProcessMetrics;
use prometheus::core::Collector;
use prometheus::{
    CounterVec, Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Bounds of the buckets of durations, in seconds: from a sandboxed echo to a long answer.
pub(crate) const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.4, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
    300.0, 600.0,
];

/// The name of the durations of requests that the budget gate reads. They are there under the prefixed name as well.
const REQUEST_SECONDS: &str = "http_request_duration_seconds";

/// All metrics of a gateway.
pub struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: HistogramVec,
    pub(crate) first_token_seconds: HistogramVec,
    pub(crate) inter_chunk_seconds: Histogram,
    pub(crate) added_seconds: HistogramVec,
    pub(crate) tokens: IntCounterVec,
    pub(crate) retries: IntCounterVec,
    pub(crate) probes: IntCounterVec,
    pub(crate) egress_requests: IntCounterVec,
    pub(crate) egress_denied: IntCounterVec,
    pub(crate) egress_bytes: IntCounterVec,
    pub(crate) egress_seconds: HistogramVec,
    pub(crate) policy_reloads: IntCounterVec,
    pub(crate) adapter_reloads: IntCounterVec,
    pub(crate) policy_generation: IntGauge,
    pub(crate) policy_stale: IntGauge,
    pub(crate) tls_stale: IntGauge,
    pub(crate) telemetry_dropped: IntCounterVec,
    pub(crate) limit_hits: IntCounterVec,
    instances: IntGaugeVec,
    memory: IntGaugeVec,
    limits: LimitMetrics,
    cpu_seconds: CounterVec,
    /// Held while what adapters count is taken over.
    taking: Mutex<()>,
    queued: IntGaugeVec,
    breakers: IntGaugeVec,
    models: IntGaugeVec,
    adapters: IntGaugeVec,
    pub(crate) connections: IntGauge,
    /// The same requests for the console.
    pub(crate) pace: Pace,
}

impl Metrics {
    /// Metrics that all stand at zero.
    ///
    /// # Errors
    /// If two of them had one name, or one broke the conventions, which a test would have shown.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name, help, labels: &[&str]| add(&registry, IntCounterVec::new(Opts::new(name, help), labels)?);
        let gauge = |name, help, labels: &[&str]| add(&registry, IntGaugeVec::new(Opts::new(name, help), labels)?);
        let seconds = |name, help, labels: &[&str]| {
            add(&registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)?)
        };
        let build = gauge("hauski_build_info", "What runs here; always 1.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let request_seconds = seconds(
            "hauski_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            &["method", "path"],
        )?;
        register(&registry, Box::new(Alias::new(REQUEST_SECONDS, request_seconds.clone())?))?;
        register(&registry, Box::new(ProcessMetrics::new()?))?;
        Ok(Self {
            requests: counter(
                "hauski_http_requests_total",
                "Requests, when their answer is complete.",
                &["method", "path", "status"],
            )?,
            request_seconds,
            first_token_seconds: seconds(
                "hauski_first_token_seconds",
                "From a streaming request's last byte to the first chunk of its answer, with all tries and pauses before it.",
                &["adapter"],
            )?,
            inter_chunk_seconds: add(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "hauski_inter_chunk_seconds",
                        "Between two pieces of a streamed answer, from when the first was asked to be written.",
                    )
                    .buckets(SECONDS.to_vec()),
                )?,
            )?,
            added_seconds: seconds(
                "hauski_added_latency_seconds",
                "What the gateway adds: from a request's last byte to its whole answer or first chunk, as the client gets it, \
                 without the time in which others were waited for: names, connections, providers, and pauses between tries. \
                 Waiting for an instance of the adapter is in it.",
                &["adapter"],
            )?,
            tokens: counter(
                "hauski_tokens_total",
                "Tokens of requests and answers, as providers count them.",
                &["model", "kind"],
            )?,
            retries: counter(
                "hauski_retries_total",
                "Times that a request was tried again at the same model.",
                &["model"],
            )?,
            probes: counter(
                "hauski_probes_total",
                "Looks of the gateway's own at whether a model's provider can be used.",
                &["model", "result"],
            )?,
            egress_requests: counter(
                "hauski_egress_requests_total",
                "Requests of adapters that the policy allowed, when their answer is complete or has failed.",
                &["adapter", "destination", "result"],
            )?,
            egress_denied: counter(
                "hauski_egress_denied_total",
                "Requests of adapters that the policy denied; nothing of them was sent.",
                &["adapter", "destination", "reason"],
            )?,
            egress_bytes: counter(
                "hauski_egress_bytes_total",
                "Bytes of bodies sent to and received from destinations.",
                &["destination", "direction"],
            )?,
            egress_seconds: seconds(
                "hauski_egress_request_duration_seconds",
                "From an allowed request of an adapter to the end of its answer.",
                &["adapter"],
            )?,
            policy_reloads: counter(
                "hauski_policy_reloads_total",
                "Times that routing.yaml, models.yml, limits.yaml or the secrets were read again after the start; one that failed changed nothing.",
                &["result"],
            )?,
            adapter_reloads: counter(
                "hauski_adapter_reloads_total",
                "Files of the adapters folder that have changed after the start, and what came of it.",
                &["result"],
            )?,
            policy_generation: add(
                &registry,
                IntGauge::new("hauski_policy_generation", "Which policy holds: 1 is the one of the start.")?,
            )?,
            policy_stale: add(
                &registry,
                IntGauge::new(
                    "hauski_policy_stale",
                    "1 while the policy, the models, the keys, the limits or the lock on disk are invalid and the last valid ones are used.",
                )?,
            )?,
            tls_stale: add(
                &registry,
                IntGauge::new(
                    "hauski_tls_stale",
                    "1 while the certificate on disk can't be used and the last good one is.",
                )?,
            )?,
            telemetry_dropped: counter(
                "hauski_telemetry_dropped_total",
                "Spans, and exports of metrics, that did not reach the collector of telemetry.",
                &["kind"],
            )?,
            instances: gauge(
                "hauski_adapter_instances",
                "Instances that serve a request at this moment.",
                &["adapter"],
            )?,
            memory: gauge(
                "hauski_adapter_memory_bytes",
                "Memory of the adapter: instances with their tables, request bodies in flight, and large answers that clients have not taken.",
                &["adapter"],
            )?,
            limits: LimitMetrics::new(&registry)?,
            limit_hits: counter(
                "hauski_adapter_limit_hits_total",
                "Requests, and requests to providers, that a limit of limits.yaml has ended.",
                &["adapter", "limit"],
            )?,
            cpu_seconds: add(
                &registry,
                CounterVec::new(
                    Opts::new("hauski_adapter_cpu_seconds_total", "Time that instances have computed."),
                    &["adapter"],
                )?,
            )?,
            taking: Mutex::default(),
            queued: gauge(
                "hauski_adapter_queue_depth",
                "Requests that wait for an instance at this moment.",
                &["adapter"],
            )?,
            breakers: gauge(
                "hauski_breaker_state",
                "Whether a model is asked: 0 closed, which is yes; 1 open, which is no; 2 half-open, one request finds out.",
                &["model"],
            )?,
            models: gauge(
                "hauski_model_info",
                "The models whose adapter is loaded, with the locality of their reach: local, cloud or no grant; always 1.",
                &["model", "adapter", "locality"],
            )?,
            adapters: gauge("hauski_adapters", "Files of the adapters folder.", &["state"])?,
            connections: add(&registry, IntGauge::new("hauski_http_connections", "Open connections of clients.")?)?,
            pace: Pace::default(),
            registry,
        })
    }

    /// Shows how it stands with the ledger, unless it is off.
    pub(crate) fn watch_ledger(&self, ledger: &Ledger) -> Result<(), prometheus::Error> {
        if ledger.stats().is_none() {
            return Ok(());
        }
        register(&self.registry, Box::new(LedgerMetrics::new(ledger.clone())?))
    }

    /// The text of `/metrics`; what the adapters know themselves is asked now.
    pub(crate) fn render(&self, view: &View, breakers: &Breakers) -> Result<Vec<u8>, prometheus::Error> {
        let adapters = &view.adapters;
        self.take(view);
        for (model, breaker) in breakers.all() {
            self.breakers.with_label_values(&[&model]).set(breaker.code());
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.adapters.with_label_values(&["loaded"]).set(count(adapters.iter().count()));
        let loading = adapters.loading().count();
        self.adapters.with_label_values(&["loading"]).set(count(loading));
        self.adapters.with_label_values(&["refused"]).set(count(adapters.refused().len() - loading));
        let mut text = Vec::with_capacity(16 << 10);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Takes over what the adapters count.
    fn take(&self, view: &View) {
        let adapters = &view.adapters;
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        self.models.reset();
        for model in view.models.iter() {
            if let (Some(adapter), Some(locality)) = (&model.adapter, view.locality(&model.id)) {
                self.models.with_label_values(&[&model.id, adapter.as_str(), locality.as_str()]).set(1);
            }
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        // Those that were removed are not shown any more.
        [&self.instances, &self.queued, &self.memory].into_iter().for_each(IntGaugeVec::reset);
        self.limits.reset();
        for (id, adapter) in adapters.iter() {
            let (id, consumption) = (id.as_str(), adapter.consumption());
            self.instances.with_label_values(&[id]).set(count(adapter.in_flight()));
            self.queued.with_label_values(&[id]).set(count(adapter.waiting()));
            self.memory.with_label_values(&[id]).set(count(consumption.memory_bytes()));
            self.limits.set(id, adapter.limits());
            let cpu = self.cpu_seconds.with_label_values(&[id]);
            cpu.inc_by((consumption.cpu().as_secs_f64() - cpu.get()).max(0.0));
            for (limit, hits) in consumption.hits() {
                let own = self.limit_hits.with_label_values(&[id, limit]);
                own.inc_by(hits.saturating_sub(own.get()));
            }
        }
    }

    /// Counts a finished request of a client.
    pub(crate) fn finished(&self, method: &str, path: &str, status: &str, took: Duration) {
        self.requests.with_label_values(&[method, path, status]).inc();
        self.request_seconds.with_label_values(&[method, path]).observe(took.as_secs_f64());
        self.pace.note(path, status, took);
    }
}

fn add<M: Collector + Clone + 'static>(registry: &Registry, metric: M) -> Result<M, prometheus::Error> {
    register(registry, Box::new(metric.clone()))?;
    Ok(metric)
}
