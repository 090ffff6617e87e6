//! A gateway that others can reach, and keys that change while it runs.

use super::{ALL, LAPTOP, PHONE, chat, check, echo, get, keys, refused, send};
use hauski_server::setup::Problem;
use hauski_tests::{Answer, Builder, TestHost};
use http::StatusCode;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn public() -> Builder {
    echo().bind(([0, 0, 0, 0], 0).into())
}

/// Asks for `path` until the answer is as wanted.
pub(super) async fn until(host: &TestHost, path: &str, wanted: impl Fn(&Answer) -> bool) {
    until_with(host, LAPTOP, path, wanted).await;
}

/// Asks with `key` until `/metrics` has this line.
pub(super) async fn until_metric(host: &TestHost, key: &str, line: &str) {
    until_with(host, key, "/metrics", |answer| answer.text.lines().any(|one| one == line)).await;
}

async fn until_with(host: &TestHost, key: &str, path: &str, wanted: impl Fn(&Answer) -> bool) {
    let begin = Instant::now();
    loop {
        let answer = get(host, path, key).await;
        if wanted(&answer) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{path}: {} {}", answer.status, answer.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_can_be_reached_needs_keys() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:127.0.0.1]:0"] {
        let (prepared, _folder) = echo().bind(address.parse().unwrap()).prepare();
        let Err(problems) = prepared else { panic!("{address}") };
        let [Problem::Open(bind)] = &problems[..] else { panic!("{address}: {problems:?}") };
        assert_eq!(bind.to_string(), address);
        let text = problems[0].to_string();
        assert!(text.contains("hauski keys new") && text.contains("127.0.0.1"), "{text}");
    }
    for address in ["127.0.0.1:0", "127.8.8.8:0", "[::1]:0"] {
        assert!(echo().bind(address.parse().unwrap()).prepare().0.is_ok(), "{address}");
    }
    assert!(public().keys("keys: []\n").prepare().0.is_ok(), "nobody is let in");
    // What is wrong with the keys is one problem, not two.
    let (prepared, _folder) = public().keys("keys: {}\n").prepare();
    let problems = prepared.map(drop).unwrap_err();
    assert!(matches!(&problems[..], [Problem::Policy(_)]), "{problems:?}");
}

/// M8: a reverse proxy before loopback makes all of its clients near ones, and few add a field that says so.
#[tokio::test]
async fn strangers_are_told_nothing_whatever_the_gateway_is_bound_to() {
    let file = keys(&[("laptop", LAPTOP, ALL)]);
    for (builder, shown) in [(echo(), StatusCode::OK), (public(), StatusCode::NOT_FOUND)] {
        let host = builder.keys(&file).expose_config().start().await;
        for path in ["/metrics", "/openapi.json", "/v1/models", "/config/routing", "/adapters", "/nowhere"] {
            for fields in [&[][..], &[("x-api-key", "hk-wrong")], &[("x-forwarded-for", "192.0.2.1")]] {
                refused(&send(&host, path, fields, None).await);
            }
        }
        assert_eq!(get(&host, "/metrics", LAPTOP).await.status, StatusCode::OK);
        assert_eq!(get(&host, "/config/routing", LAPTOP).await.status, shown, "on loopback only");
        assert_eq!(send(&host, "/health", &[], None).await.text, "ok");
        for key in ["", "hk-wrong"] {
            let answer = get(&host, "/ready", key).await;
            assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, r#"{"status":"ready"}"#));
            let root = get(&host, "/", key).await;
            assert_eq!((root.status, root.json()["console"].as_str()), (StatusCode::OK, Some("/console")));
            assert!(!root.text.contains("version"), "{}", root.text);
        }
        let ready = get(&host, "/ready", LAPTOP).await.json();
        assert_eq!((ready["models"].as_u64(), ready["keys"]["count"].as_u64()), (Some(2), Some(1)));
        assert!(get(&host, "/", LAPTOP).await.json()["version"].is_string());
        let page = send(&host, "/", &[("accept", "text/html")], None).await;
        assert!(page.text.contains("/console") && !page.text.contains(env!("CARGO_PKG_VERSION")), "{}", page.text);
    }
}

/// A page that a name was rebound for has no key; a gateway that others reach has a name.
#[tokio::test]
async fn with_a_key_any_name_will_do() {
    let file = keys(&[("laptop", LAPTOP, ALL)]);
    let (near, far) = (echo().keys(&file).start().await, public().keys(&file).start().await);
    let named = |origin: &'static str| [("host", "gateway.test"), ("x-api-key", LAPTOP), ("origin", origin)];
    for host in [&near, &far] {
        assert_eq!(send(host, "/v1/models", &named("")[..2], None).await.status, StatusCode::OK);
        assert_eq!(send(host, "/v1/models", &named("http://gateway.test"), None).await.status, StatusCode::OK);
        check(&send(host, "/v1/models", &named("http://evil.test"), None).await, 403, "foreign_origin");
        refused(&send(host, "/v1/models", &[("host", "gateway.test")], None).await);
    }
    for path in ["/metrics", "/ready", "/health"] {
        assert_eq!(send(&near, path, &named("")[..2], None).await.status, StatusCode::OK, "{path}");
        assert_eq!(send(&far, path, &named("")[..2], None).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn keys_that_change_hold_at_once() {
    let host = echo().keys(&keys(&[("laptop", LAPTOP, ALL)])).start().await;
    refused(&chat(&host, PHONE, "echo").await);
    host.set_keys(&keys(&[("phone", PHONE, "models: [echo]"), ("laptop", LAPTOP, "models: [other]")]));
    until(&host, "/ready", |answer| answer.json()["keys"]["count"] == 2).await;
    assert_eq!(chat(&host, PHONE, "echo").await.content(), "hello");
    check(&chat(&host, LAPTOP, "echo").await, 404, "model_not_found");
    host.set_keys(&keys(&[("phone", PHONE, ALL)]));
    until(&host, "/v1/models", |answer| answer.status == StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn keys_that_can_not_hold_change_nothing() {
    let good = keys(&[("laptop", LAPTOP, ALL)]);
    let host = echo().keys(&good).start().await;
    let holds = async |problem: &str| {
        let is =
            |answer: &Answer| answer.json()["keys"]["stale"]["problem"].as_str().is_some_and(|is| is.contains(problem));
        until(&host, "/ready", is).await;
        until_metric(&host, LAPTOP, "hauski_policy_stale 1").await;
        assert!(get(&host, "/ready", LAPTOP).await.json()["policy"]["stale"].is_null());
        assert_eq!(chat(&host, LAPTOP, "echo").await.content(), "hello");
        refused(&host.client().chat("echo", "hello").await);
    };
    host.set_keys("keys:\n  - { name: laptop }\n");
    holds("keys.yaml:2:7: missing-key").await;
    // Cut off in the middle of an entry, and at the end of the first line.
    host.set_keys(&good[..good.len() - 30]);
    holds("syntax").await;
    host.set_keys("");
    holds("keys.yaml:1:1: ").await;
    std::fs::remove_file(host.folder().join("keys.yaml")).unwrap();
    holds("keys.yaml: entity not found").await;
    host.reload();
    holds("keys.yaml: entity not found").await;
    host.set_keys(&good);
    until_metric(&host, LAPTOP, "hauski_policy_stale 0").await;
}

#[tokio::test]
async fn keys_can_come_later() {
    let host = echo().start().await;
    assert!(host.client().get("/ready").await.json()["keys"].is_null());
    assert_eq!(host.client().chat("echo", "hello").await.content(), "hello");
    host.set_keys(&keys(&[("laptop", LAPTOP, ALL)]));
    until(&host, "/ready", |answer| answer.json()["keys"]["count"] == 1).await;
    refused(&host.client().chat("echo", "hello").await);
    assert_eq!(chat(&host, LAPTOP, "echo").await.content(), "hello");
}

#[tokio::test]
async fn keys_can_stand_in_the_environment() {
    let host = public().keys_text(&keys(&[("laptop", LAPTOP, ALL)])).start().await;
    assert_eq!(chat(&host, LAPTOP, "echo").await.content(), "hello");
    refused(&chat(&host, PHONE, "echo").await);
    let (prepared, _folder) = echo().keys_text("keys: [{ name: hk-secret-in-text }]").prepare();
    let problems = prepared.map(drop).unwrap_err();
    let [Problem::Policy(diagnostics)] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!(diagnostics.file(), "HAUSKI_KEYS_TEXT");
}
