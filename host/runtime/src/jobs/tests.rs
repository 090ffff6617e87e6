//! Threads that hang with a job keep nobody else's waiting.

use super::*;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use tempfile::TempDir;

/// Threads that do a job when the test says so, and what they tell.
struct Stage {
    folder: TempDir,
    jobs: Jobs,
    told: Receiver<Told>,
    /// Lets one thread end its job.
    end: Sender<()>,
    submitted: u64,
}

impl Stage {
    fn new(threads: usize) -> Self {
        let (tell, told) = channel();
        let (end, ends) = channel();
        let ends = Mutex::new(ends);
        let run = move |_: &Job| {
            let _ = ends.lock().unwrap().recv();
            Outcome::Same
        };
        let jobs = Jobs::with(threads, run, tell).unwrap();
        Self { folder: TempDir::new().unwrap(), jobs, told, end, submitted: 0 }
    }

    fn submit(&mut self) -> Arc<JobState> {
        let name = format!("{}.wasm", self.submitted);
        std::fs::write(self.folder.path().join(&name), "x").unwrap();
        let listing = folder::look(self.folder.path()).unwrap();
        let (stamp, state) = (*listing.files.get(&OsString::from(&name)).unwrap(), JobState::new());
        let (number, dir, name) = (self.submitted, listing.dir, name.into());
        self.jobs.submit(Job { number, dir, name, stamp, serving: None, lock: None, state: state.clone() });
        self.submitted += 1;
        state
    }

    fn next(&self) -> Result<(u64, bool), RecvTimeoutError> {
        self.told.recv_timeout(Duration::from_secs(1)).map(|told| match told {
            Told::Begun(number) => (number, false),
            Told::Done(number, _) => (number, true),
        })
    }

    fn abandoned(&self) -> usize {
        self.jobs.threads.abandoned.load(Acquire)
    }
}

#[test]
fn a_thread_that_hangs_is_replaced_and_ends_with_its_job() {
    let mut stage = Stage::new(1);
    let (hangs, waits) = (stage.submit(), stage.submit());
    assert_eq!(stage.next(), Ok((0, false)));
    assert_eq!(stage.next(), Err(RecvTimeoutError::Timeout));
    stage.jobs.threads().call_off(&waits);
    stage.jobs.threads().call_off(&hangs);
    // What was called off before it began is left undone.
    stage.submit();
    assert_eq!((stage.next(), stage.abandoned()), (Ok((2, false)), 1));
    // Both end; only the one that somebody waits for is told, and one thread is left.
    stage.end.send(()).unwrap();
    stage.end.send(()).unwrap();
    assert_eq!(stage.next(), Ok((2, true)));
    let begin = std::time::Instant::now();
    while stage.abandoned() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
    stage.submit();
    stage.submit();
    assert_eq!((stage.next(), stage.next()), (Ok((3, false)), Err(RecvTimeoutError::Timeout)));
}

#[test]
fn no_more_threads_than_so_many_are_left_alone() {
    let mut stage = Stage::new(1);
    for number in 0..=MOST_ABANDONED {
        let hangs = stage.submit();
        assert_eq!(stage.next(), Ok((number as u64, false)));
        stage.jobs.threads().call_off(&hangs);
    }
    stage.submit();
    assert_eq!((stage.next(), stage.abandoned()), (Err(RecvTimeoutError::Timeout), MOST_ABANDONED));
    // When one of them ends, the last one is none that is left alone, and goes on.
    (0..=MOST_ABANDONED).for_each(|_| stage.end.send(()).unwrap());
    assert_eq!(stage.next(), Ok((MOST_ABANDONED as u64, true)));
    assert_eq!(stage.next(), Ok((MOST_ABANDONED as u64 + 1, false)));
}

#[test]
fn a_job_that_has_ended_can_not_be_called_off() {
    let mut stage = Stage::new(1);
    let state = stage.submit();
    stage.end.send(()).unwrap();
    assert_eq!((stage.next(), stage.next()), (Ok((0, false)), Ok((0, true))));
    stage.jobs.threads().call_off(&state);
    assert_eq!(stage.abandoned(), 0);
}
