//! What is measured: histograms with the names, units and bounds of the semantic conventions, and, below `hauski.`, what they have no
//! names for and `/metrics` has.

use crate::app::Gateway;
use crate::metrics::SECONDS;
use hauski_runtime::Adapter;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter};
use std::sync::Arc;

/// Bounds of `http.server.request.duration`, in seconds.
const HTTP: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of `gen_ai.client.operation.duration`, in seconds.
const OPERATION: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds of `gen_ai.client.token.usage`: the powers of four.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Bounds of `gen_ai.server.time_to_first_token`, in seconds.
const FIRST_TOKEN: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of `gen_ai.server.time_per_output_token`, in seconds.
const OUTPUT_TOKEN: [f64; 13] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// All that is measured.
pub(super) struct Instruments {
    /// From a request's head to the end of its answer.
    pub(super) http: Histogram<f64>,
    /// An attempt at a model, to the end of its answer.
    pub(super) operation: Histogram<f64>,
    /// Tokens of an attempt, as its provider counts them.
    pub(super) tokens: Histogram<u64>,
    /// From the beginning of an attempt at a model to the first chunk of its stream.
    pub(super) first_token: Histogram<f64>,
    /// From the first chunk of a stream to its end, for each further token.
    pub(super) output_token: Histogram<f64>,
    /// What the gateway adds, without what it waits for others.
    pub(super) added: Histogram<f64>,
    /// Between two pieces of a stream.
    pub(super) inter_chunk: Histogram<f64>,
    /// Tries after the first at the same model.
    pub(super) retries: Counter<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter, gateway: &Arc<Gateway>) -> Self {
        watch(meter, gateway);
        let seconds = |name, what, bounds: &[f64]| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(what);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}");
        Self {
            http: seconds("http.server.request.duration", "Duration of HTTP server requests.", &HTTP),
            operation: seconds("gen_ai.client.operation.duration", "GenAI operation duration.", &OPERATION),
            tokens: tokens
                .with_description("Number of input and output tokens used.")
                .with_boundaries(TOKENS.to_vec())
                .build(),
            first_token: seconds(
                "gen_ai.server.time_to_first_token",
                "Time to generate first token for successful responses.",
                &FIRST_TOKEN,
            ),
            output_token: seconds(
                "gen_ai.server.time_per_output_token",
                "Time per output token generated after the first token for successful responses.",
                &OUTPUT_TOKEN,
            ),
            added: seconds("hauski.added_latency", "What the gateway adds to an answer.", SECONDS),
            inter_chunk: seconds("hauski.inter_chunk", "Between two pieces of a streamed answer.", SECONDS),
            retries: meter
                .u64_counter("hauski.retries")
                .with_unit("{retry}")
                .with_description("Times that a request was tried again at the same model.")
                .build(),
        }
    }
}

/// What is looked at whenever metrics are sent: how adapters are used, and which models are asked.
fn watch(meter: &Meter, gateway: &Arc<Gateway>) {
    let by_adapter = |name, unit, what, of: fn(&Adapter) -> usize| {
        let gateway = gateway.clone();
        let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(what);
        let look = move |observer: &dyn AsyncInstrument<u64>| {
            for (id, adapter) in gateway.adapters().iter() {
                observer.observe(of(adapter) as u64, &[KeyValue::new("hauski.adapter", id.to_string())]);
            }
        };
        gauge.with_callback(look).build();
    };
    let (queue, instances) = ("hauski.adapter.queue_depth", "hauski.adapter.instances");
    by_adapter(queue, "{request}", "Requests that wait for an instance.", Adapter::waiting);
    by_adapter(instances, "{instance}", "Instances that serve a request.", Adapter::in_flight);
    let (gateway, gauge) = (gateway.clone(), meter.i64_observable_gauge("hauski.breaker.state"));
    let look = move |observer: &dyn AsyncInstrument<i64>| {
        for (model, breaker) in gateway.breakers.all() {
            observer.observe(breaker.code(), &[KeyValue::new("gen_ai.request.model", model.into_string())]);
        }
    };
    let what = "Whether a model is asked: 0 closed, which is yes; 1 open, which is no; 2 half-open.";
    gauge.with_description(what).with_callback(look).build();
}
