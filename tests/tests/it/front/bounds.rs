//! Bounds of JSON: what a provider or a client says is limited in depth, number and work, and costs the others nothing.

use super::ground::{CHAT, EVENTS, gateway};
use hauski_tests::{TestHost, Upstream};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A request for `m0` in the dialect of each path.
const REQUESTS: [(&str, &str); 4] = [
    (CHAT, r#""messages":[{"role":"user","content":"hi"}]"#),
    ("/v1/completions", r#""prompt":"hi""#),
    ("/v1/responses", r#""input":"hi""#),
    ("/v1/messages", r#""max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#),
];

/// An answer whose content has so many levels of thoughts in thoughts, whole or as the only chunk of a stream.
fn nested(levels: usize, stream: bool) -> String {
    let content = format!("{}\"x\"{}", r#"[{"thinking":"#.repeat(levels), "}]".repeat(levels));
    let member = if stream { "delta" } else { "message" };
    let message = format!(r#"{{"role":"assistant","content":{content}}}"#);
    format!(
        r#"{{"id":"x","created":1,"model":"t","choices":[{{"index":0,"{member}":{message},"finish_reason":"stop"}}]}}"#
    )
}

fn provider(levels: usize, stream: bool) -> Upstream {
    let answer = nested(levels, stream);
    Upstream::start(move |conversation| {
        conversation.request()?;
        if stream {
            return conversation.write(format!("{EVENTS}data: {answer}\n\ndata: [DONE]\n\n"));
        }
        conversation.answer("200 OK", "content-type: application/json\r\nconnection: close\r\n", &answer)
    })
}

async fn is_alive(host: &TestHost) -> bool {
    host.client().get("/health").await.status == 200
}

/// H1: a provider's nested answer overflowed the stack of a worker, and the process aborted.
#[tokio::test]
async fn h1_nested_answers_end_their_own_request_alone() {
    for stream in [false, true] {
        for levels in [65, 8_000, 200_000] {
            let upstream = provider(levels, stream);
            let host = gateway(&[&upstream]).limit("retries", 0).start().await;
            for (path, request) in REQUESTS {
                let body = format!(r#"{{"model":"m0","stream":{stream},{request}}}"#);
                let answer = host.client().post(path, body).await;
                // Chat completions pass through as they are: nothing in them is read.
                let expected = if path == CHAT { (200, false) } else { (502, true) };
                let said = (answer.status.as_u16(), answer.text.contains("nested more than 128 levels deep"));
                assert_eq!(said, expected, "{path} {levels} {stream}: {:.300}", answer.text);
                assert!(is_alive(&host).await);
            }
        }
    }
}

/// Below the bound, the dialects that read thoughts take one level of them.
#[tokio::test]
async fn h1_nested_thoughts_are_read_once() {
    for (levels, expected) in [(1, 200), (2, 200), (3, 502), (60, 502)] {
        let upstream = provider(levels, false);
        let host = gateway(&[&upstream]).limit("retries", 0).start().await;
        let (path, request) = REQUESTS[3];
        let answer = host.client().post(path, format!(r#"{{"model":"m0",{request}}}"#)).await;
        assert_eq!(answer.status.as_u16(), expected, "{levels}: {:.300}", answer.text);
    }
}

/// H2: work on the URLs of a request grew with the square of its parts. M1: so did that on values with their depth.
#[tokio::test]
async fn h2_requests_are_limited_in_urls_and_values() {
    let host = TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }").start().await;
    let ask = async |content: String| {
        let body = format!(r#"{{"model":"echo","messages":[{{"role":"user","content":[{content}]}}]}}"#);
        let answer = host.client().post(CHAT, body).await;
        (answer.status.as_u16(), answer.code())
    };
    let parts = |part: &str, count: usize| vec![part; count].join(",");
    assert_eq!(ask(parts(r#"{"type":"text","text":"a_url"}"#, 30_000)).await.0, 200);
    assert_eq!(ask(parts(r#"{"a_url":""}"#, 50_000)).await, (400, "too_many_urls".to_owned()));
    assert_eq!(ask(parts("0", 500_000)).await, (400, "too_many_values".to_owned()));
    let deep = format!("{}{}{}", "[".repeat(120), parts("1", 300_000), "]".repeat(120));
    assert_ne!(ask(format!(r#"{{"type":"x","data":{deep},"x":"//"}}"#)).await.0, 200, "echo knows no such part");
    assert!(is_alive(&host).await);
}

/// H3: all arguments of a call were parsed again for each piece that repeats its id and name.
#[tokio::test]
async fn h3_pieces_of_a_call_are_read_once() {
    let call = |arguments: &str| {
        let call = format!(r#"{{"index":0,"id":"a","function":{{"name":"f","arguments":"{arguments}"}}}}"#);
        let delta = format!(r#"{{"role":"assistant","tool_calls":[{call}]}}"#);
        format!(
            "data: {{\"id\":\"x\",\"created\":1,\"model\":\"t\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n"
        )
    };
    let long = call(&format!(r#"{{\"a\":\"{}"#, "x".repeat(2 << 20)));
    let events = format!("{long}{}data: [DONE]\n\n", call("{").repeat(2_000));
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.write(format!("{EVENTS}{events}"))
    });
    let host = gateway(&[&upstream]).start().await;
    for (path, request) in &REQUESTS[2..] {
        let answer = host.client().post(path, format!(r#"{{"model":"m0","stream":true,{request}}}"#)).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text.len() > 2 << 20, "{path}: {:.300}", answer.text);
    }
}

/// M3: each connection could hold 400 KiB of head before it shows a key.
#[tokio::test]
async fn m3_heads_are_limited_in_bytes() {
    let host = TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }").start().await;
    for (bytes, expected) in [(40_000, "HTTP/1.1 200 "), (200_000, "HTTP/1.1 431 ")] {
        let head = format!(
            "GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nx-long: {}\r\n\r\n",
            "x".repeat(bytes)
        );
        let answer = host.client().raw(head).await;
        assert!(answer.starts_with(expected), "{bytes}: {answer:.100}");
    }
}

/// M3: silent connections held all places, for as long as they liked.
#[tokio::test]
async fn m3_silent_connections_give_their_places_to_new_ones() {
    let host = TestHost::builder().request_seconds(60).start().await;
    let mut silent = Vec::new();
    // Of 64 that may be open.
    for _ in 0..200 {
        silent.push(host.client().begin("GET /health HTTP/1.1\r\nx: ").await);
    }
    // Otherwise it would wait until the first of them are given up, after a minute.
    assert!(timeout(Duration::from_secs(20), is_alive(&host)).await.unwrap());
}

/// M3: a head may take ten seconds, however long the client waits between its bytes.
#[tokio::test]
async fn m3_slow_heads_end_their_connections() {
    let host = TestHost::builder().request_seconds(60).start().await;
    let mut slow = host.client().begin("GET /health HTTP/1.1\r\nhost: localhost\r\nx: ").await;
    let mut idle = host.client().begin("").await;
    let begin = std::time::Instant::now();
    let mut answer = Vec::new();
    while timeout(Duration::from_secs(1), slow.read_to_end(&mut answer)).await.is_err() {
        let _ = slow.write_all(b"x").await;
        assert!(begin.elapsed() < Duration::from_secs(40));
    }
    assert!(begin.elapsed() > Duration::from_secs(8), "{:?}", begin.elapsed());
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    idle.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "a connection may be idle for longer");
}
