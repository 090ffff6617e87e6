//! What all doors of a process have in common: policy, resolver, own addresses, trusted roots, observer.

use crate::ledger::Ledger;
use crate::pass::today;
use crate::pool::Pool;
use crate::tls::{self, InvalidRoot};
use crate::{Observer, Resolve, Secrets, dial};
use hauski_policy::{Egress, address};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

/// What a [`Shared`] is made of.
pub struct Parts {
    /// Where addresses come from.
    pub resolver: Arc<dyn Resolve>,
    /// Who is told of decisions and exchanges.
    pub observer: Arc<dyn Observer>,
    /// What adapters may reach.
    pub egress: Egress,
    /// The secrets of all grants.
    pub secrets: Secrets,
    /// Where decisions are recorded.
    pub ledger: Ledger,
    /// Certificate authorities that are trusted besides the web's.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// What all doors of a process have in common.
pub struct Shared {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) ledger: Ledger,
    pub(crate) tls: ClientConfig,
    policy: RwLock<Arc<Policy>>,
    /// The policy's, to be seen without a lock.
    generation: AtomicU64,
    own: RwLock<Vec<SocketAddr>>,
    /// The open connections of all doors.
    pools: Mutex<Vec<Weak<Pool>>>,
}

/// What holds until the policy is replaced: grants and their secrets, always together.
#[derive(Debug)]
pub struct Policy {
    /// What adapters may reach.
    pub egress: Egress,
    pub(crate) secrets: Secrets,
    /// Counts the policies of this process, from 1.
    pub generation: u64,
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
            ledger: parts.ledger,
            tls: tls::config(&parts.extra_roots)?,
            policy: RwLock::new(Arc::new(Policy { egress: parts.egress, secrets: parts.secrets, generation: 1 })),
            generation: AtomicU64::new(1),
            own: RwLock::default(),
            pools: Mutex::default(),
        })
    }

    /// Names the addresses on which this process listens. They are denied from now on, whatever the grants say.
    pub fn set_own_addresses(&self, addresses: Vec<SocketAddr>) {
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Returns the addresses on which this process listens.
    #[must_use]
    pub fn own_addresses(&self) -> Vec<SocketAddr> {
        self.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces grants and secrets, at once and together.
    ///
    /// From the moment this returns every question is judged by the new policy. Of the requests under way, those that it would
    /// not permit end with [`crate::EgressError::Withdrawn`] at their next piece, in whichever direction, or a second later; so do
    /// those of which nothing is sent yet and whose secret was replaced. The others go on, with the secret they were sent with. Open connections to origins that an adapter may no longer reach are closed.
    pub fn set_policy(&self, egress: Egress, secrets: Secrets) {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        let generation = policy.generation + 1;
        *policy = Arc::new(Policy { egress, secrets, generation });
        self.generation.store(generation, Ordering::Release);
        let policy = Arc::clone(&policy);
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        for pool in pools.iter().filter_map(Weak::upgrade) {
            pool.withdraw(&policy.egress, today());
        }
    }

    /// The record of all that adapters ask for.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The policy of this moment.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The policy's number, which changes when it does.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A pool from which withdrawn grants take their connections.
    pub(crate) fn new_pool(&self) -> Arc<Pool> {
        let pool = Arc::default();
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&pool));
        pool
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
