//! `x-hauski-locality: local-only` and the policy's switch: what is not local is as if nobody had granted it.

use crate::egress::{Names, WAYS, names, probes};
use bytes::Bytes;
use hauski_tests::{Answer, TestHost, Upstream};
use http::{Method, Request};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const CLOUD: &str = "{ url: \"https://api.allowed.test/\", adapters: [probe, probe-wasi-http] }";

async fn ask(host: &TestHost, model: &str, url: &str, locality: Option<&str>) -> Answer {
    let order = json!({ "url": url }).to_string();
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": order }] }).to_string();
    let mut request = Request::builder().method(Method::POST).uri("/v1/chat/completions");
    if let Some(value) = locality {
        request = request.header("x-hauski-locality", value);
    }
    host.client().send(request.body(Bytes::from(body)).unwrap()).await
}

fn asked(names: &Arc<Names>) -> usize {
    names.asked.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_local_only_request_reaches_only_what_is_local() {
    let (upstream, names) = (Upstream::json("{}"), names(&[]));
    let near = format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http] }}", upstream.url("/"));
    let host = probes().grant(CLOUD).grant(&near).resolver(names.clone()).start().await;
    for way in WAYS {
        let before = asked(&names);
        let got = ask(&host, way, "https://api.allowed.test/", Some("local-only")).await;
        assert!(got.text.contains("enied") && !got.text.contains("not-local"), "{way}: {}", got.text);
        assert_eq!(asked(&names), before, "{way}: no query");
        let got = ask(&host, way, "https://api.allowed.test/", None).await;
        assert_eq!(asked(&names), before + 1, "{way}: {}", got.text);

        let got = ask(&host, way, &upstream.url("/"), Some("local-only")).await;
        assert!(got.content().contains("200"), "{way}: {}", got.text);
        assert!(got.headers["x-hauski-route"].to_str().unwrap().ends_with("locality=local"));
        let got = ask(&host, way, &upstream.url("/"), None).await;
        assert!(got.headers["x-hauski-route"].to_str().unwrap().ends_with("locality=cloud"));
        let denied = format!(
            "hauski_egress_denied_total{{adapter=\"{way}\",destination=\"https://api.allowed.test:443\",reason=\"not-local\"}} 1"
        );
        assert_eq!(host.client().metrics(&format!("hauski_egress_denied_total{{adapter=\"{way}\"")).await, [denied]);
    }
}

/// What a provider is asked to fetch can leave as well.
#[tokio::test]
async fn a_local_only_request_has_nothing_fetched_from_elsewhere() {
    let upstream = Upstream::json(crate::front::ground::ANSWER);
    let images = "{ url: \"https://images.test/\", adapters: [openai-compatible], methods: [GET] }";
    let host = crate::front::ground::gateway(&[&upstream]).grant(images).start().await;
    let image = r#"{"type":"image_url","image_url":{"url":"https://images.test/?q=a-secret"}}"#;
    let body = format!(r#"{{"model":"m0","messages":[{{"role":"user","content":[{image}]}}]}}"#);
    let embed = r#"{"model":"m0","input":[{"image":"https://evil.test/a.png"}]}"#;
    let refused = host.client().post("/v1/embeddings", embed).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "remote_url_denied"), "{}", refused.text);
    let mut asked = Vec::new();
    for locality in [None, Some("local-only")] {
        let mut request = Request::post("/v1/chat/completions");
        if let Some(locality) = locality {
            request = request.header("x-hauski-locality", locality);
        }
        let answer = host.client().send(request.body(body.clone().into()).unwrap()).await;
        asked.push((answer.status.as_u16(), upstream.requests().len()));
    }
    assert_eq!(asked, [(200, 1), (400, 1)]);
}

/// With the switch of the policy, a model without a local grant is not offered, and one with a local grant is held to that.
#[tokio::test]
async fn policy_switch_holds_all_requests_to_local_grants() {
    let names = names(&[]);
    let near = "{ url: \"http://127.0.0.1:9/\", adapters: [probe] }";
    let host = probes().grant(CLOUD).grant(near).local_only().resolver(names.clone()).start().await;
    let got = ask(&host, "probe", "https://api.allowed.test/", None).await;
    assert!(got.headers["x-hauski-route"].to_str().unwrap().ends_with("locality=local"), "{}", got.text);
    let got = ask(&host, "probe-wasi-http", "https://api.allowed.test/", None).await;
    assert_eq!((got.status.as_u16(), got.code().as_str()), (403, "not_local"), "{}", got.text);
    assert_eq!(asked(&names), 0);
    let models = host.client().get("/v1/models").await.json();
    let offered: Vec<_> =
        models["data"].as_array().unwrap().iter().map(|one| (&one["id"], &one["hauski"]["locality"])).collect();
    assert_eq!(offered, [(&json!("probe"), &json!("local"))]);
}

#[tokio::test]
async fn an_adapter_that_is_denied_for_it_is_answered_with_the_reason() {
    let host = TestHost::builder()
        .adapter("openai-compatible")
        .grant("{ url: \"https://api.allowed.test/v1/\", adapters: [openai-compatible] }")
        .model("{ id: m, adapter: openai-compatible, config: { base_url: \"https://api.allowed.test/v1\" } }")
        .resolver(names(&[]))
        .start()
        .await;
    for stream in [false, true] {
        let body = json!({ "model": "m", "stream": stream, "messages": [] }).to_string();
        let request = Request::builder().method(Method::POST).uri("/v1/chat/completions");
        let request = request.header("x-hauski-locality", "local-only").body(Bytes::from(body)).unwrap();
        let got = host.client().send(request).await;
        assert_eq!((got.status.as_u16(), got.code().as_str()), (403, "not_local"), "{}", got.text);
    }
}

#[tokio::test]
async fn a_field_that_says_something_else_is_refused() {
    let host = probes().start().await;
    for value in ["local", "", "cloud", "LOCAL-ONLY"] {
        let got = ask(&host, "probe", "http://127.0.0.1:1/", Some(value)).await;
        assert_eq!((got.status.as_u16(), got.code().as_str()), (400, "invalid_locality"), "{value}");
    }
}

/// What `x-hauski-route` says was so when the request came, and is held to while it waits and runs.
#[tokio::test]
async fn what_is_claimed_holds_though_the_policy_changes_meanwhile() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        let _ = told.lock().unwrap().recv_timeout(Duration::from_secs(20));
        conversation.answer("200 OK", "connection: close\r\n", "{}")
    });
    let near = format!("{{ url: \"{}\", adapters: [probe] }}", upstream.url("/"));
    let names = names(&[]);
    let host = probes().grant(&near).limit("instances", 1).resolver(names.clone()).start().await;
    let url = upstream.url("/");
    let first = ask(&host, "probe", &url, None);
    let second = async {
        until(|| upstream.connections() == 1).await;
        // It waits for the only place.
        let waits = ask(&host, "probe", "https://api.allowed.test/", None);
        let change = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            host.set_grants(&[&near, CLOUD]);
            host.client().until_metric("hauski_policy_generation 2", Duration::from_secs(20)).await;
            go.send(()).unwrap();
        };
        tokio::join!(waits, change).0
    };
    let (_, second) = tokio::join!(first, second);
    assert_eq!(second.headers["x-hauski-route"].to_str().unwrap().rsplit('=').next(), Some("local"));
    assert!(second.content().contains("enied"), "{}", second.text);
    assert_eq!(asked(&names), 0);
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to that");
}
