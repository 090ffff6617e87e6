//! D: answers that never come to their head. What a provider sends instead is bounded, and holds up nobody else.

use crate::provider::{authority, certificate};
use crate::upstream::{HELLO, Upstream};
use crate::world::{World, read};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The most informational responses before an answer.
const MAX_INFORMATIONAL: usize = 64;

fn world(upstream: &Upstream) -> (World, String) {
    let url = format!("http://127.0.0.1:{}/", upstream.port());
    (World::new(&[&format!(r#"{{ url: "{url}", adapters: [a] }}"#)]), format!("GET {url}"))
}

/// F3: hyper skips informational heads without a limit, and without letting another task run.
#[tokio::test]
async fn d40_endless_informational_heads_end_at_once() {
    for piece in ["HTTP/1.1 102 P\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 E\r\nlink: </x>\r\n\r\n"] {
        let flood = Upstream::start(move |conn, _| {
            conn.request();
            while conn.write(&piece.repeat(1_000)) {}
        });
        let beside = Upstream::answering(HELLO);
        let ((flooded, flood_url), (calm, calm_url)) = (self::world(&flood), self::world(&beside));
        let (got, ()) = tokio::join!(async { flooded.get(&flooded.caller("a"), &flood_url).await }, async {
            for _ in 0..20 {
                assert_eq!(calm.get(&calm.caller("a"), &calm_url).await.unwrap(), "hello");
            }
        });
        assert_eq!(got.unwrap_err().code(), "response-head");
        tokio::task::yield_now().await;
        flood.wait_for_a_close();
        assert_eq!(flooded.log.ends(), ["response-head"]);
    }
}

#[tokio::test]
async fn d40_informational_heads_are_counted_for_each_request() {
    for (heads, expected) in
        [(MAX_INFORMATIONAL, Ok("hello".to_owned())), (MAX_INFORMATIONAL + 1, Err("response-head"))]
    {
        let early = "HTTP/1.1 103 E\r\n\r\n".repeat(heads);
        // In one packet with the answer, and in one before it.
        for apart in [false, true] {
            let early = early.clone();
            let upstream = Upstream::start(move |conn, _| {
                while conn.request().is_some() {
                    if apart {
                        conn.write(&early);
                        conn.wait();
                        conn.write(HELLO);
                    } else {
                        conn.write(&format!("{early}{HELLO}"));
                    }
                }
            });
            let (world, url) = world(&upstream);
            for _ in 0..3 {
                let got = world.get(&world.caller("a"), &url).await.map_err(|error| error.code());
                assert_eq!(got, expected, "{heads} {apart}");
            }
            assert_eq!(upstream.connections(), if expected.is_ok() { 1 } else { 3 });
        }
    }
}

/// A HEADERS frame of stream `stream` with this `:status` (RFC 9113, section 6.2; RFC 7541, section 6.2.2).
fn head(stream: u8, status: &str, flags: u8) -> Vec<u8> {
    let mut frame = vec![0, 0, 5, 1, 0x4 | flags, 0, 0, 0, stream, 0x08, 3];
    frame.extend(status.as_bytes());
    frame
}

/// A provider over HTTP/2 that sends `before` and an answer once it has seen the request, over and over if `endless`.
async fn h2_provider(before: usize, endless: bool) -> (World, String) {
    let issuer = authority();
    let (certificate, key) = certificate(Some(&issuer), "api.allowed.test", false);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key.into()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://api.allowed.test:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config.clone()));
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                // SETTINGS, and the acknowledgement of the client's.
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]).await.unwrap();
                let mut seen = Vec::new();
                while !seen.windows(5).any(|frame| matches!(frame, [1, _, 0, 0, 0])) {
                    if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let early = head(1, "103", 0).repeat(before);
                while stream.write_all(&early).await.is_ok() && endless {}
                let _ = stream.write_all(&head(1, "204", 1)).await;
                while stream.read_u8().await.is_ok() {}
            });
        }
    });
    let world =
        World::with(&[&format!(r#"{{ url: "{url}", adapters: [a], network: loopback }}"#)], vec![issuer.der().clone()]);
    world.resolver.set("api.allowed.test", &["127.0.0.1"]);
    (world, format!("GET {url}/"))
}

#[tokio::test]
async fn d40_informational_heads_over_http2_are_counted() {
    for (before, endless, expected) in [
        (MAX_INFORMATIONAL, false, Ok(204)),
        (MAX_INFORMATIONAL + 3, false, Err("response-head")),
        (1_000, true, Err("response-head")),
    ] {
        let (world, url) = h2_provider(before, endless).await;
        let begin = Instant::now();
        let got = world.send(&world.caller("a"), &url).await;
        assert_eq!(got.map(|response| response.status.as_u16()).map_err(|error| error.code()), expected, "{before}");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
    let (world, url) = h2_provider(2, false).await;
    assert_eq!(read(world.send(&world.caller("a"), &url).await.unwrap()).await.unwrap(), "");
}
