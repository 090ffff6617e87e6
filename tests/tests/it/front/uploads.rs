//! Row 26, of bodies on their way: who is refused while still sending sees why, and who stalls holds up nobody.

use super::ground::CHAT;
use hauski_tests::{Builder, TestHost};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const MIB: usize = 1 << 20;
/// What is waited for at the longest, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn echo() -> Builder {
    TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }")
}

/// How a body says where its end is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Declared,
    Chunked,
}

impl Length {
    fn field(self, length: usize) -> String {
        match self {
            Self::Declared => format!("content-length: {length}"),
            Self::Chunked => "transfer-encoding: chunked".to_owned(),
        }
    }

    fn body(self, length: usize) -> Vec<u8> {
        let body = vec![b' '; length];
        match self {
            Self::Declared => body,
            Self::Chunked => {
                let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                [body.chunks(50_000).flat_map(chunk).collect(), b"0\r\n\r\n".to_vec()].concat()
            }
        }
    }
}

/// All that comes until the gateway closes.
async fn all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

/// What comes until its end is `end`.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let read = timeout(PATIENCE, stream.read_buf(&mut seen)).await.unwrap().unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn r26_who_is_refused_while_sending_sees_why() {
    let (open, locked) = (echo().start().await, echo().keys("keys: []\n").start().await);
    for length in [Length::Declared, Length::Chunked] {
        for (host, method, path, name, status) in [
            (&open, "POST", CHAT, "localhost", 413),
            (&open, "POST", "/v1/messages", "localhost", 413),
            (&open, "POST", "/v1/nope", "localhost", 404),
            (&open, "POST", "/v1/models", "localhost", 405),
            (&open, "GET", "/v1/models", "localhost", 200),
            (&open, "POST", CHAT, "evil.test", 403),
            (&locked, "POST", CHAT, "localhost", 401),
        ] {
            let field = length.field(12 * MIB);
            let head = format!("{method} {path} HTTP/1.1\r\nhost: {name}\r\n{field}\r\n\r\n");
            let mut stream = host.client().begin(head).await;
            // As simple clients do: they read when all is sent.
            let sent = stream.write_all(&length.body(12 * MIB)).await;
            assert!(sent.is_ok(), "{length:?} {path} {name}: {sent:?}");
            let mut answer = vec![0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(String::from_utf8(answer).unwrap(), format!("HTTP/1.1 {status}"), "{length:?} {path} {name}");
        }
    }
}

#[tokio::test]
async fn r26_the_connection_goes_on_after_a_refused_body_or_says_that_it_does_not() {
    let host = echo().start().await;
    for length in [Length::Declared, Length::Chunked] {
        for size in [1, 3 * MIB] {
            let head = format!("POST /v1/nope HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", length.field(size));
            let next = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            let mut stream = host.client().begin(head).await;
            stream.write_all(&length.body(size)).await.unwrap();
            stream.write_all(next.as_bytes()).await.unwrap();
            let answers = all(&mut stream).await;
            assert!(answers.starts_with("HTTP/1.1 404 "), "{answers}");
            let (first, _) = answers.split_once("\r\n\r\n").unwrap();
            let (closes, goes_on) = (first.contains("connection: close"), answers.contains("HTTP/1.1 200 "));
            assert_eq!((closes, goes_on), (length == Length::Chunked, length == Length::Declared), "{answers}");
        }
    }
}

#[tokio::test]
async fn r26_a_body_that_waits_to_be_asked_for_is_not_asked_for_in_vain() {
    let (open, locked) = (echo().start().await, echo().keys("keys: []\n").start().await);
    for (host, path, name, status) in [
        (&open, CHAT, "localhost", "413 "),
        (&open, "/v1/nope", "localhost", "404 "),
        (&open, CHAT, "evil.test", "403 "),
        (&locked, CHAT, "localhost", "401 "),
    ] {
        let length = 2 * MIB;
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: {name}\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n");
        let begin = Instant::now();
        let answer = all(&mut host.client().begin(head).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{path}: nothing is waited for: {:?}", begin.elapsed());
    }
    // One that is taken is asked for.
    let body = r#"{"model":"echo","messages":[{"role":"user","content":"hi"}]}"#;
    let fields = format!("content-length: {}\r\nexpect: 100-continue\r\nconnection: close", body.len());
    let mut stream = open.client().begin(format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n\r\n")).await;
    assert_eq!(until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(all(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn r26_no_more_of_a_refused_body_is_read_than_the_limit() {
    let host = echo().start().await;
    let head = "POST /v1/nope HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = host.client().begin(head).await;
    let chunk = [format!("{MIB:x}\r\n").into_bytes(), vec![b' '; MIB], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    while sent < 200 && stream.write_all(&chunk).await.is_ok() {
        sent += 1;
    }
    // And what the sockets hold.
    assert!((64..100).contains(&sent), "{sent} MiB");
    host.client().until_metric("hauski_http_connections 1", PATIENCE).await;
}

#[tokio::test]
async fn r26_a_stop_waits_for_no_refused_body() {
    let host = echo().start().await;
    let head = "POST /v1/nope HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nx";
    let mut stream = host.client().begin(head).await;
    until(&mut stream, "}}").await;
    let begin = Instant::now();
    tokio::task::spawn_blocking(move || host.stop()).await.unwrap();
    // `server.shutdown_seconds`, and a second for last words.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn r26_uploads_that_stall_hold_up_nobody() {
    let host = echo().start().await;
    let ask = |words: usize| {
        let words = "x".repeat(words);
        format!(r#"{{"model":"echo","messages":[{{"role":"user","content":"{words}"}}]}}"#)
    };
    for length in [Length::Declared, Length::Chunked] {
        let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", length.field(MIB));
        let byte = if length == Length::Chunked { "1\r\n{\r\n" } else { "{" };
        let mut stalled = Vec::new();
        for _ in 0..40 {
            stalled.push(host.client().begin(format!("{head}{byte}")).await);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let begin = Instant::now();
        for words in [1, MIB - 1_000] {
            let answer = host.client().post(CHAT, ask(words)).await;
            assert_eq!(answer.status.as_u16(), 200, "{length:?} {words}: {:.300}", answer.text);
        }
        assert!(begin.elapsed() < Duration::from_secs(3), "{length:?}: {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn r26_of_uploads_that_need_each_others_room_some_are_served() {
    let host = echo().start().await;
    for length in [Length::Declared, Length::Chunked] {
        let (begin, body) = (Instant::now(), length.body(MIB));
        let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", length.field(MIB));
        let mut uploads = Vec::new();
        for _ in 0..16 {
            uploads.push(host.client().begin(head.clone()).await);
        }
        // All are at the same point, again and again.
        for piece in body.chunks(100_000) {
            for stream in &mut uploads {
                stream.write_all(piece).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (mut served, mut refused) = (0, 0);
        for mut stream in uploads {
            let answer = until(&mut stream, "}}").await;
            // Of those that are read to their end it is found that they are nothing but spaces.
            match &answer[..13] {
                "HTTP/1.1 400 " => served += 1,
                "HTTP/1.1 503 " if answer.contains("no_room") && answer.contains("retry-after: 1") => refused += 1,
                _ => panic!("{answer}"),
            }
        }
        assert!(served >= 4 && refused >= 4, "{length:?}: {served} served, {refused} refused");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn r26_who_is_too_slow_is_told_and_not_waited_for() {
    let host = echo().request_seconds(1).start().await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{{");
    let answer = until(&mut host.client().begin(head).await, "}}").await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}
