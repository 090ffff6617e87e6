//! What hostile and broken adapters do, and that it is their request's failure only.

use hauski_tests::{Builder, Log, TestHost, Upstream};
use http::StatusCode;

/// A guest without a test does not compile.
macro_rules! has_a_test {
    ($guest:ident) => {
        const _: fn() = $guest;
    };
}
hauski_test_guests::for_each_guest!(has_a_test);

/// A gateway with the guest and the echo adapter, which has to go on whatever the guest does.
fn beside_echo(guest: &str) -> Builder {
    TestHost::builder().guest(guest).adapter("echo").model("{ id: echo, adapter: echo }")
}

async fn echo_answers(host: &TestHost) {
    assert_eq!(host.client().chat("echo", "still here").await.content(), "still here");
}

/// Whole and in pieces, the request fails with this code while others go on; no instance is left behind.
async fn fails_alone(host: &TestHost, model: &str, status: u16, code: &str) {
    for stream in [false, true] {
        let bad = async {
            if stream { host.client().stream(model, "x").await } else { host.client().chat(model, "x").await }
        };
        let (answer, ()) = tokio::join!(bad, echo_answers(host));
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{stream} {}", answer.text);
        echo_answers(host).await;
    }
    let metrics = host.client().get("/metrics").await.text;
    assert!(metrics.contains(&format!("adapter_instances{{adapter=\"{model}\"}} 0")), "{metrics}");
}

#[tokio::test]
async fn spins() {
    let host = beside_echo("spins").limit("cpu_ms", 200).start().await;
    fails_alone(&host, "spins", 502, "adapter_cpu_limit").await;
}

#[tokio::test]
async fn allocates() {
    let host = beside_echo("allocates").start().await;
    fails_alone(&host, "allocates", 502, "adapter_memory_limit").await;
}

#[tokio::test]
async fn sleeps() {
    let host = beside_echo("sleeps").limit("total_ms", 300).start().await;
    fails_alone(&host, "sleeps", 504, "total_timeout").await;
}

#[tokio::test]
async fn traps() {
    let host = beside_echo("traps").start().await;
    fails_alone(&host, "traps", 502, "adapter_trapped").await;
}

#[tokio::test]
async fn describe_traps() {
    let host = beside_echo("describe_traps").start().await;
    let answer = host.client().chat("describe-traps", "x").await;
    assert_eq!(answer.code(), "adapter_unavailable");
    assert!(
        answer.text.contains("`describe-traps.wasm` is not loaded: its `about.describe` failed"),
        "{}",
        answer.text
    );
    echo_answers(&host).await;
}

#[tokio::test]
async fn floods_log() {
    let host = beside_echo("floods_log").limit("cpu_ms", 20_000).start().await;
    let (answer, ()) = tokio::join!(host.client().chat("floods-log", "x"), echo_answers(&host));
    assert_eq!(answer.content(), "flooded");
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let lines = Log::lines_with(&format!("request_id=\"{id}\""));
    assert_eq!(lines.len(), 33, "32 lines, and one that says that the rest is dropped");
    assert!(lines[32].contains("wrote more than 32 lines"));
}

#[tokio::test]
async fn floods_handles() {
    let upstream = Upstream::json("{}");
    let host = beside_echo("floods_handles").grant(&upstream.url("/")).start().await;
    let url = upstream.url("/");
    let (answer, ()) = tokio::join!(host.client().chat("floods-handles", &url), echo_answers(&host));
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "adapter_failed"), "{}", answer.text);
    assert!(upstream.connections() <= 32, "{}", upstream.connections());
}

#[tokio::test]
async fn counts() {
    let host = beside_echo("counts").start().await;
    for _ in 0..20 {
        assert_eq!(host.client().chat("counts", "x").await.content(), "1");
    }
}

#[tokio::test]
async fn streams_forever() {
    let host = beside_echo("streams_forever").limit("cpu_ms", 300).start().await;
    let (answer, ()) = tokio::join!(host.client().stream("streams-forever", "x"), echo_answers(&host));
    assert_eq!(answer.status, StatusCode::OK);
    let events = answer.events();
    assert!(events.len() > 2 && !answer.complete, "{}", events.len());
    assert!(events.last().is_some_and(|last| last.contains("adapter_cpu_limit")), "{:?}", events.last());
}

#[tokio::test]
async fn ends_badly() {
    let host = beside_echo("ends_badly").start().await;
    let answer = host.client().stream("ends-badly", "x").await;
    let events = answer.events();
    assert_eq!((answer.status, answer.complete, events.len()), (StatusCode::OK, false, 3), "{events:?}");
    assert!(events[2].starts_with("{\"error\":") && !answer.text.contains("[DONE]"), "{events:?}");
    echo_answers(&host).await;
}

#[tokio::test]
async fn speaks_nonsense() {
    let host = beside_echo("speaks_nonsense").start().await;
    fails_alone(&host, "speaks-nonsense", 502, "adapter_broke_contract").await;
    let late = host.client().stream("speaks-nonsense", "late").await;
    assert_eq!((late.status, late.complete, late.events().len()), (StatusCode::OK, false, 2), "{}", late.text);
    assert!(late.events()[1].contains("adapter_broke_contract") && !late.text.contains("[DONE]"));
}

#[tokio::test]
async fn probe() {
    let host = beside_echo("probe").start().await;
    let answer = host.client().chat("probe", r#"{"url":"http://127.0.0.1:9/"}"#).await;
    assert_eq!(answer.content(), r#"{"err":"denied","message":""}"#);
}

#[tokio::test]
async fn probe_wasi_http() {
    let host = beside_echo("probe_wasi_http").start().await;
    let answer = host.client().chat("probe-wasi-http", r#"{"url":"http://127.0.0.1:9/"}"#).await;
    assert!(answer.content().contains(r#""err":"denied""#), "{}", answer.text);
}

#[tokio::test]
async fn imports_sockets() {
    refused("imports_sockets", &["it imports `wasi:sockets/", "use `hauski:adapter/upstream`"]).await;
}

#[tokio::test]
async fn imports_filesystem() {
    refused("imports_filesystem", &["it imports `wasi:filesystem/"]).await;
}

#[tokio::test]
async fn other_world() {
    refused("other_world", &["it does not export `hauski:adapter/about@0.1.0`", "build it for the world"]).await;
}

/// The guest is listed with its reason, and hinders no other.
async fn refused(guest: &str, reasons: &[&str]) {
    let host = beside_echo(guest).expose_config().start().await;
    let listing = host.client().get("/adapters").await.json();
    let entry = &listing["refused"][0];
    assert_eq!(entry["file"], format!("{}.wasm", guest.replace('_', "-")));
    for reason in reasons {
        assert!(entry["reason"].as_str().is_some_and(|text| text.contains(reason)), "{entry}");
    }
    assert_eq!(listing["adapters"].as_array().map(Vec::len), Some(1));
    echo_answers(&host).await;
}
