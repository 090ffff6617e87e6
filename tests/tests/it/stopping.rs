//! Clients that leave, slow providers, and the end of the server.

use hauski_tests::{Conversation, TestHost, Upstream};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::json;
use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A provider that says whether its connection was closed soon after it began to be silent.
fn silent(head: &'static str) -> (Upstream, Receiver<bool>) {
    let (closed, seen): (Sender<bool>, _) = channel();
    let closed = Mutex::new(closed);
    let script = move |conversation: &mut Conversation| -> io::Result<()> {
        conversation.request()?;
        conversation.write(head)?;
        let gone = conversation.closed_within(Duration::from_secs(5))?;
        let _ = closed.lock().unwrap().send(gone);
        Ok(())
    };
    (Upstream::start(script), seen)
}

fn order(upstream: &Upstream, stream: bool) -> Request<bytes::Bytes> {
    let order = json!({ "url": upstream.url("/") }).to_string();
    let body = json!({ "model": "probe", "stream": stream, "messages": [{ "role": "user", "content": order }] });
    Request::builder().method(Method::POST).uri("/v1/chat/completions").body(body.to_string().into()).unwrap()
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_providers_connection() {
    let piece = format!("{STREAM}5\r\nhello\r\n");
    for (head, stream) in [("", false), ("", true), (STREAM, true), (piece.leak(), true)] {
        let (upstream, seen) = silent(head);
        let host = TestHost::builder().guest("probe").grant(&upstream.url("/")).start().await;
        let answer = tokio::time::timeout(Duration::from_millis(300), async {
            let mut body = host.client().open(order(&upstream, stream)).await.unwrap().into_body();
            while body.frame().await.is_some() {}
        });
        assert!(answer.await.is_err(), "the provider is silent");
        let left = Instant::now();
        let gone = tokio::task::spawn_blocking(move || seen.recv_timeout(Duration::from_secs(6)));
        assert_eq!(gone.await.unwrap(), Ok(true), "{head:?} {stream}");
        assert!(left.elapsed() < Duration::from_secs(4), "{:?}", left.elapsed());
    }
}

#[tokio::test]
async fn a_provider_that_is_silent_ends_at_the_limit() {
    let (upstream, _seen) = silent("");
    let host = TestHost::builder().guest("probe").grant(&upstream.url("/")).limit("first_token_ms", 200).start().await;
    let answer = host.client().send(order(&upstream, true)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (504, "upstream_timeout"), "{}", answer.text);
}

#[tokio::test]
async fn the_total_limit_holds_for_streams() {
    let (upstream, _seen) = silent(STREAM);
    let host = TestHost::builder().guest("probe").grant(&upstream.url("/")).limit("total_ms", 300).start().await;
    let answer = host.client().send(order(&upstream, true)).await;
    assert_eq!(answer.status.as_u16(), 504, "{}", answer.text);
}

#[tokio::test]
async fn running_answers_may_end() {
    let upstream = Upstream::start(|conversation| {
        conversation.request()?;
        std::thread::sleep(Duration::from_millis(500));
        conversation.answer("200 OK", "", "late")
    });
    let host = TestHost::builder().guest("probe").grant(&upstream.url("/")).start().await;
    let (client, request) = (host.client(), order(&upstream, false));
    let running = tokio::spawn(async move { client.send(request).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stop = tokio::task::spawn_blocking(move || host.stop());
    let answer = running.await.unwrap();
    assert!(answer.content().contains("late"), "{}", answer.text);
    stop.await.unwrap();
    assert!(client.open(order(&upstream, false)).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_busy_adapter_makes_requests_wait() {
    let upstream = Upstream::start(|conversation| {
        conversation.request()?;
        std::thread::sleep(Duration::from_millis(50));
        conversation.answer("200 OK", "connection: close\r\n", "done")
    });
    let host = TestHost::builder().guest("probe").grant(&upstream.url("/")).limit("instances", 1).start().await;
    let ask = || host.client().send(order(&upstream, false));
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    for answer in [a, b, c] {
        assert!(answer.content().contains("done"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_port_in_use() {
    let host = TestHost::builder().start().await;
    let (prepared, _folder) = TestHost::builder().prepare().await;
    let Err(error) = hauski_server::start(prepared.unwrap().0, host.address(), 1) else { panic!("the port was taken") };
    let text = error.to_string();
    assert!(text.contains(&host.address().to_string()) && text.contains("set `HAUSKI_BIND`"), "{text}");
}
