//! Traces and metrics by OTLP: what a collector is told, that it is asked for like any host, and that it costs requests nothing.

mod canary;
mod collector;
mod measured;
mod refusing;

use crate::front::ground::{ANSWER, CHAT, EVENTS, ask, gateway, good, reset, scripts, unavailable};
use collector::{Collector, texts};
use hauski_tests::{Builder, TestHost, Upstream};
use http::{Request, StatusCode};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Outcome;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A stream that says what it took.
const STREAM: &str = "data: {\"model\":\"theirs-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":null}]}\n\n\
                      data: {\"model\":\"theirs-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\"}]}\n\n\
                      data: {\"model\":\"theirs-2024-08-06\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n\
                      data: [DONE]\n\n";

fn echo() -> Builder {
    TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }")
}

/// The same with leave to export to `collector`.
fn told(builder: Builder, collector: &Collector) -> Builder {
    builder.otlp(&collector.upstream.url("")).grant(&collector.grant())
}

fn is(span: &Span, kind: SpanKind) -> bool {
    span.kind == kind as i32
}

/// The span of the one request, and those of its attempts in their order.
fn one_request(spans: Vec<Span>) -> (Span, Vec<Span>) {
    let (mut requests, attempts): (Vec<_>, Vec<_>) = spans.into_iter().partition(|span| is(span, SpanKind::Server));
    let request = requests.pop().unwrap();
    assert!(requests.is_empty() && attempts.iter().all(|span| is(span, SpanKind::Client)));
    for attempt in &attempts {
        assert_eq!((&attempt.trace_id, &attempt.parent_span_id), (&request.trace_id, &request.span_id));
    }
    (request, attempts)
}

fn failed(span: &Span) -> bool {
    let status = span.status.as_ref().unwrap();
    assert_eq!(status.message, "");
    status.code == Outcome::Error as i32
}

#[track_caller]
fn check(span: &Span, expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let got: BTreeMap<_, _> = texts(&span.attributes);
    assert_eq!(got, expected);
    assert!(span.events.is_empty() && span.links.is_empty() && span.start_time_unix_nano <= span.end_time_unix_nano);
}

#[tokio::test]
async fn a_request_and_its_attempt_are_spans_of_the_clients_trace() {
    let (collector, provider) = (Collector::start(), Upstream::json(ANSWER));
    let host = told(gateway(&[&provider]), &collector).start().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request =
        Request::post(format!("{CHAT}?key=s3cret")).header("traceparent", parent).header("x-request-id", "r1");
    let answer = host.client().send(request.body(ask("m0", false).into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    host.stop();
    let (spans, from) = collector.spans();
    assert_eq!(from["service.name"], "hauski");
    assert!(from["service.version"].starts_with("0.") && from.len() == 3, "{from:?}");
    let (request, attempts) = one_request(spans);
    assert_eq!(request.name, "POST /v1/chat/completions");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&request.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7");
    check(
        &request,
        &[
            ("http.request.method", "POST"),
            ("http.route", CHAT),
            ("url.path", CHAT),
            ("url.scheme", "http"),
            ("http.response.status_code", "200"),
            ("hauski.request_id", "r1"),
        ],
    );
    let [attempt] = &*attempts else { panic!("{attempts:?}") };
    assert_eq!((attempt.name.as_str(), failed(attempt), failed(&request)), ("chat m0", false, false));
    check(
        attempt,
        &[
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai-compatible"),
            ("gen_ai.request.model", "m0"),
            ("gen_ai.response.model", "theirs"),
            ("gen_ai.response.finish_reasons", "stop"),
            ("gen_ai.usage.input_tokens", "3"),
            ("gen_ai.usage.output_tokens", "2"),
            ("hauski.adapter", "openai-compatible"),
            ("hauski.locality", "local"),
            ("hauski.retry", "0"),
        ],
    );
    // The trace is the client's and the collector's, not the provider's.
    assert!(!provider.requests()[0].contains("4bf92f3577b34da6"), "{:?}", provider.requests());
}

#[tokio::test]
async fn a_trace_that_its_client_does_not_sample_has_no_spans() {
    let (collector, provider) = (Collector::start(), Upstream::json(ANSWER));
    let host = told(gateway(&[&provider]), &collector).start().await;
    for (trace, flags) in [("4b", "00"), ("5b", "01")] {
        let parent = format!("00-{trace}f92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        let request = Request::post(CHAT).header("traceparent", parent);
        let answer = host.client().send(request.body(ask("m0", false).into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    host.stop();
    let (request, attempts) = one_request(collector.spans().0);
    assert_eq!((request.trace_id[0], attempts.len()), (0x5b, 1));
}

#[tokio::test]
async fn metrics_have_the_names_and_bounds_of_the_conventions() {
    let (collector, provider) = (Collector::start(), Upstream::events(STREAM));
    let host = told(gateway(&[&provider]), &collector).start().await;
    let body = r#"{"model":"m0","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#;
    assert!(host.client().post(CHAT, body).await.complete);
    host.client().get("/health").await;
    host.stop();
    let (_, attempts) = one_request(collector.spans().0);
    let said = texts(&attempts[0].attributes);
    assert_eq!(said["gen_ai.response.model"], "theirs-2024-08-06");
    assert_eq!((&*said["gen_ai.response.finish_reasons"], &*said["gen_ai.usage.output_tokens"]), ("length", "5"));
    let found = collector.histograms();
    let shown: Vec<_> = found
        .iter()
        .filter(|(name, _)| !name.starts_with("hauski."))
        .map(|(name, (unit, points))| {
            let bounds = &points[0].explicit_bounds;
            let (first, last) = (bounds.first().unwrap(), bounds.last().unwrap());
            (name.as_str(), unit.as_str(), points.len(), format!("{} from {first} to {last}", bounds.len()))
        })
        .collect();
    let expected = [
        ("gen_ai.client.operation.duration", "s", 1, "14 from 0.01 to 81.92"),
        ("gen_ai.client.token.usage", "{token}", 2, "14 from 1 to 67108864"),
        ("gen_ai.server.time_per_output_token", "s", 1, "13 from 0.01 to 2.5"),
        ("gen_ai.server.time_to_first_token", "s", 1, "16 from 0.001 to 10"),
        ("http.server.request.duration", "s", 2, "14 from 0.005 to 10"),
    ];
    assert_eq!(shown, expected.map(|(name, unit, points, bounds)| (name, unit, points, bounds.to_owned())));
    for (kind, tokens) in [("input", 7.0), ("output", 5.0)] {
        let points = &found["gen_ai.client.token.usage"].1;
        let point = points.iter().find(|point| texts(&point.attributes)["gen_ai.token.type"] == kind).unwrap();
        assert_eq!((point.count, point.sum), (1, Some(tokens)));
    }
    let labels = texts(&found["gen_ai.server.time_to_first_token"].1[0].attributes);
    let expected = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai-compatible"),
        ("gen_ai.request.model", "m0"),
    ];
    assert_eq!(labels, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn each_try_is_an_attempt_with_its_code() {
    let collector = Collector::start();
    let (first, second) = (scripts(vec![unavailable]), scripts(vec![reset, good]));
    let builder = crate::front::ground::route(gateway(&[&first, &second]), "{ model: m0 }, { model: m1, order: 2 }");
    let host = told(builder, &collector).start().await;
    let answer = host.client().post(CHAT, ask("chat", false)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    host.stop();
    let (request, attempts) = one_request(collector.spans().0);
    assert!(!failed(&request));
    let shown: Vec<_> = attempts
        .iter()
        .map(|span| {
            let said = texts(&span.attributes);
            let error = said.get("error.type").cloned().unwrap_or_default();
            assert_eq!(failed(span), !error.is_empty());
            format!("{} {} {error}", span.name, said["hauski.retry"])
        })
        .collect();
    let expected =
        ["chat m0 0 upstream_error", "chat m0 1 upstream_error", "chat m1 0 upstream_unreachable", "chat m1 1 "];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn what_breaks_off_or_is_left_is_told_as_such() {
    let collector = Collector::start();
    let provider = scripts(vec![
        |conversation| {
            conversation.request()?;
            conversation.write(format!("{EVENTS}{}", STREAM.split_inclusive("\n\n").next().unwrap_or_default()))
        },
        |conversation| {
            conversation.request()?;
            conversation.closed_within(Duration::from_secs(10)).map(drop)
        },
    ]);
    let host = told(gateway(&[&provider]), &collector).start().await;
    assert!(!host.client().post(CHAT, ask("m0", true)).await.complete);
    let client = host.client().begin_chat("m0", "hi", false).await;
    while provider.requests().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(client);
    host.client()
        .until_metric(
            "hauski_http_requests_total{method=\"POST\",path=\"/v1/chat/completions\",status=\"499\"} 1",
            Duration::from_secs(10),
        )
        .await;
    host.stop();
    let (mut shown, spans) = (Vec::new(), collector.spans().0);
    for span in &spans {
        let said = texts(&span.attributes);
        let of = |name: &str| said.get(name).cloned().unwrap_or_default();
        shown.push(format!("{} {} {}{}", span.name, failed(span), of("error.type"), of("hauski.client_left")));
    }
    let expected = [
        "chat m0 true upstream_unreachable",
        "POST /v1/chat/completions true broke_off",
        "chat m0 false cancelled",
        "POST /v1/chat/completions false true",
    ];
    assert_eq!(shown, expected);
    let left = texts(&spans[3].attributes);
    assert!(!left.contains_key("http.response.status_code"), "{left:?}");
}

#[tokio::test]
async fn nothing_is_sent_without_leave() {
    let collector = Collector::start();
    let url = collector.upstream.url("");
    let other = format!("{{ url: \"{url}/v1/\", adapters: [echo], methods: [POST] }}");
    // Named but not granted; granted but not named.
    for builder in [echo().otlp(&url).grant(&other).ledger(), echo().grant(&collector.grant())] {
        let host = builder.start().await;
        assert_eq!(host.client().chat("echo", "hello").await.status, StatusCode::OK);
        let ledger = host.folder().join("ledger/egress.jsonl");
        let is_named = ledger.exists();
        // The files go with the host.
        let kept = tempfile_of(&ledger);
        host.stop();
        assert_eq!((collector.upstream.connections(), collector.exports()), (0, Vec::new()));
        assert_eq!(kept.map(|file| denials(file) >= 2), is_named.then_some(true));
    }
}

/// The file, to be read when its folder is gone.
fn tempfile_of(path: &std::path::Path) -> Option<std::fs::File> {
    std::fs::File::open(path).ok()
}

/// How many records of denied telemetry a ledger has.
fn denials(file: std::fs::File) -> usize {
    let text = std::io::read_to_string(file).unwrap();
    let denied = |line: &&str| line.contains("\"adapter\":\"telemetry\"") && line.contains("\"verdict\":\"denied\"");
    text.lines().filter(denied).count()
}

#[tokio::test]
async fn what_would_stay_here_is_noted_at_the_start() {
    let collector = Collector::start();
    let (gateway, _folder) = echo().otlp(&collector.upstream.url("/")).prepare();
    let note = gateway.unwrap().0.telemetry_denied().unwrap();
    let entry = format!("{{ url: \"{}\", adapters: [telemetry], methods: [POST] }}", collector.upstream.url("/v1/"));
    assert!(note.contains("`telemetry` POST") && note.contains(&entry), "{note}");
    for builder in [told(echo(), &collector), echo()] {
        assert_eq!(builder.prepare().0.unwrap().0.telemetry_denied(), None);
    }
}

#[tokio::test]
async fn no_adapter_has_the_name() {
    let (gateway, _folder) = TestHost::builder().adapter_as("echo", "telemetry").prepare();
    let gateway = gateway.unwrap().0;
    let adapters = gateway.adapters();
    let [refused] = adapters.refused() else { panic!("{:?}", adapters.refused()) };
    assert_eq!(refused.file, "telemetry.wasm");
    assert!(refused.reason.contains("its own telemetry") && refused.reason.contains("rename"), "{}", refused.reason);
}

#[tokio::test]
async fn a_collector_may_want_a_token() {
    let collector = Collector::start();
    let secret = "secret: { header: authorization, value: \"Bearer ${env:OTLP_TOKEN}\" } }";
    let grant = collector.grant().replacen(" }", &format!(", {secret}"), 1);
    let host = echo().otlp(&collector.upstream.url("")).grant(&grant).env("OTLP_TOKEN", "tok-12345678").start().await;
    host.client().chat("echo", "hello").await;
    host.stop();
    let exports = collector.exports();
    assert!(exports.len() >= 2, "{}", exports.len());
    for (head, _) in exports {
        assert!(head.contains("authorization: Bearer tok-12345678\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_nothing() {
    let hanging = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.closed_within(Duration::from_secs(60)).map(drop)
    });
    let grant = format!("{{ url: \"{}\", adapters: [telemetry], methods: [POST] }}", hanging.url("/v1/"));
    let host = echo().otlp(&hanging.url("")).grant(&grant).workers(1).start().await;
    let begun = Instant::now();
    // A batch and more, so that one is under way.
    for _ in 0..300 {
        assert_eq!(host.client().chat("echo", "hello").await.status, StatusCode::OK);
    }
    let took = begun.elapsed();
    assert_eq!(hanging.connections(), 1, "an export is under way");
    let begun = Instant::now();
    assert_eq!(host.client().chat("echo", "hello").await.status, StatusCode::OK);
    assert!(begun.elapsed() < Duration::from_secs(1), "{took:?}, then {:?}", begun.elapsed());
    let begun = Instant::now();
    host.stop();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_a_collector_that_is_gone_misses_is_counted() {
    let collector = Collector::start();
    let builder = told(echo(), &collector);
    drop(collector);
    let host = builder.start().await;
    host.client().chat("echo", "hello").await;
    host.client().until_metric("hauski_telemetry_dropped_total{kind=\"spans\"} 2", Duration::from_secs(20)).await;
    let failures = host.client().metrics("hauski_egress_requests_total{adapter=\"telemetry\"").await;
    assert!(failures.iter().any(|line| line.contains("result=\"connect\"")), "{failures:?}");
}
