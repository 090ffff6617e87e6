//! A provider over TLS with a certificate of its own, made for the test: HTTP/1.1 or HTTP/2, as its ALPN says.

use crate::world::World;
use bytes::Bytes;
use hauski_egress::CertificateDer;
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

pub(crate) type Issuer = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority() -> Issuer {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Key and certificate for hosts, separated by spaces; an expired one if wanted.
pub(crate) fn certificate(issuer: Option<&Issuer>, hosts: &str, expired: bool) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(hosts.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap();
    if expired {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (certificate.der().clone(), key)
}

pub(crate) struct Provider {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    /// The name in the TLS handshake, for each connection.
    pub(crate) names: Arc<Mutex<Vec<Option<String>>>>,
    /// Whether each connection resumed an earlier one's session.
    pub(crate) resumed: Arc<Mutex<Vec<bool>>>,
    /// Version, URI and `host` of each request.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    pub(crate) async fn start((certificate, key): (CertificateDer<'static>, KeyPair), alpn: &[&str]) -> Self {
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
            closed: Arc::default(),
            names: Arc::default(),
            resumed: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, names, requests) = (this.connections.clone(), this.names.clone(), this.requests.clone());
        let (resumed, closed) = (this.resumed.clone(), this.closed.clone());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, names, requests) = (acceptor.clone(), names.clone(), requests.clone());
                let (resumed, closed) = (resumed.clone(), closed.clone());
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
                    closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        this
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many of them are over.
    pub(crate) fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
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

pub(crate) fn world(provider: &Provider, roots: Vec<CertificateDer<'static>>, host: &str) -> (World, String) {
    let url = format!("https://{host}:{}", provider.port);
    let world = World::with(&[&format!(r#"{{ url: "{url}", adapters: [a, b], network: loopback }}"#)], roots);
    world.resolver.set(host, &["127.0.0.1"]);
    (world, url)
}
