//! Clients' keys: who is asked for one, what each is for, and that none is written down anywhere.

mod opening;
mod share;
mod slow;

use bytes::Bytes;
use hauski_tests::{Answer, Builder, Log, TestHost, Upstream};
use http::{Method, Request, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

const LAPTOP: &str = "hk-laptop-3vUq0yWn1xKc";
const PHONE: &str = "hk-phone-9Ls2bTz7dRme";

/// The text of a `keys.yaml` with these entries: name, key, and what follows in YAML.
fn keys(entries: &[(&str, &str, &str)]) -> String {
    let entry = |(name, key, rest): &(&str, &str, &str)| {
        format!("  - {{ name: {name}, {rest}, hash: \"sha256:{:x}\" }}\n", Sha256::digest(key))
    };
    format!("keys:\n{}", entries.iter().map(entry).collect::<String>())
}

const ALL: &str = "models: [\"*\"]";

fn echo() -> Builder {
    TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }").model("{ id: other, adapter: echo }")
}

/// Sends a request with these header fields. A body makes it a POST.
async fn send(host: &TestHost, path: &str, fields: &[(&str, &str)], body: Option<String>) -> Answer {
    let mut request = Request::builder().uri(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let request = request.method(method).body(Bytes::from(body.unwrap_or_default())).unwrap();
    let address = ([127, 0, 0, 1], host.address().port()).into();
    hauski_tests::Client(address).send(request).await
}

async fn get(host: &TestHost, path: &str, key: &str) -> Answer {
    send(host, path, &[("x-api-key", key)], None).await
}

/// Asks `model` with a key.
async fn chat(host: &TestHost, key: &str, model: &str) -> Answer {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] }).to_string();
    send(host, "/v1/chat/completions", &[("authorization", &format!("Bearer {key}"))], Some(body)).await
}

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{}", answer.text);
}

#[track_caller]
fn refused(answer: &Answer) {
    check(answer, 401, "invalid_api_key");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn keys_are_asked_for_on_loopback_as_well() {
    let host = echo().keys(&keys(&[("laptop", LAPTOP, ALL), ("phone", PHONE, ALL)])).expose_config().start().await;
    for key in [LAPTOP, PHONE] {
        for (name, value) in [("authorization", format!("Bearer {key}")), ("x-api-key", key.to_owned())] {
            let answer = send(&host, "/v1/models", &[(name, &value)], None).await;
            assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text);
        }
        assert_eq!(chat(&host, key, "echo").await.content(), "hello");
    }
    let wrong = format!("Bearer {LAPTOP}x");
    let basic = format!("Basic {LAPTOP}");
    let right = format!("Bearer {LAPTOP}");
    for fields in [
        &[][..],
        &[("authorization", "Bearer none")],
        &[("authorization", &wrong)],
        &[("authorization", &basic)],
        &[("authorization", "Bearer")],
        &[("x-api-key", "")],
        &[("x-api-key", &LAPTOP[1..])],
        &[("authorization", &right), ("x-api-key", PHONE)],
    ] {
        for path in ["/v1/models", "/v1/models/echo", "/v1/chat/completions", "/nowhere", "/v1", "/Health"] {
            refused(&send(&host, path, fields, None).await);
        }
        for path in ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"] {
            refused(&send(&host, path, fields, Some("{ not even JSON".to_owned())).await);
        }
        let anthropics = send(&host, "/v1/messages", fields, Some("{ not even JSON".to_owned())).await;
        assert_eq!(
            (anthropics.status, &anthropics.headers["www-authenticate"]),
            (StatusCode::UNAUTHORIZED, &"Bearer".parse().unwrap())
        );
        assert_eq!(anthropics.json()["error"]["type"], "authentication_error", "{}", anthropics.text);
        for path in ["/health", "/ready"] {
            assert_eq!(send(&host, path, fields, None).await.status, StatusCode::OK, "{path}");
        }
    }
    assert_eq!(get(&host, "/nowhere", LAPTOP).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_has_no_keys_asks_for_none() {
    let host = echo().start().await;
    assert_eq!(chat(&host, "anything", "echo").await.content(), "hello");
    assert_eq!(host.client().chat("echo", "hello").await.content(), "hello");
}

#[tokio::test]
async fn an_empty_list_lets_nobody_in() {
    let host = echo().keys("keys: []\n").start().await;
    refused(&host.client().chat("echo", "hello").await);
    refused(&chat(&host, LAPTOP, "echo").await);
    assert_eq!(host.client().get("/ready").await.text, r#"{"status":"ready"}"#);
}

#[tokio::test]
async fn keys_end_with_their_last_day() {
    let (past, future) = (format!("{ALL}, expires: 2020-01-31"), format!("{ALL}, expires: 9999-01-31"));
    let host = echo().keys(&keys(&[("old", PHONE, &past), ("new", LAPTOP, &future)])).start().await;
    let answer = chat(&host, PHONE, "echo").await;
    refused(&answer);
    assert!(answer.text.contains("the key `old` has expired"), "{}", answer.text);
    assert_eq!(chat(&host, LAPTOP, "echo").await.content(), "hello");
}

#[tokio::test]
async fn models_that_a_key_is_not_for_are_as_if_they_were_not_there() {
    let routes = "[{ model: chat, candidates: [{ model: other }] }]";
    let entries = [("laptop", LAPTOP, "models: [echo, chat, absent]"), ("phone", PHONE, ALL)];
    let host = echo().routes(routes).keys(&keys(&entries)).start().await;
    let listed = async |key| {
        let list = get(&host, "/v1/models", key).await.json();
        let ids = list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(
        (listed(LAPTOP).await, listed(PHONE).await),
        (vec!["echo".into(), "chat".into()], vec!["echo".into(), "other".into(), "chat".into()])
    );
    for model in ["echo", "chat"] {
        assert_eq!(chat(&host, LAPTOP, model).await.content(), "hello", "{model}");
        assert_eq!(get(&host, &format!("/v1/models/{model}"), LAPTOP).await.status, StatusCode::OK, "{model}");
    }
    // The same words, whether it is there or not.
    for path in ["/v1/chat/completions", "/v1/embeddings"] {
        let ask = async |model: &str| {
            let body = json!({ "model": model, "input": "hello", "messages": [] }).to_string();
            send(&host, path, &[("x-api-key", LAPTOP)], Some(body)).await
        };
        let (there, nowhere) = (ask("other").await, ask("nowhere").await);
        check(&there, 404, "model_not_found");
        assert_eq!(there.text.replace("`other`", "`nowhere`"), nowhere.text);
    }
    let one = async |model| get(&host, &format!("/v1/models/{model}"), LAPTOP).await;
    check(&one("other").await, 404, "model_not_found");
    assert_eq!(one("other").await.text.replace("`other`", "`nowhere`"), one("nowhere").await.text);
    assert_eq!(chat(&host, PHONE, "other").await.content(), "hello");
}

#[tokio::test]
async fn a_key_has_a_rate_of_its_own_over_all_workers() {
    let limited = format!("{ALL}, requests_per_minute: 5");
    let slow = format!("{ALL}, requests_per_minute: 1");
    let entries = [("laptop", LAPTOP, &*limited), ("phone", PHONE, &*limited), ("slow", "hk-slow-and-steady", &slow)];
    let host = echo().workers(4).keys(&keys(&entries)).start().await;
    for _ in 0..5 {
        assert_eq!(chat(&host, LAPTOP, "echo").await.status, StatusCode::OK);
    }
    // Two, because time goes on.
    let last = [chat(&host, LAPTOP, "echo").await, chat(&host, LAPTOP, "echo").await];
    let limited = last.iter().find(|answer| answer.status != StatusCode::OK).unwrap();
    check(limited, 429, "rate_limit_exceeded");
    assert_eq!(limited.json()["error"]["type"], "rate_limit_error");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert!(limited.text.contains("the key `laptop` may send 5 requests in a minute"), "{}", limited.text);
    assert_eq!(chat(&host, PHONE, "echo").await.status, StatusCode::OK, "another one's");
    assert_eq!(get(&host, "/health", LAPTOP).await.status, StatusCode::OK, "which needs no key");
    assert_eq!(get(&host, "/v1/models", "hk-slow-and-steady").await.status, StatusCode::OK);
    let answer = get(&host, "/v1/models", "hk-slow-and-steady").await;
    check(&answer, 429, "rate_limit_exceeded");
    assert!((50..=60).contains(&answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap()));
    // A touch of the file fills no bucket.
    host.set_keys(&(keys(&entries) + "# touched\n"));
    host.reload();
    opening::until(&host, "/ready", |answer| answer.status == StatusCode::OK).await;
    check(&get(&host, "/v1/models", "hk-slow-and-steady").await, 429, "rate_limit_exceeded");
}

#[tokio::test]
async fn a_key_can_hold_its_requests_to_what_is_local() {
    let names = crate::egress::names(&[]);
    let entries = [("laptop", LAPTOP, "models: [m], local_only: true"), ("phone", PHONE, ALL)];
    let host = TestHost::builder()
        .adapter("openai-compatible")
        .grant("{ url: \"https://api.allowed.test/v1/\", adapters: [openai-compatible] }")
        .model("{ id: m, adapter: openai-compatible, config: { base_url: \"https://api.allowed.test/v1\" } }")
        .resolver(names.clone())
        .keys(&keys(&entries))
        .start()
        .await;
    check(&chat(&host, LAPTOP, "m").await, 403, "not_local");
    assert_eq!(names.asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(chat(&host, PHONE, "m").await.status, StatusCode::BAD_GATEWAY);
    // What the client adds can only narrow it.
    let fields = [("x-api-key", LAPTOP), ("x-hauski-locality", "cloud")];
    let body = json!({ "model": "m", "messages": [] }).to_string();
    check(&send(&host, "/v1/chat/completions", &fields, Some(body)).await, 400, "invalid_locality");
}

/// Without a better word from the request, the key decides which way of a route it goes: always the same.
#[tokio::test]
async fn a_client_goes_the_same_way() {
    let entries: Vec<_> = (0..12).map(|at| (format!("client-{at}"), format!("hk-client-number-{at}"))).collect();
    let rows: Vec<_> = entries.iter().map(|(name, key)| (name.as_str(), key.as_str(), ALL)).collect();
    let routes = "[{ model: chat, candidates: [{ model: echo }, { model: other }] }]";
    let host = echo().routes(routes).keys(&keys(&rows)).start().await;
    let mut ways = BTreeSet::new();
    for (name, key) in &entries {
        let mut own = BTreeSet::new();
        for _ in 0..6 {
            let answer = chat(&host, key, "chat").await;
            own.insert(answer.headers["x-hauski-route"].to_str().unwrap().to_owned());
        }
        assert_eq!(own.len(), 1, "{name}: {own:?}");
        ways.extend(own);
    }
    assert_eq!(ways.len(), 2, "and not all of them: {ways:?}");
}

#[tokio::test]
async fn no_key_is_written_down_or_handed_on() {
    let upstream = Upstream::json("{}");
    let url = upstream.url("/v1");
    let (right, wrong) = ("hk-never-written-4e1f", "hk-never-written-wrong");
    let host = TestHost::builder()
        .adapter("openai-compatible")
        .grant(&format!("{{ url: \"{url}/\", adapters: [openai-compatible] }}"))
        .model(&format!("{{ id: m, adapter: openai-compatible, config: {{ base_url: \"{url}\" }} }}"))
        .keys(&keys(&[("quiet-client-77", right, ALL), ("old-client-77", PHONE, "models: [m], expires: 2020-01-31")]))
        .start()
        .await;
    chat(&host, right, "m").await;
    refused(&chat(&host, wrong, "m").await);
    refused(&chat(&host, PHONE, "m").await);
    let basic = format!("Basic {right}");
    refused(&send(&host, "/v1/models", &[("authorization", &basic)], None).await);
    host.reload();
    opening::until_metric(&host, right, "hauski_policy_generation 2").await;
    host.set_keys(&format!("keys: [{{ name: quiet-client-77, models: [m], hash: {right} }}]"));
    opening::until_metric(&host, right, "hauski_policy_stale 1").await;
    assert_eq!(upstream.requests().len(), 1);
    assert!(!upstream.requests()[0].contains("hk-never"), "{:?}", upstream.requests());
    assert_eq!(Log::lines_with("hk-never-written"), Vec::<String>::new());
    for client in ["client=\"quiet-client-77\"", "client=\"old-client-77\""] {
        let asked = |line: &String| line.contains("/v1/chat/completions");
        assert_eq!(Log::lines_with(client).into_iter().filter(asked).count(), 1, "{client}");
    }
    for path in ["/metrics", "/ready"] {
        assert!(!get(&host, path, right).await.text.contains("hk-never"), "{path}");
    }
}
