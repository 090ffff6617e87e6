//! D: TLS. The name that is asked for and proven is the granted one, and nothing is said before it is.

use crate::ground::code;
use crate::provider::{Issuer, Provider, authority, certificate, world};
use crate::upstream::Upstream;
use crate::world::World;
use hauski_egress::EgressError;
use std::time::{Duration, Instant};

const HOST: &str = "api.allowed.test";

async fn provider(issuer: &Issuer, alpn: &[&str]) -> Provider {
    Provider::start(certificate(Some(issuer), HOST, false), alpn).await
}

#[tokio::test]
async fn d06_who_can_not_prove_the_name_is_refused() {
    let (issuer, other) = (authority(), authority());
    for (what, certificate) in [
        ("self-signed", certificate(None, HOST, false)),
        ("another authority", certificate(Some(&other), HOST, false)),
        ("another name", certificate(Some(&issuer), "evil.test", false)),
        ("expired", certificate(Some(&issuer), HOST, true)),
        ("a name above", certificate(Some(&issuer), "allowed.test", false)),
        ("a name below", certificate(Some(&issuer), "x.api.allowed.test", false)),
        ("a wildcard above two labels", certificate(Some(&issuer), "*.test", false)),
        ("a wildcard for what is below", certificate(Some(&issuer), "*.api.allowed.test", false)),
        ("an address", certificate(Some(&issuer), "127.0.0.1", false)),
    ] {
        let provider = Provider::start(certificate, &["h2", "http/1.1"]).await;
        let (world, url) = world(&provider, vec![issuer.der().clone()], HOST);
        let got = world.send(&world.caller("a"), &format!("GET {url}/")).await;
        assert!(matches!(got, Err(EgressError::Tls(_))), "{what}: {got:?}");
        assert!(provider.requests.lock().unwrap().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn d06_the_granted_host_is_asked_for() {
    let issuer = authority();
    let names = "api.allowed.test other.test *.allowed.test";
    let provider = Provider::start(certificate(Some(&issuer), names, false), &["http/1.1"]).await;
    let (world, url) = world(&provider, vec![issuer.der().clone()], HOST);
    let url = url.replace(HOST, "API.Allowed.TEST");
    world.get(&world.caller("a"), &format!("GET {url}/x")).await.unwrap();
    assert_eq!(*provider.names.lock().unwrap(), [Some(HOST.to_owned())]);
    let host = format!("{HOST}:{}", provider.port);
    assert_eq!(*provider.requests.lock().unwrap(), [format!("HTTP/1.1 /x {:?}", Some(host))]);
}

#[tokio::test]
async fn d28_an_address_is_proven_as_an_address() {
    let issuer = authority();
    for (names, proven) in
        [("127.0.0.1", true), ("127.0.0.2", false), ("localhost", false), ("api.allowed.test", false)]
    {
        let provider = Provider::start(certificate(Some(&issuer), names, false), &["h2"]).await;
        let (world, url) = world(&provider, vec![issuer.der().clone()], "127.0.0.1");
        let got = world.get(&world.caller("a"), &format!("GET {url}/")).await.map_err(|error| error.code());
        assert_eq!(got, if proven { Ok("hello".to_owned()) } else { Err("tls") }, "{names}");
        // No name is sent for one.
        assert!(provider.names.lock().unwrap().iter().all(Option::is_none), "{names}");
    }
}

/// Whatever it answers, it has not seen more than the handshake's first message.
#[tokio::test]
async fn d29_nothing_is_said_before_the_name_is_proven() {
    for answer in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "220 smtp\r\n", ""]
    {
        let (told, seen) = std::sync::mpsc::channel();
        let told = std::sync::Mutex::new(told);
        let upstream = Upstream::start(move |conn, _| {
            conn.write(answer);
            told.lock().unwrap().send(conn.rest()).unwrap();
        });
        let url = format!("https://api.allowed.test:{}/path-of-the-request", upstream.port());
        let mut world = World::new(&[&format!(
            r#"{{ url: "{url}", adapters: [a], network: loopback, secret: {{ header: authorization, value: "Bearer ${{env:KEY}}" }} }}"#
        )]);
        world.resolver.set(HOST, &["127.0.0.1"]);
        world.fields = vec![("x-of-the-request", "1")];
        world.timeouts.connect = Some(Duration::from_millis(200));
        let got = world.send(&world.caller("a"), &format!("GET {url}")).await;
        assert!(["tls", "connect-timeout"].contains(&code(got)), "{answer:?}");
        tokio::task::yield_now().await;
        let seen = seen.recv_timeout(Duration::from_secs(20)).unwrap();
        let holds = |text: &str| seen.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(holds(HOST), "the name, in the handshake");
        for text in ["of-the-request", "GET", "Bearer", "sk-12345"] {
            assert!(!holds(text), "{answer:?}: {text}");
        }
    }
}

#[tokio::test]
async fn d30_no_version_but_those_that_were_offered() {
    let issuer = authority();
    for (alpn, version) in [
        (&["http/1.1"][..], Some("HTTP/1.1")),
        (&["h2"], Some("HTTP/2.0")),
        (&[], Some("HTTP/1.1")),
        (&["h3", "http/0.9"], None),
    ] {
        let provider = provider(&issuer, alpn).await;
        let (world, url) = world(&provider, vec![issuer.der().clone()], HOST);
        let got = world.get(&world.caller("a"), &format!("GET {url}/")).await.map_err(|error| error.code());
        let requests = provider.requests.lock().unwrap().clone();
        match version {
            Some(version) => assert!(got.is_ok() && requests[0].starts_with(version), "{alpn:?}: {got:?} {requests:?}"),
            None => assert!(got == Err("tls") && requests.is_empty(), "{alpn:?}: {got:?}"),
        }
    }
}

/// Two names, one address, one certificate for both: HTTP/2 would allow to send the one's requests over the other's connection.
#[tokio::test]
async fn d31_names_never_share_a_connection() {
    let issuer = authority();
    let names = "one.allowed.test two.allowed.test";
    let provider = Provider::start(certificate(Some(&issuer), names, false), &["h2"]).await;
    let (world, url) = world(&provider, vec![issuer.der().clone()], "*.allowed.test");
    world.resolver.set("*", &["127.0.0.1"]);
    for name in ["one", "two", "one", "two"] {
        world.get(&world.caller("a"), &format!("GET {}/", url.replace('*', name))).await.unwrap();
    }
    let asked: Vec<_> = provider.names.lock().unwrap().iter().flatten().cloned().collect();
    assert_eq!(asked, names.split(' ').collect::<Vec<_>>());
    let requests = provider.requests.lock().unwrap().clone();
    for (request, name) in requests.iter().zip(["one", "two", "one", "two"]) {
        assert!(request.starts_with(&format!("HTTP/2.0 https://{name}.allowed.test:")), "{request}");
    }
}

/// The scheme is a part of the origin: what is open in the clear is not used for TLS, nor the other way round.
#[tokio::test]
async fn d32_tls_and_clear_text_never_share_a_connection() {
    let issuer = authority();
    let provider = provider(&issuer, &["http/1.1"]).await;
    let clear = format!(r#"{{ url: "http://{HOST}:{}", adapters: [a], network: loopback }}"#, provider.port);
    let (world, url) = world(&provider, vec![issuer.der().clone()], HOST);
    world.get(&world.caller("a"), &format!("GET {url}/")).await.unwrap();
    let tls = format!(r#"{{ url: "{url}", adapters: [a], network: loopback }}"#);
    world.set_policy(&[&tls, &clear]);
    let got = world.get(&world.caller("a"), &format!("GET {}/", url.replace("https", "http"))).await;
    assert!(got.is_err(), "the provider speaks TLS only: {got:?}");
    assert_eq!((provider.connections(), world.log.reused()), (2, vec![false, false]));
    world.get(&world.caller("a"), &format!("GET {url}/")).await.unwrap();
    assert_eq!((provider.connections(), world.log.reused()), (2, vec![false, false, true]));
}

/// A connection whose provider is too late is not used again. It closes as well, though nobody asks for anything any more: else
/// a provider could go on with whatever it sends there.
#[tokio::test]
async fn d34_a_connection_that_is_too_late_is_closed() {
    let issuer = authority();
    let provider = provider(&issuer, &["h2"]).await;
    let (mut world, url) = world(&provider, vec![issuer.der().clone()], HOST);
    world.timeouts.first_byte = Some(Duration::from_millis(5));
    let got = world.get(&world.caller("a"), &format!("GET {url}/wait")).await;
    assert!(matches!(got, Err(EgressError::FirstByteTimeout)), "{got:?}");
    let begin = Instant::now();
    while provider.closed() == 0 {
        assert!(begin.elapsed() < Duration::from_secs(20), "it is still open");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.timeouts.first_byte = None;
    world.get(&world.caller("a"), &format!("GET {url}/")).await.unwrap();
    assert_eq!(provider.connections(), 2);
}
