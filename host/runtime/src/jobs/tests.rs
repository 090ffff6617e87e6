//! The order of jobs: a file that takes long keeps no other waiting.

use super::*;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;
use tempfile::TempDir;

/// A job's number and the stage that was run.
type Ran = (u64, Stage);

/// The threads of the real thing, with work that goes on until the test ends it or it has to stop.
struct Scene {
    folder: TempDir,
    jobs: Jobs,
    told: Receiver<Told>,
    ran: Receiver<Ran>,
    /// The jobs whose compilation ends at once.
    quick: Arc<Mutex<Vec<u64>>>,
    /// The time that compilations believe to have taken.
    elapsed: Arc<Mutex<Duration>>,
    submitted: u64,
}

impl Scene {
    fn new() -> Self {
        let (tell, told) = channel();
        let (note, ran) = channel();
        let (quick, elapsed) = (Arc::<Mutex<Vec<u64>>>::default(), Arc::<Mutex<Duration>>::default());
        let note = Mutex::new(note);
        let (its_quick, its_elapsed) = (quick.clone(), elapsed.clone());
        let run = move |job: &Job, stage: Stage, is_over: &dyn Fn(Duration) -> bool| {
            note.lock().unwrap().send((job.number, stage)).unwrap();
            if stage == Stage::Open {
                return None;
            }
            loop {
                if its_quick.lock().unwrap().contains(&job.number) {
                    return Some(Outcome::Same);
                }
                if is_over(*its_elapsed.lock().unwrap()) {
                    return None;
                }
                thread::sleep(Duration::from_millis(1));
            }
        };
        let jobs = Jobs::with(run, &tell).unwrap();
        Self { folder: TempDir::new().unwrap(), jobs, told, ran, quick, elapsed, submitted: 0 }
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

    /// Lets a job's compilation end.
    fn end(&self, number: u64) {
        self.quick.lock().unwrap().push(number);
    }

    /// Waits until a job has begun to be compiled.
    #[track_caller]
    fn compiles(&self) -> Ran {
        loop {
            match self.ran.recv_timeout(Duration::from_secs(5)).unwrap() {
                (_, Stage::Open) => {}
                ran => return ran,
            }
        }
    }

    fn compiles_nothing(&self) -> bool {
        self.ran.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout)
    }

    #[track_caller]
    fn done(&self) -> u64 {
        loop {
            if let Told::Done(number, _) = self.told.recv_timeout(Duration::from_secs(5)).unwrap() {
                return number;
            }
        }
    }
}

#[test]
fn file_gives_its_place_to_others_after_its_first_turn() {
    let mut scene = Scene::new();
    let _endless = [scene.submit(), scene.submit()];
    let mut begun = [scene.compiles(), scene.compiles()];
    begun.sort_by_key(|(number, _)| *number);
    assert_eq!(begun, [(0, Stage::Compile), (1, Stage::Compile)]);
    // Nobody else waits, so that they go on.
    *scene.elapsed.lock().unwrap() = FIRST_TURN;
    assert!(scene.compiles_nothing());
    let _quick = scene.submit();
    scene.end(2);
    assert_eq!(scene.done(), 2);
    // At most one of the two goes on, in the place that is left to such files; the other place stays free.
    for _ in 0..3 {
        let ran = std::iter::from_fn(|| scene.ran.recv_timeout(Duration::from_millis(50)).ok());
        assert!(ran.filter(|(_, stage)| *stage == Stage::CompileFully).count() <= 1);
        scene.end(scene.submitted);
        let number = scene.submitted;
        let _quick = scene.submit();
        assert_eq!(scene.done(), number);
    }
    scene.end(0);
    scene.end(1);
    let mut done = [scene.done(), scene.done()];
    done.sort_unstable();
    assert_eq!(done, [0, 1]);
}

#[test]
fn compilation_ends_when_its_job_is_called_off() {
    let mut scene = Scene::new();
    let states = [scene.submit(), scene.submit()];
    let _begun = [scene.compiles(), scene.compiles()];
    states.iter().for_each(|state| state.call_off());
    let _next = scene.submit();
    assert_eq!(scene.compiles(), (2, Stage::Compile));
    scene.end(2);
    assert_eq!(scene.done(), 2, "nothing is told of the others");
}

#[test]
fn threads_end_with_the_queue() {
    let mut scene = Scene::new();
    let _endless = [scene.submit(), scene.submit()];
    let _begun = [scene.compiles(), scene.compiles()];
    let Scene { jobs, told, .. } = scene;
    drop(jobs);
    let begin = Instant::now();
    // The threads hold the other end.
    while !matches!(told.recv_timeout(Duration::from_millis(10)), Err(RecvTimeoutError::Disconnected)) {
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}
