//! `routing.yaml` changes while the gateway runs.

use crate::egress::{WAYS, probes, send};
use bytes::Bytes;
use hauski_tests::{Log, TestHost, UNRELATED, Upstream};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the policy with this number holds.
async fn until(host: &TestHost, generation: u32) {
    host.client().until_metric(&format!("hauski_policy_generation {generation}"), PATIENCE).await;
}

async fn ready(host: &TestHost) -> Value {
    host.client().get("/ready").await.json()["policy"].clone()
}

fn entry(upstream: &Upstream) -> String {
    format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http] }}", upstream.url("/v1/"))
}

#[tokio::test]
async fn f06_a_change_holds_without_a_signal_and_without_a_restart() {
    let upstream = Upstream::json("{}");
    let host = probes().grant(UNRELATED).expose_config().start().await;
    let order = json!({ "url": upstream.url("/v1/x") });
    let denied = async || {
        for way in WAYS {
            let seen = send(&host, way, order.clone()).await;
            assert!(seen["ok"].is_null(), "{way}: {seen}");
        }
    };
    denied().await;
    host.set_grants(&[&entry(&upstream)]);
    until(&host, 2).await;
    for way in WAYS {
        let seen = send(&host, way, order.clone()).await;
        assert_eq!(seen["ok"]["status"], 200, "{way}: {seen}");
    }
    // What is shown is what holds.
    assert_eq!(host.client().get("/config/routing").await.json()["egress"]["allow"].as_array().unwrap().len(), 1);
    let adapters = host.client().get("/adapters").await.json();
    assert_eq!(adapters["adapters"][0]["grants"][0]["url"], upstream.url("/v1/"));
    assert_eq!(
        host.client().metrics("hauski_policy_reloads_total").await,
        ["hauski_policy_reloads_total{result=\"ok\"} 1"]
    );
    let connections = upstream.connections();
    host.set_grants(&[UNRELATED]);
    until(&host, 3).await;
    denied().await;
    assert_eq!(upstream.connections(), connections);
}

#[tokio::test]
async fn f06_what_can_not_hold_changes_nothing_and_is_shown() {
    let upstream = Upstream::json("{}");
    let host = probes().grant(&entry(&upstream)).start().await;
    let order = json!({ "url": upstream.url("/v1/x") });
    let good = std::fs::read_to_string(host.folder().join("routing.yaml")).unwrap();
    let cut = &good[..good.len() - 20];
    let secret = good.replace("adapters:", "secret: { header: x-key, value: \"${env:RELOAD_GONE}\" }, adapters:");
    for (at, broken, place) in [
        (1, cut, "routing.yaml:"),
        (2, "", "routing.yaml:"),
        (3, &*secret, "routing.yaml:4: secret-missing"),
        (4, "egress: { allow: null }", "routing.yaml:1:"),
    ] {
        host.set_routing(broken);
        host.client().until_metric("hauski_policy_stale 1", PATIENCE).await;
        host.client().until_metric(&format!("hauski_policy_reloads_total{{result=\"failed\"}} {at}"), PATIENCE).await;
        let policy = ready(&host).await;
        let problem = policy["stale"]["problem"].as_str().unwrap();
        assert!(problem.starts_with(place) && policy["generation"] != 0, "{policy}");
        for way in WAYS {
            assert_eq!(send(&host, way, order.clone()).await["ok"]["status"], 200, "the last good policy holds");
        }
        assert_eq!(host.client().get("/ready").await.status, 200);
        host.set_routing(&good);
        host.client().until_metric("hauski_policy_stale 0", PATIENCE).await;
        assert!(ready(&host).await["stale"].is_null());
    }
    assert!(!Log::lines_with("RELOAD_GONE").is_empty(), "the log names what is missing");
    // A file that is gone is no file that grants nothing.
    std::fs::remove_file(host.folder().join("routing.yaml")).unwrap();
    host.client().until_metric("hauski_policy_stale 1", PATIENCE).await;
    assert_eq!(ready(&host).await["stale"]["problem"], "routing.yaml: entity not found");
    assert_eq!(send(&host, "probe", order.clone()).await["ok"]["status"], 200);
}

#[tokio::test]
async fn f07_a_stream_whose_grant_is_withdrawn_breaks_off() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
        conversation.write("data: {\"choices\":[],\"at\":1}\n\n")?;
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        conversation.write("data: {\"choices\":[],\"at\":2}\n\ndata: [DONE]\n\n")
    });
    let host = TestHost::builder()
        .adapter("openai-compatible")
        .grant(&format!("{{ url: \"{}\", adapters: [openai-compatible] }}", upstream.url("/v1/")))
        .model(&format!("{{ id: m, adapter: openai-compatible, config: {{ base_url: \"{}\" }} }}", upstream.url("/v1")))
        .start()
        .await;
    let body = r#"{"model":"m","stream":true,"messages":[]}"#;
    let request = Request::builder().method(Method::POST).uri("/v1/chat/completions").body(Bytes::from(body)).unwrap();
    let mut answer = host.client().open(request).await.unwrap();
    let first = answer.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"data: {\"choices\":[],\"at\":1}"), "{first:?}");
    host.set_grants(&[UNRELATED]);
    until(&host, 2).await;
    go.send(()).unwrap();
    let (mut rest, mut complete) = (Vec::new(), true);
    while let Some(frame) = answer.frame().await {
        match frame {
            Ok(frame) => rest.extend_from_slice(frame.data_ref().unwrap()),
            Err(_) => complete = false,
        }
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("\"code\":\"egress_denied\"") && !rest.contains("\"at\":2"), "{rest}");
    assert!(!complete && !rest.contains("[DONE]"), "a broken answer never looks whole: {rest}");
    assert_eq!(
        host.client().metrics("hauski_egress_requests_total").await,
        [format!(
            "hauski_egress_requests_total{{adapter=\"openai-compatible\",destination=\"http://{}\",result=\"grant-withdrawn\"}} 1",
            upstream.address()
        )]
    );
}

#[tokio::test]
async fn a_secrets_file_that_changes_is_read_again() {
    let upstream = Upstream::json("{}");
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "sk-first-of-two\n").unwrap();
    let secret = format!("secret: {{ header: authorization, value: \"Bearer ${{file:{}}}\" }}", key.path().display());
    let host =
        probes().grant(&format!("{{ url: \"{}\", adapters: [probe], {secret} }}", upstream.url("/v1/"))).start().await;
    let order = json!({ "url": upstream.url("/v1/x") });
    send(&host, "probe", order.clone()).await;
    std::fs::write(key.path(), "sk-second-of-two\n").unwrap();
    until(&host, 2).await;
    send(&host, "probe", order.clone()).await;
    // Gone, the last one holds on.
    key.close().unwrap();
    host.client().until_metric("hauski_policy_stale 1", PATIENCE).await;
    send(&host, "probe", order).await;
    let keys: Vec<_> =
        upstream.requests().iter().map(|request| request.split("sk-").nth(1).unwrap()[..5].to_owned()).collect();
    assert_eq!(keys, ["first", "secon", "secon"]);
}

#[tokio::test]
async fn a_reload_that_is_asked_for_needs_no_change() {
    let host = probes().start().await;
    host.reload();
    until(&host, 2).await;
}

/// A pipe that nobody writes to would hold its reader up, and with it every later change.
#[tokio::test]
async fn f06_a_secret_that_becomes_a_pipe_holds_nothing_up() {
    let upstream = Upstream::json("{}");
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "sk-first-of-two").unwrap();
    let secret = format!("secret: {{ header: authorization, value: \"Bearer ${{file:{}}}\" }}", key.display());
    let host =
        probes().grant(&format!("{{ url: \"{}\", adapters: [probe], {secret} }}", upstream.url("/v1/"))).start().await;
    std::fs::remove_file(&key).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&key).status().unwrap().success());
    host.client().until_metric("hauski_policy_stale 1", PATIENCE).await;
    assert_eq!(ready(&host).await["stale"]["problem"], "routing.yaml:4: secret-missing");
    host.set_grants(&[UNRELATED]);
    until(&host, 2).await;
    let seen = send(&host, "probe", json!({ "url": upstream.url("/v1/x") })).await;
    assert!(seen["ok"].is_null(), "{seen}");
    host.stop();
}
