//! Clients that leave, wait or stop reading: what they held is given back.

use hauski_tests::{Client, Conversation, TestHost, Upstream};
use serde_json::json;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const PIECE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
/// What is soon, on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(5);

/// What a silent provider tells.
#[derive(Debug)]
enum Told {
    /// It has had a request, and has said what it had to say.
    Silent,
    /// Its connection was closed at this time; `None` if it never was.
    Closed(Option<Instant>),
}

/// A provider that answers with `head`, says no more, and tells when its connection is closed.
fn silent(head: &'static str) -> (Upstream, Receiver<Told>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let script = move |conversation: &mut Conversation| -> io::Result<()> {
        let tell = |what| drop(tell.lock().unwrap().send(what));
        conversation.request()?;
        conversation.write(head)?;
        tell(Told::Silent);
        let closed = conversation.closed_within(2 * SOON)?;
        tell(Told::Closed(closed.then(Instant::now)));
        Ok(())
    };
    (Upstream::start(script), told)
}

/// Waits for a thread's word without holding up this one.
async fn wait<T: Send + 'static>(told: Receiver<T>) -> (T, Receiver<T>) {
    let wait = move || (told.recv_timeout(3 * SOON).unwrap(), told);
    tokio::task::spawn_blocking(wait).await.unwrap()
}

/// Reads until `text` has come.
async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
}

/// Nothing is left of a client but the connection that asks.
async fn all_is_given_back(client: Client, adapter: &str) {
    client.until_metric(&format!("hauski_adapter_instances{{adapter=\"{adapter}\"}} 0"), SOON).await;
    client.until_metric("hauski_http_connections 1", SOON).await;
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_providers_connection() {
    for (model, guest) in [("probe", "probe"), ("probe-wasi-http", "probe_wasi_http")] {
        for (head, stream) in [("", false), (STREAM, false), (PIECE, false), ("", true), (STREAM, true), (PIECE, true)]
        {
            let (upstream, told) = silent(head);
            let host = TestHost::builder().guest(guest).grant(&upstream.url("/")).start().await;
            let order = json!({ "url": upstream.url("/") }).to_string();
            let mut client = host.client().begin_chat(model, &order, stream).await;
            let (silent, told) = wait(told).await;
            assert!(matches!(silent, Told::Silent));
            if stream && head == PIECE {
                read_until(&mut client, "hello").await;
            }
            host.client().until_metric(&format!("hauski_adapter_instances{{adapter=\"{model}\"}} 1"), SOON).await;
            let left = Instant::now();
            drop(client);
            let (Told::Closed(Some(closed)), _) = wait(told).await else {
                panic!("{model} {stream} {head:?}: the provider's connection was never closed");
            };
            let took = closed - left;
            assert!(took < Duration::from_secs(1), "{model} {stream} {head:?}: closed after {took:?}");
            all_is_given_back(host.client(), model).await;
            let left = "hauski_http_requests_total{method=\"POST\",path=\"/v1/chat/completions\",status=\"499\"} 1";
            host.client().until_metric(left, SOON).await;
        }
    }
}

/// A provider whose answers wait for a word each, and the way to say it.
fn held() -> (Upstream, Receiver<()>, std::sync::mpsc::Sender<()>) {
    let (asked, seen) = channel();
    let (release, released) = channel();
    let (asked, released) = (Mutex::new(asked), Mutex::new(released));
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        let _ = asked.lock().unwrap().send(());
        let _ = released.lock().unwrap().recv();
        conversation.answer("200 OK", "connection: close\r\n", "done")
    });
    (upstream, seen, release)
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_gives_its_place_back() {
    let (upstream, seen, release) = held();
    let builder = TestHost::builder().guest("probe").grant(&upstream.url("/")).limit("instances", 1);
    let host = builder.start().await;
    let client = host.client();
    let order = json!({ "url": upstream.url("/") }).to_string();
    let mut first = client.begin_chat("probe", &order, false).await;
    wait(seen).await;
    let second = client.begin_chat("probe", &order, false).await;
    client.until_metric("hauski_http_connections 3", SOON).await;
    // Now it is known to be connected; a moment more, and it waits for its instance.
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(second);
    client.until_metric("hauski_http_connections 2", SOON).await;
    let mut third = client.begin_chat("probe", &order, false).await;
    for waiting in [&mut first, &mut third] {
        release.send(()).unwrap();
        tokio::time::timeout(SOON, read_until(waiting, "done")).await.unwrap();
    }
    assert_eq!(upstream.requests().len(), 2, "who left the queue is not served");
    drop((first, third));
    all_is_given_back(client, "probe").await;
}

#[tokio::test]
async fn a_busy_adapter_makes_requests_wait() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let upstream = Upstream::start(|conversation| {
        conversation.request()?;
        MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        conversation.answer("200 OK", "connection: close\r\n", "done")
    });
    for (instances, most) in [(1, 1..=1), (3, 2..=3)] {
        MOST.store(0, Ordering::SeqCst);
        let builder = TestHost::builder().guest("probe").grant(&upstream.url("/")).limit("instances", instances);
        let host = builder.start().await;
        let order = json!({ "url": upstream.url("/") }).to_string();
        let ask = || host.client().chat("probe", &order);
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        for answer in [a, b, c, d] {
            assert!(answer.content().contains("done"), "{}", answer.text);
        }
        let seen = MOST.load(Ordering::SeqCst);
        assert!(most.contains(&seen), "{seen} at once with {instances} instances");
    }
    assert_eq!(upstream.requests().len(), 8);
}

#[tokio::test]
async fn a_queue_that_is_too_long_is_refused() {
    let (upstream, seen, release) = held();
    let builder = TestHost::builder().guest("probe").grant(&upstream.url("/"));
    let host = builder.limit("instances", 1).limit("first_token_ms", 20_000).start().await;
    let order = json!({ "url": upstream.url("/") }).to_string();
    let mut first = host.client().begin_chat("probe", &order, false).await;
    wait(seen).await;
    let begin = Instant::now();
    let answer = host.client().chat("probe", &order).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "adapter_busy"), "{}", answer.text);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(begin.elapsed() < 2 * SOON, "{:?}", begin.elapsed());
    release.send(()).unwrap();
    tokio::time::timeout(SOON, read_until(&mut first, "done")).await.unwrap();
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_given_up() {
    let builder = TestHost::builder().guest("streams_forever").limit("cpu_ms", 60_000).limit("total_ms", 60_000);
    let host = builder.request_seconds(1).start().await;
    let mut stalled = host.client().begin_chat("streams-forever", "x", true).await;
    read_until(&mut stalled, "data: ").await;
    host.client().until_metric("hauski_adapter_instances{adapter=\"streams-forever\"} 1", SOON).await;
    host.client().until_metric("hauski_adapter_instances{adapter=\"streams-forever\"} 0", 4 * SOON).await;
    host.client().until_metric("hauski_http_connections 1", SOON).await;
    // What was on its way arrives; then the connection is at its end, without the stream's.
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(SOON, stalled.read_to_end(&mut rest)).await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("[DONE]"));
    let _ = stalled.shutdown().await;
}

/// One that computes has moved aside by then, and ends all the same: long before its limit.
#[tokio::test]
async fn a_client_that_leaves_ends_a_guest_that_computes() {
    let host = TestHost::builder().guest("spins").limit("cpu_ms", 60_000).limit("total_ms", 60_000).start().await;
    for _ in 0..3 {
        let client = host.client().begin_chat("spins", "x", false).await;
        host.client().until_metric("hauski_adapter_instances{adapter=\"spins\"} 1", SOON).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(client);
        all_is_given_back(host.client(), "spins").await;
    }
    let hits = host.client().metrics("hauski_adapter_limit_hits_total{adapter=\"spins\"").await;
    assert!(hits.iter().all(|line| line.ends_with(" 0")), "{hits:?}");
}
