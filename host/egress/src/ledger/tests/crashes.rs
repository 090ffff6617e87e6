//! What a crash leaves, at whichever byte it comes, is taken up again; what no crash leaves is not.

use super::*;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Files of a ledger as they were before it was closed.
fn unclosed(n: usize) -> World {
    let world = World::written(n, WIDE);
    let text = fs::read(world.path()).unwrap();
    let lines: Vec<_> = text.split_inclusive(|b| *b == b'\n').collect();
    fs::write(world.path(), lines[..lines.len() - 1].concat()).unwrap();
    // As it was after the opening's record.
    let opened = chain::check(lines[0].trim_ascii_end()).unwrap().head;
    set_head(&world, opened);
    world
}

fn set_head(world: &World, synced: Head) {
    let files = Files::of(&world.path()).unwrap();
    let ends = files.read_head().unwrap().unwrap();
    files.write_head(&files::Ends { synced, ..ends }).unwrap();
}

/// The last two lines, cut at every byte: what is whole stays, the rest is kept elsewhere, and the chain goes on.
#[test]
fn a_crash_at_any_byte_is_recovered_from() {
    let world = unclosed(3);
    let text = fs::read(world.path()).unwrap();
    let ends: Vec<_> = text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
    for cut in ends[ends.len() - 3]..=text.len() {
        let again = World::new();
        fs::copy(world.folder.path().join("egress.head"), again.folder.path().join("egress.head")).unwrap();
        fs::write(again.path(), &text[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let torn = cut - ends[whole - 1];
        let report = again.assert_holds();
        assert_eq!((report.records, report.torn), (whole as u64, (torn > 0).then_some(torn as u64)), "cut at {cut}");

        let ready = recover::recover(&Files::of(&again.path()).unwrap()).unwrap();
        let Recovery { records, unclosed, torn: kept } = ready.recovery;
        assert_eq!((records, unclosed, ready.head.seq), (whole as u64, true, whole as u64), "cut at {cut}");
        let kept = kept.map(|kept| (kept.bytes, fs::read(kept.kept).unwrap()));
        let expected = (torn > 0).then(|| (torn as u64, text[cut - torn..cut].to_vec()));
        assert_eq!(kept, expected, "cut at {cut}");
        assert_eq!(fs::read(again.path()).unwrap(), text[..cut - torn], "cut at {cut}");
    }
}

#[test]
fn the_chain_goes_on_behind_what_was_cut_off() {
    for torn in [0, 1, 100] {
        let world = unclosed(3);
        let whole = fs::read(world.path()).unwrap();
        let last = whole.split_inclusive(|b| *b == b'\n').next_back().unwrap();
        fs::write(world.path(), [&whole[..], &last[..torn]].concat()).unwrap();
        let (ledger, writer, recovery) = world.open(WIDE);
        assert_eq!(recovery.torn.map_or(0, |torn| torn.bytes), torn as u64);
        deny(&ledger, "https://api.test/after");
        drop(writer);
        world.assert_holds();
        assert_eq!(world.kinds()[4..], ["recovered", "request", "closed"]);
        assert_eq!(world.records()[4]["torn_bytes"], torn);
    }
}

/// A power failure can leave a stretch that was never written, with whole lines behind it.
#[test]
fn zeros_in_the_end_are_recovered_from() {
    let world = unclosed(3);
    let mut text = fs::read(world.path()).unwrap();
    let len = text.len();
    text[len - 600..len - 300].fill(0);
    fs::write(world.path(), &text).unwrap();
    let (_, writer, recovery) = world.open(WIDE);
    assert!(recovery.torn.is_some());
    drop(writer);
    world.assert_holds();
}

#[test]
fn what_no_crash_leaves_is_refused_and_left_as_it_is() {
    let refused = |change: &dyn Fn(&World), expected: &str| {
        let world = World::written(3, WIDE);
        change(&world);
        let before = fs::read(world.path()).ok();
        let error = Ledger::at(&world.path(), WIDE).open().err().unwrap().to_string();
        assert!(error.contains(expected) && error.contains("hauski ledger verify"), "{error}");
        assert_eq!(fs::read(world.path()).ok(), before);
        assert!(!world.verify().holds(), "{expected}");
    };
    let lines = |world: &World| -> Vec<Vec<u8>> {
        fs::read(world.path()).unwrap().split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
    };
    // A whole last line that was changed, also where it was never noted as written.
    for head in [None, Some(Head::NONE)] {
        let change = |world: &World| {
            let mut lines = lines(world);
            let last = lines.last_mut().unwrap();
            let at = last.len() - 100;
            last[at] ^= 1;
            fs::write(world.path(), lines.concat()).unwrap();
            head.into_iter().for_each(|head| set_head(world, head));
        };
        refused(&change, "line 5: it was changed");
    }
    // Cut off behind a whole line, or within one that was on the disk.
    refused(&|world| fs::write(world.path(), lines(world)[..4].concat()).unwrap(), "ends with record 4, but record 5");
    let within = |world: &World| {
        let lines = lines(world);
        fs::write(world.path(), [lines[..4].concat(), lines[4][..50].to_vec()].concat()).unwrap();
    };
    let world = World::written(3, WIDE);
    within(&world);
    assert!(matches!(Ledger::at(&world.path(), WIDE).open(), Err(LedgerError::Short { last: 4, .. })));
    assert!(world.names().iter().all(|name| !name.contains("torn")));
    refused(&|world| fs::remove_file(world.path()).unwrap(), "ends with record 0, but record 5");
    refused(&|world| fs::remove_file(world.folder.path().join("egress.head")).unwrap(), "is missing");
    // Replaced as a whole, by one that holds for itself.
    let replaced = |world: &World| {
        fs::copy(World::written(3, WIDE).path(), world.path()).unwrap();
    };
    refused(&replaced, "it is not the record that was written to disk");
    let twice = |world: &World| {
        let lines = lines(world);
        fs::write(world.path(), [lines.concat(), lines[4].clone()].concat()).unwrap();
    };
    refused(&twice, "line 6: it does not follow the record before it");
}

/// Between each two steps of a rotation.
#[test]
fn a_crash_in_a_rotation_is_recovered_from() {
    let limits = LedgerLimits { file_bytes: 2000, files: 3 };
    let world = World::written(10, limits);
    let files = Files::of(&world.path()).unwrap();
    // Renamed, and no new file yet.
    let first = files.list().unwrap()[0];
    let begin = fs::read(world.path()).unwrap();
    let begin = chain::check(begin.split(|b| *b == b'\n').next().unwrap()).unwrap();
    files.retire(begin.head.seq).unwrap();
    world.assert_holds();
    drop(world.open(limits).1);
    world.assert_holds();
    // Noted as deleted, and still there.
    let leftover = fs::read(files.full(first)).unwrap();
    let (ledger, writer, _) = world.open(limits);
    (0..20).for_each(|n| deny(&ledger, &format!("https://api.test/{n}")));
    drop(writer);
    assert!(files.list().unwrap()[0] > first);
    let oldest = files.list().unwrap()[0];
    fs::write(files.full(first), leftover).unwrap();
    drop(world.open(limits).1);
    assert_eq!(files.list().unwrap()[0], oldest);
    world.assert_holds();
}

const CHILD: &str = "HAUSKI_TEST_LEDGER";

/// Not a test: the process that is killed below.
#[test]
#[ignore = "it is run by `a_process_that_is_killed_leaves_a_ledger_that_holds`"]
fn writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let ledger = Ledger::at(Path::new(&path), LedgerLimits { file_bytes: 50_000, files: 100_000 });
    let _writer = ledger.open().unwrap();
    println!("open");
    std::io::stdout().flush().unwrap();
    loop {
        match ledger.reserve() {
            Ok(slip) => finish(slip, &grant("https://api.test/v1/"), "https://api.test/v1/x", End::Complete),
            Err(_) => std::thread::yield_now(),
        }
    }
}

#[test]
fn a_process_that_is_killed_leaves_a_ledger_that_holds() {
    let world = World::new();
    let mut records = 0;
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "ledger::tests::crashes::writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, world.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        assert!(lines.any(|line| line.unwrap().contains("open")));
        std::thread::sleep(Duration::from_millis(40 + 23 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let report = world.assert_holds();
        assert!(report.head.seq > records, "{report:?}");
        records = report.head.seq;
    }
    let (_, writer, recovery) = world.open(WIDE);
    assert!(recovery.unclosed);
    drop(writer);
    assert_eq!(world.kinds().iter().filter(|kind| *kind == "recovered").count(), 8);
    world.assert_holds();
}
