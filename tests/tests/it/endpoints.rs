//! Health, readiness, metrics, models, the configuration on request, and who may call at all.

use bytes::Bytes;
use hauski_tests::{Builder, TestHost};
use http::{Method, Request, StatusCode};

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
        r#"http_requests_total{method="POST",path="/v1/chat/completions",status="200"} 2"#,
        r#"http_requests_total{method="POST",path="/v1/chat/completions",status="404"} 1"#,
        r#"http_requests_total{method="GET",path="unmatched",status="404"} 1"#,
        r#"http_requests_total{method="other",path="/health",status="405"} 1"#,
        r#"http_request_duration_seconds_count{method="POST",path="/v1/chat/completions"} 3"#,
        r#"first_token_seconds_count{adapter="echo"} 1"#,
        r#"adapters{state="loaded"} 1"#,
        "build_info{version=",
    ] {
        assert!(metrics.text.contains(line), "{line} is not in\n{}", metrics.text);
    }
    assert!(!metrics.text.contains("not/there"));
}

#[tokio::test]
async fn the_configuration_is_shown_on_request_and_on_loopback_only() {
    let paths = ["/config/routing", "/config/limits", "/config/models", "/adapters"];
    let any = ([0, 0, 0, 0], 0).into();
    for (builder, status) in [
        (echo(), StatusCode::NOT_FOUND),
        (echo().expose_config().bind(any), StatusCode::NOT_FOUND),
        (echo().expose_config(), StatusCode::OK),
    ] {
        let secret = "{ url: \"https://a.test/\", adapters: [echo], secret: { header: x-key, value: \"${env:KEY}\" } }";
        let host = builder.grant(secret).env("KEY", "s3cr3t-in-config").start().await;
        let client = hauski_tests::Client(([127, 0, 0, 1], host.address().port()).into());
        for path in paths {
            let answer = client.get(path).await;
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
    for (name, value) in
        [("host", "evil.test"), ("host", "127.0.0.1.evil.test:80"), ("origin", "https://evil.test"), ("origin", "null")]
    {
        let answer = send(name, value).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::FORBIDDEN, "foreign_origin"),
            "{name}: {value}"
        );
    }
    for (name, value) in [("host", "localhost:1"), ("host", "[::1]"), ("origin", "http://localhost:3000")] {
        assert_eq!(send(name, value).await.status, StatusCode::OK, "{name}: {value}");
    }
}
