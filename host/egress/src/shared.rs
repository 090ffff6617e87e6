//! What all doors of a process have in common: resolver, secrets, own addresses, trusted roots, observer.

use crate::tls::{self, InvalidRoot};
use crate::{Observer, Resolve, Secrets, dial};
use hauski_policy::address;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// What a [`Shared`] is made of.
pub struct Parts {
    /// Where addresses come from.
    pub resolver: Arc<dyn Resolve>,
    /// Who is told of decisions and exchanges.
    pub observer: Arc<dyn Observer>,
    /// The secrets of all grants.
    pub secrets: Secrets,
    /// Certificate authorities that are trusted besides the web's.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// What all doors of a process have in common.
pub struct Shared {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) tls: ClientConfig,
    secrets: RwLock<Arc<Secrets>>,
    own: RwLock<Vec<SocketAddr>>,
}

impl Shared {
    /// Puts the parts together.
    ///
    /// # Errors
    /// If one of the extra roots is no certificate of an authority.
    pub fn new(parts: Parts) -> Result<Self, InvalidRoot> {
        Ok(Self {
            resolver: parts.resolver,
            observer: parts.observer,
            tls: tls::config(&parts.extra_roots)?,
            secrets: RwLock::new(Arc::new(parts.secrets)),
            own: RwLock::default(),
        })
    }

    /// Names the addresses on which this process listens. They are denied from now on, whatever the grants say.
    pub fn set_own_addresses(&self, addresses: Vec<SocketAddr>) {
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Replaces the secrets. Requests that are under way keep theirs.
    pub fn set_secrets(&self, secrets: Secrets) {
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(secrets);
    }

    pub(crate) fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether `address`, in canonical form, leads back to this process.
    pub(crate) fn is_own(&self, address: SocketAddr) -> bool {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.iter().filter(|own| own.port() == address.port()).any(|own| {
            let listening = address::canonical(own.ip());
            // Bound to all addresses: any of this machine's leads here.
            let all = listening.is_unspecified();
            listening == address.ip() || all && (address.ip().is_loopback() || dial::is_of_this_machine(address.ip()))
        })
    }
}
