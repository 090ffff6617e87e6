//! What is on the wire, and what comes back.

use crate::upstream::{HELLO, Upstream};
use crate::world::{World, limits, read};
use bytes::Bytes;
use hauski_egress::{BoxError, EgressError, InvalidRequest, OutboundBody, UploadError};
use hauski_policy::AdapterLimits;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

fn world(upstream: &Upstream) -> World {
    World::new(&[&format!(r#"{{ url: "http://127.0.0.1:{}", adapters: [a] }}"#, upstream.port())])
}

fn request(method: &str, upstream: &Upstream, path: &str) -> String {
    format!("{method} http://127.0.0.1:{}{path}", upstream.port())
}

/// Gives its frames one after the other, then ends.
struct Frames(VecDeque<Result<Frame<Bytes>, BoxError>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.pop_front())
    }
}

fn stream(pieces: &[&'static str]) -> OutboundBody {
    let frames = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
    OutboundBody::Stream(Frames(frames.collect()).boxed_unsync())
}

#[tokio::test]
async fn the_request_line_and_host_are_the_permits() {
    let upstream = Upstream::answering(HELLO);
    let entry =
        format!(r#"{{ url: "http://api.allowed.test:{}", adapters: [a], network: loopback }}"#, upstream.port());
    let mut world = World::new(&[&entry]);
    world.fields = vec![("X-Custom", "1"), ("Cookie", "a=b"), ("content-length", "2")];
    world.resolver.set("api.allowed.test", &["127.0.0.1"]);
    let url = format!("POST http://API.Allowed.TEST:{}/v1/chat?x=%2F", upstream.port());
    let response = world.send_body(&world.caller("a"), &url, OutboundBody::Whole("{}".into())).await.unwrap();
    assert_eq!((response.status.as_u16(), read(response).await.unwrap().as_str()), (200, "hello"));
    let expected = format!(
        "POST /v1/chat?x=%2F HTTP/1.1\r\nx-custom: 1\r\ncookie: a=b\r\nhost: api.allowed.test:{}\r\ncontent-length: 2\r\n\r\n{{}}",
        upstream.port()
    );
    assert_eq!(upstream.requests(), [expected]);
    let finished = world.log.finished().pop().unwrap();
    assert_eq!((finished.status, finished.end, finished.bytes_out, finished.bytes_in), (Some(200), "complete", 2, 5));
}

#[tokio::test]
async fn what_frames_or_routes_the_message_is_refused_before_a_connection() {
    let upstream = Upstream::answering(HELLO);
    let mut world = world(&upstream);
    for (fields, expected) in [
        (vec![("host", "evil.test")], "Forbidden"),
        (vec![("Transfer-Encoding", "chunked")], "Forbidden"),
        (vec![("connection", "upgrade")], "Forbidden"),
        (vec![("content-length", "3")], "ContentLength"),
        (vec![("content-length", "2"), ("content-length", "2")], "ContentLength"),
    ] {
        world.fields = fields;
        let body = OutboundBody::Whole("{}".into());
        let got = world.send_body(&world.caller("a"), &request("POST", &upstream, "/"), body).await;
        let Err(EgressError::InvalidRequest(error)) = got else { panic!("{expected}") };
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(world.log.ends(), ["invalid-request"; 5]);
}

#[tokio::test]
async fn redirects_are_handed_back() {
    let elsewhere = Upstream::answering(HELLO);
    for status in [301, 302, 303, 307, 308] {
        let to = format!("http://127.0.0.1:{}/", elsewhere.port());
        let answer = format!("HTTP/1.1 {status} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        let upstream = Upstream::answering(answer.leak());
        let world = world(&upstream);
        let response = world.send(&world.caller("a"), &request("GET", &upstream, "/")).await.unwrap();
        assert_eq!((response.status.as_u16(), response.headers["location"].to_str().unwrap()), (status, to.as_str()));
        assert_eq!(upstream.requests().len(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn streams_go_out_piece_by_piece() {
    let upstream = Upstream::answering(HELLO);
    let mut world = world(&upstream);
    let url = request("POST", &upstream, "/");
    read(world.send_body(&world.caller("a"), &url, stream(&["ab", "", "c"])).await.unwrap()).await.unwrap();
    world.fields = vec![("content-length", "3")];
    read(world.send_body(&world.caller("a"), &url, stream(&["ab", "", "c"])).await.unwrap()).await.unwrap();
    let requests = upstream.requests();
    assert!(
        requests[0].ends_with("transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        "{}",
        requests[0]
    );
    assert!(requests[1].ends_with("content-length: 3\r\n\r\nabc"), "{}", requests[1]);
    assert_eq!(world.log.finished().pop().unwrap().bytes_out, 3);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn streams_that_break_their_word_end_the_request() {
    let trailers = Frame::trailers(http::HeaderMap::new());
    let empty = || Ok(Frame::data(Bytes::new()));
    let one = || Ok(Frame::data(Bytes::from_static(b"x")));
    for (length, frames, expected) in [
        (Some("2"), vec![one()], UploadError::Length),
        (Some("1"), vec![Ok(Frame::data(Bytes::from_static(b"xGET /evil")))], UploadError::Length),
        (None, vec![one(), Err("gone".into())], UploadError::Source),
        (None, vec![one(), Ok(trailers)], UploadError::Trailers),
        (None, (0..100_000).map(|_| empty()).collect(), UploadError::EmptyPieces),
    ] {
        let upstream = Upstream::answering(HELLO);
        let mut world = world(&upstream);
        world.fields = length.map(|length| ("content-length", length)).into_iter().collect();
        let body = OutboundBody::Stream(Frames(frames.into()).boxed_unsync());
        let got = world.send_body(&world.caller("a"), &request("POST", &upstream, "/"), body).await;
        assert!(matches!(got, Err(EgressError::Upload(error)) if error == expected), "{expected:?}: {got:?}");
        assert_eq!(upstream.requests(), [""; 0], "{expected:?}");
    }
}

#[tokio::test]
async fn bodies_come_as_they_are_sent() {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nx-secret: 1\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nabcde";
    for answer in [chunked, until_close] {
        let upstream = Upstream::start(
            move |conn, _| {
                while conn.request().is_some() && conn.write(answer) && answer == chunked {}
            },
        );
        let world = world(&upstream);
        assert_eq!(world.get(&world.caller("a"), &request("GET", &upstream, "/")).await.unwrap(), "abcde");
        let body = world.send(&world.caller("a"), &request("GET", &upstream, "/")).await.unwrap().body;
        let collected = body.collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "abcde");
    }
}

#[tokio::test]
async fn a_cut_off_body_is_an_error_again_and_again() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    });
    let world = world(&upstream);
    let mut body = world.send(&world.caller("a"), &request("GET", &upstream, "/")).await.unwrap().body;
    assert_eq!(body.read().await.unwrap().unwrap(), "abc");
    for _ in 0..3 {
        assert!(matches!(body.read().await, Err(EgressError::Broken(_))));
    }
    assert_eq!(world.log.ends(), ["broken"]);
}

#[tokio::test]
async fn switching_protocols_is_an_error_that_closes() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
        assert!(conn.sees_the_end());
    });
    let world = world(&upstream);
    let got = world.send(&world.caller("a"), &request("GET", &upstream, "/")).await;
    assert!(matches!(got, Err(EgressError::SwitchingProtocols)), "{got:?}");
    tokio::task::yield_now().await;
    upstream.wait_for_a_close();
    assert_eq!(world.log.ends(), ["switching-protocols"]);
}

#[tokio::test]
async fn an_endless_body_ends_at_the_cap() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        while conn.write(&chunk) {}
    });
    let world = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { response_bytes: 10_000, ..limits() });
    let got = world.get(&caller, &request("GET", &upstream, "/")).await;
    assert!(matches!(got, Err(EgressError::ResponseTooLarge { limit: 10_000 })), "{got:?}");
    tokio::task::yield_now().await;
    upstream.wait_for_a_close();
    let finished = world.log.finished().pop().unwrap();
    assert_eq!(finished.end, "response-too-large");
    assert!(finished.bytes_in <= 10_000);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_not_begun() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 10001\r\n\r\n");
    let world = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { response_bytes: 10_000, ..limits() });
    let got = world.send(&caller, &request("GET", &upstream, "/")).await;
    assert!(matches!(got, Err(EgressError::ResponseTooLarge { limit: 10_000 })), "{got:?}");
    // There is nothing of it in an answer to HEAD.
    assert!(world.send(&caller, &request("HEAD", &upstream, "/")).await.is_ok());
}

#[tokio::test]
async fn heads_that_are_too_large_are_errors() {
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x: {}\r\n", "1".repeat(70_000));
    for fields in [many, long] {
        let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").leak());
        let world = world(&upstream);
        let got = world.send(&world.caller("a"), &request("GET", &upstream, "/")).await;
        assert!(matches!(got, Err(EgressError::ResponseHead)), "{got:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    for answer in
        ["SSH-2.0-OpenSSH_9.9\r\n", "hello", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx"]
    {
        let upstream = Upstream::start(move |conn, _| {
            conn.request();
            conn.write(answer);
        });
        let world = world(&upstream);
        let got = world.get(&world.caller("a"), &request("GET", &upstream, "/")).await;
        assert!(matches!(got, Err(EgressError::Broken(_))), "{answer:?}: {got:?}");
    }
}

#[tokio::test]
async fn who_does_not_listen_is_an_error() {
    let gone = Upstream::answering(HELLO).address;
    let free = std::net::TcpListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap();
    assert_ne!(gone, free);
    let url = format!("http://127.0.0.3:{}", free.port());
    let world = World::new(&[&format!(r#"{{ url: "{url}", adapters: [a] }}"#)]);
    let got = world.send(&world.caller("a"), &format!("GET {url}")).await;
    assert!(matches!(got, Err(EgressError::Connect(_))), "{got:?}");
    assert_eq!(world.log.ends(), ["connect"]);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let upstream = Upstream::answering(HELLO);
    let url = format!("http://two.test:{}/", upstream.port());
    let world = World::new(&[&format!(r#"{{ url: "{url}", adapters: [a], network: loopback }}"#)]);
    world.resolver.set("two.test", &["127.0.0.9 127.0.0.1"]);
    assert_eq!(world.get(&world.caller("a"), &format!("GET {url}")).await.unwrap(), "hello");
}

/// D02: what a proxy variable could do is not there to be done: nothing here reads the environment.
#[test]
fn nothing_reads_the_environment() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    for file in std::fs::read_dir(source).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["env::var", "std::env", "proxy::", "option_env"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
        let opens =
            text.contains("TcpStream::connect") || text.contains("TcpSocket::new") || text.contains("UdpSocket");
        assert!(!opens || path.ends_with("dial.rs"), "{}", path.display());
        assert!(!text.contains("lookup_host") || path.ends_with("resolve.rs"), "{}", path.display());
    }
}

#[test]
fn an_unfit_head_does_not_reach_the_door() {
    let too_many = (0..200).map(|_| ("x-a", Bytes::new()));
    assert_eq!(hauski_egress::headers::from_pairs(too_many).unwrap_err(), InvalidRequest::TooManyFields);
}

/// What the runtime needs of the types: the door between threads, the answer's body boxed as `wasi:http` has it.
#[tokio::test]
async fn the_types_go_where_the_runtime_needs_them() {
    fn between_threads<T: Send + Sync>(_: &T) {}
    fn to_another<T: Send>(value: T) -> T {
        value
    }
    let upstream = Upstream::answering(HELLO);
    let world = world(&upstream);
    between_threads(&world.door);
    let (caller, url) = (world.caller("a"), request("GET", &upstream, "/"));
    let response = to_another(world.send(&caller, &url)).await.unwrap();
    let boxed = to_another(response.body.boxed_unsync());
    assert_eq!(boxed.collect().await.unwrap().to_bytes(), "hello");
}
