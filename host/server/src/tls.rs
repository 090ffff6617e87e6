//! TLS for clients: certificate and key from PEM files, and the handshake.
//!
//! What is wrong with them is told at the start, file by file. While the gateway runs, files that change are taken up for new
//! connections if they can be used; if not, the last good ones stay.

use crate::app::Stale;
use crate::environment::{TLS_CERT, TLS_KEY, TlsFiles};
use crate::setup::Problem;
use crate::socket::Socket;
use crate::source::{Seen, read_all};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, ServerConfig};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

/// The longest that a handshake may take, however long requests may.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Certificate and key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no certificate.
    #[error(
        "`{}` has no certificate: write them as PEM (`-----BEGIN CERTIFICATE-----`), the gateway's own first", .0.display()
    )]
    NoCertificate(PathBuf),
    /// There is no private key.
    #[error(
        "`{}` has no private key that can be read: write it as PEM, without a password (`-----BEGIN PRIVATE KEY-----`)",
        .0.display()
    )]
    NoKey(PathBuf),
    /// The certificate is none.
    #[error("the certificate in `{}` can't be used: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Error,
    },
    /// The key is none, or of a kind that is not known.
    #[error("the private key in `{}` can't be used: write one for ECDSA (P-256, P-384), Ed25519 or RSA from 2048 bits", .0.display())]
    Key(PathBuf),
    /// The key is another certificate's.
    #[error("the private key in `{}` does not fit the first certificate in `{}`", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

impl TlsError {
    /// The file that is wrong.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::NoCertificate(path) | Self::NoKey(path) | Self::Certificate { path, .. } | Self::Key(path) => path,
            Self::Mismatch { key, .. } => key,
        }
    }

    /// What is wrong with it, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate(_) => "no-certificate",
            Self::NoKey(_) => "no-private-key",
            Self::Certificate { .. } => "certificate-invalid",
            Self::Key(_) => "private-key-invalid",
            Self::Mismatch { .. } => "private-key-of-another",
        }
    }
}

/// Certificate and key of this moment.
pub(crate) struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    stale: RwLock<Option<Stale>>,
}

impl Tls {
    /// Reads what holds at a start.
    pub(crate) fn load(files: &TlsFiles) -> (Result<Option<Self>, Problem>, Seen) {
        let (config, seen) = read_config(files);
        let tls = |config| Self { files: files.clone(), config: RwLock::new(config), stale: RwLock::default() };
        (config.map(tls).map(Some), seen)
    }

    /// Reads the files again.
    pub(crate) fn load_again(&self) -> (Result<Arc<ServerConfig>, Problem>, Seen) {
        read_config(&self.files)
    }

    /// Takes another certificate for connections from now on.
    pub(crate) fn apply(&self, config: Arc<ServerConfig>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        *self.stale.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Keeps the certificate that is shown, and says so.
    pub(crate) fn keep(&self, problem: &Problem) {
        let mut stale = self.stale.write().unwrap_or_else(PoisonError::into_inner);
        *stale = Some(Stale::now(stale.as_ref(), problem.place()));
    }

    /// Why the certificate that is shown is not that of its file, if that is so.
    pub(crate) fn stale(&self) -> Option<Stale> {
        self.stale.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shakes hands with a client that has `patience`.
    pub(crate) async fn handshake(&self, stream: Socket, patience: Duration) -> io::Result<TlsStream<Socket>> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        timeout(patience.min(HANDSHAKE), TlsAcceptor::from(config).accept(stream)).await?
    }
}

fn read_config(files: &TlsFiles) -> (Result<Arc<ServerConfig>, Problem>, Seen) {
    read_all(|read| {
        let read = |path: &Path, variable| {
            let text = read(path).map(Zeroizing::new);
            text.map_err(|source| Problem::File { path: path.to_owned(), variable, source })
        };
        let (cert, key) = (read(&files.cert, TLS_CERT)?, read(&files.key, TLS_KEY)?);
        Ok(config(files, &cert, &key)?)
    })
}

fn config(files: &TlsFiles, cert: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate(files.cert.clone()))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey(files.key.clone()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // First by itself, so that it is known which of the two is wrong.
    provider.key_provider.load_private_key(key.clone_key()).map_err(|_| TlsError::Key(files.key.clone()))?;
    let unusable = |error| match error {
        Error::InconsistentKeys(_) => TlsError::Mismatch { cert: files.cert.clone(), key: files.key.clone() },
        source => TlsError::Certificate { path: files.cert.clone(), source },
    };
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config =
        builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key)).map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[track_caller]
    fn check(cert: &str, key: &str, expected: &str) {
        let files = TlsFiles { cert: "cert.pem".into(), key: "key.pem".into() };
        let error = config(&files, cert.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(error.code(), expected, "{error}");
        assert!(error.to_string().contains(&format!("`{}`", error.path().display())), "{error}");
    }

    #[test]
    fn which_file_is_wrong_is_told() {
        let ((cert, key), (other, _)) = (pair(), pair());
        let files = TlsFiles { cert: "cert.pem".into(), key: "key.pem".into() };
        let good = config(&files, cert.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(good.alpn_protocols, [b"http/1.1"]);
        // All in one file, as some write it.
        let both = format!("{key}{cert}");
        assert!(config(&files, both.as_bytes(), both.as_bytes()).is_ok());
        let hollow = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
        check("", &key, "no-certificate");
        check(&key, &key, "no-certificate");
        check(&cert.replace("-----END", ""), &key, "no-certificate");
        check(&hollow("CERTIFICATE"), &key, "certificate-invalid");
        check(&cert, "", "no-private-key");
        check(&cert, &cert, "no-private-key");
        check(&cert, &hollow("ENCRYPTED PRIVATE KEY"), "no-private-key");
        check(&cert, &hollow("PRIVATE KEY"), "private-key-invalid");
        check(&other, &key, "private-key-of-another");
        check(&format!("{other}{cert}"), &key, "private-key-of-another");
    }
}
