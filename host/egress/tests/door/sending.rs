//! What is on the wire, and what comes back.

use crate::upstream::{HELLO, Upstream};
use crate::world::{Frames, World, read};
use bytes::Bytes;
use hauski_egress::{EgressError, OutboundBody};
use http_body::Frame;
use http_body_util::BodyExt as _;

fn world(upstream: &Upstream) -> World {
    World::new(&[&format!(r#"{{ url: "http://127.0.0.1:{}", adapters: [a] }}"#, upstream.port())])
}

fn request(method: &str, upstream: &Upstream, path: &str) -> String {
    format!("{method} http://127.0.0.1:{}{path}", upstream.port())
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
