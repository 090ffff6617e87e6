//! D: answers without an end, seen from a component.

use super::{WAYS, probes};
use hauski_tests::{TestHost, Upstream};
use serde_json::json;
use std::time::Duration;

/// Writes `head`, and then `piece` until nobody listens any more.
fn endless(head: &'static str, piece: String) -> Upstream {
    Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.write(head)?;
        loop {
            conversation.write(&piece)?;
        }
    })
}

#[tokio::test]
async fn d11_answers_without_an_end_are_cut_at_the_cap() {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    for (head, piece) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(1 << 16)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk(&"x".repeat(1 << 16))),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", "data: no end of it ".repeat(4096)),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", "\0".repeat(1 << 16)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n", "x".repeat(1 << 16)),
    ] {
        let upstream = endless(head, piece);
        let host = probes().grant(&upstream.url("/")).limit("response_mib", 1).limit("cpu_ms", 20_000).start().await;
        for way in WAYS {
            let order = json!({ "url": upstream.url("/") }).to_string();
            let answer = host.client().chat(way, &order).await;
            assert!(!answer.content().contains("\"ok\""), "{way} {head:?}: {:.200}", answer.text);
            let streamed = host.client().stream(way, &order).await;
            assert!(!streamed.text.contains("[DONE]"), "{way} {head:?}");
            let idle = format!("hauski_adapter_instances{{adapter=\"{way}\"}} 0");
            host.client().until_metric(&idle, Duration::from_secs(5)).await;
        }
        let metrics = host.client().metrics("hauski_egress_requests_total{").await;
        // A length that is no number of bytes that there can be is not even looked at.
        let result = if head.contains("18446744073709551615") { "response-head" } else { "response-too-large" };
        assert!(metrics.iter().any(|line| line.contains(&format!("result=\"{result}\""))), "{head:?}: {metrics:?}");
    }
}

#[tokio::test]
async fn d24_hints_without_an_end() {
    let upstream = endless("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(1000));
    let host = probes()
        .adapter("echo")
        .model("{ id: echo, adapter: echo }")
        .grant(&upstream.url("/"))
        .workers(1)
        .start()
        .await;
    for way in WAYS {
        let order = json!({ "url": upstream.url("/") }).to_string();
        let (answer, ()) = tokio::join!(host.client().chat(way, &order), others(&host));
        let said = answer.content().to_lowercase();
        // As the two contracts say it.
        assert!(said.contains("head is not acceptable") || said.contains("headersectionsize"), "{way}: {said}");
    }
}

/// One core for both: others are answered meanwhile.
async fn others(host: &TestHost) {
    for _ in 0..5 {
        assert_eq!(host.client().chat("echo", "here").await.content(), "here");
    }
}
