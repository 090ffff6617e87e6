//! What is done about files as time goes by, without waiting for it: no thread compiles here, and the test says what came of a job.

use super::*;
use crate::error::CallError;
use crate::folder;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const SETTLE: Duration = Duration::from_millis(100);
const MOMENT: Duration = Duration::from_millis(60);

/// A folder, what is known of it, the jobs that were handed in, and the time.
struct Stage {
    folder: TempDir,
    files: Files,
    now: Instant,
}

/// The shipped limits with another number of instances.
fn limits(instances: usize) -> Arc<Limits> {
    let text = include_str!("../../../../../policies/limits.yaml");
    let text = text.replace("instances: 256", &format!("instances: {instances}"));
    Arc::new(Limits::parse("limits.yaml", text.as_bytes()).unwrap().value)
}

impl Stage {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let queues = Queues::new(limits(256));
        Self { folder, files: Files::new(Jobs::idle(), queues, None), now: Instant::now() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and makes sure that its stamp is another one, however coarse the clock of the file system is.
    fn write(&self, name: &str, text: &str) {
        let part = self.path().join("part");
        fs::write(&part, text).unwrap();
        fs::rename(part, self.path().join(name)).unwrap();
    }

    /// Looks, a moment later; the names of the jobs that this has made.
    fn look(&mut self) -> Vec<Job> {
        self.now += MOMENT;
        self.files.look(folder::look(self.path()).unwrap(), self.now);
        self.files.watch(self.now);
        self.files.settle(SETTLE, self.now);
        std::iter::from_fn(|| self.files.jobs.take()).collect()
    }

    /// The one job that comes within three looks.
    fn job(&mut self) -> Job {
        let mut jobs: Vec<_> = (0..3).flat_map(|_| self.look()).collect();
        assert_eq!(jobs.len(), 1);
        jobs.remove(0)
    }

    fn refuse(&mut self, job: &Job, error: LoadError) {
        self.files.told(Told::Begun(job.number));
        self.files.told(Told::Done(job.number, Outcome::Refused(error, None)));
    }

    fn refused(&self) -> Vec<String> {
        self.files.adapters(None).refused.into_iter().map(|one| format!("{}: {}", one.file, one.reason)).collect()
    }
}

#[test]
fn a_file_that_changes_is_left_alone_until_it_stays_the_same() {
    let mut stage = Stage::new();
    for text in ["a", "b", "c", "d"] {
        stage.write("x.wasm", text);
        assert_eq!(stage.look().len(), 0);
    }
    let job = stage.job();
    assert_eq!((job.name.to_str(), job.stamp.bytes()), (Some("x.wasm"), 1));
    // What is being loaded, or was, is not loaded again.
    assert_eq!((stage.look().len(), stage.files.is_loading()), (0, true));
    stage.refuse(&job, LoadError::NotWasm);
    assert_eq!((stage.look().len(), stage.files.is_loading()), (0, false));
    assert!(stage.refused()[0].starts_with("x.wasm: it is not WebAssembly"));
    // Files of other kinds are nobody's business.
    stage.write("notes.txt", "x");
    assert_eq!((stage.look().len(), stage.look().len(), stage.look().len()), (0, 0, 0));
}

#[test]
fn what_comes_of_a_job_that_was_overtaken_is_nothing() {
    let mut stage = Stage::new();
    stage.write("x.wasm", "a");
    let first = stage.job();
    stage.write("x.wasm", "b");
    let second = stage.job();
    assert!(first.state.is_called_off() && !second.state.is_called_off());
    stage.refuse(&first, LoadError::CoreModule);
    assert!(stage.refused()[0].contains("it is being compiled"), "{:?}", stage.refused());
    stage.refuse(&second, LoadError::NotWasm);
    assert!(stage.refused()[0].contains("not WebAssembly"));
}

/// L13: what ended between a change of the lock and the next look served without being judged by the new lock.
#[test]
fn job_that_began_under_another_lock_is_nothing() {
    let mut stage = Stage::new();
    stage.files.lock = Some(Arc::default());
    stage.write("x.wasm", "a");
    let before = stage.job();
    stage.files.relock(Arc::default(), stage.now);
    assert!(before.state.is_called_off());
    stage.refuse(&before, LoadError::CoreModule);
    assert_eq!(stage.refused(), Vec::<String>::new());
    let after = stage.job();
    assert!(after.number > before.number);
    stage.refuse(&after, LoadError::NotWasm);
    assert!(stage.refused()[0].contains("not WebAssembly"));
}

#[test]
fn file_is_listed_as_loading_until_its_job_ends() {
    let mut stage = Stage::new();
    stage.write("x.wasm", "a");
    let job = stage.job();
    assert_eq!(stage.files.changes(), None);
    stage.look();
    assert_eq!(stage.files.changes(), Some(Changes::default()));
    assert!(stage.refused()[0].contains("it is being compiled, or waits for that"));
    stage.look();
    assert_eq!(stage.files.changes(), None);
    // However long it takes, its processor time alone counts, and the compiler counts that.
    stage.files.told(Told::Begun(job.number));
    stage.now += Duration::from_secs(3600);
    stage.look();
    assert!(stage.files.is_loading() && !job.state.is_called_off());
    stage.refuse(&job, LoadError::Slow);
    assert!(!stage.files.is_loading());
    assert!(stage.refused()[0].contains("takes more than 120 s of processor time"), "{:?}", stage.refused());
    assert_eq!(stage.files.changes(), Some(Changes { refused: 1, ..Changes::default() }));
}

#[test]
fn a_file_that_was_changed_while_it_was_read_is_read_again() {
    let mut stage = Stage::new();
    stage.write("x.wasm", "a");
    let job = stage.job();
    stage.files.told(Told::Done(job.number, Outcome::Again));
    assert!(stage.refused()[0].contains("it is being written"));
    stage.now = Instant::now();
    let again = stage.job();
    assert!(again.number > job.number);
}

#[test]
fn a_file_that_is_away_for_a_moment_is_not_gone() {
    let mut stage = Stage::new();
    stage.write("x.wasm", "a");
    let job = stage.job();
    stage.refuse(&job, LoadError::NotWasm);
    fs::remove_file(stage.path().join("x.wasm")).unwrap();
    assert_eq!(stage.look().len(), 0);
    stage.write("x.wasm", "b");
    let job = stage.job();
    stage.refuse(&job, LoadError::CoreModule);
    assert_eq!((stage.refused().len(), stage.files.changes().unwrap().removed), (1, 0));
    fs::remove_file(stage.path().join("x.wasm")).unwrap();
    (0..3).for_each(|_| drop(stage.look()));
    assert_eq!((stage.refused().len(), stage.files.changes().unwrap().removed), (0, 1));
}

#[test]
fn files_that_the_limits_kept_out_are_loaded_again_when_they_change() {
    let mut stage = Stage::new();
    stage.write("x.wasm", "a");
    stage.write("y.wasm", "b");
    let jobs: Vec<_> = (0..3).flat_map(|_| stage.look()).collect();
    let [x, y] = &jobs[..] else { panic!("{} jobs", jobs.len()) };
    stage.refuse(x, LoadError::Describe(CallError::OutOfMemory(1)));
    stage.refuse(y, LoadError::NotWasm);
    assert_eq!(stage.look().len(), 0);
    stage.files.set_limits(limits(3));
    let again: Vec<_> = (0..3).flat_map(|_| stage.look()).collect();
    assert_eq!(again.iter().map(|job| job.name.to_str()).collect::<Vec<_>>(), [Some("x.wasm")], "only what ran");
    assert_eq!(stage.files.queues.limits().adapter(&"x".parse().unwrap()).instances, 3);
}
