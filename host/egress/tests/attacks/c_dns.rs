//! C: names that change their mind. A name is resolved once a request, all its addresses are judged, and only these are dialled.

use crate::ground::{Ground, code};
use crate::upstream::{HELLO, Upstream};
use crate::world::{Answer, limits, read};
use bytes::Bytes;
use hauski_egress::{DnsError, EgressError, OutboundBody};
use hauski_policy::AdapterLimits;
use http::HeaderMap;
use std::time::Duration;

const LOOP: &str = r#"{ url: "http://api.test:PORT/", adapters: [a, b], network: loopback }"#;

/// A provider at 127.0.0.1 and another one at 127.0.0.2 and the same port, and the world between them.
fn two() -> (Ground, Upstream) {
    loop {
        let ground = Ground::new(&[LOOP, r#"{ url: "http://public.test:PORT/", adapters: [a] }"#]);
        if std::net::TcpListener::bind(("127.0.0.2", ground.upstream.port())).is_ok() {
            let serve = |conn: &mut crate::upstream::Conn, _| {
                while conn.request().is_some() {
                    conn.write(HELLO);
                }
            };
            let other = Upstream::start_on(&format!("127.0.0.2:{}", ground.upstream.port()), serve);
            return (ground, other);
        }
    }
}

#[tokio::test]
async fn c01_the_second_answer_is_never_dialled() {
    let (ground, other) = two();
    ground.world.resolver.set("api.test", &["127.0.0.1", "127.0.0.2"]);
    let url = ground.fill("GET http://api.test:PORT/");
    assert_eq!(ground.world.get(&ground.caller, &url).await.unwrap(), "hello");
    assert_eq!((ground.world.resolver.asked(), ground.upstream.connections(), other.connections()), (1, 1, 0));
    // Where the first answer is public and the second one is not, the second question is denied.
    ground.world.resolver.set("public.test", &["1.1.1.1", "127.0.0.1"]);
    let url = ground.fill("GET http://public.test:PORT/");
    let permit = ground.world.permit(&ground.caller, &url).await.unwrap();
    assert_eq!(permit.addresses(), [([1, 1, 1, 1], ground.upstream.port()).into()]);
    assert_eq!(code(ground.world.send(&ground.caller, &url).await), "address-class");
    assert_eq!((ground.upstream.connections(), other.connections()), (1, 0));
}

#[tokio::test]
async fn c02_one_address_of_the_wrong_class_denies_the_set() {
    let ground = Ground::new(&[
        r#"{ url: "http://public.test:PORT/", adapters: [a] }"#,
        r#"{ url: "http://private.test:PORT/", adapters: [a], network: private }"#,
        LOOP,
    ]);
    for (name, answers) in [
        ("public.test", "1.1.1.1 127.0.0.1|127.0.0.1 1.1.1.1|1.1.1.1 fd00::1|fd00::1 1.1.1.1|1.1.1.1 ::1"),
        ("public.test", "1.1.1.1 10.0.0.1|1.1.1.1 169.254.169.254|1.1.1.1 2606:4700::1111 ::ffff:127.0.0.1"),
        ("public.test", "1.1.1.1 0.0.0.0|1.1.1.1 64:ff9b::7f00:1|8.8.8.8 1.1.1.1 9.9.9.9 192.168.0.1"),
        ("private.test", "10.0.0.1 1.1.1.1|1.1.1.1 10.0.0.1|fd00::1 fd00:ec2::254|10.0.0.1 127.0.0.1"),
        ("api.test", "127.0.0.1 10.0.0.1|127.0.0.1 1.1.1.1|::1 fe80::1|127.0.0.1 0.0.0.0"),
    ] {
        for answer in answers.split('|') {
            ground.world.resolver.set(name, &[answer]);
            ground.address_denied(&format!("http://{name}:PORT/"), "address-class", 1).await;
        }
    }
}

#[tokio::test]
async fn c04_resolving_is_bounded_and_its_failures_are_no_denials() {
    let ground = Ground::new(&[LOOP]);
    let Ground { world, .. } = &ground;
    let caller = world.caller_under("a", AdapterLimits { connect: Duration::from_millis(50), ..limits() });
    let url = ground.fill("GET http://api.test:PORT/");
    let many = |count: u16| {
        let address = |n: u16| std::net::Ipv4Addr::from(0x7f01_0000 + u32::from(n)).into();
        Answer::Addresses((0..count).map(address).collect())
    };
    for (answer, expected) in [
        (Answer::Hangs, Some("dns-timeout")),
        (Answer::Fails, Some("dns")),
        (Answer::Addresses(vec![]), Some("dns")),
        (many(64), None),
        (many(65), Some("dns")),
        (many(10_000), Some("dns")),
        // Counted as they come: the same address again and again is no honest answer either.
        (Answer::Addresses(vec![[127, 0, 0, 1].into(); 65]), Some("dns")),
    ] {
        world.resolver.set_raw("api.test", vec![answer]);
        let got = world.permit(&caller, &url).await.err();
        assert!(got.as_ref().is_none_or(|error| !error.is_denied()));
        assert_eq!(got.map(|error| error.code()), expected);
    }
    assert_eq!(world.log.decided().len(), 7, "{:?}", world.log.decided());
    world.resolver.set_raw("api.test", vec![Answer::Hangs]);
    let error = world.permit(&caller, &url).await.unwrap_err();
    assert!(matches!(error, EgressError::Dns(DnsError::Timeout)) && error.is_timeout());
    let short = world.caller_under("a", AdapterLimits { total: Duration::from_millis(20), ..limits() });
    assert!(matches!(world.permit(&short, &url).await, Err(EgressError::TotalTimeout)));
    assert_eq!(ground.upstream.connections(), 0);
}

#[tokio::test]
async fn c05_an_open_connection_is_used_only_if_its_peer_is_permitted_now() {
    let (ground, other) = two();
    let url = ground.fill("GET http://api.test:PORT/");
    for (answer, expected) in
        [("127.0.0.1", (1, 0)), ("127.0.0.2", (1, 1)), ("127.0.0.1", (1, 1)), ("127.0.0.2 127.0.0.1", (1, 1))]
    {
        ground.world.resolver.set("api.test", &[answer]);
        ground.world.get(&ground.caller, &url).await.unwrap();
        assert_eq!((ground.upstream.connections(), other.connections()), expected, "{answer}");
    }
    assert_eq!(ground.world.resolver.asked(), 4, "each request asks anew");
}

#[tokio::test]
async fn c05_a_denial_of_the_host_closes_what_is_open_to_it() {
    for withdraw in [true, false] {
        let serve = |conn: &mut crate::upstream::Conn, _| {
            conn.request();
            conn.write(HELLO);
            assert!(conn.sees_the_end());
        };
        let ground = Ground::against(Upstream::start(serve), &[LOOP]);
        let url = ground.fill("GET http://api.test:PORT/");
        ground.world.get(&ground.caller, &url).await.unwrap();
        if withdraw {
            ground.world.set_policy(&[]);
        } else {
            ground.world.resolver.set("api.test", &["10.0.0.1"]);
        }
        assert!(ground.world.permit(&ground.caller, &url).await.unwrap_err().is_denied());
        tokio::task::yield_now().await;
        ground.upstream.wait_for_a_close();
    }
}

#[tokio::test]
async fn c06_a_permit_is_for_the_addresses_of_its_moment() {
    let (ground, other) = two();
    ground.world.resolver.set("api.test", &["127.0.0.1"]);
    let permit = ground.world.permit(&ground.caller, &ground.fill("GET http://api.test:PORT/")).await.unwrap();
    for answer in ["127.0.0.2", "10.0.0.1", "169.254.169.254"] {
        ground.world.resolver.set("api.test", &[answer]);
    }
    let sent = ground.world.door.send(permit, HeaderMap::new(), OutboundBody::Whole(Bytes::new())).await.unwrap();
    assert_eq!(read(sent).await.unwrap(), "hello");
    assert_eq!((ground.world.resolver.asked(), ground.upstream.connections(), other.connections()), (1, 1, 0));
}

#[tokio::test]
async fn c07_a_second_connection_goes_to_the_same_answer() {
    // The first connection ends as soon as it lies idle, after the permit; the next one must not look the name up again.
    let serve = |conn: &mut crate::upstream::Conn, number| {
        conn.request();
        conn.write(HELLO);
        while number > 0 && conn.request().is_some() {
            conn.write(HELLO);
        }
    };
    let ground = Ground::against(Upstream::start(serve), &[LOOP]);
    let url = ground.fill("GET http://api.test:PORT/");
    ground.world.resolver.set("api.test", &["127.0.0.1", "127.0.0.1", "10.0.0.1"]);
    ground.world.get(&ground.caller, &url).await.unwrap();
    let permit = ground.world.permit(&ground.caller, &url).await.unwrap();
    ground.upstream.wait_for_a_close();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let sent = ground.world.door.send(permit, HeaderMap::new(), OutboundBody::Whole(Bytes::new())).await.unwrap();
    assert_eq!(read(sent).await.unwrap(), "hello");
    assert_eq!((ground.world.resolver.asked(), ground.upstream.connections()), (2, 2));
    assert_eq!(code(ground.world.permit(&ground.caller, &url).await), "address-class");
    assert_eq!(code(ground.world.permit(&ground.caller, &url).await), "address-class");
}

#[tokio::test]
async fn c08_no_answer_serves_another_name_or_request() {
    let (ground, other) = two();
    ground.world.set_policy(&[&ground.fill(r#"{ url: "http://*.n.test:PORT/", adapters: [a], network: loopback }"#)]);
    ground.world.resolver.set("one.n.test", &["127.0.0.1"]);
    ground.world.resolver.set("two.n.test", &["127.0.0.2"]);
    for round in 1..=3 {
        for name in ["one", "two", "ONE", "Two"] {
            ground.world.get(&ground.caller, &ground.fill(&format!("GET http://{name}.n.test:PORT/"))).await.unwrap();
        }
        assert_eq!((ground.world.resolver.asked(), ground.upstream.requests().len()), (4 * round, 2 * round));
        assert_eq!(other.requests().len(), 2 * round);
    }
    assert_eq!((ground.upstream.connections(), other.connections()), (1, 1));
}

#[tokio::test]
async fn c09_a_dead_address_does_not_lead_to_one_that_was_not_judged() {
    let (ground, other) = two();
    let url = ground.fill("GET http://api.test:PORT/");
    // Nobody listens at the first one; the second answer names the provider, and is never asked for.
    ground.world.resolver.set("api.test", &["127.0.0.9", "127.0.0.1"]);
    assert_eq!(code(ground.world.send(&ground.caller, &url).await), "connect");
    assert_eq!((ground.world.resolver.asked(), ground.upstream.connections(), other.connections()), (1, 0, 0));
}

/// F10: an adapter that may choose names below a wildcard could find out which internal names there are.
#[tokio::test]
async fn c10_names_below_a_wildcard_tell_nothing_of_what_they_lead_to() {
    let wild = r#"{ url: "http://*.wild.test:PORT/", adapters: [a], network: public }"#;
    let ground = Ground::new(&[wild, r#"{ url: "http://fixed.wild.test:PORT/", adapters: [b], network: public }"#]);
    let world = &ground.world;
    world.resolver.set("inside.wild.test", &["10.0.0.7"]);
    world.resolver.set("half.wild.test", &["9.9.9.9 10.0.0.7"]);
    world.resolver.set("here.wild.test", &["127.0.0.1"]);
    world.resolver.set_raw("absent.wild.test", vec![Answer::Fails]);
    for name in ["absent", "inside", "half", "here"] {
        let url = ground.fill(&format!("GET http://{name}.wild.test:PORT/"));
        let got = world.permit(&ground.caller, &url).await.unwrap_err();
        assert!(matches!(got, EgressError::Dns(_)) && !got.is_denied() && got.code() == "dns", "{name}: {got:?}");
        // The operator sees the difference.
        let reason = if name == "absent" { "dns" } else { "address-class" };
        let line = world.log.decided().pop().unwrap();
        assert!(line.ends_with(&format!(": {reason}")), "{line}");
    }
    // Which names an operator has written is no secret.
    world.resolver.set("fixed.wild.test", &["10.0.0.7"]);
    let got = world.permit(&world.caller("b"), &ground.fill("GET http://fixed.wild.test:PORT/")).await;
    assert_eq!(code(got), "address-class");
    assert_eq!(ground.upstream.connections(), 0);
}
