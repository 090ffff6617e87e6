//! TLS and HTTP/2: which name is asked for, and many requests over one connection.

use crate::provider::{Provider, authority, certificate, world};
use crate::world::read;
use hauski_egress::EgressError;

#[tokio::test]
async fn http2_and_http1_over_tls() {
    let issuer = authority();
    for (alpn, version, host) in [(&["h2", "http/1.1"][..], "HTTP/2.0", false), (&["http/1.1"], "HTTP/1.1", true)] {
        let provider = Provider::start(certificate(Some(&issuer), "api.allowed.test", false), alpn).await;
        let (world, url) = world(&provider, vec![issuer.der().clone()], "api.allowed.test");
        let caller = world.caller("a");
        for _ in 0..3 {
            assert_eq!(world.get(&caller, &format!("GET {url}/v1?q=1")).await.unwrap(), "hello");
        }
        let body = hauski_egress::OutboundBody::Whole("x".repeat(300_000).into());
        let echo = world.send_body(&caller, &format!("POST {url}/echo"), body).await.unwrap();
        assert_eq!(read(echo).await.unwrap().len(), 300_000);
        assert_eq!(provider.connections(), 1, "{version}");
        assert_eq!(*provider.names.lock().unwrap(), [Some("api.allowed.test".to_owned())]);
        let authority = format!("api.allowed.test:{}", provider.port);
        let expected = if host {
            format!("HTTP/1.1 /v1?q=1 {:?}", Some(authority))
        } else {
            format!("HTTP/2.0 https://{authority}/v1?q=1 None")
        };
        assert_eq!(provider.requests.lock().unwrap()[0], expected);
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_http2_connection() {
    let issuer = authority();
    let provider = Provider::start(certificate(Some(&issuer), "api.allowed.test", false), &["h2"]).await;
    let (world, url) = world(&provider, vec![issuer.der().clone()], "api.allowed.test");
    let (a, b) = (world.caller("a"), world.caller("b"));
    world.get(&a, &format!("GET {url}/")).await.unwrap();
    let wait = format!("GET {url}/wait");
    let (one, two, three) = tokio::join!(world.get(&a, &wait), world.get(&a, &wait), world.get(&a, &wait));
    assert_eq!(one.unwrap() + &two.unwrap() + &three.unwrap(), "waited".repeat(3));
    assert_eq!(provider.connections(), 1);
    world.get(&b, &wait).await.unwrap();
    assert_eq!(provider.connections(), 2);
}

#[tokio::test]
async fn a_stream_nobody_reads_stops_no_other() {
    let issuer = authority();
    let provider = Provider::start(certificate(Some(&issuer), "api.allowed.test", false), &["h2"]).await;
    let (world, url) = world(&provider, vec![issuer.der().clone()], "api.allowed.test");
    let caller = world.caller("a");
    world.get(&caller, &format!("GET {url}/")).await.unwrap();
    let mut unread = Vec::new();
    for _ in 0..20 {
        let body = hauski_egress::OutboundBody::Whole("x".repeat(1_000_000).into());
        unread.push(world.send_body(&caller, &format!("POST {url}/echo"), body).await.unwrap());
    }
    assert_eq!(world.get(&caller, &format!("GET {url}/")).await.unwrap(), "hello");
    assert_eq!(provider.connections(), 1);
    // Dropped, their streams are reset and the connection stays.
    drop(unread);
    assert_eq!(world.get(&caller, &format!("GET {url}/")).await.unwrap(), "hello");
    assert_eq!((provider.connections(), provider.closed()), (1, 0));
}

#[tokio::test]
async fn a_head_with_too_many_fields_is_an_error() {
    let issuer = authority();
    let provider = Provider::start(certificate(Some(&issuer), "api.allowed.test", false), &["h2"]).await;
    let (world, url) = world(&provider, vec![issuer.der().clone()], "api.allowed.test");
    let got = world.send(&world.caller("a"), &format!("GET {url}/many")).await;
    assert!(matches!(got, Err(EgressError::ResponseHead)), "{got:?}");
}
