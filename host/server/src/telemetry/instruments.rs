//! The histograms, with the names, units and bounds of the semantic conventions.

use opentelemetry::metrics::{Histogram, Meter};

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
    /// From a streaming request's body to the first chunk.
    pub(super) first_token: Histogram<f64>,
    /// From the first chunk of a stream to its end, for each further token.
    pub(super) output_token: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
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
        }
    }
}
