//! A pool of threads that load adapters, and the order in which they do it.
//!
//! A file is opened first: its digest is taken, the lock is asked, and code that was compiled before is loaded. What has to be compiled
//! waits for one of two places. A file that takes long gives its place to those that were not tried yet, once, and goes on in one of the
//! places only. So files that take the compiler forever delay the others by their first turns at most.

use crate::adapter::Adapter;
use crate::adapters::Known;
use crate::compiler::FIRST_TURN;
use crate::folder::{self, Stamp};
use crate::load::{self, Compilation, Failed, LoadError, Loader};
use crate::priority;
use cap_std::fs::Dir;
use hauski_policy::{AdapterId, Digest, Lock};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// One file to be made an adapter.
pub(crate) struct Job {
    /// The number that its messages carry, so that those of jobs that were called off can be recognized.
    pub(crate) number: u64,
    pub(crate) dir: Arc<Dir>,
    pub(crate) name: OsString,
    pub(crate) stamp: Stamp,
    /// The digest of the version that serves, if one does.
    pub(crate) serving: Option<Digest>,
    /// The approved adapters, where only those may serve.
    pub(crate) lock: Option<Arc<Lock>>,
    pub(crate) state: Arc<JobState>,
}

/// The result of a job.
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

/// A message about a job.
pub(crate) enum Told {
    /// The compilation of the file of the job with this number begins, or begins again.
    Begun(u64),
    /// The job has ended.
    Done(u64, Outcome),
}

/// A mark by which a job is called off. Its work ends soon after, and nothing more is told of it.
#[derive(Debug, Default)]
pub(crate) struct JobState(AtomicBool);

impl JobState {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Calls the job off.
    pub(crate) fn call_off(&self) {
        self.0.store(true, Relaxed);
    }

    pub(crate) fn is_called_off(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A queue where jobs are handed in. Its threads end with it.
pub(crate) struct Jobs(Arc<Queue>);

/// The work on a job in one stage; the last argument is asked whether to stop after a time. `None`: another stage follows.
type Run = dyn Fn(&Job, Stage, &dyn Fn(Duration) -> bool) -> Option<Outcome> + Send + Sync;

/// The jobs that wait, and the threads' place to wait for them.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The jobs by the stage that comes next.
    stages: [VecDeque<Job>; 3],
    is_closed: bool,
}

/// The stages of a job. Each has a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its bytes are read and judged, and served by code that was kept.
    Open,
    /// They are compiled, for [`FIRST_TURN`] where others wait.
    Compile,
    /// They are compiled, for as long as that may take.
    CompileFully,
}

/// The stages that each thread takes jobs of, the first that there is one of. Two of them compile: each compiler process may take much
/// memory. One of these two takes no file that has had its turn.
const THREADS: [&[Stage]; 4] =
    [&[Stage::Open], &[Stage::Open], &[Stage::Compile], &[Stage::Compile, Stage::CompileFully]];

impl Jobs {
    /// Starts the threads.
    pub(crate) fn start<M: From<Told> + Send + 'static>(loader: &Arc<Loader>, tell: &Sender<M>) -> io::Result<Self> {
        let loader = loader.clone();
        Self::with(move |job, stage, is_over| run(&loader, job, stage, is_over), tell)
    }

    /// Starts threads that do jobs by `run`.
    fn with<M, F>(run: F, tell: &Sender<M>) -> io::Result<Self>
    where
        M: From<Told> + Send + 'static,
        F: Fn(&Job, Stage, &dyn Fn(Duration) -> bool) -> Option<Outcome> + Send + Sync + 'static,
    {
        let (queue, run) = (Arc::new(Queue::default()), Arc::new(run));
        for stages in THREADS {
            let (queue, run, tell) = (queue.clone(), run.clone(), tell.clone());
            let work = move || queue.work(stages, &*run, &tell);
            thread::Builder::new().name("hauski-load".to_owned()).spawn(work)?;
        }
        Ok(Self(queue))
    }

    /// Returns a queue without threads, for tests that look at what is handed in.
    #[cfg(test)]
    pub(crate) fn idle() -> Self {
        Self(Arc::default())
    }

    /// Takes the next job that was handed in, in a test.
    #[cfg(test)]
    pub(crate) fn take(&self) -> Option<Job> {
        self.0.lock().stages[Stage::Open as usize].pop_front()
    }

    /// Hands in a job.
    pub(crate) fn submit(&self, job: Job) {
        self.0.put(job, Stage::Open);
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, job: Job, stage: Stage) {
        self.lock().stages[stage as usize].push_back(job);
        self.changed.notify_all();
    }

    /// Waits for a job of one of `stages`; `None` once the queue is closed.
    fn next(&self, stages: &[Stage]) -> Option<(Job, Stage)> {
        let mut waiting = self.lock();
        loop {
            if waiting.is_closed {
                return None;
            }
            for stage in stages {
                if let Some(job) = waiting.stages[*stage as usize].pop_front() {
                    return Some((job, *stage));
                }
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns whether work on `job` that has taken `elapsed` has to stop.
    fn is_over(&self, job: &Job, stage: Stage, elapsed: Duration) -> bool {
        if job.state.is_called_off() {
            return true;
        }
        let waiting = self.lock();
        let others_wait = !waiting.stages[Stage::Compile as usize].is_empty();
        waiting.is_closed || stage == Stage::Compile && elapsed >= FIRST_TURN && others_wait
    }

    fn work<M: From<Told>>(&self, stages: &[Stage], run: &Run, tell: &Sender<M>) {
        priority::below_requests();
        while let Some((job, stage)) = self.next(stages) {
            if job.state.is_called_off() {
                continue;
            }
            if stage != Stage::Open {
                let _ = tell.send(Told::Begun(job.number).into());
            }
            // A defect of a parser is that file's failure only.
            let is_over = |elapsed| self.is_over(&job, stage, elapsed);
            let outcome = catch_unwind(AssertUnwindSafe(|| run(&job, stage, &is_over))).unwrap_or_else(|_| {
                Some(Outcome::Refused(LoadError::Compile("reading it failed unexpectedly".to_owned()), None))
            });
            match (outcome, stage) {
                (Some(outcome), _) => drop(tell.send(Told::Done(job.number, outcome).into())),
                (None, Stage::Open) => self.put(job, Stage::Compile),
                (None, _) => self.put(job, Stage::CompileFully),
            }
        }
    }
}

/// Does the part of a job that belongs to `stage`; `None` where another stage follows.
fn run(loader: &Loader, job: &Job, stage: Stage, is_over: &dyn Fn(Duration) -> bool) -> Option<Outcome> {
    let compilation = if stage == Stage::Open { Compilation::Kept } else { Compilation::Until(is_over) };
    match load(loader, job, &compilation) {
        Ok(outcome) => Some(outcome),
        Err(failed) if matches!(failed.error, LoadError::Loading) => None,
        Err(failed) if failed.error.is_passing() => Some(Outcome::Again),
        Err(failed) => Some(Outcome::Refused(failed.error, failed.known)),
    }
}

fn load(loader: &Loader, job: &Job, compilation: &Compilation<'_>) -> Result<Outcome, Failed> {
    let id = load::check(&job.name, &job.stamp)?;
    let bytes = folder::read(&job.dir, Path::new(&job.name), &job.stamp).map_err(LoadError::Read)?;
    let Some(bytes) = bytes else { return Ok(Outcome::Again) };
    let digest = folder::digest(&bytes);
    if let Some(lock) = &job.lock {
        // Bytes that nobody has approved are not even parsed.
        lock.judge_digest(&id, &digest).map_err(|error| Failed::unapproved(error, digest, bytes.len()))?;
    }
    let file = load::open(id, digest, &bytes)?;
    if let Some(lock) = &job.lock {
        file.check(lock)?;
    }
    if job.serving == Some(digest) {
        return Ok(Outcome::Same);
    }
    let id = file.id.clone();
    Ok(Outcome::Loaded(id, Box::new(loader.load(file, compilation)?)))
}

#[cfg(test)]
mod tests;
