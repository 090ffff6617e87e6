//! The events: what comes, for whom there is place, and that nobody waits for who looks.

use super::{Viewer, gateway, get, open};
use crate::egress::send;
use hauski_tests::{TestHost, Upstream};
use http::Method;
use serde_json::json;
use std::time::{Duration, Instant};

/// A gateway whose probe may reach the upstream, which answers.
async fn served() -> (TestHost, Upstream) {
    let upstream = Upstream::json("{}");
    let grant = format!("{{ url: \"{}\", adapters: [probe] }}", upstream.url("/v1/"));
    // On a busy machine a test may be slow to read.
    (gateway().grant(&grant).limit("cpu_ms", 20_000).request_seconds(60).start().await, upstream)
}

/// Has the probe send so many requests that are allowed, each of which is a record.
async fn records(host: &TestHost, upstream: &Upstream, count: usize) {
    let seen = send(host, "probe", json!({ "url": upstream.url("/v1/x"), "repeat": count })).await;
    assert_eq!(seen.as_array().map(Vec::len), Some(count), "{seen}");
}

#[tokio::test]
async fn what_happens_is_told() {
    let (host, upstream) = served().await;
    let mut viewer = Viewer::of(&host).await;
    for part in ["status", "latency", "models", "adapters", "denials", "ledger"] {
        viewer.until(part, "").await;
    }
    viewer.until("record", "the gateway has opened the ledger").await;
    viewer.until("latency", "No chat request was answered").await;
    viewer.until("denials", "Nothing was denied").await;

    records(&host, &upstream, 1).await;
    let allowed = viewer.until("record", "allowed").await;
    assert!(allowed.starts_with("id: 2\n") && allowed.contains("<tr id=\"ledger-2\">"), "{allowed}");
    assert!(allowed.contains(&format!("GET {}", upstream.url("/v1/"))), "{allowed}");
    viewer.until("latency", "1 chat request answered").await;

    send(&host, "probe", json!({ "url": "https://api.evil.test/v1/models" })).await;
    let denied = viewer.until("record", "host-not-granted").await;
    assert!(denied.contains("GET https://api.evil.test:443/v1/models"), "{denied}");
    let denials = viewer.until("denials", "1 request of adapters denied").await;
    let entry = "- { url: &#39;https://api.evil.test/v1/models&#39;, adapters: [&#39;probe&#39;], models: [&#39;probe&#39;], methods: [GET] }";
    assert!(denials.contains(entry), "{denials}");
    // Where no entry could allow it, none is shown.
    send(&host, "probe", json!({ "url": "http://169.254.169.254/latest" })).await;
    viewer.until("denials", "No entry could allow this").await;
}

/// What stays the same is not sent again.
#[tokio::test]
async fn what_does_not_change_is_told_once() {
    let (host, _) = served().await;
    let mut viewer = Viewer::of(&host).await;
    viewer.until("ledger", "").await;
    assert!(!viewer.ends_within(Duration::from_millis(3_500)).await);
    for part in ["models", "adapters", "denials"] {
        assert_eq!(viewer.text.matches(&format!("event: {part}\n")).count(), 1, "{part}");
    }
    assert!(host.client().chat("echo", "hello").await.status == 200);
    viewer.until("latency", "1 chat request answered").await;
}

/// Breakers, adapters that are loaded later, and policies are seen.
#[tokio::test]
async fn what_changes_in_the_gateway_is_told() {
    let host = gateway()
        .adapter("openai-compatible")
        .grant("{ url: \"http://127.0.0.1:9/v1/\", adapters: [openai-compatible] }")
        .model("{ id: gone, adapter: openai-compatible, config: { base_url: \"http://127.0.0.1:9/v1\" } }")
        .limit("breaker_failures", 1)
        .limit("breaker_ms", 60_000)
        .start()
        .await;
    let mut viewer = Viewer::of(&host).await;
    viewer.until("status", "no. 1").await;
    host.client().chat("gone", "hello").await;
    viewer.until("models", "<span class=\"badge bad\">open</span>").await;
    host.set_grants(&["{ url: \"https://api.new.test/\", adapters: [echo] }"]);
    viewer.until("adapters", "https://api.new.test/").await;
    viewer.until("status", "no. 2").await;
    host.set_file("adapters/broken.wasm", "no component");
    viewer.until("adapters", "broken.wasm").await;
    host.set_routing("egress: broken\n");
    viewer.until("status", "still using its last valid version: routing.yaml:1").await;
}

/// Who comes again is told what is new, and how much of it is not kept any more.
#[tokio::test]
async fn who_comes_again_misses_nothing_or_is_told_so() {
    let (host, upstream) = served().await;
    records(&host, &upstream, 20).await;
    Viewer::of(&host).await.until("record", "ledger-21").await;
    let mut viewer = Viewer::with(&host, "/console/events?since=15", &[]).await;
    viewer.until("record", "ledger-21").await;
    assert!(!viewer.text.contains("ledger-15\"") && !viewer.text.contains("event: missed"), "{}", viewer.text);
    assert_eq!(viewer.text.matches("event: record").count(), 6);
    // The browser's own word counts more than the address, which stays as it was.
    for _ in 0..2 {
        records(&host, &upstream, 200).await;
    }
    Viewer::of(&host).await.until("record", "ledger-421").await;
    let mut again = Viewer::with(&host, "/console/events?since=15", &[("last-event-id", "21")]).await;
    again.until("record", "ledger-421").await;
    assert!(again.text.contains("event: missed\ndata: 200\n"), "{:.300}", again.text);
    assert_eq!(again.text.matches("event: record").count(), 200);
    // Another ledger's numbers: all that there is.
    let mut other = Viewer::with(&host, "/console/events?since=9000", &[]).await;
    other.until("record", "ledger-421").await;
    assert!(!other.text.contains("event: missed"));
    for odd in ["/console/events?since=-1", "/console/events?x", "/console/events?since="] {
        Viewer::with(&host, odd, &[]).await.until("record", "ledger-421").await;
    }
}

/// Who does not read holds up nobody, and what waits for them is no more than what is kept.
#[tokio::test]
async fn who_does_not_read_is_waited_for_by_nobody() {
    let (host, upstream) = served().await;
    let mut stuck = host.client().begin("GET /console/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut viewer = Viewer::of(&host).await;
    let begin = Instant::now();
    let lots = 60;
    for _ in 0..lots {
        records(&host, &upstream, 200).await;
    }
    let took = begin.elapsed();
    let last = format!("ledger-{}\"", 1 + 200 * lots);
    viewer.until("record", &last).await;
    assert!(took < Duration::from_secs(60), "{took:?}");
    // What has waited on the wire comes first, then how many are gone, then the newest.
    let mut text = String::new();
    let mut buffer = vec![0; 64 << 10];
    let read = async {
        while !text.contains(&last) {
            let n = tokio::io::AsyncReadExt::read(&mut stuck, &mut buffer).await.unwrap();
            assert!(n > 0, "given up: {:.200}", text);
            text.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    };
    tokio::time::timeout(super::PATIENCE, read).await.unwrap();
    let missed: usize = text
        .split("event: missed\ndata: ")
        .skip(1)
        .map(|rest| rest.lines().next().unwrap().parse::<usize>().unwrap())
        .sum();
    let told = text.matches("event: record").count();
    assert_eq!(missed + told, 1 + 200 * lots, "each is told or counted");
    assert!(missed > 0, "{told}");
}

#[tokio::test]
async fn few_may_look_at_once() {
    let (host, _) = served().await;
    let mut viewers = Vec::new();
    for _ in 0..8 {
        viewers.push(Viewer::of(&host).await);
    }
    assert_eq!(open(&host, Method::GET, "/console/events", &[]).await.status(), 503);
    let refused = get(&host, "/console/events", &[]).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "too_many_viewers"));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(get(&host, "/console", &[]).await.status, 200, "the page itself can be read");
    viewers.pop();
    let begin = Instant::now();
    while open(&host, Method::GET, "/console/events", &[]).await.status() != 200 {
        assert!(begin.elapsed() < super::PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_stop_waits_for_nobody_who_looks() {
    let (host, _) = served().await;
    let mut viewer = Viewer::of(&host).await;
    viewer.until("status", "Ledger").await;
    let begin = Instant::now();
    tokio::task::spawn_blocking(move || host.stop()).await.unwrap();
    // `shutdown_seconds` is two.
    assert!(begin.elapsed() < Duration::from_millis(1_500), "{:?}", begin.elapsed());
    assert!(viewer.ends_within(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn without_a_ledger_the_rest_is_told() {
    let host = TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }").start().await;
    let mut viewer = Viewer::of(&host).await;
    viewer.until("ledger", "The ledger is off").await;
    host.client().chat("echo", "hello").await;
    viewer.until("latency", "1 chat request answered").await;
    assert!(!viewer.text.contains("event: record"));
}
