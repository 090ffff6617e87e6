//! An attempt at a model: one span of the client's kind, its duration and its tokens.
//!
//! It begins when a model is asked and ends with its answer's last piece; dropped before, it counts as cancelled: the client has left or
//! the gateway stops.

use super::said::Said;
use super::{Telemetry, Trace, error_type};
use crate::error::ApiError;
use crate::view::Served;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, Tracer as _};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::Span;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An attempt at a model, noted when it is dropped.
pub(crate) struct Attempt {
    telemetry: Arc<Telemetry>,
    span: Span,
    /// Operation, provider and model: what is said with each number.
    labels: [KeyValue; 3],
    /// Whether its answer can end for a reason.
    chats: bool,
    /// The model's name as the provider is asked for it.
    upstream: Box<str>,
    started: Instant,
    /// When the first chunk of a stream came.
    first: Option<Instant>,
    said: Said,
    /// Input and output, as far as the provider has counted them.
    tokens: (Option<u64>, Option<u64>),
    end: End,
}

/// How it ended.
#[derive(Clone, Copy)]
enum End {
    Complete,
    Failed(&'static str),
    Cancelled,
}

/// The code of what was given up before its end.
const CANCELLED: &str = "cancelled";

impl Attempt {
    /// Begins an attempt at `served`. `held`: whether it is local-only; `retry`: how many attempts there were at it before.
    pub(crate) fn begin(trace: &Trace, served: &Served, held: bool, retry: u32) -> Self {
        let adapter = &*served.adapter.profile().id;
        let model = || StringValue::from(served.model.to_string());
        let labels = [
            KeyValue::new("gen_ai.operation.name", trace.operation),
            KeyValue::new("gen_ai.provider.name", adapter.to_owned()),
            KeyValue::new("gen_ai.request.model", model()),
        ];
        let locality = if held { hauski_policy::Locality::Local } else { served.locality };
        let builder = SpanBuilder::from_name(format!("{} {}", trace.operation, served.model));
        let builder = builder.with_kind(SpanKind::Client).with_attributes(labels.iter().cloned().chain([
            KeyValue::new("hauski.adapter", adapter.to_owned()),
            KeyValue::new("hauski.locality", locality.as_str()),
            KeyValue::new("hauski.retry", i64::from(retry)),
        ]));
        if retry > 0 {
            trace.telemetry.instruments.retries.add(1, &labels);
        }
        Self {
            telemetry: trace.telemetry.clone(),
            chats: trace.operation != "embeddings",
            span: trace.telemetry.tracer.build_with_context(builder, &trace.parent),
            labels,
            upstream: served.upstream.clone(),
            started: Instant::now(),
            first: None,
            said: Said::default(),
            tokens: (None, None),
            end: End::Cancelled,
        }
    }

    /// Notes the first chunk of a stream.
    pub(crate) fn first_token(&mut self) {
        self.first = Some(Instant::now());
        self.telemetry.instruments.first_token.record(self.started.elapsed().as_secs_f64(), &self.labels);
    }

    /// Notes what the gateway itself took of the time until the answer, or its first chunk, was there.
    pub(crate) fn added(&self, added: Duration) {
        self.telemetry.instruments.added.record(added.as_secs_f64(), &self.labels);
    }

    /// Notes how long a further piece of a stream was waited for.
    pub(crate) fn gap(&self, gap: Duration) {
        self.telemetry.instruments.inter_chunk.record(gap.as_secs_f64(), &self.labels);
    }

    /// Reads a completion or a chunk of one, or embeddings, where a trace is kept.
    pub(crate) fn read(&mut self, answer: &str) {
        if self.span.is_recording() {
            self.said.read(answer, &self.upstream, self.chats);
        }
    }

    /// Notes what the provider counts.
    pub(crate) fn tokens(&mut self, input: Option<u64>, output: Option<u64>) {
        self.tokens = (input, output);
    }

    /// The answer is there, to its end.
    pub(crate) fn complete(&mut self) {
        self.end = End::Complete;
    }

    /// There is no answer, or no more of it. Of the error, only the code is told.
    pub(crate) fn failed(&mut self, error: &ApiError) {
        self.end = End::Failed(error.code);
    }

    /// The numbers, each with the attempt's labels.
    fn record(&self, error: Option<&'static str>) {
        let (instruments, took) = (&self.telemetry.instruments, self.started.elapsed());
        let with = |more: Option<KeyValue>| self.labels.iter().cloned().chain(more).collect::<Vec<_>>();
        instruments.operation.record(took.as_secs_f64(), &with(error.map(error_type)));
        let (input, output) = self.tokens;
        // Where nothing was put out, such as for embeddings, there is nothing to count.
        for (kind, tokens) in [("input", input), ("output", output.filter(|output| *output > 0))] {
            if let Some(tokens) = tokens {
                instruments.tokens.record(tokens, &with(Some(KeyValue::new("gen_ai.token.type", kind))));
            }
        }
        if let (Some(first), None, Some(output @ 2..)) = (self.first, error, output) {
            #[expect(clippy::cast_precision_loss, reason = "no answer has so many tokens")]
            let each = first.elapsed().as_secs_f64() / (output - 1) as f64;
            instruments.output_token.record(each, &self.labels);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let error = match self.end {
            End::Complete => None,
            End::Failed(code) => Some(code),
            End::Cancelled => Some(CANCELLED),
        };
        self.record(error);
        let count = |name, tokens| KeyValue::new(name, i64::try_from(tokens).unwrap_or(i64::MAX));
        let (input, output) = self.tokens;
        self.span.set_attributes(input.map(|tokens| count("gen_ai.usage.input_tokens", tokens)));
        self.span.set_attributes(output.map(|tokens| count("gen_ai.usage.output_tokens", tokens)));
        if let Some(model) = self.said.model.take() {
            self.span.set_attribute(KeyValue::new("gen_ai.response.model", model));
        }
        if !self.said.reasons.is_empty() {
            let reasons = self.said.reasons.iter().copied().map(StringValue::from).collect();
            let reasons = Value::Array(Array::String(reasons));
            self.span.set_attribute(KeyValue::new("gen_ai.response.finish_reasons", reasons));
        }
        if let Some(code) = error {
            self.span.set_attribute(error_type(code));
        }
        // Who leaves is no failure.
        if matches!(self.end, End::Failed(_)) {
            self.span.set_status(Status::error(""));
        }
        self.span.end();
    }
}
