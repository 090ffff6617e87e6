//! The adapters of a folder, and how they follow it while it changes.
//!
//! In goes a folder; out come the adapters of the moment, as a whole that is swapped whole. A file counts when it has stayed the same for
//! a little while, so that one that is being written is not taken by halves. One that can't be loaded leaves its last good version
//! serving. What a request has begun with, it ends with.

mod files;
mod wake;

use crate::adapters::Adapters;
use crate::aside::Aside;
use crate::cache::Cache;
use crate::compiler::Compiler;
use crate::folder::{self, FolderError};
use crate::jobs::{Jobs, Told};
use crate::load::Loader;
use crate::slots::{Pool, Queues};
use crate::{EngineError, engine, priority};
use files::Files;
use hauski_policy::{Limits, Lock};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use wake::Wake;

/// How often the folder is looked at, whatever is heard of it: not all file systems tell, and none tells what becomes of a link on the way.
const LOOK: Duration = Duration::from_millis(400);
/// Between two looks that something heard has caused.
const PAUSE: Duration = Duration::from_millis(20);
/// The interval at which whoever waits for all files hears of it.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// How long a file has to stay the same before it counts.
const SETTLE: Duration = Duration::from_millis(150);

/// The adapters folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder itself.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// This machine can't run the sandbox.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What came of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files that were loaded, new ones and new versions.
    pub loaded: u64,
    /// Files that could not be loaded.
    pub refused: u64,
    /// Files that are gone.
    pub removed: u64,
}

/// The adapters of one folder.
pub struct Library {
    folder: PathBuf,
    adapters: RwLock<Arc<Adapters>>,
    messages: Sender<Message>,
    followed: Mutex<Followed>,
}

/// What only whoever follows the folder needs.
struct Followed {
    messages: Receiver<Message>,
    files: Files,
}

/// What is told to whoever follows the folder.
enum Message {
    /// Something has happened in the folder.
    Heard,
    /// Something is to be told of a file that is being loaded.
    Job(Told),
    /// Other adapters are approved.
    Lock(Arc<Lock>),
    /// Other limits are in force.
    Limits(Arc<Limits>),
    Stop,
}

impl From<Told> for Message {
    fn from(told: Told) -> Self {
        Self::Job(told)
    }
}

/// The way in which adapters are loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The folder where compiled code is kept, if it is.
    pub cache: Option<PathBuf>,
    /// The approved adapters, where only those may be compiled and serve.
    pub lock: Option<Lock>,
    /// The program that compiles.
    pub compiler: Compiler,
}

impl Library {
    /// Begins to load each `.wasm` file of `folder`. A file that can't be loaded is listed with its reason and hinders no other. Until
    /// [`Library::load_all`] or [`Library::follow`] is called, all of them are listed as loading.
    ///
    /// # Errors
    /// If the folder itself can't be read, or this machine can't run the sandbox.
    pub fn open(folder: &Path, limits: &Limits, options: LoadOptions) -> Result<Self, OpenError> {
        let (tell, messages) = channel();
        let lock = options.lock.clone().map(Arc::new);
        let loader = Arc::new(loader(limits, options)?);
        let queues = loader.queues.clone();
        let jobs = Jobs::start(&loader, &tell).map_err(|error| EngineError(error.to_string()))?;
        let mut followed = Followed { messages, files: Files::new(jobs, queues, lock) };
        let now = Instant::now();
        followed.files.look(folder::look(folder)?, now);
        followed.files.settle(Duration::ZERO, now);
        followed.files.watch(now);
        let adapters = RwLock::new(Arc::new(followed.files.adapters(None)));
        Ok(Self { folder: folder.to_owned(), adapters, messages: tell, followed: Mutex::new(followed) })
    }

    /// Waits until all files are loaded or refused. `progress` is called with the adapters of the moment, about once a second.
    pub fn load_all(&self, progress: &mut dyn FnMut(&Adapters)) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Instant::now() + PROGRESS_INTERVAL;
        while followed.files.is_loading() {
            if let Ok(Message::Job(told)) = followed.messages.recv_timeout(LOOK) {
                followed.files.told(told);
            }
            if Instant::now() >= due {
                progress(&followed.files.adapters(None));
                due = Instant::now() + PROGRESS_INTERVAL;
            }
        }
        let _ = followed.files.changes();
        self.set_adapters(followed.files.adapters(None));
    }

    fn set_adapters(&self, adapters: Adapters) -> Arc<Adapters> {
        let adapters = Arc::new(adapters);
        *self.adapters.write().unwrap_or_else(PoisonError::into_inner) = adapters.clone();
        adapters
    }

    /// The adapters of this moment.
    #[must_use]
    pub fn adapters(&self) -> Arc<Adapters> {
        self.adapters.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows the folder until [`Library::stop`], and tells `changed` when there are other adapters, or other reasons why there are none.
    /// The files that were there at the start are no changes; until all of them are loaded or refused, `changed` is told of none.
    pub fn follow(&self, changed: &mut dyn FnMut(Arc<Adapters>, Changes)) {
        priority::below_requests();
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_start = true;
        let mut wake = Wake::new(&self.messages);
        let mut stale = None;
        let mut due = Instant::now();
        loop {
            let until = followed.files.due(SETTLE).map_or(due, |settled| settled.min(due));
            match followed.messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Heard) => {
                    std::thread::sleep(PAUSE);
                    wake.heard();
                    due = Instant::now();
                }
                Ok(Message::Job(told)) => followed.files.told(told),
                Ok(Message::Lock(lock)) => followed.files.relock(lock, Instant::now()),
                Ok(Message::Limits(limits)) => followed.files.set_limits(limits),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if now >= due {
                let problem = match folder::look(&self.folder) {
                    Ok(listing) => {
                        wake.listen(&self.folder, listing.place);
                        followed.files.look(listing, now);
                        None
                    }
                    Err(error) => Some(error.to_string()),
                };
                if problem != stale {
                    log_stale(problem.as_deref());
                    stale = problem;
                    followed.files.touch();
                }
                due = now + LOOK;
            }
            followed.files.watch(now);
            followed.files.settle(SETTLE, now);
            let changes = followed.files.changes();
            let changes = if is_start { changes.map(|_| Changes::default()) } else { changes };
            if is_start && !followed.files.is_loading() {
                is_start = false;
                followed.files.tell();
            }
            if let Some(changes) = changes {
                changed(self.set_adapters(followed.files.adapters(stale.clone())), changes);
            }
        }
    }

    /// Has only what `lock` approves serve from now on, if the library was opened with a lock. Takes effect where the folder is followed.
    pub fn relock(&self, lock: Lock) {
        let _ = self.messages.send(Message::Lock(Arc::new(lock)));
    }

    /// Puts other limits in force for the requests that begin from now on, and for adapters that are loaded later. Takes effect where
    /// the folder is followed. The instance pool stays as it was built: no adapter can have more memory than at the start.
    pub fn set_limits(&self, limits: Arc<Limits>) {
        let _ = self.messages.send(Message::Limits(limits));
    }

    /// Ends [`Library::follow`].
    pub fn stop(&self) {
        let _ = self.messages.send(Message::Stop);
    }
}

fn loader(limits: &Limits, options: LoadOptions) -> Result<Loader, EngineError> {
    let engine = engine::build(limits).map_err(|error| EngineError(format!("{error:#}")))?;
    let aside = Aside::start().map_err(|error| EngineError(error.to_string()))?;
    let opened = options.cache.as_deref().map(|folder| (folder, Cache::open(folder, &engine)));
    let cache = opened.and_then(|(folder, opened)| {
        let warn = |error| {
            tracing::warn!(folder = %folder.display(), "compiled code is not kept, so each start compiles again: {error}");
        };
        opened.map_err(warn).ok()
    });
    let queues = Queues::new(Arc::new(limits.clone()));
    Ok(Loader { engine, pool: Pool::new(), queues, cache, compiler: options.compiler, aside })
}

fn log_stale(problem: Option<&str>) {
    match problem {
        Some(problem) => tracing::error!("{problem}; the adapters that were there serve on"),
        None => tracing::info!("the adapters folder can be read again"),
    }
}
