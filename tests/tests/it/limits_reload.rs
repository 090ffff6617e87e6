//! `limits.yaml` changes while the gateway runs: each limit acts for what begins from then on, and what has begun keeps its own.

use crate::front::time::silent;
use crate::swapping::{PATIENCE, until};
use hauski_tests::{Builder, Log, TestHost, Upstream, guest};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Replaces a part of `limits.yaml`.
#[track_caller]
fn change(host: &TestHost, part: &str, by: &str) {
    let text = std::fs::read_to_string(host.folder().join("limits.yaml")).unwrap();
    assert!(text.contains(part), "{part} is not in {text}");
    host.set_file("limits.yaml", &text.replace(part, by));
}

/// Waits until the gateway shows this value at a place of its limits, as a JSON pointer.
async fn until_limit(host: &TestHost, pointer: &str, value: u64) {
    let shown = async || host.client().get("/config/limits").await.json().pointer(pointer).cloned();
    until(pointer, async || shown().await == Some(json!(value))).await;
}

/// Waits until all adapters have this limit.
async fn until_adapters(host: &TestHost, limit: &str, value: u64) {
    until(limit, async || {
        let listing = host.client().get("/adapters").await.json();
        listing["adapters"].as_array().unwrap().iter().all(|adapter| adapter["limits"][limit] == value)
    })
    .await;
}

/// Sets a limit of all adapters, and waits until it is in force.
async fn set(host: &TestHost, limit: &str, from: u64, to: u64) {
    change(host, &format!(" {limit}: {from}"), &format!(" {limit}: {to}"));
    until_adapters(host, limit, to).await;
}

async fn ready(host: &TestHost) -> Value {
    host.client().get("/ready").await.json()["limits"].clone()
}

/// A gateway that shows its settings, with a provider behind the model `m`.
fn provider(upstream: &Upstream) -> Builder {
    let url = upstream.url("/v1/");
    TestHost::builder()
        .adapter("openai-compatible")
        .grant(&format!("{{ url: \"{url}\", adapters: [openai-compatible] }}"))
        .model(&format!("{{ id: m, adapter: openai-compatible, config: {{ base_url: \"{url}\" }} }}"))
        .expose_config()
}

/// A provider that answers each request when it is told to.
fn held() -> (Sender<()>, Upstream) {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        let body =
            r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"late"},"finish_reason":"stop"}]}"#;
        conversation.answer("200 OK", "content-type: application/json\r\nconnection: close\r\n", body)
    });
    (go, upstream)
}

/// A provider that fails each request.
fn failing() -> Upstream {
    Upstream::start(|conversation| {
        conversation.request()?;
        conversation.answer("500 No", "content-type: application/json\r\nconnection: close\r\n", "{}")
    })
}

#[tokio::test]
async fn processor_and_memory_limits_follow_the_file() {
    let host =
        TestHost::builder().guest("spins").guest("allocates").limit("cpu_ms", 60_000).expose_config().start().await;
    set(&host, "cpu_ms", 60_000, 200).await;
    assert_eq!(host.client().chat("spins", "x").await.code(), "adapter_cpu_limit");
    let before = host.client().chat("allocates", "x").await;
    assert_eq!(before.code(), "adapter_memory_limit");
    assert!(before.text.contains("16 MiB"), "{}", before.text);
    set(&host, "memory_mib", 16, 4).await;
    let after = host.client().chat("allocates", "x").await;
    assert!(after.text.contains("4 MiB") && !after.text.contains("16 MiB"), "{}", after.text);
}

#[tokio::test]
async fn timeouts_follow_the_file() {
    let upstream = silent("");
    let host = provider(&upstream).limit("first_token_ms", 60_000).limit("total_ms", 120_000).start().await;
    set(&host, "first_token_ms", 60_000, 200).await;
    assert_eq!(host.client().chat("m", "x").await.code(), "first_token_timeout");
    set(&host, "first_token_ms", 200, 60_000).await;
    set(&host, "total_ms", 120_000, 300).await;
    assert_eq!(host.client().chat("m", "x").await.code(), "total_timeout");
}

#[tokio::test]
async fn requests_under_way_keep_the_limits_that_they_began_with() {
    let (go, upstream) = held();
    let host = provider(&upstream).start().await;
    let client = host.client();
    let under_way = tokio::spawn(async move { client.chat("m", "x").await });
    until("a request at the provider", async || upstream.connections() == 1).await;
    set(&host, "total_ms", 20_000, 300).await;
    assert_eq!(host.client().chat("m", "x").await.code(), "total_timeout", "new requests have the new limit");
    // Both wait for their turn at the provider.
    go.send(()).unwrap();
    go.send(()).unwrap();
    let answer = under_way.await.unwrap();
    assert_eq!(answer.content(), "late", "{}", answer.text);
}

#[tokio::test]
async fn answer_size_and_retries_follow_the_file() {
    let text = "x".repeat(1 << 20);
    let upstream = Upstream::json(format!(
        r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
    ));
    let host = provider(&upstream).limit("retries", 0).start().await;
    assert_eq!(host.client().chat("m", "x").await.status, 200);
    set(&host, "response_mib", 4, 1).await;
    assert_eq!(host.client().chat("m", "x").await.code(), "upstream_unreachable");

    let upstream = failing();
    let host = provider(&upstream).start().await;
    host.client().chat("m", "x").await;
    assert_eq!(upstream.connections(), 2);
    set(&host, "retries", 1, 0).await;
    host.client().chat("m", "x").await;
    assert_eq!(upstream.connections(), 3, "it is not tried again");
}

#[tokio::test]
async fn breakers_and_probes_follow_the_file() {
    let upstream = failing();
    let host = provider(&upstream).limit("retries", 0).limit("breaker_ms", 60_000).start().await;
    host.client().chat("m", "x").await;
    set(&host, "breaker_failures", 10, 2).await;
    assert_ne!(host.client().chat("m", "x").await.code(), "circuit_open");
    assert_eq!(host.client().chat("m", "x").await.code(), "circuit_open", "with the failure from before");
    let asked = upstream.requests().len();
    set(&host, "probe_seconds", 0, 1).await;
    until("a probe", async || upstream.requests()[asked..].iter().any(|request| request.starts_with("GET "))).await;
}

#[tokio::test]
async fn instances_and_queue_follow_the_file_and_lose_no_request() {
    let host = TestHost::builder()
        .guest("streams_forever")
        .limit("instances", 1)
        .limit("queue", 0)
        .limit("queue_ms", 60_000)
        .limit("total_ms", 120_000)
        .limit("cpu_ms", 60_000)
        .expose_config()
        .start()
        .await;
    let first = host.client().begin_chat("streams-forever", "x", true).await;
    host.client().until_metric("hauski_adapter_instances{adapter=\"streams-forever\"} 1", PATIENCE).await;
    assert_eq!(host.client().chat("streams-forever", "x").await.code(), "adapter_busy");
    set(&host, "queue", 0, 2).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(host.client().begin_chat("streams-forever", "x", true).await);
    }
    host.client().until_metric("hauski_adapter_queue_depth{adapter=\"streams-forever\"} 2", PATIENCE).await;
    // A shorter queue turns away new requests, not those that wait.
    set(&host, "queue", 2, 0).await;
    assert_eq!(host.client().chat("streams-forever", "x").await.code(), "adapter_busy");
    set(&host, "instances", 1, 3).await;
    for stream in &mut waiting {
        let mut answer = vec![0; 12];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
    }
    host.client().until_metric("hauski_adapter_instances{adapter=\"streams-forever\"} 3", PATIENCE).await;
    // Those that run may end; their places are not given again.
    set(&host, "instances", 3, 1).await;
    drop(waiting);
    host.client().until_metric("hauski_adapter_instances{adapter=\"streams-forever\"} 1", PATIENCE).await;
    assert_eq!(host.client().chat("streams-forever", "x").await.code(), "adapter_busy");
    drop(first);
}

#[tokio::test]
async fn adapters_that_are_loaded_later_have_the_new_limits() {
    let host = TestHost::builder().guest("counts").expose_config().start().await;
    set(&host, "cpu_ms", 1000, 321).await;
    std::fs::write(host.folder().join("adapters/later.wasm"), guest("counts")).unwrap();
    until("another adapter", async || {
        let listing = host.client().get("/adapters").await.json();
        let later = listing["adapters"].as_array().unwrap().iter().find(|one| one["id"] == "later").cloned();
        later.is_some_and(|later| later["limits"]["cpu_ms"] == 321)
    })
    .await;
}

#[tokio::test]
async fn request_size_and_body_memory_follow_the_file() {
    let builder = TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }");
    // What a guest may hand over depends on the larger of the two sizes.
    let host = builder.limit("response_mib", 1).limit("memory_mib", 64).expose_config().start().await;
    let large = "x".repeat(3 << 20);
    assert_eq!(host.client().chat("echo", &large).await.status, 413);
    change(&host, "request_mib: 1, buffered_mib: 8", "request_mib: 4, buffered_mib: 4");
    until_limit(&host, "/server/request_mib", 4).await;
    // More than a guest could hand over before.
    until("an answer", async || host.client().chat("echo", &large).await.status == 200).await;
    let unfinished = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{large}",
        host.address(),
        large.len() + 1
    );
    let _held = host.client().begin(unfinished).await;
    until("a full memory", async || host.client().chat("echo", &large).await.code() == "no_room").await;
    change(&host, "buffered_mib: 4", "buffered_mib: 8");
    until_limit(&host, "/server/buffered_mib", 8).await;
    assert_eq!(host.client().chat("echo", &large).await.status, 200);
}

#[tokio::test]
async fn request_time_follows_the_file_for_new_connections() {
    let host = TestHost::builder().request_seconds(600).expose_config().start().await;
    change(&host, "request_seconds: 600", "request_seconds: 1");
    until_limit(&host, "/server/request_seconds", 1).await;
    let mut slow = host.client().begin("GET /health HTTP/1.1\r\n").await;
    let mut answer = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut answer)).await.unwrap().unwrap();
}

/// Returns whether the gateway answers on this connection within a moment.
async fn is_served(stream: &mut TcpStream) -> bool {
    let asked = stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut answer = [0; 12];
    asked.is_ok()
        && timeout(Duration::from_millis(700), stream.read_exact(&mut answer)).await.is_ok_and(|read| read.is_ok())
}

#[tokio::test]
async fn connections_follow_the_file() {
    let host = TestHost::builder().expose_config().start().await;
    // Requests whose bodies do not end: idle connections would give their places to new ones.
    let unfinished = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n";
    let _kept = host.client().begin(unfinished).await;
    change(&host, "connections: 64", "connections: 2");
    until_limit(&host, "/server/connections", 2).await;
    let second = host.client().begin(unfinished).await;
    sleep(Duration::from_millis(100)).await;
    let mut third = host.client().begin("").await;
    assert!(!is_served(&mut third).await, "two are open");
    drop(second);
    let mut answer = [0; 12];
    timeout(PATIENCE, third.read_exact(&mut answer)).await.unwrap().unwrap();
    let mut fourth = host.client().begin("").await;
    assert!(!is_served(&mut fourth).await, "two are open");
    change(&host, "connections: 2", "connections: 64");
    timeout(PATIENCE, fourth.read_exact(&mut answer)).await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_time_follows_the_file() {
    let (go, upstream) = held();
    let host = provider(&upstream).start().await;
    change(&host, "shutdown_seconds: 2", "shutdown_seconds: 60");
    until_limit(&host, "/server/shutdown_seconds", 60).await;
    let client = host.client();
    let asked = tokio::spawn(async move { client.chat("m", "x").await });
    until("a request at the provider", async || upstream.connections() == 1).await;
    let stopped = tokio::task::spawn_blocking(move || host.stop());
    // Longer than what it said at the start.
    tokio::time::sleep(Duration::from_secs(4)).await;
    go.send(()).unwrap();
    assert_eq!(asked.await.unwrap().content(), "late");
    stopped.await.unwrap();
}

#[tokio::test]
async fn console_judges_by_the_budgets_of_the_file() {
    let host = TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }").expose_config().start().await;
    let page = host.client().get("/console").await.text;
    assert!(page.contains("The budget is 2.0 s for p95.") && page.contains("The budget is 10 ms for p95."), "defaults");
    change(&host, "llm_p95_ms: 400", "first_token_p95_ms: 3456, added_p95_ms: 77, llm_p95_ms: 400");
    until_limit(&host, "/latency/added_p95_ms", 77).await;
    until("other budgets", async || {
        let page = host.client().get("/console").await.text;
        page.contains("The budget is 3.5 s for p95.") && page.contains("The budget is 77 ms for p95.")
    })
    .await;
}

#[tokio::test]
async fn invalid_limits_change_nothing_and_are_shown_until_they_are_fixed() {
    let host = TestHost::builder().guest("counts").expose_config().start().await;
    let good = std::fs::read_to_string(host.folder().join("limits.yaml")).unwrap();
    assert_eq!(ready(&host).await, json!({ "stale": null, "restart_needed": [] }));
    for (broken, place) in [
        (good.replace("cpu_ms: 1000", "cpu_ms: 0"), "limits.yaml:5:"),
        (good.replace("cpu_ms: 1000", "cpu_msec: 98765"), "limits.yaml:5:"),
        (good[..good.len() - 20].to_owned(), "limits.yaml:"),
        (String::new(), "limits.yaml:"),
    ] {
        host.set_file("limits.yaml", &broken);
        host.client().until_metric("hauski_policy_stale 1", PATIENCE).await;
        let limits = ready(&host).await;
        assert!(limits["stale"]["problem"].as_str().unwrap().starts_with(place), "{limits}");
        assert_eq!(host.client().get("/config/limits").await.json()["adapters"]["defaults"]["cpu_ms"], 1000);
        assert_eq!(host.client().chat("counts", "x").await.status, 200);
        host.set_file("limits.yaml", &good);
        host.client().until_metric("hauski_policy_stale 0", PATIENCE).await;
        assert_eq!(ready(&host).await["stale"], Value::Null);
    }
    assert!(!Log::lines_with("cpu_msec").is_empty(), "the log says what is wrong");
    std::fs::remove_file(host.folder().join("limits.yaml")).unwrap();
    host.client().until_metric("hauski_policy_stale 1", PATIENCE).await;
    assert_eq!(ready(&host).await["stale"]["problem"], "limits.yaml: entity not found");
}

#[tokio::test]
async fn limits_that_need_a_restart_are_named_and_stay() {
    let host = TestHost::builder().guest("counts").expose_config().start().await;
    let good = std::fs::read_to_string(host.folder().join("limits.yaml")).unwrap();
    change(&host, "file_mib: 1, files: 4", "file_mib: 2, files: 5");
    change(&host, "require_lock: false", "require_lock: true");
    change(&host, "memory_mib: 16", "memory_mib: 17");
    // What can change does.
    change(&host, "cpu_ms: 1000", "cpu_ms: 1357");
    until_adapters(&host, "cpu_ms", 1357).await;
    let named = ["ledger.file_mib", "ledger.files", "adapters.require_lock", "adapters.defaults.memory_mib"];
    assert_eq!(ready(&host).await, json!({ "stale": null, "restart_needed": named }));
    let shown = host.client().get("/config/limits").await.json();
    assert_eq!(shown["ledger"], json!({ "file_mib": 1, "files": 4 }));
    assert_eq!(
        (&shown["adapters"]["require_lock"], &shown["adapters"]["defaults"]["memory_mib"]),
        (&json!(false), &json!(16))
    );
    assert_eq!(host.client().chat("counts", "x").await.status, 200);
    let logged = |text: &str| Log::lines_with(text).into_iter().find(|line| line.contains("limit"));
    assert!(logged("key=\"adapters.defaults.memory_mib\"").is_some_and(|line| line.contains("WARN")));
    assert!(
        logged("new=1357").is_some_and(|line| line.contains("INFO") && line.contains("old=1000")),
        "what has changed"
    );
    host.set_file("limits.yaml", &good);
    until_adapters(&host, "cpu_ms", 1000).await;
    assert_eq!(ready(&host).await["restart_needed"], json!([]));
}
