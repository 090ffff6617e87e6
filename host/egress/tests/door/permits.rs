//! What the guard permits, and what a denial costs: no query, no connection, one line for the observer.

use crate::upstream::{HELLO, Upstream};
use crate::world::{Answer, World, limits};
use hauski_egress::{Ask, Denied, Destination, DnsError, EgressError, Timeouts};
use hauski_policy::AdapterLimits;
use std::time::Duration;

const G: &str = r#"{ url: "https://api.allowed.test/v1/", adapters: [a], methods: [POST] }"#;

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, EgressError>) -> &'static str {
    result.unwrap_err().code()
}

#[tokio::test]
async fn texts_are_judged_before_names_are_resolved() {
    let world = World::new(&[G]);
    world.resolver.set("api.allowed.test", &["1.1.1.1"]);
    let caller = world.caller("a");
    for (request, expected) in [
        ("POST https://api.allowed.test@evil.test/v1/", "invalid-userinfo"),
        ("POST https://api.allowed.test./v1/", "invalid-host"),
        ("POST https://api.allowed.test:/v1/", "invalid-port"),
        ("POST https://api.allowed.test:8443/v1/", "port-not-granted"),
        ("POST http://api.allowed.test:443/v1/", "scheme-not-granted"),
        ("POST ws://api.allowed.test/v1/", "invalid-scheme"),
        ("POST https://2130706433/v1/", "invalid-host"),
        ("POST https://evil.test/v1/", "host-not-granted"),
        ("POST http://169.254.169.254/latest/", "host-not-granted"),
        ("POST https://api.allowed.test/v1/../admin", "invalid-path"),
        ("POST https://api.allowed.test/v1/%2e%2e", "invalid-encoding"),
        ("POST https://api.allowed.test/v1/a b", "invalid-character"),
        ("POST https://api.allowed.test/v1", "path-not-granted"),
        ("GET https://api.allowed.test/v1/", "method-not-granted"),
        ("CONNECT https://api.allowed.test/v1/", "invalid-method"),
    ] {
        assert_eq!(code(world.permit(&caller, request).await), expected, "{request}");
        assert!(world.log.decided().last().unwrap().ends_with(expected), "{request}");
    }
    let long = format!("POST https://api.allowed.test/v1/{}", "a".repeat(9_000));
    assert_eq!(code(world.permit(&caller, &long).await), "url-too-long");
    assert_eq!(world.log.decided().len(), 16);
    assert_eq!(world.resolver.asked(), 0);

    let permit = world.permit(&caller, "POST https://API.allowed.test/v1/chat?key=x").await.unwrap();
    assert_eq!(permit.addresses(), ["1.1.1.1:443".parse().unwrap()]);
    assert_eq!(world.resolver.asked(), 1);
    let last = world.log.decided().pop().unwrap();
    assert_eq!(last, "a: POST https://api.allowed.test/v1/chat: line 4");
    assert!(world.log.finished().is_empty());
}

#[tokio::test]
async fn parts_are_judged_like_a_whole_url() {
    let world = World::new(&[G]);
    world.resolver.set("api.allowed.test", &["1.1.1.1"]);
    let caller = world.caller("a");
    let (request_id, timeouts) = (&"r-1".into(), Timeouts::default());
    for (scheme, authority, path_and_query, expected) in [
        ("https", "api.allowed.test", "/v1/x?y", None),
        ("https", "", "/v1/x", Some("invalid-host")),
        ("https", "api.allowed.test", "http://evil.test/", Some("invalid-path")),
        ("https", "api.allowed.test/v1/", "x", Some("invalid-host")),
    ] {
        let to = Destination::Parts { scheme, authority, path_and_query };
        let got = world.door.permit(&caller, Ask { request_id, method: "POST", to, timeouts }).await;
        assert_eq!(got.err().map(|error| error.code()), expected, "{authority}{path_and_query}");
    }
}

#[tokio::test]
async fn one_address_of_the_wrong_class_denies_the_set() {
    let world = World::new(&[
        r#"{ url: "http://public.test/", adapters: [a] }"#,
        r#"{ url: "http://private.test/", adapters: [a], network: private }"#,
        r#"{ url: "http://loop.test/", adapters: [a], network: loopback }"#,
        r#"{ url: "http://localhost/", adapters: [a] }"#,
    ]);
    let caller = world.caller("a");
    for (name, answer, allowed) in [
        ("public.test", "1.1.1.1 2606:4700::1111", true),
        ("public.test", "1.1.1.1 127.0.0.1", false),
        ("public.test", "127.0.0.1 1.1.1.1", false),
        ("public.test", "1.1.1.1 fd00::1", false),
        ("public.test", "::ffff:127.0.0.1", false),
        ("public.test", "::ffff:1.1.1.1", true),
        ("public.test", "169.254.169.254", false),
        ("public.test", "64:ff9b::a9fe:a9fe", false),
        ("public.test", "0.0.0.0", false),
        ("public.test", "10.0.0.1", false),
        ("private.test", "10.0.0.1 192.168.0.1 fd00::1", true),
        ("private.test", "10.0.0.1 1.1.1.1", false),
        ("private.test", "fd00:ec2::254", false),
        ("private.test", "169.254.169.254", false),
        ("private.test", "127.0.0.1", false),
        ("loop.test", "127.0.0.1 ::1", true),
        ("loop.test", "127.0.0.1 10.0.0.1", false),
        ("localhost", "127.0.0.1 ::1", true),
        ("localhost", "1.1.1.1", false),
        ("localhost", "10.0.0.1", false),
    ] {
        world.resolver.set(name, &[answer]);
        let got = world.permit(&caller, &format!("GET http://{name}/")).await;
        assert_eq!(got.err().map(|error| error.code()), (!allowed).then_some("address-class"), "{name}: {answer}");
    }
    // An IPv4 address that hides in an IPv6 one is dialled as what it is.
    world.resolver.set("public.test", &["::ffff:1.1.1.1 1.1.1.1"]);
    let permit = world.permit(&caller, "GET http://public.test/").await.unwrap();
    assert_eq!(permit.addresses(), ["1.1.1.1:80".parse().unwrap()]);
}

#[tokio::test]
async fn a_grant_for_localhost_stays_on_this_machine_whatever_its_network_says() {
    let mut world = World::new(&[r#"{ url: "http://localhost/", adapters: [a] }"#]);
    let mut grant = (*world.grants[0]).clone();
    grant.network = hauski_policy::Network::Public;
    world.grants = vec![grant.into()];
    world.resolver.set("localhost", &["1.1.1.1"]);
    assert_eq!(code(world.permit(&world.caller("a"), "GET http://localhost/").await), "address-class");
}

#[tokio::test]
async fn a_literal_needs_its_own_entry() {
    let world = World::new(&[r#"{ url: "http://127.0.0.1:11434", adapters: [a] }"#]);
    let caller = world.caller("a");
    for (url, allowed) in [
        ("http://127.0.0.1:11434/", true),
        ("http://[::ffff:127.0.0.1]:11434/", true),
        ("http://127.0.0.1:11435/", false),
        ("http://127.0.0.2:11434/", false),
        ("http://[::1]:11434/", false),
        ("http://localhost:11434/", false),
    ] {
        assert_eq!(world.permit(&caller, &format!("GET {url}")).await.is_ok(), allowed, "{url}");
    }
    assert_eq!(world.resolver.asked(), 0);
}

#[tokio::test]
async fn the_gateway_itself_is_out_of_reach() {
    let world = World::new(&[
        r#"{ url: "http://127.0.0.1:8080", adapters: [a] }"#,
        r#"{ url: "http://127.0.0.2:8080", adapters: [a] }"#,
        r#"{ url: "http://[::1]:8080", adapters: [a] }"#,
        r#"{ url: "http://127.0.0.1:9090", adapters: [a] }"#,
        r#"{ url: "http://me.test:8080", adapters: [a], network: loopback }"#,
        r#"{ url: "http://10.255.255.254:8080", adapters: [a] }"#,
    ]);
    world.resolver.set("me.test", &["127.0.0.1"]);
    let caller = world.caller("a");
    for (own, denied) in [
        (vec![], vec![]),
        (vec!["127.0.0.1:8080"], vec!["127.0.0.1:8080", "me.test:8080"]),
        (vec!["[::ffff:127.0.0.1]:8080"], vec!["127.0.0.1:8080", "me.test:8080"]),
        (vec!["[::1]:8080"], vec!["[::1]:8080"]),
        (vec!["0.0.0.0:8080"], vec!["127.0.0.1:8080", "127.0.0.2:8080", "[::1]:8080", "me.test:8080"]),
        (vec!["[::]:8080"], vec!["127.0.0.1:8080", "127.0.0.2:8080", "[::1]:8080", "me.test:8080"]),
        (vec!["127.0.0.3:1", "127.0.0.1:9090"], vec!["127.0.0.1:9090"]),
    ] {
        world.shared.set_own_addresses(own.iter().map(|text| text.parse().unwrap()).collect());
        for to in
            ["127.0.0.1:8080", "127.0.0.2:8080", "[::1]:8080", "127.0.0.1:9090", "me.test:8080", "10.255.255.254:8080"]
        {
            let got = world.permit(&caller, &format!("GET http://{to}/")).await.err().map(|error| error.code());
            assert_eq!(got, denied.contains(&to).then_some("own-address"), "{own:?} {to}");
        }
    }
}

#[tokio::test]
async fn resolving_is_bounded_and_its_failures_are_no_denials() {
    let world = World::new(&[r#"{ url: "http://api.test/", adapters: [a] }"#]);
    let caller = world.caller_under("a", AdapterLimits { connect: Duration::from_millis(50), ..limits() });
    let many = |count: u8| Answer::Addresses((0..count).map(|n| [1, 1, 1, n].into()).collect());
    for (answer, expected) in [
        (Answer::Hangs, Some("dns-timeout")),
        (Answer::Fails, Some("dns")),
        (Answer::Addresses(vec![]), Some("dns")),
        (many(64), None),
        (many(65), Some("dns")),
    ] {
        world.resolver.set_raw("api.test", vec![answer]);
        let got = world.permit(&caller, "GET http://api.test/").await.err();
        assert!(got.as_ref().is_none_or(|error| !error.is_denied()));
        assert_eq!(got.map(|error| error.code()), expected);
    }
    assert_eq!(world.log.decided().len(), 5, "{:?}", world.log.decided());
    world.resolver.set_raw("api.test", vec![Answer::Hangs]);
    let short = world.caller_under("a", AdapterLimits { total: Duration::from_millis(20), ..limits() });
    assert!(matches!(world.permit(&short, "GET http://api.test/").await, Err(EgressError::TotalTimeout)));
    let error = world.permit(&caller, "GET http://api.test/").await.unwrap_err();
    assert!(matches!(error, EgressError::Dns(DnsError::Timeout)) && error.is_timeout());
}

#[tokio::test]
async fn only_the_first_answer_is_dialled() {
    let first = Upstream::answering(HELLO);
    let second = Upstream::start_on(&format!("127.0.0.2:{}", first.port()), |_, _| {});
    let url = format!("http://rebound.test:{}/", first.port());
    let entry = format!(r#"{{ url: "{url}", adapters: [a], network: loopback }}"#);
    let world = World::new(&[&entry]);
    world.resolver.set("rebound.test", &["127.0.0.1", "127.0.0.2"]);
    assert_eq!(world.get(&world.caller("a"), &format!("GET {url}")).await.unwrap(), "hello");
    assert_eq!((world.resolver.asked(), first.connections(), second.connections()), (1, 1, 0));
}

#[tokio::test]
async fn a_name_that_turns_to_loopback_is_denied_without_a_connection() {
    let upstream = Upstream::answering(HELLO);
    let url = format!("http://rebound.test:{}/", upstream.port());
    let world = World::new(&[&format!(r#"{{ url: "{url}", adapters: [a] }}"#)]);
    world.resolver.set("rebound.test", &["1.1.1.1", "127.0.0.1"]);
    let caller = world.caller("a");
    let permit = world.permit(&caller, &format!("GET {url}")).await.unwrap();
    assert_eq!(permit.addresses(), [([1, 1, 1, 1], upstream.port()).into()]);
    let error = world.send(&caller, &format!("GET {url}")).await.unwrap_err();
    assert!(matches!(error, EgressError::Denied(Denied::AddressClass { .. })));
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn an_entry_ends_with_its_day() {
    let entry = |day: &str| format!(r#"{{ url: "http://127.0.0.1:1", adapters: [a], expires: {day} }}"#);
    for (day, expected) in [("2020-01-01", Some("grant-expired")), ("2999-12-31", None)] {
        let world = World::new(&[&entry(day)]);
        let got = world.permit(&world.caller("a"), "GET http://127.0.0.1:1/").await;
        assert_eq!(got.err().map(|error| error.code()), expected);
    }
}
