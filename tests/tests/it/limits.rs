//! The limits of each adapter: each holds, is counted, and ends only the request that broke it.

use crate::front::ground::EVENTS;
use crate::front::time::{deaf, silent};
use crate::swapping::until;
use bytes::Bytes;
use hauski_tests::{Answer, Builder, TestHost, Upstream};
use http::{Request, StatusCode};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// The guest `name` as the model `bad`, beside an echo and one more adapter of the same kind with limits that are wider.
fn guest(name: &str) -> Builder {
    TestHost::builder().guest_as(name, "bad").adapter("echo").model("{ id: echo, adapter: echo }")
}

/// A provider behind the model `bad`.
fn provider(url: &str) -> Builder {
    TestHost::builder()
        .adapter_as("openai-compatible", "bad")
        .grant(&format!("{{ url: \"{url}\", adapters: [bad], methods: [POST] }}"))
        .model(&format!("{{ id: bad, adapter: bad, config: {{ base_url: \"{url}\" }} }}"))
        .adapter("echo")
        .model("{ id: echo, adapter: echo }")
}

/// A request that breaks the limit, and one to the neighbour meanwhile and afterwards; the limit is counted once.
async fn check(limit: &str, code: &str, stream: bool, host: &TestHost) {
    let echo = async || assert_eq!(host.client().chat("echo", "still here").await.content(), "still here", "{limit}");
    let ask = async || -> Answer {
        if stream { host.client().stream("bad", "x").await } else { host.client().chat("bad", "x").await }
    };
    let (answer, ()) = tokio::join!(ask(), echo());
    assert!(answer.text.contains(&format!("\"code\":\"{code}\"")), "{limit}: {} {}", answer.status, answer.text);
    echo().await;
    host.client()
        .until_metric(&format!("hauski_adapter_limit_hits_total{{adapter=\"bad\",limit=\"{limit}\"}} 1"), PATIENCE)
        .await;
    let hits = host.client().metrics("hauski_adapter_limit_hits_total").await;
    assert_eq!(hits.iter().filter(|line| !line.ends_with(" 0")).count(), 1, "{limit}: {hits:?}");
    // Nothing of it is left.
    for gauge in ["hauski_adapter_instances", "hauski_adapter_queue_depth", "hauski_adapter_memory_bytes"] {
        host.client().until_metric(&format!("{gauge}{{adapter=\"bad\"}} 0"), PATIENCE).await;
    }
}

#[tokio::test]
async fn memory() {
    check("memory_mib", "adapter_memory_limit", false, &guest("allocates").limit("memory_mib", 4).start().await).await;
}

/// One adapter with many instances leaves the others the memory for theirs.
#[tokio::test]
async fn memory_of_all_instances_together() {
    let host = guest("streams_forever").limit("memory_mib", 4).limit("instances", 60).total_memory_mib(8).start().await;
    let body = r#"{"model":"bad","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let open = async || {
        let request = Request::post("/v1/chat/completions").body(Bytes::from(body)).unwrap();
        host.client().open(request).await.unwrap()
    };
    let mut streams = Vec::new();
    let refused = loop {
        let answer = open().await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        streams.push(answer);
        assert!(streams.len() < 60, "instances with 128 KiB or more each");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(streams.len() > 10, "{} instances", streams.len());
    assert_eq!(host.client().chat("echo", "still here").await.content(), "still here");
    drop(streams);
    check_after("total_memory_mib", &host).await;
    assert_eq!(open().await.status(), StatusCode::OK);
}

/// Large answers are in the host's memory until their clients have taken them.
#[tokio::test]
async fn answers_count_as_memory_until_clients_have_them() {
    let host = guest("long_answer").override_limits("bad: { memory_mib: 64 }").start().await;
    let body = r#"{"model":"bad","messages":[{"role":"user","content":"4"}]}"#;
    let request = Request::post("/v1/chat/completions").body(Bytes::from(body)).unwrap();
    let answer = host.client().open(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    host.client().until_metric("hauski_adapter_instances{adapter=\"bad\"} 0", PATIENCE).await;
    let memory = host.client().metrics("hauski_adapter_memory_bytes{adapter=\"bad\"}").await;
    assert!(!memory[0].ends_with(" 0"), "{memory:?}");
    drop(answer);
    host.client().until_metric("hauski_adapter_memory_bytes{adapter=\"bad\"} 0", PATIENCE).await;
}

#[tokio::test]
async fn time_on_a_processor() {
    let host = guest("spins").override_limits("bad: { cpu_ms: 200 }").start().await;
    check("cpu_ms", "adapter_cpu_limit", false, &host).await;
    let cpu = host.client().metrics("hauski_adapter_cpu_seconds_total{adapter=\"bad\"}").await;
    let seconds: f64 = cpu[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!((0.2..1.0).contains(&seconds), "{cpu:?}");
}

/// What it takes is seen while it takes it.
#[tokio::test]
async fn what_is_computed_is_counted_meanwhile() {
    let host = guest("spins").override_limits("bad: { cpu_ms: 20000 }").start().await;
    let _asked = host.client().begin_chat("bad", "x", false).await;
    let count = async |name: &str| -> f64 {
        let shown = host.client().metrics(&format!("{name}{{adapter=\"bad\"}}")).await;
        shown[0].rsplit(' ').next().unwrap().parse().unwrap()
    };
    until("some of it", async || count("hauski_adapter_cpu_seconds_total").await > 0.1).await;
    assert!((count("hauski_adapter_instances").await - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn time_in_all() {
    let host = guest("sleeps").override_limits("bad: { total_ms: 300 }").start().await;
    check("total_ms", "total_timeout", true, &host).await;
}

#[tokio::test]
async fn time_of_a_provider() {
    let (address, _full) = deaf();
    let host = provider(&format!("http://{address}/v1/")).limit("connect_ms", 300).limit("retries", 0).start().await;
    check("connect_ms", "connect_timeout", false, &host).await;
    let upstream = silent("");
    let host = provider(&upstream.url("/v1/")).limit("first_token_ms", 300).start().await;
    check("first_token_ms", "first_token_timeout", false, &host).await;
    let upstream = silent(EVENTS);
    let host = provider(&upstream.url("/v1/")).limit("idle_ms", 300).start().await;
    check("idle_ms", "idle_timeout", true, &host).await;
}

#[tokio::test]
async fn bytes_of_a_provider() {
    let upstream = Upstream::json(format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20)));
    let host = provider(&upstream.url("/v1/")).limit("response_mib", 1).limit("retries", 0).start().await;
    check("response_mib", "upstream_unreachable", false, &host).await;
}

/// The second one has no instance, and with a queue it waits for one in vain.
#[tokio::test]
async fn instances_and_their_queue() {
    for (limit, queue) in [("queue", 0), ("queue_ms", 1)] {
        let host = guest("streams_forever")
            .override_limits(&format!("bad: {{ instances: 1, queue: {queue}, queue_ms: 200 }}"))
            .start()
            .await;
        let first = host.client().begin_chat("bad", "x", true).await;
        host.client().until_metric("hauski_adapter_instances{adapter=\"bad\"} 1", PATIENCE).await;
        let memory = host.client().metrics("hauski_adapter_memory_bytes{adapter=\"bad\"}").await;
        assert!(!memory[0].ends_with(" 0"), "{memory:?}");
        let answer = host.client().chat("bad", "x").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "adapter_busy"), "{limit}");
        assert_eq!(answer.headers["retry-after"], "1");
        drop(first);
        check_after(limit, &host).await;
    }
}

/// The one that was refused is counted, and the other is gone with its client.
async fn check_after(limit: &str, host: &TestHost) {
    for line in ["hauski_adapter_instances{adapter=\"bad\"} 0", "hauski_adapter_memory_bytes{adapter=\"bad\"} 0"] {
        host.client().until_metric(line, PATIENCE).await;
    }
    let hits = host.client().metrics("hauski_adapter_limit_hits_total{adapter=\"bad\"").await;
    let broken: Vec<_> = hits.iter().filter(|line| !line.ends_with(" 0")).collect();
    assert_eq!(broken, [&format!("hauski_adapter_limit_hits_total{{adapter=\"bad\",limit=\"{limit}\"}} 1")]);
}

/// What may be used stands beside what is.
#[tokio::test]
async fn the_limits_are_shown() {
    let host = guest("counts").override_limits("bad: { memory_mib: 7, queue: 3 }").start().await;
    let shown = host.client().metrics("hauski_adapter_limit_").await;
    for line in [
        "hauski_adapter_limit_bytes{adapter=\"bad\",limit=\"memory_mib\"} 7340032",
        "hauski_adapter_limit_count{adapter=\"bad\",limit=\"queue\"} 3",
        "hauski_adapter_limit_bytes{adapter=\"echo\",limit=\"memory_mib\"} 16777216",
        "hauski_adapter_limit_bytes{adapter=\"echo\",limit=\"response_mib\"} 4194304",
        "hauski_adapter_limit_seconds{adapter=\"echo\",limit=\"connect_ms\"} 2",
        "hauski_adapter_limit_seconds{adapter=\"echo\",limit=\"probe_seconds\"} 0",
    ] {
        assert!(shown.iter().any(|one| one == line), "{line}: {shown:?}");
    }
}
