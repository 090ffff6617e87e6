//! A scripted collector: it keeps the bytes that it is sent, and reads them as OTLP.

use hauski_tests::{Conversation, Upstream};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, NumberDataPoint, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Head and body of each export.
type Exports = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

pub(super) struct Collector {
    pub(super) upstream: Upstream,
    exports: Exports,
}

impl Collector {
    /// Takes all that it is sent.
    pub(super) fn start() -> Self {
        Self::answering(|conversation, _| conversation.answer("200 OK", "content-type: application/x-protobuf\r\n", ""))
    }

    /// Answers what is sent to this path in this way.
    pub(super) fn answering(
        answer: impl Fn(&mut Conversation, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let exports = Exports::default();
        let kept = exports.clone();
        let upstream = Upstream::start(move |conversation| {
            loop {
                let export = conversation.request_bytes()?;
                let path = export.0.split(' ').nth(1).unwrap_or_default().to_owned();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(export);
                answer(conversation, &path)?;
            }
        });
        Self { upstream, exports }
    }

    /// The entry of `egress.allow` that lets telemetry reach it.
    pub(super) fn grant(&self) -> String {
        format!("{{ url: \"{}\", adapters: [telemetry], methods: [POST] }}", self.upstream.url("/v1/"))
    }

    /// All heads and bodies.
    pub(super) fn exports(&self) -> Vec<(String, Vec<u8>)> {
        self.exports.lock().unwrap().clone()
    }

    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let start = format!("POST {path} HTTP/1.1\r\n");
        let exports = self.exports().into_iter().filter(|(head, _)| head.starts_with(&start));
        exports.map(|(_, body)| body).collect()
    }

    /// All spans, in the order in which they ended, and what is said of whom they are from.
    pub(super) fn spans(&self) -> (Vec<Span>, BTreeMap<String, String>) {
        let (mut spans, mut from) = (Vec::new(), BTreeMap::new());
        for body in self.bodies("/v1/traces") {
            for resource in ExportTraceServiceRequest::decode(&*body).unwrap().resource_spans {
                from = texts(&resource.resource.unwrap().attributes);
                spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        (spans, from)
    }

    /// All metrics, in the order in which they were exported.
    fn metrics(&self) -> Vec<Metric> {
        let mut found = Vec::new();
        for body in self.bodies("/v1/metrics") {
            let resources = ExportMetricsServiceRequest::decode(&*body).unwrap().resource_metrics;
            for resource in &resources {
                let from = texts(&resource.resource.as_ref().unwrap().attributes);
                assert!(from["service.name"] == "hauski" && from.len() == 3, "{from:?}");
            }
            let scopes = resources.into_iter().flat_map(|resource| resource.scope_metrics);
            found.extend(scopes.flat_map(|scope| scope.metrics));
        }
        found
    }

    /// The histograms as they were exported last, by name: unit, and a point for each set of labels.
    pub(super) fn histograms(&self) -> BTreeMap<String, (String, Vec<HistogramDataPoint>)> {
        let mut found = BTreeMap::new();
        for metric in self.metrics() {
            if let Some(Data::Histogram(histogram)) = metric.data {
                found.insert(metric.name, (metric.unit, histogram.data_points));
            }
        }
        found
    }

    /// Counters and gauges as they were exported last: name and labels, and what they say.
    pub(super) fn numbers(&self) -> BTreeMap<String, i64> {
        let mut found = BTreeMap::new();
        for metric in self.metrics() {
            let points = match metric.data.unwrap() {
                Data::Sum(sum) => sum.data_points,
                Data::Gauge(gauge) => gauge.data_points,
                _ => continue,
            };
            for NumberDataPoint { attributes, value, .. } in points {
                let Some(number_data_point::Value::AsInt(value)) = value else { panic!("{value:?}") };
                let labels: Vec<_> = texts(&attributes).into_values().collect();
                found.insert(format!("{} {}", metric.name, labels.join(" ")), value);
            }
        }
        found
    }
}

/// Attributes as text.
pub(super) fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|one| (one.key.clone(), text(one.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()).unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(is) => is.to_string(),
        Value::ArrayValue(array) => array.values.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(","),
        other => panic!("{other:?}"),
    }
}
