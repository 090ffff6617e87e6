//! What is measured: whose time it is, whose tokens, and what is an error.

use super::collector::{Collector, texts};
use super::{STREAM, failed, is, told};
use crate::egress::{WAYS, probes, send};
use crate::front::ground::{ANSWER, CHAT, EVENTS, ask, gateway, good_stream, route, scripts};
use hauski_tests::{Client, Conversation, Upstream};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use std::io;
use std::thread::sleep;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(300);

/// Takes its time before its head, and behind each piece.
fn slow(conversation: &mut Conversation) -> io::Result<()> {
    conversation.request()?;
    sleep(PAUSE);
    conversation.write(EVENTS)?;
    for event in STREAM.split_inclusive("\n\n") {
        conversation.write(event)?;
        sleep(PAUSE);
    }
    Ok(())
}

/// What `/metrics` says of the one series whose name begins so.
async fn value(client: Client, start: &str) -> f64 {
    let lines = client.metrics(start).await;
    let [line] = &*lines else { panic!("{start}: {lines:?}") };
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_others_take_is_not_the_gateways() {
    let provider = scripts(vec![slow]);
    let collector = Collector::start();
    let host = told(gateway(&[&provider]), &collector).start().await;
    assert!(host.client().post(CHAT, ask("m0", true)).await.complete);
    let (added, first) = (
        value(host.client(), "hauski_added_latency_seconds_sum"),
        value(host.client(), "hauski_first_token_seconds_sum"),
    );
    assert!(added.await < 0.15 && first.await >= 0.3);
    // Three chunks have two pauses between them.
    let (gaps, gap) = (
        value(host.client(), "hauski_inter_chunk_seconds_count"),
        value(host.client(), "hauski_inter_chunk_seconds_sum"),
    );
    assert!(gaps.await == 2.0 && gap.await >= 0.5);
    host.stop();
    let found = collector.histograms();
    let [added, gaps] = ["hauski.added_latency", "hauski.inter_chunk"].map(|name| {
        assert_eq!(found[name].0, "s");
        &found[name].1[0]
    });
    assert!(added.count == 1 && added.sum.unwrap() < 0.15, "{added:?}");
    assert!(gaps.count == 2 && gaps.sum.unwrap() >= 0.5, "{gaps:?}");
}

#[tokio::test]
async fn what_others_take_is_not_the_gateways_whichever_way_it_is_asked_for() {
    let provider = scripts(vec![slow]);
    let host = probes().grant(&provider.url("/")).start().await;
    for way in WAYS {
        assert_eq!(send(&host, way, json!({ "url": provider.url("/") })).await["ok"]["status"], 200, "{way}");
        let added = value(host.client(), &format!("hauski_added_latency_seconds_sum{{adapter=\"{way}\"")).await;
        assert!(added < 0.15, "{way}: {added}");
    }
}

#[tokio::test]
async fn the_first_token_after_a_fallback_is_its_own_models() {
    let late = scripts(vec![|conversation| {
        conversation.request()?;
        sleep(PAUSE);
        conversation.answer("503 Service Unavailable", "connection: close\r\n", "")
    }]);
    let (good, collector) = (scripts(vec![good_stream]), Collector::start());
    let builder = route(gateway(&[&late, &good]), "{ model: m0 }, { model: m1, order: 2 }");
    let host = told(builder, &collector).start().await;
    assert!(host.client().post(CHAT, ask("chat", true)).await.complete);
    let first = value(host.client(), "hauski_first_token_seconds_sum").await;
    host.stop();
    assert!(first >= 0.6, "the client has waited for both tries: {first}");
    let found = collector.histograms();
    let [point] = &*found["gen_ai.server.time_to_first_token"].1 else { panic!("{found:?}") };
    assert_eq!(texts(&point.attributes)["gen_ai.request.model"], "m1");
    assert!(point.sum.unwrap() < 0.3, "{point:?}");
    let numbers = collector.numbers();
    for (name, expected) in [
        ("hauski.retries chat openai-compatible m0", Some(1)),
        ("hauski.retries chat openai-compatible m1", None),
        ("hauski.adapter.queue_depth openai-compatible", Some(0)),
        ("hauski.adapter.instances openai-compatible", Some(0)),
        ("hauski.breaker.state m0", Some(0)),
        ("hauski.breaker.state m1", Some(0)),
    ] {
        assert_eq!(numbers.get(name).copied(), expected, "{name}: {numbers:?}");
    }
}

#[tokio::test]
async fn where_nothing_comes_there_is_no_first_token() {
    let empty = Upstream::events("data: [DONE]\n\n");
    let host = gateway(&[&empty]).start().await;
    host.client().post(CHAT, ask("m0", true)).await;
    assert_eq!(host.client().metrics("hauski_first_token_seconds_count").await, Vec::<String>::new());
}

#[tokio::test]
async fn only_counts_are_counted() {
    for (usage, input, output) in [
        (r#"{"prompt_tokens":7,"completion_tokens":2}"#, Some("7"), Some("2")),
        (r#"{"completion_tokens":2}"#, None, Some("2")),
        (r#"{"prompt_tokens":1e300,"completion_tokens":2}"#, None, Some("2")),
        (r#"{"prompt_tokens":7,"completion_tokens":18446744073709551615}"#, Some("7"), None),
    ] {
        let usage = format!("\"usage\":{usage}}}");
        let (whole, _) = ANSWER.split_once("\"usage\"").unwrap();
        let (provider, collector) = (Upstream::json(format!("{whole}{usage}")), Collector::start());
        let host = told(gateway(&[&provider]), &collector).start().await;
        assert_eq!(host.client().post(CHAT, ask("m0", false)).await.status, 200);
        let counted = host.client().metrics("hauski_tokens_total{kind=\"input\"").await;
        host.stop();
        assert!(counted.iter().all(|line| line.ends_with(&format!(" {}", input.unwrap_or("0")))), "{counted:?}");
        let spans = collector.spans().0;
        let said = texts(&spans.iter().find(|span| is(span, SpanKind::Client)).unwrap().attributes);
        let of = |kind: &str| said.get(&format!("gen_ai.usage.{kind}_tokens")).map(String::as_str);
        assert_eq!((of("input"), of("output")), (input, output), "{usage}");
        let points = collector.histograms()["gen_ai.client.token.usage"].1.len();
        assert_eq!(points, usize::from(input.is_some()) + usize::from(output.is_some()), "{usage}");
    }
}

/// What the client did wrong is no error of the gateway's; and a provider's 499 is an answer, not a client that left.
#[tokio::test]
async fn refusals_are_no_errors() {
    let refusing = scripts(vec![|conversation| {
        conversation.request()?;
        conversation.answer("499 Theirs", "connection: close\r\n", "")
    }]);
    let collector = Collector::start();
    let host = told(gateway(&[&refusing]), &collector).start().await;
    assert_eq!(host.client().post(CHAT, ask("m0", false)).await.status, 499);
    assert_eq!(host.client().post(CHAT, "{}").await.status, 400);
    assert_eq!(host.client().post("/nothing", "{}").await.status, 404);
    host.stop();
    let spans = collector.spans().0;
    let mut shown = Vec::new();
    for span in spans.iter().filter(|span| is(span, SpanKind::Server)) {
        let said = texts(&span.attributes);
        assert!(
            !failed(span) && !said.contains_key("error.type") && !said.contains_key("hauski.client_left"),
            "{said:?}"
        );
        shown.push(said["http.response.status_code"].clone());
    }
    assert_eq!(shown, ["499", "400"]);
    let mut shown = Vec::new();
    for point in &collector.histograms()["http.server.request.duration"].1 {
        let said = texts(&point.attributes);
        assert!(!said.contains_key("error.type"), "{said:?}");
        let route = said.get("http.route").map(String::as_str).unwrap_or_default();
        shown.push(format!("{} {route}", said["http.response.status_code"]));
    }
    shown.sort();
    assert_eq!(shown, ["400 /v1/chat/completions", "404 ", "499 /v1/chat/completions"]);
}
