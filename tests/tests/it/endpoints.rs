//! Health, readiness, metrics, models, the configuration on request, and who may call at all.

use bytes::Bytes;
use hauski_tests::{Builder, TestHost};
use http::{Method, Request, StatusCode};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

fn echo() -> Builder {
    TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }").model("{ id: lost, adapter: nowhere }")
}

#[tokio::test]
async fn health_and_readiness() {
    let host = echo().start().await;
    let health = host.client().get("/health").await;
    assert_eq!((health.status, health.text.as_str()), (StatusCode::OK, "ok"));
    let ready = host.client().get("/ready").await;
    assert_eq!((ready.status, ready.json()["models"].as_u64()), (StatusCode::OK, Some(1)));
    let empty = TestHost::builder().start().await;
    assert_eq!(empty.client().get("/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(empty.client().get("/health").await.text, "ok");
}

#[tokio::test]
async fn only_models_that_can_be_asked_are_listed() {
    let host = echo().start().await;
    let list = host.client().get("/v1/models").await.json();
    assert_eq!((list["object"].as_str(), list["data"].as_array().map(Vec::len)), (Some("list"), Some(1)));
    let model = &list["data"][0];
    assert_eq!((model["id"].as_str(), model["object"].as_str()), (Some("echo"), Some("model")));
    assert!(model["created"].is_u64() && model["owned_by"].is_string());
    assert_eq!(model["hauski"]["locality"], "local");
}

#[tokio::test]
async fn models_that_can_not_be_served_say_why() {
    let host = echo()
        .adapter("openai-compatible")
        .model("{ id: nowhere-to-go, adapter: openai-compatible }")
        .model("{ id: complete, adapter: openai-compatible, config: { base_url: \"http://127.0.0.1:9/v1\" } }")
        .model("{ id: closed, adapter: openai-compatible, config: { base_url: \"http://127.0.0.1:10/v1\" } }")
        .grant_as_written("http://127.0.0.1:9/v1/")
        .start()
        .await;
    let list = host.client().get("/v1/models").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["echo", "complete"]);
    assert_eq!(host.client().get("/ready").await.json()["models"], 2);
    for (model, why) in [("nowhere-to-go", "`base_url`"), ("lost", "`nowhere.wasm`")] {
        let answer = host.client().chat(model, "x").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "adapter_unavailable"), "{}", answer.text);
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(why) && message.contains(&format!("`{model}`")), "{message}");
    }
    let answer = host.client().chat("closed", "x").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "no_grant"), "{}", answer.text);
    assert!(answer.text.contains("covers `http://127.0.0.1:10/v1`"), "{}", answer.text);
}

#[tokio::test]
async fn heads_and_broken_streams_are_counted_as_what_they_are() {
    let host = echo().guest("ends_badly").start().await;
    let request = Request::builder().method(Method::HEAD).uri("/health").body(Bytes::new()).unwrap();
    let head = host.client().send(request).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    host.client()
        .until_metric("hauski_http_requests_total{method=\"HEAD\",path=\"/health\",status=\"200\"} 1", SOON)
        .await;
    let broken = host.client().stream("ends-badly", "x").await;
    assert_eq!((broken.status, broken.complete), (StatusCode::OK, false), "{}", broken.text);
    let counted = "hauski_http_requests_total{method=\"POST\",path=\"/v1/chat/completions\",status=\"502\"} 1";
    host.client().until_metric(counted, SOON).await;
    let left = host.client().metrics("hauski_http_requests_total").await;
    assert!(!left.iter().any(|line| line.contains("status=\"499\"")), "{left:?}");
}

#[tokio::test]
async fn metrics_count_by_route() {
    let host = echo().start().await;
    host.client().chat("echo", "x").await;
    host.client().stream("echo", "x").await;
    host.client().chat("none", "x").await;
    host.client().get("/some/path/that/is/not/there").await;
    host.client().send(Request::builder().method("BREW").uri("/health").body(Bytes::new()).unwrap()).await;
    let metrics = host.client().get("/metrics").await;
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4");
    for line in [
        r#"hauski_http_requests_total{method="POST",path="/v1/chat/completions",status="200"} 2"#,
        r#"hauski_http_requests_total{method="POST",path="/v1/chat/completions",status="404"} 1"#,
        r#"hauski_http_requests_total{method="GET",path="unmatched",status="404"} 1"#,
        r#"hauski_http_requests_total{method="other",path="/health",status="405"} 1"#,
        r#"hauski_http_request_duration_seconds_count{method="POST",path="/v1/chat/completions"} 3"#,
        r#"http_request_duration_seconds_count{method="POST",path="/v1/chat/completions"} 3"#,
        r#"hauski_first_token_seconds_count{adapter="echo"} 1"#,
        r#"hauski_adapters{state="loaded"} 1"#,
        "hauski_build_info{version=",
    ] {
        assert!(metrics.text.contains(line), "{line} is not in\n{}", metrics.text);
    }
    assert!(!metrics.text.contains("not/there"));
}

/// What each family is registered as is checked in `metrics/conventions.rs`; this is the text that is served.
#[tokio::test]
async fn metrics_follow_the_conventions_of_prometheus() {
    let host = echo().ledger().start().await;
    host.client().chat("echo", "x").await;
    host.client().stream("echo", "x").await;
    let text = host.client().get("/metrics").await.text;
    let kinds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(kinds.len() > 20, "{text}");
    for (name, kind) in &kinds {
        let is_contract = *name == "http_request_duration_seconds";
        assert!(name.starts_with("hauski_") || name.starts_with("process_") || is_contract, "{name}");
        assert!(!name.split('_').any(|word| ["ms", "mib", "kib", "minutes"].contains(&word)), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
        assert!(*kind != "histogram" || name.ends_with("_seconds") || name.ends_with("_bytes"), "{name}");
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > 5), "{name}: {help:?}");
    }
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for name in samples.filter_map(|line| line.split(['{', ' ']).next()) {
        let suffixes = ["", "_bucket", "_sum", "_count"];
        let is_of = |family: &str| suffixes.iter().any(|suffix| name == format!("{family}{suffix}"));
        assert!(kinds.iter().any(|(family, _)| is_of(family)), "{name} has no type");
    }
    for name in ["cpu_seconds_total", "open_fds", "max_fds", "resident_memory_bytes", "start_time_seconds", "threads"] {
        assert!(text.contains(&format!("\nprocess_{name} ")), "{name}: {text}");
    }
}

/// The budget gate reads the old name.
#[tokio::test]
async fn request_durations_are_the_same_under_both_names() {
    let host = echo().start().await;
    host.client().chat("echo", "x").await;
    let text = host.client().get("/metrics").await.text;
    let lines = |start: &str| -> Vec<_> { text.lines().filter_map(|line| line.strip_prefix(start)).collect() };
    let durations = lines("http_request_duration_seconds");
    assert!(durations.len() > 20, "{text}");
    assert_eq!(durations, lines("hauski_http_request_duration_seconds"));
}

#[tokio::test]
async fn root_points_to_what_there_is() {
    let host = echo().start().await;
    let answer = host.client().get("/").await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    let pointers = answer.json();
    assert_eq!((&pointers["name"], &pointers["version"]), (&"HausKI".into(), &env!("CARGO_PKG_VERSION").into()));
    for (name, path) in
        pointers.as_object().unwrap().iter().filter(|(name, _)| !["name", "version"].contains(&&***name))
    {
        let path = path.as_str().unwrap();
        assert_eq!(host.client().get(path).await.status, StatusCode::OK, "{name}: {path}");
    }

    let request = Request::get("/").header("accept", "text/html,*/*;q=0.8").body(Bytes::new()).unwrap();
    let page = host.client().send(request).await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none';"));
    assert_eq!(page.headers["vary"], "accept");
    for (name, path) in pointers.as_object().unwrap().iter().filter(|(_, path)| path.as_str().unwrap().starts_with('/'))
    {
        assert!(page.text.contains(&format!("href=\"{}\"", path.as_str().unwrap())), "{name}: {}", page.text);
    }
    let head = host.client().send(Request::head("/").body(Bytes::new()).unwrap()).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn the_configuration_is_shown_on_request_and_on_loopback_only() {
    let paths = ["/config/routing", "/config/limits", "/config/models", "/adapters"];
    let any = ([0, 0, 0, 0], 0).into();
    // Who can be reached by others has to have keys (`printf %s anybody | sha256sum`).
    let keys = "keys: [{ name: a, models: [echo], \
                hash: \"sha256:bcb9333252569ce8820bb24d218b92f95d9253918f4b0b07aeb592d6971c8a10\" }]";
    for (builder, status) in [
        (echo(), StatusCode::NOT_FOUND),
        (echo().expose_config().bind(any).keys(keys), StatusCode::NOT_FOUND),
        (echo().expose_config(), StatusCode::OK),
    ] {
        let secret = "{ url: \"https://a.test/\", adapters: [echo], secret: { header: x-key, value: \"${env:KEY}\" } }";
        let host = builder.grant(secret).env("KEY", "s3cr3t-in-config").start().await;
        let client = hauski_tests::Client(([127, 0, 0, 1], host.address().port()).into());
        for path in paths {
            let request = Request::get(path).header("x-api-key", "anybody").body(Bytes::new()).unwrap();
            let answer = client.send(request).await;
            assert_eq!(answer.status, status, "{path}");
            assert!(!answer.text.contains("s3cr3t"), "{path}");
        }
    }
}

#[tokio::test]
async fn the_configuration_is_shown_as_it_holds() {
    let host = echo().expose_config().grant("https://api.allowed.test").start().await;
    let get = async |path| host.client().get(path).await.json();
    assert_eq!(get("/config/routing").await["egress"]["default"], "deny");
    assert!(get("/config/routing").await["egress"]["allow"].to_string().contains("api.allowed.test"));
    assert_eq!(get("/config/limits").await["latency"]["llm_p95_ms"], 400);
    assert_eq!(get("/config/models").await["models"][0]["id"], "echo");
}

#[tokio::test]
async fn foreign_pages_may_not_call() {
    let host = echo().start().await;
    let send = async |name: &str, value: &str| {
        let request = Request::builder().method(Method::GET).uri("/health").header(name, value).body(Bytes::new());
        host.client().send(request.unwrap()).await
    };
    for (name, value) in [
        ("host", "evil.test"),
        ("host", "127.0.0.1.evil.test:80"),
        ("origin", "https://evil.test"),
        ("origin", "null"),
        ("origin", "http://203.0.113.5"),
        ("origin", "http://192.168.1.1:3000"),
        ("origin", "http://[2001:db8::1]"),
    ] {
        let answer = send(name, value).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::FORBIDDEN, "foreign_origin"),
            "{name}: {value}"
        );
    }
    for (name, value) in [("host", "localhost:1"), ("host", "[::1]"), ("origin", "http://localhost:3000")] {
        assert_eq!(send(name, value).await.status, StatusCode::OK, "{name}: {value}");
    } // A page that the request's own host and port has served, and no other one of that host.
    for (origin, status) in [
        ("http://192.168.1.1:3000", StatusCode::OK),
        ("http://192.168.1.1:3001", StatusCode::FORBIDDEN),
        ("http://192.168.1.2:3000", StatusCode::FORBIDDEN),
    ] {
        let request = Request::builder().uri("/health").header("host", "192.168.1.1:3000").header("origin", origin);
        assert_eq!(host.client().send(request.body(Bytes::new()).unwrap()).await.status, status, "{origin}");
    }
}
