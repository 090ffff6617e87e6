//! Row 19: a client that leaves takes its request to the provider with it, soon and in every phase, by the provider's own clock.

use super::ground::{CHAT, EVENTS, ask, events, gateway, route};
use hauski_tests::{Client, Conversation, TestHost, Upstream};
use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// How soon the provider's connection has to be closed.
const SOON: Duration = Duration::from_millis(200);
/// What is waited for at the longest, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// When the provider had said all, and when its connection was closed then.
struct Seen {
    silent: Receiver<()>,
    closed: Receiver<Option<Instant>>,
}

/// A provider that says `words`, is silent then, and tells when its connection is closed.
fn silent(words: String) -> (Upstream, Seen) {
    let ((tell, is_silent), (tell_closed, closed)) = (channel(), channel());
    let tell = Mutex::new((tell, tell_closed));
    let script = move |conversation: &mut Conversation| -> io::Result<()> {
        conversation.request()?;
        conversation.write(&words)?;
        let _ = tell.lock().unwrap().0.send(());
        let closed = conversation.closed_within(PATIENCE)?.then(Instant::now);
        let _ = tell.lock().unwrap().1.send(closed);
        Ok(())
    };
    (Upstream::start(script), Seen { silent: is_silent, closed })
}

async fn wait<T: Send + 'static>(told: Receiver<T>) -> T {
    tokio::task::spawn_blocking(move || told.recv_timeout(2 * PATIENCE).unwrap()).await.unwrap()
}

async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
}

async fn begin(client: Client, body: &str) -> TcpStream {
    // What stands behind the object is not its own.
    let length = body.rfind('}').map_or(0, |end| end + 1);
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\n\r\n", client.0);
    client.begin(head + body).await
}

async fn all_is_given_back(host: &TestHost) {
    for line in ["hauski_adapter_instances{adapter=\"openai-compatible\"} 0", "hauski_http_connections 1"] {
        host.client().until_metric(line, PATIENCE).await;
    }
    host.client().until_metric("hauski_adapter_queue_depth{adapter=\"openai-compatible\"} 0", PATIENCE).await;
}

/// How long the provider's connection outlived the client's, which had said `more` after its request, with the provider silent after
/// `words`.
async fn outlived(words: &str, stream: bool, more: &str) -> Duration {
    let (upstream, seen) = silent(words.to_owned());
    let host = gateway(&[&upstream]).start().await;
    let mut client = begin(host.client(), &(ask("m0", stream) + more)).await;
    wait(seen.silent).await;
    if words.contains("hel") && stream {
        read_until(&mut client, "hel").await;
    } else {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let left = Instant::now();
    drop(client);
    let Some(closed) = wait(seen.closed).await else { panic!("the provider's connection was never closed") };
    all_is_given_back(&host).await;
    closed.saturating_duration_since(left)
}

#[tokio::test]
async fn r19_a_client_that_leaves_ends_the_request_in_every_phase() {
    let part = format!("{EVENTS}{}", &events()[..150]);
    let whole = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"id\":\"hel";
    for (phase, words, stream) in [
        ("before the head of a stream", "", true),
        ("before the first token", EVENTS, true),
        ("in mid-stream", part.as_str(), true),
        ("before the head of a whole answer", "", false),
        ("in the middle of a whole answer", whole, false),
    ] {
        // The machine may be busy with something else for a moment; the gateway is not three times in a row.
        // Who has said more is not read from.
        for more in ["", "\r\n", "GET /health HTTP/1.1\r\n"] {
            let mut took = Vec::new();
            while took.last().is_none_or(|last| *last >= SOON) && took.len() < 3 {
                took.push(outlived(words, stream, more).await);
            }
            assert!(took.last().is_some_and(|last| *last < SOON), "{phase}, `{more}`: {took:?}");
        }
    }
}

#[tokio::test]
async fn r19_who_leaves_the_queue_is_never_asked_for() {
    let (upstream, seen) = silent(String::new());
    let host = gateway(&[&upstream]).limit("instances", 1).start().await;
    let first = begin(host.client(), &ask("m0", true)).await;
    wait(seen.silent).await;
    let waiting = begin(host.client(), &ask("m0", true)).await;
    host.client().until_metric("hauski_adapter_queue_depth{adapter=\"openai-compatible\"} 1", PATIENCE).await;
    drop(waiting);
    host.client().until_metric("hauski_adapter_queue_depth{adapter=\"openai-compatible\"} 0", PATIENCE).await;
    assert_eq!(upstream.connections(), 1);
    drop(first);
    all_is_given_back(&host).await;
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn r19_who_leaves_during_a_pause_is_not_tried_for_again() {
    let reset = Upstream::start(|conversation| conversation.request().map(drop));
    let host = route(gateway(&[&reset]).limit("retries", 5), "{ model: m0 }").start().await;
    let client = begin(host.client(), &ask("chat", false)).await;
    while reset.connections() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(client);
    host.client().until_metric("hauski_http_connections 1", PATIENCE).await;
    let tried = reset.connections();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!((tried, reset.connections()), (4, 4), "the next pause is longer than 400 ms");
}
