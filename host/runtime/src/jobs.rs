//! Threads that make adapters of files: few, with a lower priority than those that serve requests.
//!
//! In goes a file by its stamp; out come an adapter, or why there is none, and when the work began. A job that was called off before
//! it began is left undone; one that runs can't be stopped, and keeps its place until it ends.

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
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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
    pub(crate) called_off: Arc<AtomicBool>,
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

/// Where jobs are handed in. The threads end with it.
pub(crate) struct Jobs(Sender<Job>);

impl Jobs {
    /// Starts the threads, one a core and two at the least: one that hangs keeps nobody else from being loaded.
    pub(crate) fn start<M: From<Told> + Send + 'static>(loader: &Arc<Loader>, tell: &Sender<M>) -> io::Result<Self> {
        let (jobs, waiting) = channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..thread::available_parallelism().map_or(1, NonZero::get).max(2) {
            let (loader, waiting, tell) = (loader.clone(), waiting.clone(), tell.clone());
            let work = move || work(&loader, &waiting, &tell);
            thread::Builder::new().name(format!("hauski-load-{number}")).spawn(work)?;
        }
        Ok(Self(jobs))
    }

    /// Takes jobs that nobody does, and hands them to a test.
    #[cfg(test)]
    pub(crate) fn idle() -> (Self, Receiver<Job>) {
        let (jobs, waiting) = channel();
        (Self(jobs), waiting)
    }

    /// Hands in a job.
    pub(crate) fn submit(&self, job: Job) {
        // The threads outlive this sender.
        let _ = self.0.send(job);
    }
}

fn work<M: From<Told>>(loader: &Loader, waiting: &Mutex<Receiver<Job>>, tell: &Sender<M>) {
    priority::below_requests();
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if job.called_off.load(Relaxed) {
            continue;
        }
        let _ = tell.send(Told::Begun(job.number).into());
        // A bug of the compiler is that file's failure only.
        let outcome = catch_unwind(AssertUnwindSafe(|| run(loader, &job)))
            .unwrap_or_else(|_| Outcome::Refused(LoadError::Compile("the compiler gave up on it".to_owned()), None));
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
