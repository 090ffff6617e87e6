//! The log's line of each request: model, adapter, tokens and outcome.

use crate::front::ground::{ANSWER, CHAT, EVENTS, ask, gateway, good, route, scripts, unavailable};
use hauski_tests::{Builder, Client, Log, TestHost, Upstream};
use http::Request;
use http_body_util::BodyExt;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
/// A chunk with text and counts.
const CHUNK: &str = r#"{"id":"x","created":1,"model":"t","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}],"usage":{"prompt_tokens":11,"completion_tokens":7}}"#;

/// Sends `body` with a request id, and returns its answer.
async fn send(client: Client, id: &str, path: &str, body: impl Into<bytes::Bytes>) -> hauski_tests::Answer {
    client.send(request(id, path, body)).await
}

fn request(id: &str, path: &str, body: impl Into<bytes::Bytes>) -> Request<bytes::Bytes> {
    Request::post(path).header("x-request-id", id).body(body.into()).unwrap()
}

/// Returns the line of the request with this id, which must come soon, from its route on.
async fn line(id: &str) -> String {
    let begin = Instant::now();
    loop {
        let lines = Log::lines_with(&format!("request_id=\"{id}\""));
        if let Some(line) = lines.iter().find(|line| line.contains(" outcome=")) {
            return line.clone();
        }
        assert!(begin.elapsed() < SOON, "no line of {id}: {lines:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Checks that the line of a request has these fields, and none of those.
async fn check(id: &str, fields: &[&str], absent: &[&str]) {
    let line = line(id).await;
    for field in fields {
        assert!(line.contains(&format!(" {field}")), "{field}: {line}");
    }
    for name in absent {
        assert!(!line.contains(&format!(" {name}=")), "{name}: {line}");
    }
}

fn echo() -> Builder {
    TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }")
}

#[tokio::test]
async fn line_names_model_and_tokens_of_a_whole_answer() {
    let provider = scripts(vec![good]);
    let host = gateway(&[&provider]).start().await;
    let answer = send(host.client(), "log-whole", CHAT, ask("m0", false)).await;
    assert_eq!(answer.text, ANSWER);
    let fields = [
        "status=200",
        "outcome=\"complete\"",
        "model=\"m0\"",
        "adapter=\"openai-compatible\"",
        "locality=\"local\"",
        "stream=false",
        "input_tokens=3",
        "output_tokens=2",
    ];
    check("log-whole", &fields, &["attempts", "code", "cause", "client"]).await;
}

#[tokio::test]
async fn line_names_model_and_tokens_of_a_stream() {
    let provider = scripts(vec![|conversation| {
        conversation.request()?;
        conversation.write(format!("{EVENTS}data: {CHUNK}\n\ndata: [DONE]\n\n"))
    }]);
    let host = gateway(&[&provider]).start().await;
    assert!(send(host.client(), "log-stream", CHAT, ask("m0", true)).await.complete);
    let fields = ["outcome=\"complete\"", "model=\"m0\"", "stream=true", "input_tokens=11", "output_tokens=7"];
    check("log-stream", &fields, &["attempts"]).await;
}

#[tokio::test]
async fn line_names_tokens_when_the_client_leaves() {
    let provider = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.write(format!("{EVENTS}data: {CHUNK}\n\n"))?;
        conversation.closed_within(SOON).map(drop)
    });
    let host = gateway(&[&provider]).start().await;
    let mut response = host.client().open(request("log-left", CHAT, ask("m0", true))).await.unwrap();
    tokio::time::timeout(SOON, response.body_mut().frame()).await.unwrap().unwrap().unwrap();
    drop(response);
    let fields =
        ["status=499", "outcome=\"client_left\"", "model=\"m0\"", "stream=true", "input_tokens=11", "output_tokens=7"];
    check("log-left", &fields, &[]).await;
}

#[tokio::test]
async fn line_names_the_model_when_the_client_leaves_before_the_answer() {
    let provider = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.closed_within(SOON).map(drop)
    });
    let host = gateway(&[&provider]).start().await;
    let client = host.client();
    let asked = tokio::spawn(async move { client.open(request("log-early", CHAT, ask("m0", false))).await.is_ok() });
    let begin = Instant::now();
    while provider.requests().is_empty() {
        assert!(begin.elapsed() < SOON, "the provider is not asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    asked.abort();
    let fields = ["status=499", "outcome=\"client_left\"", "model=\"m0\"", "stream=false"];
    check("log-early", &fields, &["input_tokens", "output_tokens"]).await;
}

#[tokio::test]
async fn line_names_attempts_when_there_are_several() {
    let (broken, good_one) = (scripts(vec![unavailable]), scripts(vec![good]));
    let host = route(gateway(&[&broken, &good_one]), "{ model: m0 }, { model: m1, order: 2 }").start().await;
    let answer = send(host.client(), "log-attempts", CHAT, ask("chat", false)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    // Each model is tried twice at most, and the second answers at once.
    let fields = ["outcome=\"complete\"", "model=\"m1\"", "attempts=3", "input_tokens=3"];
    check("log-attempts", &fields, &[]).await;

    let answer = send(host.client(), "log-failed", CHAT, ask("m0", false)).await;
    assert_eq!(answer.status.as_u16(), 502, "{}", answer.text);
    check("log-failed", &["outcome=\"failed\"", "model=\"m0\"", "attempts=2", "code="], &["input_tokens"]).await;
}

#[tokio::test]
async fn line_says_that_an_answer_broke_off() {
    let provider = scripts(vec![|conversation| {
        conversation.request()?;
        conversation.write(format!("{EVENTS}data: {CHUNK}\n\n"))
    }]);
    let host = gateway(&[&provider]).start().await;
    assert!(!send(host.client(), "log-broken", CHAT, ask("m0", true)).await.complete);
    let fields = ["status=502", "outcome=\"broke_off\"", "model=\"m0\"", "input_tokens=11", "output_tokens=7"];
    check("log-broken", &fields, &[]).await;
}

#[tokio::test]
async fn line_names_no_model_of_the_clients_own_words() {
    let host = echo().model("{ id: lost, adapter: nowhere }").start().await;
    let answer = send(host.client(), "log-unknown", CHAT, ask("made-up-canary-5512", false)).await;
    assert_eq!(answer.status.as_u16(), 404);
    let fields = ["outcome=\"refused\"", "stream=false", "code=\"model_not_found\""];
    check("log-unknown", &fields, &["model", "adapter", "locality"]).await;
    // A model that is known and can't be asked is named.
    send(host.client(), "log-lost", CHAT, ask("lost", false)).await;
    check("log-lost", &["outcome=\"failed\"", "model=\"lost\""], &["adapter", "locality"]).await;
    send(host.client(), "log-garbled", CHAT, "{\"model\":\"made-up-canary-5512\"").await;
    check("log-garbled", &["outcome=\"refused\""], &["model", "stream"]).await;
    assert_eq!(Log::lines_with("made-up-canary-5512"), Vec::<String>::new());
}

#[tokio::test]
async fn probes_are_logged_at_debug_when_they_succeed() {
    let (host, empty) = (echo().start().await, TestHost::builder().start().await);
    let get = async |host: &TestHost, id: &str, path: &str| {
        let request = Request::get(path).header("x-request-id", id).body(bytes::Bytes::new()).unwrap();
        host.client().send(request).await.status.as_u16()
    };
    for (id, path) in [("log-health", "/health"), ("log-ready", "/ready"), ("log-metrics", "/metrics")] {
        assert_eq!(get(&host, id, path).await, 200);
        assert!(line(id).await.contains("DEBUG"), "{path}");
    }
    assert_eq!(get(&host, "log-models", "/v1/models").await, 200);
    assert!(line("log-models").await.contains("INFO"));
    assert_eq!(get(&empty, "log-unready", "/ready").await, 503);
    let line = line("log-unready").await;
    assert!(line.contains("INFO") && line.contains("outcome=\"failed\""), "{line}");
}
