//! Who may ask: clients' keys, and what each is for.
//!
//! In go `keys.yaml` and a request's head; out comes the client, or why there is none. Without keys nobody is asked for one, and
//! a request passes by here for the price of a look. With keys each request needs one, on loopback as well.

mod admit;
mod comparison_queue;
mod fresh;
mod keyring;
mod presented;
mod rate;
mod slow;

pub(crate) use admit::{Named, admit};
pub use fresh::{FreshKey, NoRandom};
pub(crate) use keyring::Client;

use crate::app::Stale;
use crate::environment::{KEYS, KEYS_TEXT, KeysFrom};
use crate::setup::{Problem, read_file};
use crate::source::{Seen, read_all};
use hauski_policy::{Diagnostics, Keys, Parsed};
use keyring::Keyring;
use slow::Slow;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// The keys of this moment, and what is needed to compare with them.
pub(crate) struct Access {
    from: KeysFrom,
    /// Whether others than this machine's can connect.
    pub(crate) is_public: bool,
    /// `None`: nobody is asked for a key.
    keyring: RwLock<Option<Arc<Keyring>>>,
    stale: RwLock<Option<Stale>>,
    slow: Slow,
    /// A file that exists once keys were in force, so that their loss does not open the gateway at the next start.
    marker: Option<PathBuf>,
}

/// What the place of the keys says; `None` where there is nothing and need not be.
pub(crate) type Read = Result<Option<Parsed<Keys>>, Problem>;

impl Access {
    /// Access by `keys`, which stand at `from`.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub(crate) fn new(
        from: KeysFrom,
        keys: Option<&Keys>,
        is_public: bool,
        marker: Option<PathBuf>,
    ) -> Result<Self, NoRandom> {
        let keyring = keys.map(|keys| Arc::new(Keyring::new(keys, None)));
        Ok(Self {
            from,
            is_public,
            keyring: RwLock::new(keyring),
            stale: RwLock::default(),
            slow: Slow::new()?,
            marker,
        })
    }

    /// Leaves a mark that keys are in force, if they are. [`crate::setup::prepare`] finds it when they are lost.
    pub(crate) fn mark_required(&self) {
        const TEXT: &str = "The gateway asked for keys. Without them it does not start, unless this file is deleted.\n";
        let Some(marker) = self.marker.as_ref().filter(|marker| self.keyring().is_some() && !marker.exists()) else {
            return;
        };
        if let Err(error) = std::fs::write(marker, TEXT) {
            let file = marker.display();
            tracing::warn!(%error, %file, "writing the file failed that keeps the gateway closed if its keys are lost");
        }
    }

    /// Reads the keys that hold at a start, and what was looked at.
    pub(crate) fn load(from: &KeysFrom) -> (Read, Seen) {
        match from {
            KeysFrom::Text(text) => {
                let keys = Keys::parse(KEYS_TEXT, text.as_bytes()).map(Some).map_err(Problem::Policy);
                (keys, Seen::default())
            }
            KeysFrom::File { path, named } => read_all(|read| match read_file(path, KEYS, Keys::parse, read) {
                Err(Problem::File { source, .. }) if !named && source.kind() == io::ErrorKind::NotFound => Ok(None),
                read => read.map(Some),
            }),
        }
    }

    /// Reads them again. Keys that held once don't go away with their file, which would let everybody in.
    pub(crate) fn load_again(&self) -> (Read, Seen) {
        let (read, seen) = Self::load(&self.from);
        let read = match (read, &self.from) {
            (Ok(None), KeysFrom::File { path, .. }) if self.keyring().is_some() => {
                Err(Problem::File { path: path.clone(), variable: KEYS, source: io::ErrorKind::NotFound.into() })
            }
            (read, _) => read,
        };
        (read, seen)
    }

    /// The keys of this moment, if any are asked for.
    pub(crate) fn keyring(&self) -> Option<Arc<Keyring>> {
        self.keyring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether who was let in to the console, as `operator` or because nobody was asked for a key, would be let in now.
    pub(crate) fn lets_look(&self, operator: Option<&Client>) -> bool {
        match (self.keyring(), operator) {
            (None, _) => true,
            (Some(keyring), Some(operator)) => keyring.has_operator(operator),
            (Some(_), None) => false,
        }
    }

    /// Why the keys that hold are not those that the file has, if that is so.
    pub(crate) fn stale(&self) -> Option<Stale> {
        self.stale.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts keys in the place of those that hold, for all requests from now on.
    pub(crate) fn apply(&self, keys: Parsed<Keys>) -> Diagnostics {
        let before = self.keyring();
        let after = Keyring::new(&keys.value, before.as_deref());
        log_change(before.as_deref(), &after);
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(after));
        *self.stale.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.mark_required();
        keys.warnings
    }

    /// Keeps the keys that hold, and says so.
    pub(crate) fn keep(&self, problem: &Problem) {
        let mut stale = self.stale.write().unwrap_or_else(PoisonError::into_inner);
        *stale = Some(Stale::now(stale.as_ref(), problem.place()));
    }
}

/// Says whose key holds now that did not before, and the other way round.
fn log_change(before: Option<&Keyring>, after: &Keyring) {
    let names = |keyring: &Keyring| keyring.clients().map(|client| client.name.clone()).collect::<BTreeSet<_>>();
    let (old, new) = (before.map(names).unwrap_or_default(), names(after));
    for name in new.difference(&old) {
        tracing::info!(client = &**name, "this client's key holds now");
    }
    for name in old.difference(&new) {
        tracing::info!(client = &**name, "this client's key holds no more");
    }
    tracing::info!(keys = after.clients().count(), "the keys were reloaded");
}
