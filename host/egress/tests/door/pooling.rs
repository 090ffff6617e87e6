//! Which connections are used again, and which never.

use crate::upstream::{HELLO, Upstream};
use crate::world::{World, read};
use bytes::Bytes;
use hauski_egress::{BoxError, EgressError, OutboundBody};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::future::poll_fn;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

fn world(upstream: &Upstream) -> (World, String) {
    let url = format!("http://api.test:{}/", upstream.port());
    let world = World::new(&[&format!(r#"{{ url: "{url}", adapters: [a, b], network: loopback }}"#)]);
    world.resolver.set("api.test", &["127.0.0.1"]);
    (world, format!("GET {url}"))
}

#[tokio::test]
async fn a_body_read_to_its_end_gives_the_connection_back() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for answer in [HELLO, chunked, "HTTP/1.1 204 No Content\r\n\r\n"] {
        let upstream = Upstream::answering(answer);
        let (world, url) = world(&upstream);
        for _ in 0..20 {
            world.get(&world.caller("a"), &url).await.unwrap();
        }
        assert_eq!(upstream.connections(), 1, "{answer:?}");
        assert_eq!(upstream.requests().len(), 20);
        assert_eq!(world.log.reused().iter().filter(|reused| **reused).count(), 19);
    }
}

#[tokio::test]
async fn a_body_of_known_length_ends_with_its_last_piece() {
    let upstream = Upstream::answering(HELLO);
    let (world, url) = world(&upstream);
    for _ in 0..2 {
        let mut body = world.send(&world.caller("a"), &url).await.unwrap().body;
        assert_eq!(body.read().await.unwrap().unwrap(), "hello");
        // Nobody asks for the end.
    }
    assert_eq!((upstream.connections(), world.log.ends()), (1, vec!["complete"; 2]));
}

#[tokio::test]
async fn requests_at_the_same_time_have_their_own_connections() {
    let upstream = Upstream::answering(HELLO);
    let (world, url) = world(&upstream);
    let caller = world.caller("a");
    let first = world.send(&caller, &url).await.unwrap();
    let second = world.send(&caller, &url).await.unwrap();
    assert_eq!(upstream.connections(), 2);
    assert_eq!(read(first).await.unwrap() + &read(second).await.unwrap(), "hellohello");
    world.get(&caller, &url).await.unwrap();
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_the_connection() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
        assert!(conn.sees_the_end());
    });
    let (world, url) = world(&upstream);
    let mut response = world.send(&world.caller("a"), &url).await.unwrap();
    assert_eq!(response.body.read().await.unwrap().unwrap(), "hello");
    drop(response);
    tokio::task::yield_now().await;
    upstream.wait_for_a_close();
    assert_eq!(world.log.ends(), ["dropped"]);
    drop(world.send(&world.caller("a"), &url).await);
    assert_eq!(world.log.reused(), [false, false]);
}

#[tokio::test]
async fn a_released_body_gives_the_connection_back_if_its_end_comes_soon() {
    let upstream = Upstream::start(|conn, _| {
        while conn.request().is_some() {
            conn.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
            std::thread::sleep(Duration::from_millis(5));
            conn.write("3\r\nend\r\n0\r\n\r\n");
        }
    });
    let (world, url) = world(&upstream);
    for round in 1..=3 {
        let mut body = world.send(&world.caller("a"), &url).await.unwrap().body;
        assert_eq!(body.read().await.unwrap().unwrap(), "hello");
        body.release();
        while world.log.ends().len() < round {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert_eq!((upstream.connections(), world.log.ends()), (1, vec!["complete"; 3]));
}

#[tokio::test]
async fn a_released_body_that_does_not_end_closes_the_connection() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let flood = |conn: &mut crate::upstream::Conn| while conn.write(&"x".repeat(8192)) {};
    for flooding in [false, true] {
        let upstream = Upstream::start(move |conn, _| {
            conn.request();
            if flooding {
                conn.write("HTTP/1.1 200 OK\r\n\r\nhello");
                flood(conn);
            } else {
                conn.write(endless);
                assert!(conn.sees_the_end());
            }
        });
        let (world, url) = world(&upstream);
        let mut body = world.send(&world.caller("a"), &url).await.unwrap().body;
        assert!(body.read().await.unwrap().unwrap().starts_with(b"hello"));
        body.release();
        while world.log.ends().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(world.log.ends(), ["dropped"]);
        upstream.wait_for_a_close();
    }
}

#[tokio::test]
async fn a_send_that_is_dropped_closes_the_connection() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        assert!(conn.sees_the_end());
    });
    let (world, url) = world(&upstream);
    let caller = world.caller("a");
    let sending = world.send(&caller, &url);
    let waited = tokio::time::timeout(Duration::from_millis(100), sending).await;
    assert!(waited.is_err());
    tokio::task::yield_now().await;
    upstream.wait_for_a_close();
    assert_eq!(world.log.ends(), ["dropped"]);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once() {
    let (bell, ringer) = UnixStream::pair().unwrap();
    bell.set_nonblocking(true).unwrap();
    let (go, gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let upstream = Upstream::start(move |conn, number| {
        conn.request();
        conn.write(HELLO);
        if number == 0 {
            gone.lock().unwrap().recv().unwrap();
            (&ringer).write_all(b"x").unwrap();
            return;
        }
        while conn.request().is_some() {
            conn.write(HELLO);
        }
    });
    let (world, url) = world(&upstream);
    let caller = world.caller("a");
    let body = |text: &'static str| OutboundBody::Whole(text.into());
    let url = url.replace("GET", "POST");
    let bell = tokio::net::UnixStream::from_std(bell).unwrap();
    let mut rung = pin!(bell.readable());
    assert!(poll_fn(|cx| Poll::Ready(rung.as_mut().poll(cx).is_pending())).await);
    read(world.send_body(&caller, &url, body("one")).await.unwrap()).await.unwrap();
    go.send(()).unwrap();
    // The runtime does not run while this waits. Then it learns of the bell before it learns of the close, so the request
    // is in the connection's hands when that sees its end.
    upstream.wait_for_a_close();
    rung.await.unwrap();
    read(world.send_body(&caller, &url, body("two")).await.unwrap()).await.unwrap();
    assert_eq!((upstream.connections(), upstream.requests().len()), (2, 2));
    assert!(upstream.requests()[1].ends_with("\r\n\r\ntwo"));
    assert_eq!(world.log.finished().len(), 2);
}

#[tokio::test]
async fn a_connection_known_to_be_closed_is_not_tried() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write(HELLO);
    });
    let (world, url) = world(&upstream);
    let caller = world.caller("a");
    world.get(&caller, &url).await.unwrap();
    upstream.wait_for_a_close();
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.get(&caller, &url).await.unwrap();
    assert_eq!(world.log.reused(), [false, false]);
}

#[tokio::test]
async fn what_was_written_is_not_written_again() {
    let upstream = Upstream::start(|conn, number| {
        conn.request();
        conn.write(HELLO);
        // Takes the second request and closes without an answer.
        conn.request();
        assert_eq!(number, 0);
    });
    let (world, url) = world(&upstream);
    let caller = world.caller("a");
    world.get(&caller, &url).await.unwrap();
    let got = world.send(&caller, &url).await;
    assert!(matches!(got, Err(EgressError::Broken(_))), "{got:?}");
    assert_eq!((upstream.connections(), upstream.requests().len()), (1, 2));
    assert_eq!(world.log.reused(), [false, true]);
}

#[tokio::test]
async fn a_fresh_connection_that_fails_is_not_tried_again() {
    let upstream = Upstream::start(|_, _| {});
    let (world, url) = world(&upstream);
    let got = world.send(&world.caller("a"), &url).await;
    assert!(matches!(got, Err(EgressError::Broken(_))), "{got:?}");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_denial_of_a_path_or_a_method_closes_nothing() {
    let upstream = Upstream::answering(HELLO);
    let url = format!("http://127.0.0.1:{}/v1/", upstream.port());
    let world = World::new(&[&format!(r#"{{ url: "{url}", adapters: [a], methods: [GET] }}"#)]);
    let caller = world.caller("a");
    world.get(&caller, &format!("GET {url}x")).await.unwrap();
    for denied in [format!("POST {url}x"), format!("GET http://127.0.0.1:{}/", upstream.port())] {
        assert!(world.permit(&caller, &denied).await.unwrap_err().is_denied());
    }
    world.get(&caller, &format!("GET {url}x")).await.unwrap();
    assert_eq!((upstream.connections(), world.log.reused()), (1, vec![false, true]));
}

#[tokio::test]
async fn an_early_answer_ends_the_upload() {
    let upstream = Upstream::start(|conn, _| {
        // The body never ends.
        conn.head();
        conn.write("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n");
        conn.rest();
    });
    let (world, url) = world(&upstream);
    let body = OutboundBody::Stream(Silent(Some("x".into())).boxed_unsync());
    let response = world.send_body(&world.caller("a"), &url.replace("GET", "POST"), body).await.unwrap();
    assert_eq!(response.status.as_u16(), 413);
    drop(response);
    tokio::task::yield_now().await;
    upstream.wait_for_a_close();
}

#[tokio::test]
async fn a_connection_that_is_still_busy_is_not_used_again() {
    let upstream = Upstream::start(|conn, number| {
        conn.head();
        conn.write(HELLO);
        if number == 0 {
            // Takes nothing of the body.
            while conn.wait() {}
        }
    });
    let (mut world, url) = world(&upstream);
    world.timeouts.first_byte = Some(Duration::from_secs(5));
    let large = OutboundBody::Whole(vec![0; 1 << 25].into());
    let answer = world.send_body(&world.caller("a"), &url.replace("GET", "POST"), large).await.unwrap();
    assert_eq!(read(answer).await.unwrap(), "hello");
    assert_eq!(world.get(&world.caller("a"), &url).await.unwrap(), "hello");
    assert_eq!(upstream.connections(), 2);
}

/// A body whose source falls silent after its first piece.
struct Silent(Option<Bytes>);

impl Body for Silent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
    }
}
