//! Slow providers and their limits, and the end of the server.

use hauski_tests::{TestHost, Upstream};
use http::{Method, Request};
use serde_json::json;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const PIECE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";

/// A provider that answers with `head` and says no more.
fn silent(head: &'static str) -> Upstream {
    Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.write(head)?;
        conversation.closed_within(Duration::from_secs(10)).map(drop)
    })
}

fn order(upstream: &Upstream, stream: bool) -> Request<bytes::Bytes> {
    let order = json!({ "url": upstream.url("/") }).to_string();
    let body = json!({ "model": "probe", "stream": stream, "messages": [{ "role": "user", "content": order }] });
    Request::builder().method(Method::POST).uri("/v1/chat/completions").body(body.to_string().into()).unwrap()
}

#[tokio::test]
async fn a_provider_that_is_silent_ends_at_the_limit() {
    let upstream = silent("");
    let host = TestHost::builder().guest("probe").grant(&upstream.url("/")).limit("first_token_ms", 200).start().await;
    for stream in [false, true] {
        let begin = Instant::now();
        let answer = host.client().send(order(&upstream, stream)).await;
        // Without a stream, the probe tells the error itself.
        let told = answer.code() == "first_token_timeout" || answer.content().contains("\"timeout\"");
        assert!(told && answer.status.as_u16() == if stream { 504 } else { 200 }, "{}", answer.text);
        assert!(begin.elapsed() < Duration::from_secs(4), "that was another limit: {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn the_total_limit_holds_for_streams() {
    for (head, status) in [(STREAM, 504), (PIECE, 200)] {
        let upstream = silent(head);
        let host = TestHost::builder().guest("probe").grant(&upstream.url("/")).limit("total_ms", 300).start().await;
        let begin = Instant::now();
        let answer = host.client().send(order(&upstream, true)).await;
        assert!(begin.elapsed() < Duration::from_secs(4), "that was another limit: {:?}", begin.elapsed());
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert_eq!(answer.complete, status == 504, "{}", answer.text);
        let last = answer.events().pop().unwrap_or_default();
        assert!(last.starts_with("{\"error\":") && last.contains("timeout"), "{}", answer.text);
    }
}

#[tokio::test]
async fn running_answers_may_end() {
    let (asked, seen) = channel();
    let asked = Mutex::new(asked);
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        let _ = asked.lock().unwrap().send(());
        std::thread::sleep(Duration::from_millis(500));
        conversation.answer("200 OK", "", "late")
    });
    let host = TestHost::builder().guest("probe").grant(&upstream.url("/")).start().await;
    let (client, request) = (host.client(), order(&upstream, false));
    let running = tokio::spawn(async move { client.send(request).await });
    let seen = tokio::task::spawn_blocking(move || seen.recv_timeout(Duration::from_secs(10)));
    assert_eq!(seen.await.unwrap(), Ok(()), "the request has reached the provider");
    let stop = tokio::task::spawn_blocking(move || host.stop());
    let answer = running.await.unwrap();
    assert!(answer.content().contains("late"), "{}", answer.text);
    stop.await.unwrap();
    assert!(client.open(order(&upstream, false)).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_port_in_use() {
    let host = TestHost::builder().start().await;
    let (prepared, _folder) = TestHost::builder().prepare();
    let Err(error) = hauski_server::start(prepared.unwrap().0, host.address(), 1) else { panic!("the port was taken") };
    let text = error.to_string();
    assert!(text.contains(&host.address().to_string()) && text.contains("set `HAUSKI_BIND`"), "{text}");
}
