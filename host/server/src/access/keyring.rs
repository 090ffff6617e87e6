//! The keys that hold, and finding the one that a client shows.
//!
//! Each comparison takes the same time wherever the two differ, and all keys are looked at whichever it is.

use super::rate::Bucket;
use super::slow::{Busy, Slow};
use hauski_egress::today;
use hauski_policy::{Key, KeyHash, Keys, ModelNames};
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// The clients of one reading of `keys.yaml`.
pub(crate) struct Keyring {
    clients: Vec<Arc<Client>>,
}

/// A client, as its key describes it.
pub(crate) struct Client {
    /// The key's name.
    pub(crate) name: Arc<str>,
    key: Key,
    /// Outlives a reload, so that a touch of the file fills no bucket.
    bucket: Arc<Bucket>,
    /// The requests under way. Outlives a reload as well.
    in_flight: Arc<AtomicU32>,
    /// The mark of the client's key, where that was found out slowly.
    mark: Arc<OnceLock<Mark>>,
}

/// A place among a client's requests at once; given back on drop.
pub(super) struct InFlight(Arc<AtomicU32>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What a key that was compared slowly is known by afterwards: a digest with a salt that this process alone has.
pub(super) type Mark = [u8; 32];

/// Why nobody is found.
pub(crate) enum Unknown {
    /// It is nobody's key.
    Nobody,
    /// It is this client's, and holds no more.
    Expired(Arc<Client>),
    /// Too many keys are compared slowly at the moment.
    Busy,
}

impl Keyring {
    /// The clients of `keys`; those that were there `before` keep what they have used up.
    pub(super) fn new(keys: &Keys, before: Option<&Self>) -> Self {
        let client = |key: &Key| {
            let before = before.and_then(|before| before.clients.iter().find(|client| *client.name == *key.name));
            let mark = before.filter(|before| before.key.hash == key.hash).map(|before| before.mark.clone());
            let bucket = before.map(|before| before.bucket.clone()).unwrap_or_default();
            let in_flight = before.map(|before| before.in_flight.clone()).unwrap_or_default();
            let mark = mark.unwrap_or_default();
            Arc::new(Client { name: (*key.name).into(), key: key.clone(), bucket, in_flight, mark })
        };
        Self { clients: keys.iter().map(client).collect() }
    }

    /// The clients, in the file's order.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.clients.iter()
    }

    /// What an operator should know of them; `known` are the public names of models and routes.
    pub(crate) fn review(&self, today: Date, known: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut notes = Vec::new();
        for client in &self.clients {
            let (name, key) = (&client.name, &client.key);
            if let Some(last) = key.expires.filter(|_| !key.holds_on(today)) {
                notes.push(format!("the key `{name}` has expired: {last} was its last day"));
            }
            let ModelNames::These(models) = &key.models else { continue };
            for model in models.iter().filter(|model| !known(model)) {
                notes.push(format!("the key `{name}` is for `{model}`, and there is no such model and no such route"));
            }
        }
        notes
    }

    /// Whether `client`, who was let in as an operator, still is one.
    pub(super) fn has_operator(&self, client: &Client) -> bool {
        let same = |other: &&Arc<Client>| other.name == client.name && other.key.hash == client.key.hash;
        self.clients.iter().find(same).is_some_and(|now| now.key.operator && now.key.holds_on(today()))
    }

    /// Whose key `presented` is, which a client at `peer` shows.
    pub(super) async fn find(
        &self,
        presented: &[u8],
        slow: &Slow,
        peer: Option<IpAddr>,
    ) -> Result<Arc<Client>, Unknown> {
        let digest: Zeroizing<[u8; 32]> = Zeroizing::new(Sha256::digest(presented).into());
        let mark = self.clients.iter().any(|client| client.is_slow()).then(|| slow.mark(presented));
        let mut found = None;
        for client in &self.clients {
            // All of them: when the answer comes tells nothing of which it was.
            if bool::from(client.has(&digest, mark.as_deref())) {
                found = Some(client);
            }
        }
        let found = match (found, mark) {
            (Some(found), _) => Some(found.clone()),
            (None, None) => None,
            (None, Some(mark)) => {
                // Those whose key is known by now have another one.
                let unseen = |client: &&Arc<Client>| client.is_slow() && client.mark.get().is_none();
                let unseen: Vec<_> = self.clients.iter().filter(unseen).cloned().collect();
                if unseen.is_empty() {
                    None
                } else {
                    slow.find(unseen, presented, &mark, peer).await.map_err(|Busy| Unknown::Busy)?
                }
            }
        };
        let found = found.ok_or(Unknown::Nobody)?;
        if found.key.expires.is_some() && !found.key.holds_on(today()) {
            return Err(Unknown::Expired(found));
        }
        Ok(found)
    }
}

impl Client {
    /// Whether the model or route with this public name may be asked.
    pub(crate) fn may_ask(&self, model: &str) -> bool {
        self.key.models.covers(model)
    }

    /// Returns whether each request is local-only.
    pub(crate) fn local_only(&self) -> bool {
        self.key.local_only
    }

    /// Whether the console may be seen.
    pub(crate) fn is_operator(&self) -> bool {
        self.key.operator
    }

    /// Counts a request.
    ///
    /// # Errors
    /// If it is one too many: how many there may be in a minute, and how long the next one has to wait.
    pub(super) fn count(&self) -> Result<(), (u32, Duration)> {
        let Some(limit) = self.key.requests_per_minute else { return Ok(()) };
        self.bucket.take(limit).map_err(|wait| (limit, wait))
    }

    /// Takes a place among the client's requests at once, if its key limits them.
    ///
    /// # Errors
    /// The limit, if all places are taken.
    pub(super) fn begin(&self) -> Result<Option<InFlight>, u32> {
        let Some(limit) = self.key.concurrent else { return Ok(None) };
        let more = |taken: u32| (taken < limit).then_some(taken + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, more).map_err(|_| limit)?;
        Ok(Some(InFlight(self.in_flight.clone())))
    }

    /// What the key is recognised by.
    pub(super) fn hash(&self) -> &KeyHash {
        &self.key.hash
    }

    /// Remembers the key that was found out slowly.
    pub(super) fn remember(&self, mark: &Mark) {
        let _ = self.mark.set(*mark);
    }

    /// Whether this is the key with that mark.
    pub(super) fn is_marked(&self, mark: &Mark) -> Choice {
        self.mark.get().map_or(Choice::from(0), |own| own.ct_eq(mark))
    }

    fn is_slow(&self) -> bool {
        matches!(self.key.hash, KeyHash::Argon2id(_))
    }

    fn has(&self, digest: &[u8; 32], mark: Option<&Mark>) -> Choice {
        match (&self.key.hash, mark) {
            (KeyHash::Sha256(own), _) => own.ct_eq(digest),
            (KeyHash::Argon2id(_), Some(mark)) => self.is_marked(mark),
            (KeyHash::Argon2id(_), None) => Choice::from(0),
        }
    }
}
