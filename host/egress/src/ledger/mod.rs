//! The ledger: a record of every decision, allowed or denied, in a file that shows when it was changed.
//!
//! A request first reserves a place for its record and is refused where there is none; so whatever was decided can be written
//! down. The record is handed to a thread of its own, which makes it a line of JSON, chains it to the line before, writes,
//! rotates and syncs. What runs on the request's core is one place in a queue. Of many denials in one inbound request the thread
//! writes the first, and how many more there were.

mod chain;
mod check;
mod error;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod inspect;
mod lines;
mod recent;
mod record;
mod recover;
mod repeats;
mod state;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use chain::{Hash, Head, InvalidHead};
pub use check::{Problem, ProblemKind};
pub use error::{LedgerError, LedgerUnavailable};
pub use recent::{Recent, Since};
pub use recover::{Recovery, Torn};
pub use verify::{Report, read};

pub(crate) use record::{class_named, cut_path, cut_text};

use crate::{Decision, Exchange};
use files::Files;
use hauski_policy::LedgerLimits;
use record::Record;
use state::{Condition, State};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// Places for records: of requests that are under way, and of those that wait to be written. Memory is taken as they are used.
const PLACES: usize = 1 << 16;

/// A ledger; a clone is the same one. Until it is opened it has no place for a record, and lets no request out.
#[derive(Clone)]
pub struct Ledger(Option<Arc<Inner>>);

struct Inner {
    path: PathBuf,
    limits: LedgerLimits,
    state: Arc<State>,
    places: usize,
    open: OnceLock<Open>,
}

struct Open {
    queue: mpsc::Sender<Record>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Numbers for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerStats {
    /// Records written since the start.
    pub records: u64,
    /// Requests refused because there was no place for their record.
    pub refused: u64,
    /// Whether records are taken.
    pub up: bool,
    /// Whether the files are still those that were written, as far as a look at their names and lengths tells.
    pub intact: bool,
    /// The time of the oldest record that is kept, in seconds of Unix time: what is older was deleted to make room.
    pub oldest: Option<i64>,
}

impl Ledger {
    /// A ledger that takes every record and keeps none: for those who want none, and for tests.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// The ledger whose newest file is `path`. Nothing is read or written until it is opened.
    #[must_use]
    pub fn at(path: &Path, limits: LedgerLimits) -> Self {
        Self::with_places(path, limits, PLACES)
    }

    fn with_places(path: &Path, limits: LedgerLimits, places: usize) -> Self {
        let (path, state) = (path.to_owned(), Arc::default());
        Self(Some(Arc::new(Inner { path, limits, state, places, open: OnceLock::new() })))
    }

    /// Takes the ledger for this process, recovers what a crash has left, and starts to write.
    ///
    /// # Errors
    /// [`LedgerError`]: if its files can't be used, another process has them, or they were changed.
    pub fn open(&self) -> Result<(LedgerWriter, Recovery), LedgerError> {
        let Some(inner) = &self.0 else { return Ok((LedgerWriter(self.clone()), Recovery::default())) };
        if inner.open.get().is_some() {
            return Err(LedgerError::Locked(inner.path.clone()));
        }
        let files = Files::of(&inner.path)?;
        let (stop, stopped) = watch::channel(false);
        let (writer, recovery) = writer::Writer::start(files, inner.limits, Arc::clone(&inner.state), stopped)?;
        let (queue, records) = mpsc::channel(inner.places);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let thread = runtime.and_then(|runtime| {
            let run = move || runtime.block_on(writer.run(records));
            std::thread::Builder::new().name("hauski-ledger".to_owned()).spawn(run)
        });
        let thread = Mutex::new(Some(thread.map_err(LedgerError::file("written", &inner.path))?));
        // Nobody can have opened it meanwhile: the files are locked.
        let _ = inner.open.set(Open { queue, stop, thread });
        inner.state.set(Condition::Up);
        Ok((LedgerWriter(self.clone()), recovery))
    }

    /// A place for the record of a request that is to be decided. Without one, the request must not be let out.
    pub(crate) fn reserve(&self) -> Result<Slip, LedgerUnavailable> {
        let asked = Instant::now();
        let Some(inner) = &self.0 else { return Ok(Slip { place: None, asked }) };
        let place = inner.reserve().inspect_err(|_| inner.state.refuse())?;
        Ok(Slip { place: Some(place), asked })
    }

    /// The newest file; `None` for a ledger that is off.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(|inner| &*inner.path)
    }

    /// The newest lines; `None` for a ledger that is off.
    #[must_use]
    pub fn recent(&self) -> Option<&Recent> {
        self.0.as_ref().map(|inner| &inner.state.recent)
    }

    /// How it stands; `None` for a ledger that is off.
    #[must_use]
    pub fn stats(&self) -> Option<LedgerStats> {
        let state = &self.0.as_ref()?.state;
        Some(LedgerStats {
            records: state.records(),
            refused: state.refused(),
            up: state.check().is_ok(),
            intact: state.is_intact(),
            oldest: state.oldest(),
        })
    }

    /// Takes no more records, writes those that wait, and returns when they are on the disk. Can be called again.
    pub fn close(&self) {
        let Some(open) = self.0.as_ref().and_then(|inner| inner.open.get()) else { return };
        open.stop.send_replace(true);
        let thread = open.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the ledger's thread ended by a panic");
        }
    }
}

impl Inner {
    fn reserve(&self) -> Result<mpsc::OwnedPermit<Record>, LedgerUnavailable> {
        self.state.check()?;
        let open = self.open.get().ok_or(LedgerUnavailable::NotOpen)?;
        open.queue.clone().try_reserve_owned().map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LedgerUnavailable::Full,
            // Its thread says why before it closes the queue.
            mpsc::error::TrySendError::Closed(_) => self.state.check().err().unwrap_or(LedgerUnavailable::Failed),
        })
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ledger").field(&self.path()).finish()
    }
}

/// Closes the ledger when it is dropped.
#[must_use = "the ledger is closed when this is dropped"]
#[derive(Debug)]
pub struct LedgerWriter(Ledger);

impl Drop for LedgerWriter {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A place for one record. Dropped, it is given back and nothing is written.
#[derive(Debug)]
pub(crate) struct Slip {
    place: Option<mpsc::OwnedPermit<Record>>,
    asked: Instant,
}

impl Slip {
    /// Records a request that was not allowed; of one that was, nothing: its end is recorded.
    pub(crate) fn denied(self, decision: &Decision<'_>) {
        if let Some(place) = self.place
            && let Some(record) = Record::of_decision(decision, self.asked.elapsed())
        {
            place.send(record);
        }
    }

    /// Records a request that was allowed and is over.
    pub(crate) fn finished(self, exchange: &Exchange<'_>) {
        if let Some(place) = self.place {
            place.send(Record::of_exchange(exchange));
        }
    }
}
