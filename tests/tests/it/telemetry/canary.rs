//! No prompt text is exported or written down: a text that stands wherever clients, providers and adapters can put one is in no byte
//! of any export, and neither in the log, nor in `/metrics`, nor in the ledger.

use super::collector::{Collector, texts};
use super::{tempfile_of, told};
use crate::front::ground::{EVENTS, gateway};
use hauski_tests::{Conversation, Log, Upstream};
use http::Request;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use std::io;

const CANARY: &str = "canary-4711-prompt";
/// The requests' id in the log.
const ID: &str = "of-a-parrot";
const ROUTES: [(&str, &str); 5] = [
    ("/v1/chat/completions", "chat"),
    ("/v1/completions", "text_completion"),
    ("/v1/responses", "chat"),
    ("/v1/messages", "chat"),
    ("/v1/embeddings", "embeddings"),
];

/// A provider that says the canary in all it can, in an order that the path chooses: as an answer, as errors, in the middle of a stream.
fn parrot() -> Upstream {
    Upstream::start(|conversation| {
        loop {
            let request = conversation.request()?;
            let begun = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            if begun.contains("fail-") {
                refuse(conversation, begun)?;
            } else if begun.contains("\"stream\":true") {
                return broken_stream(conversation);
            } else {
                conversation.answer(
                    "200 OK",
                    &format!("content-type: application/json\r\nx-{CANARY}: {CANARY}\r\n"),
                    &answer(),
                )?;
            }
        }
    })
}

fn answer() -> String {
    json!({
        "id": CANARY, "object": "chat.completion", "created": 1, "model": CANARY, CANARY: { CANARY: CANARY },
        "data": [{ "object": "embedding", "index": 0, "embedding": [1.0], CANARY: 1 }],
        "system_fingerprint": CANARY,
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": CANARY, "refusal": CANARY }, "finish_reason": CANARY }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, CANARY: CANARY }
    })
    .to_string()
}

fn refuse(conversation: &mut Conversation, body: &str) -> io::Result<()> {
    let error = json!({ "error": { "message": CANARY, "type": CANARY, "param": CANARY, "code": CANARY } }).to_string();
    let status =
        ["400 Bad Request", "401 Unauthorized", "404 Not Found", "429 Too Many Requests", "500 Internal Server Error"];
    let status = status.into_iter().find(|status| body.contains(&format!("fail-{}", &status[..3]))).unwrap_or("200 OK");
    let fields = format!("content-type: application/json\r\nretry-after: {CANARY}\r\nx-{CANARY}: {CANARY}\r\n");
    // Without such a status: an answer that is no JSON at all.
    conversation.answer(status, &fields, if status == "200 OK" { CANARY } else { &error })
}

fn broken_stream(conversation: &mut Conversation) -> io::Result<()> {
    let chunk = json!({
        "id": CANARY, "model": CANARY, CANARY: CANARY,
        "choices": [{ "index": 0, "delta": { "role": "assistant", "content": CANARY }, "finish_reason": CANARY }]
    });
    let error = json!({ "error": { "message": CANARY, "code": CANARY } });
    conversation.write(format!("{EVENTS}data: {chunk}\n\ndata: {error}\n\n"))
}

/// A request's body in the words of `route`: what can't be understood there is refused, which is a way as well.
fn body(route: &str, model: &str, stream: bool, word: &str) -> String {
    let text = format!("{CANARY} {word}");
    let mut body = json!({ "model": model });
    if route == "/v1/messages" {
        body["metadata"] = json!({ "user_id": CANARY });
    } else {
        body["user"] = CANARY.into();
        body["metadata"] = json!({ CANARY: CANARY });
    }
    if stream {
        body["stream"] = true.into();
    }
    let (name, value) = match route {
        "/v1/completions" => ("prompt", json!(text)),
        "/v1/responses" | "/v1/embeddings" => ("input", json!(text)),
        _ => ("messages", json!([{ "role": "user", "content": text }])),
    };
    body[name] = value;
    if route == "/v1/messages" {
        body["max_tokens"] = 5.into();
    }
    if word.is_empty() {
        body[CANARY] = json!({ CANARY: CANARY });
    }
    body.to_string()
}

#[tokio::test]
async fn no_prompt_text_is_exported() {
    let (collector, provider) = (Collector::start(), parrot());
    let builder = told(gateway(&[&provider]), &collector).guest("quotes_prompt").guest("traps");
    let host = builder.ledger().start().await;
    let ledger = tempfile_of(&host.folder().join("ledger/egress.jsonl"));
    let send = async |route: &str, body: String| {
        let request = Request::post(format!("{route}?q={CANARY}"))
            .header("authorization", format!("Bearer {CANARY}"))
            .header("user-agent", CANARY)
            .header("tracestate", format!("{CANARY}={CANARY}"))
            .header("baggage", format!("prompt={CANARY}"))
            .header("x-request-id", ID)
            .header("traceparent", CANARY);
        host.client().send(request.body(body.into()).unwrap()).await
    };
    let mut seen = Vec::new();
    for (route, _) in ROUTES {
        for word in ["", "whole", "fail-400", "fail-401", "fail-404", "fail-429", "fail-500", "fail-not-json"] {
            seen.push(send(route, body(route, "m0", false, word)).await);
        }
        seen.push(send(route, body(route, "m0", true, "stream")).await);
        for guest in ["quotes-prompt", "traps"] {
            for stream in [false, true] {
                seen.push(send(route, body(route, guest, stream, "later")).await);
            }
        }
        // Models and bodies that are none.
        seen.push(send(route, body(route, CANARY, false, "")).await);
        seen.push(send(route, format!("{{\"{CANARY}\": {CANARY}")).await);
        seen.push(send(route, format!("{{\"model\":\"m0\",\"messages\":\"{CANARY}\"}}")).await);
    }
    seen.push(send(&format!("/{CANARY}"), CANARY.to_owned()).await);
    let metrics = host.client().get("/metrics").await.text;
    host.stop();
    // The canary was on its way: providers were asked, clients were answered with it, and all of that was noted.
    assert!(Log::lines_with(ID).len() >= seen.len() && metrics.contains("hauski_egress_requests_total"));
    let ledger = std::io::read_to_string(ledger.unwrap()).unwrap();
    assert!(ledger.matches("\"adapter\":\"openai-compatible\"").count() > 20, "{ledger}");
    for text in [metrics, ledger, Log::lines_with(CANARY).join("\n")] {
        assert!(!text.contains(CANARY), "{text:.2000}");
    }
    assert!(provider.requests().iter().filter(|request| request.contains(CANARY)).count() > 20);
    assert!(seen.iter().filter(|answer| answer.text.contains(CANARY)).count() > 20);
    let (spans, _) = collector.spans();
    for (route, operation) in ROUTES {
        let here: Vec<_> = spans.iter().filter(|span| span.name == format!("POST {route}")).collect();
        assert_eq!(here.len(), 16, "{route}");
        let attempts = spans.iter().filter(|span| here.iter().any(|one| one.span_id == span.parent_span_id));
        let operations: Vec<_> =
            attempts.map(|span| texts(&span.attributes)["gen_ai.operation.name"].clone()).collect();
        assert!(operations.len() >= 4 && operations.iter().all(|one| one == operation), "{route}: {operations:?}");
    }
    let reasons = spans.iter().filter_map(|span| texts(&span.attributes).remove("gen_ai.response.finish_reasons"));
    let reasons: std::collections::BTreeSet<_> = reasons.collect();
    assert_eq!(reasons, ["_OTHER".to_owned()].into());
    assert!(spans.iter().any(|span| span.kind == SpanKind::Client as i32) && collector.histograms().len() >= 4);
    for (head, body) in collector.exports() {
        // In whatever spelling: the middle of it stands in each.
        for part in [CANARY, "4711", "canary"] {
            let found = body.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
            assert!(!found && !head.contains(part), "{part} in {}", String::from_utf8_lossy(&body));
        }
    }
}
