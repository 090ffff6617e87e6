//! TLS: which authorities are trusted, and the handshake. The name that is checked is the granted host's.

use crate::EgressError;
use hauski_policy::Host;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Sessions that one adapter can resume.
const SESSIONS: usize = 64;

/// An extra root that is no certificate of an authority, or a cryptography provider without usable versions.
#[derive(Debug, thiserror::Error)]
#[error("the extra root can't be trusted: {0}")]
pub struct InvalidRoot(#[from] rustls::Error);

/// The configuration that all adapters start from: the web's authorities and `extra`.
pub(crate) fn config(extra: &[CertificateDer<'static>]) -> Result<ClientConfig, InvalidRoot> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra {
        roots.add(root.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A connector for one adapter: its tickets are its own.
pub(crate) fn connector(shared: &ClientConfig) -> TlsConnector {
    let mut config = shared.clone();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    TlsConnector::from(Arc::new(config))
}

/// Shakes hands over `stream` with the one who can prove to be `host`. The caller bounds the time.
pub(crate) async fn handshake(
    connector: &TlsConnector,
    host: &Host,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, EgressError> {
    let tls = |error| EgressError::Tls(Arc::new(error));
    let name = match host {
        Host::Name(name) => ServerName::try_from(name.to_string()).map_err(|e| tls(io::Error::other(e)))?,
        Host::Address(address) => ServerName::IpAddress((*address).into()),
    };
    connector.connect(name, stream).await.map_err(tls)
}

/// Whether the other side chose HTTP/2.
pub(crate) fn chose_h2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}
