//! Each time-out, with its own error, and none before its time.

use crate::upstream::{HELLO, Upstream};
use crate::world::{Answer, World, limits};
use hauski_egress::EgressError;
use hauski_policy::AdapterLimits;
use std::thread::sleep;
use std::time::Duration;
use tokio::time::Instant;

const SHORT: Duration = Duration::from_millis(60);
/// With room for a busy machine between two of its tenths.
const ROOMY: Duration = Duration::from_millis(600);
const LONG: Duration = Duration::from_secs(20);

fn world(upstream: &Upstream) -> (World, String) {
    let url = format!("http://127.0.0.1:{}/", upstream.port());
    (World::new(&[&format!(r#"{{ url: "{url}", adapters: [a] }}"#)]), format!("GET {url}"))
}

#[track_caller]
fn check<T: std::fmt::Debug>(got: Result<T, EgressError>, began: Instant, expected: &str) {
    let error = got.unwrap_err();
    assert_eq!(error.code(), expected);
    assert!(error.is_timeout());
    assert!((SHORT..LONG / 2).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn resolving() {
    let world = World::new(&[r#"{ url: "http://api.test/", adapters: [a] }"#]);
    world.resolver.set_raw("api.test", vec![Answer::Hangs]);
    let caller = world.caller_under("a", AdapterLimits { connect: SHORT, ..limits() });
    let began = Instant::now();
    check(world.send(&caller, "GET http://api.test/").await, began, "dns-timeout");
}

#[tokio::test]
async fn connect() {
    // Nobody accepts and the queue is full, so the next handshake gets no answer.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let port = listener.local_addr().unwrap().as_socket().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let mut world = World::new(&[&format!(r#"{{ url: "{url}", adapters: [a] }}"#)]);
    world.timeouts.connect = Some(SHORT);
    world.timeouts.first_byte = Some(SHORT);
    let caller = world.caller("a");
    let mut last = None;
    let mut held = Vec::new();
    for _ in 0..8 {
        let began = Instant::now();
        match world.send(&caller, &format!("GET {url}")).await {
            Err(EgressError::ConnectTimeout) => {
                last = Some(began);
                break;
            }
            other => held.push(other),
        }
    }
    check(Err::<(), _>(EgressError::ConnectTimeout), last.expect("the queue never filled"), "connect-timeout");
}

#[tokio::test]
async fn tls_handshake() {
    let upstream = Upstream::start(|conn, _| {
        assert!(!conn.sees_the_end());
        while !conn.sees_the_end() {}
    });
    let url = format!("https://127.0.0.1:{}/", upstream.port());
    let world = World::new(&[&format!(r#"{{ url: "{url}", adapters: [a] }}"#)]);
    let caller = world.caller_under("a", AdapterLimits { connect: SHORT, ..limits() });
    let began = Instant::now();
    check(world.send(&caller, &format!("GET {url}")).await, began, "connect-timeout");
    let caller = world.caller_under("a", AdapterLimits { total: SHORT, ..limits() });
    let began = Instant::now();
    check(world.send(&caller, &format!("GET {url}")).await, began, "total-timeout");
}

#[tokio::test]
async fn first_byte() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        while !conn.sees_the_end() {}
    });
    let (world, url) = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { first_token: SHORT, ..limits() });
    let began = Instant::now();
    check(world.send(&caller, &url).await, began, "first-byte-timeout");
    assert_eq!(world.log.ends(), ["first-byte-timeout"]);
}

#[tokio::test]
async fn idle() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n");
        for _ in 0..4 {
            sleep(ROOMY / 10);
            conn.write("x");
        }
        while !conn.sees_the_end() {}
    });
    let (world, url) = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { idle: ROOMY, ..limits() });
    let mut body = world.send(&caller, &url).await.unwrap().body;
    let mut read = 0;
    let (began, error) = loop {
        let began = Instant::now();
        match body.read().await {
            Ok(piece) => read += piece.unwrap().len(),
            Err(error) => break (began, error),
        }
    };
    assert_eq!(read, 4);
    // Counted from the last piece, not from the first.
    assert!(began.elapsed() >= ROOMY, "{:?}", began.elapsed());
    check(Err::<(), _>(error), began, "idle-timeout");
    // The reader's own slowness is nobody's idleness.
    let upstream = Upstream::answering(HELLO);
    let (world, url) = self::world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { idle: SHORT, ..limits() });
    let mut body = world.send(&caller, &url).await.unwrap().body;
    tokio::time::sleep(2 * SHORT).await;
    assert_eq!(body.read().await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn total() {
    let dripping = Upstream::start(|conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while conn.write("1\r\nx\r\n") {
            sleep(SHORT / 10);
        }
    });
    let silent = Upstream::start(|conn, _| {
        conn.request();
        while !conn.sees_the_end() {}
    });
    for upstream in [dripping, silent] {
        let (mut world, url) = world(&upstream);
        let caller = world.caller_under("a", AdapterLimits { total: SHORT, ..limits() });
        let began = Instant::now();
        check(world.get(&caller, &url).await, began, "total-timeout");
        // The runtime's own deadline counts as well.
        let began = Instant::now();
        world.timeouts.deadline = Some(began + SHORT);
        check(world.get(&world.caller("a"), &url).await, began, "total-timeout");
        assert_eq!(world.log.ends(), ["total-timeout"; 2]);
    }
}

#[tokio::test]
async fn what_comes_after_the_total_time_is_not_handed_on() {
    let upstream = Upstream::answering(HELLO);
    let (world, url) = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { total: 3 * SHORT, ..limits() });
    let mut body = world.send(&caller, &url).await.unwrap().body;
    let began = Instant::now();
    tokio::time::sleep(3 * SHORT).await;
    check(body.read().await, began, "total-timeout");
}

#[tokio::test]
async fn a_body_that_still_moves_puts_off_the_first_byte() {
    use http_body_util::BodyExt as _;
    let upstream = Upstream::answering(HELLO);
    let (world, url) = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { first_token: ROOMY, ..limits() });
    let body = Dripping { left: 9, sleep: Box::pin(tokio::time::sleep(ROOMY / 6)) };
    let body = hauski_egress::OutboundBody::Stream(body.boxed_unsync());
    let began = Instant::now();
    let response = world.send_body(&caller, &url.replace("GET", "POST"), body).await.unwrap();
    assert_eq!(response.status.as_u16(), 200);
    assert!(began.elapsed() > ROOMY);
}

/// A piece now and then.
struct Dripping {
    left: u8,
    sleep: std::pin::Pin<Box<tokio::time::Sleep>>,
}

impl http_body::Body for Dripping {
    type Data = bytes::Bytes;
    type Error = hauski_egress::BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, hauski_egress::BoxError>>> {
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        std::task::ready!(self.sleep.as_mut().poll(cx));
        self.left -= 1;
        self.sleep.as_mut().reset(Instant::now() + ROOMY / 6);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data("x".into()))))
    }
}
