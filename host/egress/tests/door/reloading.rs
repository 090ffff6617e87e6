//! What a change of the policy does to questions, to requests under way, and to connections that lie idle.

use crate::upstream::{Conn, HELLO, Upstream};
use crate::world::World;
use bytes::Bytes;
use hauski_egress::{BoxError, EgressError, OutboundBody, Secrets};
use hauski_policy::Egress;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

fn entry(upstream: &Upstream, rest: &str) -> String {
    format!(r#"{{ url: "http://127.0.0.1:{}/v1/", adapters: [a]{rest} }}"#, upstream.port())
}

fn url(upstream: &Upstream) -> String {
    format!("GET http://127.0.0.1:{}/v1/x", upstream.port())
}

/// A provider that sends its second piece when it is told to.
fn two_pieces() -> (Upstream, mpsc::Sender<()>) {
    let (go, told) = mpsc::channel();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |conn: &mut Conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none");
        told.lock().unwrap().recv_timeout(LONG).unwrap();
        conn.write("two");
        conn.sees_the_end();
    });
    (upstream, go)
}

#[tokio::test]
async fn the_next_question_is_judged_by_the_new_policy() {
    let upstream = Upstream::answering(HELLO);
    let (world, caller, url) = (World::new(&[]), World::new(&[]).caller("a"), url(&upstream));
    assert_eq!(world.get(&caller, &url).await.unwrap_err().code(), "host-not-granted");
    world.set_policy(&[&entry(&upstream, "")]);
    assert_eq!(world.get(&caller, &url).await.unwrap(), "hello");
    world.set_policy(&[&entry(&upstream, ", methods: [POST]")]);
    assert_eq!(world.get(&caller, &url).await.unwrap_err().code(), "method-not-granted");
    assert_eq!(world.shared.policy().generation, 3);
}

#[tokio::test]
async fn a_stream_whose_grant_is_withdrawn_ends_at_its_next_piece() {
    for withdraw in [true, false] {
        let (upstream, go) = two_pieces();
        let world = World::new(&[&entry(&upstream, "")]);
        let mut body = world.send(&world.caller("a"), &url(&upstream)).await.unwrap().body;
        assert_eq!(body.read().await.unwrap().unwrap(), "one");
        // Another text that still covers the request is none of its business.
        let kept = entry(&upstream, ", methods: [GET], expires: 2999-01-01");
        let entries = [&*kept];
        world.set_policy(if withdraw { &[] } else { &entries });
        go.send(()).unwrap();
        if withdraw {
            for _ in 0..2 {
                assert!(matches!(body.read().await, Err(EgressError::Withdrawn)));
            }
            assert_eq!(world.log.ends(), ["grant-withdrawn"]);
            drop(body);
            tokio::task::yield_now().await;
            upstream.wait_for_a_close();
        } else {
            assert_eq!(body.read().await.unwrap().unwrap(), "two");
            assert_eq!(world.log.ends(), ["complete"]);
        }
    }
}

#[tokio::test]
async fn a_grant_for_another_network_does_not_carry_a_stream_on() {
    let (upstream, go) = two_pieces();
    let entry =
        |network| format!(r#"{{ url: "http://api.test:{}/", adapters: [a], network: {network} }}"#, upstream.port());
    let world = World::new(&[&entry("loopback")]);
    world.resolver.set("api.test", &["127.0.0.1"]);
    let url = format!("GET http://api.test:{}/", upstream.port());
    let mut body = world.send(&world.caller("a"), &url).await.unwrap().body;
    assert_eq!(body.read().await.unwrap().unwrap(), "one");
    world.set_policy(&[&entry("private")]);
    go.send(()).unwrap();
    assert!(matches!(body.read().await, Err(EgressError::Withdrawn)));
}

#[tokio::test]
async fn no_further_piece_of_an_upload_goes_out() {
    let upstream = Upstream::start(|conn, _| while conn.request().is_some() {});
    let world = World::new(&[&entry(&upstream, "")]);
    let (pieces, rest) = tokio::sync::mpsc::channel(1);
    let caller = world.caller("a");
    let request = url(&upstream).replace("GET", "POST");
    let sending = world.send_body(&caller, &request, OutboundBody::Stream(Fed(rest).boxed_unsync()));
    let change = async {
        pieces.send(Bytes::from("one")).await.unwrap();
        // Handed over once there is room for the next.
        pieces.reserve().await.unwrap();
        world.set_policy(&[]);
        pieces.send(Bytes::from("two")).await.unwrap();
    };
    let (sent, ()) = Box::pin(timeout(LONG, async { tokio::join!(sending, change) })).await.unwrap();
    assert!(matches!(sent, Err(EgressError::Withdrawn)), "{sent:?}");
    assert_eq!(world.log.finished()[0].bytes_out, 3);
}

/// A body whose pieces the test sends.
struct Fed(tokio::sync::mpsc::Receiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn a_permit_that_is_used_too_late_sends_nothing() {
    let upstream = Upstream::answering(HELLO);
    let world = World::new(&[&entry(&upstream, "")]);
    let permit = world.permit(&world.caller("a"), &url(&upstream)).await.unwrap();
    world.set_policy(&[]);
    let sent = world.door.send(permit, http::HeaderMap::new(), OutboundBody::Whole(Bytes::new())).await;
    assert!(matches!(sent, Err(EgressError::Withdrawn)));
    assert!(upstream.requests().is_empty());
    assert_eq!(world.log.ends(), ["grant-withdrawn"]);
}

#[tokio::test]
async fn idle_connections_are_closed_where_nothing_is_granted_any_more() {
    for (change, closes) in [("", true), (", methods: [POST]", false), (", expires: 2020-01-01", true)] {
        let upstream = Upstream::start(|conn, _| {
            conn.request();
            conn.write(HELLO);
            assert!(conn.sees_the_end());
        });
        let world = World::new(&[&entry(&upstream, "")]);
        world.get(&world.caller("a"), &url(&upstream)).await.unwrap();
        let changed = entry(&upstream, change);
        let entries = [&*changed];
        world.set_policy(if change.is_empty() { &[] } else { &entries });
        tokio::task::yield_now().await;
        if closes {
            upstream.wait_for_a_close();
        } else {
            assert!(!upstream.has_closed());
        }
    }
}

#[tokio::test]
async fn a_new_secret_holds_for_the_next_request() {
    let upstream = Upstream::answering(HELLO);
    let secret = r#", secret: { header: authorization, value: "Bearer ${env:KEY}" }"#;
    let world = World::new(&[&entry(&upstream, secret)]);
    let caller = world.caller("a");
    world.get(&caller, &url(&upstream)).await.unwrap();
    let egress: Egress = world.shared.policy().egress.clone();
    let secrets = Secrets::load(&egress.grants, &|_| Some("sk-67890".into()), &|_| Ok(Vec::new())).unwrap();
    world.shared.set_policy(egress, secrets);
    world.get(&caller, &url(&upstream)).await.unwrap();
    let seen = upstream.requests();
    assert!(seen[0].contains("Bearer sk-12345") && seen[1].contains("Bearer sk-67890"), "{seen:?}");
    assert_eq!(upstream.connections(), 1, "the connection stays");
}

#[tokio::test]
async fn what_is_held_to_local_reaches_nothing_else() {
    let mut world = World::new(&[
        r#"{ url: "http://loop.test/", adapters: [a], network: loopback }"#,
        r#"{ url: "http://home.test/", adapters: [a], network: private, local: true }"#,
        r#"{ url: "http://office.test/", adapters: [a], network: private }"#,
        r#"{ url: "http://cloud.test/", adapters: [a] }"#,
    ]);
    let names = [
        ("loop", "127.0.0.1", true),
        ("home", "10.0.0.1", true),
        ("office", "10.0.0.2", false),
        ("cloud", "1.1.1.1", false),
    ];
    for (name, address, _) in names {
        world.resolver.set(&format!("{name}.test"), &[address]);
    }
    let caller = world.caller("a");
    for switch in [false, true] {
        let egress = Egress { local_only: switch, ..world.shared.policy().egress.clone() };
        world.set_egress(egress);
        world.local_only = !switch;
        for (name, _, local) in names {
            let before = world.resolver.asked();
            let got = world.permit(&caller, &format!("GET http://{name}.test/")).await;
            assert_eq!(got.err().map(|error| error.code()), (!local).then_some("not-local"), "{name} {switch}");
            assert_eq!(world.resolver.asked() - before, usize::from(local), "{name}: no query for what is denied");
        }
    }
}

/// What waits looks once a second whether it is still permitted.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_request_that_waits_for_its_answer_is_ended() {
    // It never answers, and never takes more than what fits into buffers.
    let upstream = Upstream::start(|conn, _| {
        conn.head();
        while !conn.sees_the_end() {}
    });
    for body in [Bytes::new(), Bytes::from(vec![b'x'; 32 << 20])] {
        let world = World::new(&[&entry(&upstream, "")]);
        let (caller, request) = (world.caller("a"), url(&upstream).replace("GET", "POST"));
        let length = body.len() as u64;
        let sending = Box::pin(world.send_body(&caller, &request, OutboundBody::Whole(body)));
        let change = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            world.set_policy(&[]);
        };
        let (sent, ()) = timeout(SOON, async { tokio::join!(sending, change) }).await.unwrap();
        assert!(matches!(sent, Err(EgressError::Withdrawn)), "{sent:?}");
        assert!(length == 0 || world.log.finished()[0].bytes_out < length, "not all of the body went out");
        tokio::task::yield_now().await;
        upstream.wait_for_a_close();
    }
}

#[tokio::test]
async fn a_stream_that_waits_for_its_next_piece_is_ended() {
    let (upstream, _go) = two_pieces();
    let world = World::new(&[&entry(&upstream, "")]);
    let mut body = world.send(&world.caller("a"), &url(&upstream)).await.unwrap().body;
    assert_eq!(body.read().await.unwrap().unwrap(), "one");
    let change = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.set_policy(&[]);
    };
    let (read, ()) = timeout(SOON, async { tokio::join!(body.read(), change) }).await.unwrap();
    assert!(matches!(read, Err(EgressError::Withdrawn)), "{read:?}");
}

#[tokio::test]
async fn a_secret_that_was_replaced_is_not_sent_any_more() {
    let upstream = Upstream::answering(HELLO);
    let secret = r#", secret: { header: authorization, value: "Bearer ${env:KEY}" }"#;
    for change in ["another key", "no secret", "another entry"] {
        let world = World::new(&[&entry(&upstream, secret)]);
        let permit = world.permit(&world.caller("a"), &url(&upstream)).await.unwrap();
        match change {
            "another key" => {
                let egress: Egress = world.shared.policy().egress.clone();
                let key = |_: &str| Some("sk-67890".into());
                let secrets = Secrets::load(&egress.grants, &key, &|_| Ok(Vec::new())).unwrap();
                world.shared.set_policy(egress, secrets);
            }
            "no secret" => world.set_policy(&[&entry(&upstream, "")]),
            _ => world.set_policy(&[r#"{ url: "http://a.test", adapters: [a] }"#, &entry(&upstream, secret)]),
        }
        let sent = world.door.send(permit, http::HeaderMap::new(), OutboundBody::Whole(Bytes::new())).await;
        if change == "another entry" {
            assert_eq!(sent.unwrap().status, 200, "the same secret still holds");
        } else {
            assert!(matches!(sent, Err(EgressError::Withdrawn)), "{change}: {sent:?}");
        }
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_grant_that_ends_meanwhile_is_not_taken_back_by_another_change() {
    let (upstream, go) = two_pieces();
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let world = World::new(&[&entry(&upstream, &format!(", expires: {today}"))]);
    let mut body = world.send(&world.caller("a"), &url(&upstream)).await.unwrap().body;
    assert_eq!(body.read().await.unwrap().unwrap(), "one");
    world.set_policy(&[&entry(&upstream, &format!(", methods: [GET], expires: {today}"))]);
    go.send(()).unwrap();
    assert_eq!(body.read().await.unwrap().unwrap(), "two");
}
