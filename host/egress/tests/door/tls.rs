//! TLS and HTTP/2: who is trusted, which name is asked for, and many requests over one connection.

use crate::world::{World, read};
use bytes::Bytes;
use hauski_egress::{CertificateDer, EgressError};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Key and certificate for a host; an expired one if wanted.
fn certificate(issuer: Option<&Issuer>, host: &str, expired: bool) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    if expired {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (certificate.der().clone(), key)
}

struct Provider {
    port: u16,
    connections: Arc<AtomicUsize>,
    /// The name in the TLS handshake, for each connection.
    names: Arc<Mutex<Vec<Option<String>>>>,
    /// Whether each connection resumed an earlier one's session.
    resumed: Arc<Mutex<Vec<bool>>>,
    /// Version, URI and `host` of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    async fn start((certificate, key): (CertificateDer<'static>, KeyPair), alpn: &[&str]) -> Self {
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            names: Arc::default(),
            resumed: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, names, requests) = (this.connections.clone(), this.names.clone(), this.requests.clone());
        let resumed = this.resumed.clone();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, names, requests) = (acceptor.clone(), names.clone(), requests.clone());
                let resumed = resumed.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let tls = stream.get_ref().1;
                    names.lock().unwrap().push(tls.server_name().map(str::to_owned));
                    resumed.lock().unwrap().push(tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed));
                    let h2 = tls.alpn_protocol() == Some(b"h2");
                    let service = hyper::service::service_fn(move |request| answer(request, requests.clone()));
                    let io = TokioIo::new(stream);
                    if h2 {
                        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = builder.serve_connection(io, service).await;
                    } else {
                        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                    }
                });
            }
        });
        this
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// `/echo` gives the body back; `/close` closes; `/many` has many fields.
async fn answer(
    request: Request<Incoming>,
    requests: Arc<Mutex<Vec<String>>>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible> {
    let host = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
    requests.lock().unwrap().push(format!("{:?} {} {host:?}", request.version(), request.uri()));
    let full = |bytes: Bytes| Full::new(bytes).map_err(|never| match never {}).boxed();
    Ok(match request.uri().path() {
        "/echo" => Response::new(full(request.into_body().collect().await.unwrap().to_bytes())),
        "/close" => {
            let mut response = Response::new(full("closed".into()));
            response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
            response
        }
        "/wait" => {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            Response::new(full("waited".into()))
        }
        "/many" => {
            let mut response = Response::new(full(Bytes::new()));
            for n in 0..200 {
                response.headers_mut().insert(http::HeaderName::try_from(format!("x-{n}")).unwrap(), 1.into());
            }
            response
        }
        _ => Response::new(full("hello".into())),
    })
}

fn world(provider: &Provider, roots: Vec<CertificateDer<'static>>, host: &str) -> (World, String) {
    let url = format!("https://{host}:{}", provider.port);
    let world = World::with(&[&format!(r#"{{ url: "{url}", adapters: [a], network: loopback }}"#)], roots);
    world.resolver.set(host, &["127.0.0.1"]);
    (world, url)
}

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
async fn an_address_is_asked_for_as_an_address() {
    let issuer = authority();
    let provider = Provider::start(certificate(Some(&issuer), "127.0.0.1", false), &["h2"]).await;
    let (world, url) = world(&provider, vec![issuer.der().clone()], "127.0.0.1");
    assert_eq!(world.get(&world.caller("a"), &format!("GET {url}/")).await.unwrap(), "hello");
    assert_eq!(*provider.names.lock().unwrap(), [None]);
}

#[tokio::test]
async fn who_can_not_prove_the_name_is_refused() {
    let (issuer, other) = (authority(), authority());
    let ours = "api.allowed.test";
    for (what, certificate) in [
        ("self-signed", certificate(None, ours, false)),
        ("another authority", certificate(Some(&other), ours, false)),
        ("another name", certificate(Some(&issuer), "evil.test", false)),
        ("expired", certificate(Some(&issuer), ours, true)),
    ] {
        let provider = Provider::start(certificate, &["h2", "http/1.1"]).await;
        let (world, url) = world(&provider, vec![issuer.der().clone()], ours);
        let got = world.send(&world.caller("a"), &format!("GET {url}/")).await;
        assert!(matches!(got, Err(EgressError::Tls(_))), "{what}: {got:?}");
        assert!(provider.requests.lock().unwrap().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn adapters_never_share_sessions() {
    let issuer = authority();
    let provider = Provider::start(certificate(Some(&issuer), "api.allowed.test", false), &["http/1.1"]).await;
    let (world, url) = world(&provider, vec![issuer.der().clone()], "api.allowed.test");
    for id in ["a", "a", "b", "b"] {
        world.get(&world.caller(id), &format!("GET {url}/close")).await.unwrap();
    }
    assert_eq!(*provider.resumed.lock().unwrap(), [false, true, false, true]);
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
    assert_eq!(provider.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_is_too_late_is_not_used_again() {
    let issuer = authority();
    let provider = Provider::start(certificate(Some(&issuer), "api.allowed.test", false), &["h2"]).await;
    let (mut world, url) = world(&provider, vec![issuer.der().clone()], "api.allowed.test");
    world.timeouts.first_byte = Some(std::time::Duration::from_millis(5));
    let got = world.get(&world.caller("a"), &format!("GET {url}/wait")).await;
    assert!(matches!(got, Err(EgressError::FirstByteTimeout)), "{got:?}");
    world.timeouts.first_byte = None;
    world.get(&world.caller("a"), &format!("GET {url}/")).await.unwrap();
    assert_eq!(provider.connections(), 2);
}

#[tokio::test]
async fn a_head_with_too_many_fields_is_an_error() {
    let issuer = authority();
    let provider = Provider::start(certificate(Some(&issuer), "api.allowed.test", false), &["h2"]).await;
    let (world, url) = world(&provider, vec![issuer.der().clone()], "api.allowed.test");
    let got = world.send(&world.caller("a"), &format!("GET {url}/many")).await;
    assert!(matches!(got, Err(EgressError::ResponseHead)), "{got:?}");
}
