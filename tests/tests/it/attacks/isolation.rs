//! F: what is one adapter's, or one request's, is no other's.

use super::{WAYS, probes, refused, send};
use hauski_tests::{Log, TestHost, Upstream};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn f01_neither_grant_nor_connection_nor_cookie_is_shared() {
    let answer = "{}";
    let upstream = Upstream::start(move |conversation| {
        loop {
            conversation.request()?;
            conversation.answer("200 OK", "set-cookie: session=1; Path=/\r\n", answer)?;
        }
    });
    let only = |way: &str, path: &str| format!("{{ url: \"{}\", adapters: [{way}] }}", upstream.url(path));
    let host = probes()
        .grant(&only("probe", "/a/"))
        .grant(&only("probe-wasi-http", "/b/"))
        .grant(&upstream.url("/both/"))
        .workers(1)
        .start()
        .await;
    for (way, path, granted) in [
        ("probe", "/a/", true),
        ("probe-wasi-http", "/a/", false),
        ("probe", "/b/", false),
        ("probe-wasi-http", "/b/", true),
        ("probe", "/both/", true),
        ("probe-wasi-http", "/both/", true),
    ] {
        let seen = send(&host, way, json!({ "url": upstream.url(path) })).await;
        assert_eq!(seen.get("ok").is_some(), granted, "{way} {path}: {seen}");
        assert!(granted || seen["err"] == "denied", "{way} {path}: {seen}");
    }
    assert_eq!((upstream.connections(), upstream.requests().len()), (2, 4));
    assert!(upstream.requests().iter().all(|request| !request.to_lowercase().contains("cookie")));
}

#[tokio::test]
async fn f02_the_hosts_field_is_not_the_guests() {
    let upstream = Upstream::json("{}");
    let grant = format!(
        "{{ url: \"{}\", adapters: [probe, probe-wasi-http], secret: {{ header: x-api-key, value: \"${{env:F02_KEY}}\" }} }}",
        upstream.url("/v1/")
    );
    let host = probes().grant(&grant).env("F02_KEY", "f02-s3cr3t").start().await;
    for name in ["x-api-key", "X-Api-Key", "X-API-KEY", "x_api_key", "X_Api-Key"] {
        let order = json!({ "url": upstream.url("/v1/x"), "headers": [[name, "of-the-guest"]] });
        for way in WAYS {
            let seen = send(&host, way, order.clone()).await;
            // Over `wasi:http`, the field's own name can't even be set.
            assert!(
                seen.get("ok").is_some() || way != "probe" && seen["err"] == "refused-here",
                "{way} {name}: {seen}"
            );
            assert!(!seen.to_string().contains("f02-s3cr3t"), "{way} {name}: {seen}");
        }
    }
    for request in upstream.requests() {
        assert!(request.contains("\r\nx-api-key: f02-s3cr3t\r\n") && !request.contains("of-the-guest"), "{request}");
    }
    assert!(upstream.requests().len() >= 5);
    assert_eq!(Log::lines_with("f02-s3cr3t"), Vec::<String>::new());
}

#[tokio::test]
async fn f04_a_secret_stays_with_its_entry() {
    let (upstream, other) = (Upstream::json("{}"), Upstream::json("{}"));
    let grant = format!(
        "{{ url: \"{}\", adapters: [probe, probe-wasi-http], methods: [GET], secret: {{ header: x-api-key, value: \"${{env:F04_KEY}}\" }} }}",
        upstream.url("/v1/")
    );
    let wide =
        |upstream: &Upstream| format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http] }}", upstream.url("/"));
    let host =
        probes().grant(&grant).grant(&wide(&upstream)).grant(&wide(&other)).env("F04_KEY", "f04-s3cr3t").start().await;
    for way in WAYS {
        for (method, url, attached) in [
            ("GET", upstream.url("/v1/x"), true),
            ("POST", upstream.url("/v1/x"), false),
            ("GET", upstream.url("/v1"), false),
            ("GET", upstream.url("/v10"), false),
            ("GET", upstream.url("/"), false),
            ("GET", other.url("/v1/x"), false),
        ] {
            let seen = send(&host, way, json!({ "method": method, "url": url })).await;
            assert_eq!(seen["ok"]["status"], 200, "{way} {url}: {seen}");
            let to = if url.starts_with(&other.url("/")) { &other } else { &upstream };
            assert_eq!(to.requests().pop().unwrap().contains("f04-s3cr3t"), attached, "{way} {method} {url}");
        }
    }
}

#[tokio::test]
async fn f10_pages_of_foreign_origins() {
    let upstream = Upstream::json("{}");
    let host = probes().grant(&upstream.url("/")).start().await;
    let body = format!(
        r#"{{"model":"probe","messages":[{{"role":"user","content":"{{\"url\":\"{}\"}}"}}]}}"#,
        upstream.url("/")
    );
    let own = host.address();
    for (fields, status) in [
        (format!("host: evil.test:{}\r\n", own.port()), 403),
        (format!("host: 127.0.0.1.evil.test:{}\r\n", own.port()), 403),
        (format!("host: localhost.evil.test:{}\r\n", own.port()), 403),
        (format!("host: {own}\r\norigin: https://evil.test\r\n"), 403),
        (format!("host: {own}\r\norigin: http://127.0.0.1.evil.test\r\n"), 403),
        (format!("host: {own}\r\norigin: null\r\n"), 403),
        (format!("host: {own}\r\norigin: \r\n"), 403),
        (format!("host: {own}\r\nhost: evil.test\r\n"), 403),
        (format!("host: {own}\r\n"), 200),
    ] {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\n{fields}content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = host.client().raw(request).await;
        let got = answer.split_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok());
        assert!(got == Some(status) || status == 403 && got == Some(400), "{fields:?}: {answer:.200}");
    }
    assert_eq!(upstream.connections(), 1, "no handler, no adapter, no provider");
}

/// A guest of its own for each kind of flood; here that others do not notice.
#[tokio::test]
async fn f11_floods_stay_their_requests_own() {
    let upstream = Upstream::json("{}");
    let host = TestHost::builder()
        .guest("floods_handles")
        .guest("floods_log")
        .guest("allocates")
        .guest("spins")
        .adapter("echo")
        .model("{ id: echo, adapter: echo }")
        .override_limits("spins: { cpu_ms: 300 }")
        .override_limits("floods-log: { cpu_ms: 20000 }")
        .grant(&upstream.url("/"))
        .start()
        .await;
    let url = upstream.url("/");
    let client = host.client();
    let floods = async {
        for model in ["floods-handles", "floods-log", "allocates", "spins"] {
            client.chat(model, &url).await;
        }
    };
    let echoes = async {
        let mut slowest = Duration::ZERO;
        for n in 0..40 {
            let begin = Instant::now();
            assert_eq!(client.chat("echo", &n.to_string()).await.content(), n.to_string());
            slowest = slowest.max(begin.elapsed());
        }
        slowest
    };
    let ((), slowest) = tokio::join!(floods, echoes);
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    for model in ["floods-handles", "floods-log", "allocates", "spins"] {
        client
            .until_metric(&format!("hauski_adapter_instances{{adapter=\"{model}\"}} 0"), Duration::from_secs(5))
            .await;
    }
}

#[tokio::test]
async fn f12_a_fresh_instance_a_request() {
    let host = TestHost::builder().guest("counts").workers(1).limit("instances", 1).start().await;
    for _ in 0..50 {
        assert_eq!(host.client().chat("counts", "x").await.content(), "1");
    }
    for round in 0..10 {
        let (one, two) = tokio::join!(host.client().chat("counts", "x"), host.client().stream("counts", "x"));
        assert_eq!(one.content(), "1", "{round}");
        assert!(two.text.contains("\"1\"") && !two.text.contains("\"2\""), "{round}: {}", two.text);
    }
}

#[tokio::test]
async fn f24_what_was_held_back_for_one_request_is_not_the_next_ones() {
    let upstream = Upstream::json("{}");
    let host = probes().grant(&upstream.url("/")).workers(1).start().await;
    for way in WAYS {
        // Too many at once is the request's own failure: the next one has all its places again.
        for _ in 0..3 {
            let seen = send(&host, way, json!({ "url": upstream.url("/"), "repeat": 40 })).await;
            let answers = seen.as_array().unwrap();
            assert!(answers.iter().all(|answer| answer["ok"]["status"] == 200), "{way}: {seen:.300}");
        }
        refused(&host, &upstream, way, json!({ "headers": [["host", "evil.test"]] })).await;
    }
}
