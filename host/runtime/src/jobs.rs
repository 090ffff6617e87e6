//! Threads that make adapters of files: few, with a lower priority than those that serve requests.
//!
//! In goes a file by its stamp; out come an adapter, or why there is none, and when the work began. A job that was called off before
//! it began is left undone; one that runs can't be stopped, so another thread takes the place of its own, which ends with it.

use crate::adapter::Adapter;
use crate::adapters::Known;
use crate::folder::{self, Stamp};
use crate::load::{Failed, LoadError, Loader};
use crate::priority;
use cap_std::fs::Dir;
use hauski_policy::{AdapterId, Digest, Lock};
use std::ffi::OsString;
use std::io;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::atomic::{AtomicU8, AtomicUsize};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// One file to be made an adapter.
pub(crate) struct Job {
    /// What its messages carry, so that those of jobs which nobody waits for any more can be told.
    pub(crate) number: u64,
    pub(crate) dir: Arc<Dir>,
    pub(crate) name: OsString,
    pub(crate) stamp: Stamp,
    /// The digest of the version that serves, if one does.
    pub(crate) serving: Option<Digest>,
    /// What was approved, where only that may serve.
    pub(crate) lock: Option<Arc<Lock>>,
    pub(crate) state: Arc<JobState>,
}

/// What became of a job.
pub(crate) enum Outcome {
    /// It is an adapter.
    Loaded(AdapterId, Box<Adapter>),
    /// It holds the bytes that serve already.
    Same,
    /// The file is not any more what it was, or there was no place to try it: to be looked at again.
    Again,
    /// It is none, or none that may serve.
    Refused(LoadError, Option<Box<Known>>),
}

/// What is to be told of jobs.
pub(crate) enum Told {
    /// The job with this number has begun.
    Begun(u64),
    /// It has ended.
    Done(u64, Outcome),
}

/// How far a job is, for those who wait for it and the thread that does it.
pub(crate) struct JobState(AtomicU8);

const WAITS: u8 = 0;
const RUNS: u8 = 1;
const ENDED: u8 = 2;
const CALLED_OFF: u8 = 3;

impl JobState {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU8::new(WAITS)))
    }

    /// Whether this was so: it was `from`, and is `to` now.
    fn step(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    #[cfg(test)]
    pub(crate) fn is_called_off(&self) -> bool {
        self.0.load(Acquire) == CALLED_OFF
    }
}

/// Where jobs are handed in. The threads end with it.
pub(crate) struct Jobs {
    jobs: Sender<Job>,
    threads: Threads,
}

/// How a thread is started.
type Start = dyn Fn(Arc<Abandoned>) -> io::Result<()> + Send + Sync;

/// The threads, to be called by whoever calls off a job.
#[derive(Clone)]
pub(crate) struct Threads {
    start: Arc<Start>,
    abandoned: Arc<Abandoned>,
}

/// How many threads are left with jobs that nobody waits for.
type Abandoned = AtomicUsize;

/// So many may be: each takes memory and what requests leave of the processor. Who then is called off keeps his thread.
const MOST_ABANDONED: usize = 8;

impl Jobs {
    /// Starts the threads, one a core and two at the least.
    pub(crate) fn start<M: From<Told> + Send + 'static>(loader: &Arc<Loader>, tell: &Sender<M>) -> io::Result<Self> {
        let loader = loader.clone();
        let count = thread::available_parallelism().map_or(1, NonZero::get).max(2);
        Self::with(count, move |job| run(&loader, job), tell.clone())
    }

    /// Starts threads that do jobs by `run`.
    fn with<M, F>(count: usize, run: F, tell: Sender<M>) -> io::Result<Self>
    where
        M: From<Told> + Send + 'static,
        F: Fn(&Job) -> Outcome + Send + Sync + 'static,
    {
        let (jobs, waiting) = channel::<Job>();
        let shared = Arc::new((Mutex::new(waiting), run, tell));
        let start = move |abandoned: Arc<Abandoned>| {
            let shared = shared.clone();
            let work = move || work(&shared.0, &shared.1, &shared.2, &abandoned);
            thread::Builder::new().name("hauski-load".to_owned()).spawn(work).map(drop)
        };
        let threads = Threads { start: Arc::new(start), abandoned: Arc::default() };
        (0..count).try_for_each(|_| (threads.start)(threads.abandoned.clone()))?;
        Ok(Self { jobs, threads })
    }

    /// Takes jobs that nobody does, and hands them to a test.
    #[cfg(test)]
    pub(crate) fn idle() -> (Self, Receiver<Job>) {
        let (jobs, waiting) = channel();
        let threads = Threads { start: Arc::new(|_| Ok(())), abandoned: Arc::default() };
        (Self { jobs, threads }, waiting)
    }

    /// Hands in a job.
    pub(crate) fn submit(&self, job: Job) {
        // The threads outlive this sender.
        let _ = self.jobs.send(job);
    }

    /// What calls jobs off.
    pub(crate) fn threads(&self) -> Threads {
        self.threads.clone()
    }
}

impl Threads {
    /// Calls a job off: it is left undone, or its thread left alone with it.
    pub(crate) fn call_off(&self, state: &JobState) {
        if state.step(WAITS, CALLED_OFF) {
            return;
        }
        let room = |count: usize| (count < MOST_ABANDONED).then_some(count + 1);
        if self.abandoned.fetch_update(AcqRel, Acquire, room).is_err() {
            return;
        }
        if !state.step(RUNS, CALLED_OFF) {
            self.abandoned.fetch_sub(1, AcqRel);
        } else if let Err(error) = (self.start)(self.abandoned.clone()) {
            tracing::error!("no thread to load adapters with in place of one that hangs: {error}");
        }
    }
}

fn work<M: From<Told>>(
    waiting: &Mutex<Receiver<Job>>,
    run: &impl Fn(&Job) -> Outcome,
    tell: &Sender<M>,
    abandoned: &Abandoned,
) {
    priority::below_requests();
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if !job.state.step(WAITS, RUNS) {
            continue;
        }
        let _ = tell.send(Told::Begun(job.number).into());
        // A bug of the compiler is that file's failure only.
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&job)))
            .unwrap_or_else(|_| Outcome::Refused(LoadError::Compile("the compiler gave up on it".to_owned()), None));
        if !job.state.step(RUNS, ENDED) {
            // Another thread has its place by now.
            abandoned.fetch_sub(1, AcqRel);
            return;
        }
        if tell.send(Told::Done(job.number, outcome).into()).is_err() {
            return;
        }
    }
}

fn run(loader: &Loader, job: &Job) -> Outcome {
    match load(loader, job) {
        Ok(outcome) => outcome,
        Err(failed) if failed.error.is_passing() => Outcome::Again,
        Err(failed) => Outcome::Refused(failed.error, failed.known),
    }
}

fn load(loader: &Loader, job: &Job) -> Result<Outcome, Failed> {
    let id = check(job)?;
    let name = Path::new(&job.name);
    let bytes = folder::read(&job.dir, name, &job.stamp).map_err(LoadError::Read)?;
    let Some(bytes) = bytes else { return Ok(Outcome::Again) };
    let file = loader.open(id, &bytes)?;
    if let Some(lock) = &job.lock {
        file.check(lock)?;
    }
    if job.serving == Some(file.digest) {
        return Ok(Outcome::Same);
    }
    let id = file.id.clone();
    Ok(Outcome::Loaded(id, Box::new(loader.load(file)?)))
}

/// What can be said of a file without reading it: its id, or why it is no adapter.
fn check(job: &Job) -> Result<AdapterId, LoadError> {
    let name = Path::new(&job.name);
    if name.extension().is_some_and(|kind| kind == "cwasm") {
        return Err(LoadError::Precompiled);
    }
    let stem = name.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let id: AdapterId = stem.parse()?;
    if id.is_reserved() {
        return Err(LoadError::Reserved(id));
    }
    if !job.stamp.is_file() {
        return Err(LoadError::NotAFile);
    }
    if job.stamp.is_writable_by_all() {
        return Err(LoadError::Writable);
    }
    if job.stamp.bytes() > folder::FILE_BYTES {
        return Err(LoadError::TooLarge(job.stamp.bytes()));
    }
    Ok(id)
}

#[cfg(test)]
mod tests;
