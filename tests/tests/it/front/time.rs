//! Rows 20 to 23: four time-outs, slow readers, the end of the gateway, and nothing that holds a byte back.

use super::ground::{CHAT, EVENTS, ask, events, gateway};
use bytes::Bytes;
use hauski_tests::{Client, Upstream};
use http::{Method, Request};
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);

/// A port that takes no connection, as long as its sockets live: its queue is full, so that packets are dropped.
pub(crate) fn deaf() -> (SocketAddr, Vec<socket2::Socket>) {
    let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let fill = |_| {
        let socket = socket();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address.into());
        socket
    };
    (address, std::iter::once(listener).chain((0..4).map(fill)).collect())
}

async fn open(client: Client, body: String) -> hyper::body::Incoming {
    let request = Request::builder().method(Method::POST).uri(CHAT).body(Bytes::from(body)).unwrap();
    client.open(request).await.unwrap().into_body()
}

/// A provider that says `words` and is silent then.
pub(crate) fn silent(words: &str) -> Upstream {
    let words = words.to_owned();
    Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.write(&words)?;
        conversation.closed_within(PATIENCE).map(drop)
    })
}

#[tokio::test]
async fn r20_each_of_four_timeouts_has_its_own_error() {
    let part = format!("{EVENTS}{}", &events()[..150]);
    for (limit, words, stream, status, code) in [
        ("first_token_ms", "", false, 504, "first_token_timeout"),
        ("first_token_ms", "", true, 504, "first_token_timeout"),
        ("idle_ms", EVENTS, true, 504, "idle_timeout"),
        ("idle_ms", part.as_str(), true, 200, "idle_timeout"),
        ("total_ms", part.as_str(), true, 200, "total_timeout"),
        ("total_ms", "", false, 504, "total_timeout"),
    ] {
        let upstream = silent(words);
        let host = gateway(&[&upstream]).limit(limit, 300).start().await;
        let begin = Instant::now();
        let answer = host.client().post(CHAT, ask("m0", stream)).await;
        assert!(begin.elapsed() < Duration::from_secs(4), "{limit}: that was another limit: {:?}", begin.elapsed());
        assert_eq!(answer.status.as_u16(), status, "{limit}: {}", answer.text);
        assert!(answer.text.contains(&format!("\"code\":\"{code}\"")), "{limit}: {}", answer.text);
        assert_eq!(answer.complete, status == 504, "{limit}: {}", answer.text);
        assert_eq!(upstream.connections(), 1, "who is slow is not asked again");
    }
}

#[tokio::test]
async fn r20_no_connection_in_time() {
    let (address, _full) = deaf();
    let url = format!("http://{address}/v1");
    let builder = hauski_tests::TestHost::builder()
        .adapter("openai-compatible")
        .grant(&format!("{{ url: \"{url}/\", adapters: [openai-compatible] }}"))
        .model(&format!("{{ id: m0, adapter: openai-compatible, config: {{ base_url: \"{url}\" }} }}"));
    let host = builder.limit("connect_ms", 300).start().await;
    let begin = Instant::now();
    let answer = host.client().post(CHAT, ask("m0", false)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (504, "connect_timeout"), "{}", answer.text);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn r21_a_slow_reader_slows_the_provider() {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let upstream = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.write(EVENTS)?;
        let text = "x".repeat(16 << 10);
        let event = format!(
            "data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"{text}\"}}}}]}}\n\n"
        );
        for _ in 0..4_000 {
            conversation.write(&event)?;
            SENT.fetch_add(event.len(), Ordering::SeqCst);
        }
        Ok(())
    });
    let host = gateway(&[&upstream]).limit("response_mib", 100).start().await;
    let slow = host.client().begin_chat("m0", "hi", true).await;
    // Sockets' buffers and a few pieces: then it waits.
    let mut last = usize::MAX;
    while last != SENT.load(Ordering::SeqCst) {
        last = SENT.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(last < 16 << 20, "the provider could send {last} bytes that nobody has read");
    drop(slow);
}

/// A provider that sends a stream of `events` large events, each of 16 KiB and some.
fn long(events: usize) -> Upstream {
    Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.write(EVENTS)?;
        let text = "x".repeat(16 << 10);
        let event =
            format!("data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
        for _ in 0..events {
            conversation.write(&event)?;
        }
        conversation.write("data: [DONE]\n\n")
    })
}

/// Reads about half a mebibyte a second, at most so many bytes, and gives what came last.
async fn read_slowly(stream: &mut TcpStream, most: usize) -> (usize, String) {
    let (mut piece, mut seen, mut last) = (vec![0; 8 << 10], 0, Vec::new());
    while seen < most {
        let Ok(length @ 1..) = stream.read(&mut piece).await else { break };
        seen += length;
        last.extend_from_slice(&piece[..length]);
        last.drain(..last.len().saturating_sub(100));
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    (seen, String::from_utf8_lossy(&last).into_owned())
}

#[tokio::test]
async fn r21_a_reader_that_is_slow_but_steady_gets_everything() {
    let upstream = long(380);
    let host = gateway(&[&upstream]).request_seconds(1).limit("response_mib", 100).start().await;
    let begin = Instant::now();
    let mut slow = host.client().begin_chat("m0", "hi", true).await;
    let (seen, last) = read_slowly(&mut slow, usize::MAX).await;
    assert!(last.contains("data: [DONE]"), "given up after {:?} and {seen} bytes", begin.elapsed());
    assert!(begin.elapsed() > Duration::from_secs(4), "that was not slow: {:?}", begin.elapsed());
}

/// A client that is behind when the answer breaks off still sees why.
#[tokio::test]
async fn r21_a_slow_reader_sees_the_error_as_well() {
    let upstream = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.write(EVENTS)?;
        let text = "x".repeat(600 << 10);
        conversation.write(format!(
            "data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        ))
    });
    let host = gateway(&[&upstream]).start().await;
    let mut slow = host.client().begin_chat("m0", "hi", true).await;
    let (_, last) = read_slowly(&mut slow, usize::MAX).await;
    assert!(last.contains("\"code\":\""), "{last}");
    assert!(!last.ends_with("\r\n0\r\n\r\n"), "no proper end: {last}");
}

#[tokio::test]
async fn r21_a_reader_that_stops_is_given_up() {
    let upstream = long(4_000);
    let host = gateway(&[&upstream]).request_seconds(1).limit("response_mib", 100).start().await;
    let mut slow = host.client().begin_chat("m0", "hi", true).await;
    let (seen, _) = read_slowly(&mut slow, 100 << 10).await;
    let begin = Instant::now();
    host.client().until_metric("hauski_adapter_instances{adapter=\"openai-compatible\"} 0", PATIENCE).await;
    assert!(begin.elapsed() > Duration::from_millis(500), "after {seen} bytes it is waited for: {:?}", begin.elapsed());
}

#[tokio::test]
async fn r22_a_stream_that_outlives_the_gateways_patience_is_told() {
    let upstream = silent(&format!("{EVENTS}{}", &events()[..150]));
    let host = gateway(&[&upstream]).start().await;
    let mut body = open(host.client(), ask("m0", true)).await;
    let mut seen = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    let waiting = silent("");
    drop(waiting);
    let begin = Instant::now();
    let stop = tokio::task::spawn_blocking(move || host.stop());
    let mut complete = true;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => seen.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => complete = false,
        }
    }
    let text = String::from_utf8(seen).unwrap();
    assert!(text.contains("\"code\":\"shutting_down\"") && !text.contains("[DONE]") && !complete, "{text}");
    assert!(begin.elapsed() >= Duration::from_secs(2), "it was waited for: {:?}", begin.elapsed());
    stop.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn r22_a_whole_answer_that_does_not_come_is_told_as_well() {
    let upstream = silent("");
    let host = gateway(&[&upstream]).start().await;
    let client = host.client();
    let asking = tokio::spawn(async move { client.post(CHAT, ask("m0", false)).await });
    while upstream.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stop = tokio::task::spawn_blocking(move || host.stop());
    let answer = asking.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "shutting_down"), "{}", answer.text);
    stop.await.unwrap();
}

#[tokio::test]
async fn r22_a_reload_lets_running_streams_end() {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        let (begin, rest) = (&events()[..150], &events()[150..]);
        conversation.write(format!("{EVENTS}{begin}"))?;
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        conversation.write(rest)
    });
    let host = gateway(&[&upstream]).start().await;
    let mut body = open(host.client(), ask("m0", true)).await;
    let mut seen = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    let url = upstream.url("/v1/");
    host.set_grants(&[
        &format!("{{ url: \"{url}\", adapters: [openai-compatible], methods: [POST] }}"),
        "https://other.test",
    ]);
    host.client().until_metric("hauski_policy_generation 2", PATIENCE).await;
    go.send(()).unwrap();
    while let Some(frame) = body.frame().await {
        seen.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    assert!(seen.ends_with(b"data: [DONE]\n\n"), "{}", String::from_utf8_lossy(&seen));
}

#[tokio::test]
async fn r23_each_chunk_is_flushed_at_once() {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.write(EVENTS)?;
        for event in events().split_inclusive("\n\n") {
            conversation.write(event)?;
            // The next one is not written before this one has reached the client.
            let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        }
        Ok(())
    });
    let host = gateway(&[&upstream]).start().await;
    let mut body = open(host.client(), ask("m0", true)).await;
    let mut seen = Vec::new();
    while let Some(frame) = tokio::time::timeout(PATIENCE / 2, body.frame()).await.expect("a chunk was held back") {
        seen.push(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap());
        let _ = go.send(());
    }
    assert_eq!(seen, events().split_inclusive("\n\n").collect::<Vec<_>>());
}

/// Without `TCP_NODELAY` on both sides, each of these small pieces waits 40 ms for the other side's word.
#[tokio::test]
async fn r23_short_streams_are_not_held_up_by_the_sockets() {
    let upstream = Upstream::start(|conversation| {
        loop {
            conversation.request()?;
            conversation
                .write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
            for event in events().split_inclusive("\n\n") {
                conversation.write(format!("{:x}\r\n", event.len()))?;
                conversation.write(format!("{event}\r\n"))?;
            }
            conversation.write("0\r\n\r\n")?;
        }
    });
    let host = gateway(&[&upstream]).start().await;
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let begin = Instant::now();
        assert!(host.client().post(CHAT, ask("m0", true)).await.complete);
        fastest = fastest.min(begin.elapsed());
    }
    assert!(fastest < Duration::from_millis(35), "{fastest:?}");
}
