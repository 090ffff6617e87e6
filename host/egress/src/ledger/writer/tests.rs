//! Each step of the writer can fail and be done again, and no end of it goes unnoticed.

use super::*;
use crate::ledger::verify::read;
use tempfile::TempDir;

const LIMITS: LedgerLimits = LedgerLimits { file_bytes: 1 << 20, files: 3 };

struct World {
    folder: TempDir,
    writer: Writer,
    state: Arc<State>,
    _stop: watch::Sender<bool>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(&folder.path().join("egress.jsonl")).unwrap();
        let (state, (stop, stopped)) = (Arc::<State>::default(), watch::channel(false));
        let (writer, _) = Writer::start(files, LIMITS, Arc::clone(&state), stopped).unwrap();
        state.set(Condition::Up);
        Self { folder, writer, state, _stop: stop }
    }

    /// Adds a record to those that are to be written.
    fn line(&mut self) {
        Event::Opened { version: "test" }.write(&mut self.writer.buffer, &mut self.writer.head);
    }

    /// Does `step` while names can't be brought to the disk, then once more when they can.
    #[track_caller]
    fn fails_and_recovers(&mut self, step: fn(&mut Writer) -> io::Result<()>) {
        let marker = self.folder.path().join("egress.no-sync");
        std::fs::write(&marker, b"").unwrap();
        for attempt in 0..3 {
            let error = step(&mut self.writer).expect_err("the names are not on the disk");
            assert_eq!(error.kind(), io::ErrorKind::Other, "attempt {attempt}: {error}");
        }
        std::fs::remove_file(marker).unwrap();
        step(&mut self.writer).unwrap();
    }
}

#[test]
fn names_are_brought_to_the_disk_until_it_succeeds() {
    let mut world = World::new();
    for _ in 0..3 {
        world.line();
        world.writer.flush().unwrap();
        // The full file's name, then that of the new one.
        world.fails_and_recovers(Writer::rotate);
        world.line();
        world.fails_and_recovers(Writer::flush);
    }
    // The head says that records are on the disk, so the name of their file has to be.
    world.writer.rotate().unwrap();
    world.line();
    std::fs::write(world.folder.path().join("egress.no-sync"), b"").unwrap();
    assert!(world.writer.flush().is_err() && world.writer.sync().is_err());
    std::fs::remove_file(world.folder.path().join("egress.no-sync")).unwrap();
    world.writer.flush().unwrap();
    let path = world.folder.path().join("egress.jsonl");
    world.writer.close(0);
    let report = read(&path, None, &mut |_| {}, &mut |_, _| {}).unwrap();
    assert!(report.holds() && report.files == 3, "{report:#?}");
}

#[test]
fn a_panic_is_a_failure_that_shows() {
    let World { folder: _folder, writer, state, _stop } = World::new();
    let (queue, records) = mpsc::channel(1);
    // A runtime without a clock: the writer panics at its first look at it.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let thread = std::thread::spawn(move || runtime.block_on(writer.run(records)));
    assert!(thread.join().is_err() && queue.is_closed());
    assert!(state.is(Condition::Failed));
}

/// Nothing that succeeds stands for what has failed.
#[test]
fn only_a_sync_makes_up_for_a_sync() {
    let mut world = World::new();
    world.line();
    world.writer.flush().unwrap();
    let blocked = world.folder.path().join("egress.head.tmp");
    std::fs::create_dir(&blocked).unwrap();
    world.writer.sync_or_fail();
    assert!(world.state.is(Condition::Down));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(world.writer.append(&mut Vec::new()));
    assert!(world.state.is(Condition::Down));
    std::fs::remove_dir(&blocked).unwrap();
    world.writer.sync_or_fail();
    assert!(world.state.is(Condition::Up));
}
