//! Every way in which a ledger can be changed is found, and told with its place.

use super::*;

/// A ledger over three files, its lines, and its files' names in order.
fn ledger() -> (World, Vec<PathBuf>) {
    let world = World::written(12, LedgerLimits { file_bytes: 2300, files: 16 });
    let files = Files::of(&world.path()).unwrap();
    let mut paths: Vec<_> = files.list().unwrap().into_iter().map(|first| files.full(first)).collect();
    paths.push(world.path());
    assert!(paths.len() >= 3, "{paths:?}");
    (world, paths)
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    fs::read(path).unwrap().split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

fn seq(line: &[u8]) -> u64 {
    serde_json::from_slice::<Value>(line).unwrap()["seq"].as_u64().unwrap()
}

/// After `change` to the lines of the file with this number: exactly these kinds of problems, with these records' numbers.
#[track_caller]
fn check(file: usize, change: impl Fn(&mut Vec<Vec<u8>>), expected: impl Fn(u64) -> Vec<(ProblemKind, Option<u64>)>) {
    let (world, paths) = ledger();
    let mut all = lines(&paths[file]);
    let first = seq(&all[0]);
    change(&mut all);
    fs::write(&paths[file], all.concat()).unwrap();
    let report = world.verify();
    let found: Vec<_> = report.problems.iter().map(|problem| (problem.kind, problem.seq)).collect();
    assert_eq!(found, expected(first), "{:#?}", report.problems);
    assert!(report.problems.iter().all(|problem| !problem.message.is_empty() && problem.file.is_file()));
}

/// Gives a line another path, and the hash that belongs to it.
fn forge(line: &mut Vec<u8>) {
    let text = String::from_utf8(line.clone()).unwrap().replace("/v1/", "/v2/");
    let hashed = &text[..text.rfind(",\"hash\"").unwrap()];
    *line = format!("{hashed}}}").into_bytes();
    chain::seal(line, 0);
}

#[test]
fn changed() {
    use ProblemKind::{Changed, Replaced};
    let flip = |at: usize| move |lines: &mut Vec<Vec<u8>>| lines[1][at] ^= 1;
    check(0, flip(30), |first| vec![(Changed, Some(first + 1))]);
    // The number itself, and a digit of the hash.
    check(1, flip(7), |first| vec![(Changed, Some((first + 1) ^ 1))]);
    check(
        1,
        |lines| {
            let at = lines[1].len() - 9;
            lines[1][at] = if lines[1][at] == b'0' { b'1' } else { b'0' }
        },
        |first| vec![(Changed, Some(first + 1))],
    );
    check(1, |lines| lines[1] = b"{}\n".to_vec(), |_| vec![(Changed, None)]);
    // With a hash of its own, it no longer is what the next one names.
    check(1, |lines| forge(&mut lines[1]), |first| vec![(Replaced, Some(first + 2))]);
    check(0, |lines| forge(lines.last_mut().unwrap()), |first| vec![(Replaced, Some(first + lines_of_first()))]);
}

fn lines_of_first() -> u64 {
    lines(&ledger().1[0]).len() as u64
}

/// The last record has none behind it that names it, but the head does.
#[test]
fn the_last_record_changed_with_its_hash() {
    let (world, paths) = ledger();
    let mut all = lines(paths.last().unwrap());
    let last = all.last_mut().unwrap();
    let text = String::from_utf8(last.clone()).unwrap().replace("\"unfinished\":0", "\"unfinished\":1");
    *last = format!("{}}}", &text[..text.rfind(",\"hash\"").unwrap()]).into_bytes();
    chain::seal(last, 0);
    fs::write(paths.last().unwrap(), all.concat()).unwrap();
    let problems = world.verify().problems;
    assert_eq!((problems.len(), problems[0].kind), (1, ProblemKind::OtherHead), "{problems:#?}");
}

#[test]
fn missing() {
    use ProblemKind::Missing;
    check(1, |lines| drop(lines.remove(1)), |first| vec![(Missing, Some(first + 1))]);
    check(1, |lines| drop(lines.drain(1..3)), |first| vec![(Missing, Some(first + 1))]);
    check(0, |lines| drop(lines.remove(0)), |_| vec![(Missing, Some(1))]);
    for file in 0..3 {
        let (world, paths) = ledger();
        fs::remove_file(&paths[file]).unwrap();
        let problems = world.verify().problems;
        assert!(problems.iter().any(|problem| problem.kind == Missing), "{file}: {problems:#?}");
    }
    let (world, paths) = ledger();
    let mut all = lines(paths.last().unwrap());
    let last = seq(&all.pop().unwrap());
    fs::write(paths.last().unwrap(), all.concat()).unwrap();
    let problems = world.verify().problems;
    assert_eq!(problems.iter().map(|p| (p.kind, p.seq)).collect::<Vec<_>>(), [(Missing, Some(last))]);
    fs::remove_file(world.folder.path().join("egress.head")).unwrap();
    assert_eq!(world.verify().problems[0].kind, ProblemKind::HeadMissing);
}

#[test]
fn reordered_and_doubled() {
    use ProblemKind::{Duplicated, Reordered};
    check(1, |lines| lines.swap(1, 2), |first| vec![(Reordered, Some(first + 1))]);
    check(1, |lines| lines.swap(1, 3), |first| vec![(Reordered, Some(first + 2)), (Reordered, Some(first + 1))]);
    check(1, |lines| lines.insert(2, lines[1].clone()), |first| vec![(Duplicated, Some(first + 1))]);
    let moved = |lines: &mut Vec<Vec<u8>>| {
        let line = lines.remove(0);
        lines.push(line)
    };
    check(1, moved, |first| vec![(Reordered, Some(first))]);
    let (world, paths) = ledger();
    let (a, b) = (fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
    fs::write(&paths[0], b).unwrap();
    fs::write(&paths[1], a).unwrap();
    let problems = world.verify().problems;
    assert!(!problems.is_empty() && problems.iter().all(|p| p.kind == Reordered), "{problems:#?}");
}

/// Every byte of a record, changed to another: none goes unnoticed.
#[test]
fn every_byte_counts() {
    let world = World::written(3, WIDE);
    let text = fs::read(world.path()).unwrap();
    let middle = text.split_inclusive(|b| *b == b'\n').take(2).map(<[u8]>::len).sum::<usize>();
    for at in middle..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        fs::write(world.path(), &changed).unwrap();
        assert!(!world.verify().holds(), "{}", String::from_utf8_lossy(&changed[at.saturating_sub(20)..=at]));
    }
}

/// Whoever can write the folder can make a new chain. A head that was noted elsewhere shows it.
#[test]
fn heads_that_were_noted_elsewhere() {
    let (world, _) = ledger();
    let head = world.assert_holds().head;
    let with =
        |world: &World, head: Head| read(&world.path(), Some(head), &mut |_| {}, &mut |_, _| {}).unwrap().problems;
    assert_eq!(with(&world, head), []);
    let (early, other) = (Head { seq: 3, ..head }, World::written(40, WIDE));
    assert_eq!(with(&world, early)[0].kind, ProblemKind::OtherHead);
    other.assert_holds();
    assert_eq!(with(&other, head)[0].kind, ProblemKind::OtherHead);
    let later = Head { seq: head.seq + 5, ..head };
    assert_eq!((with(&world, later)[0].kind, with(&world, later)[0].seq), (ProblemKind::Missing, Some(head.seq + 1)));
    // Of a record that is no longer kept nothing can be said, but for the one right before the oldest.
    let world = World::written(60, LedgerLimits { file_bytes: 2000, files: 2 });
    let first = world.assert_holds().first.unwrap();
    assert_eq!(with(&world, Head { seq: 2, ..head })[0].kind, ProblemKind::OtherHead);
    let ends = Files::of(&world.path()).unwrap().read_head().unwrap().unwrap();
    assert_eq!(with(&world, ends.oldest.before()), []);
    assert_eq!(ends.oldest.first, first);
}

/// Nothing is left but a head, which says that there were records and that none of them is kept.
#[test]
fn records_that_are_all_gone() {
    let (world, paths) = ledger();
    let (head, files) = (world.assert_holds().head, Files::of(&world.path()).unwrap());
    let gone = Head { seq: 1000, ..head };
    files.write_head(&files::Ends { synced: gone, oldest: files::Begin::after(gone) }).unwrap();
    paths.iter().for_each(|path| fs::remove_file(path).unwrap());
    for empty in [false, true] {
        if empty {
            fs::write(world.path(), b"").unwrap();
        }
        let other = Head { hash: Hash::NONE, ..gone };
        for noted in [None, Some(gone), Some(other), Some(Head { seq: 900, ..head }), Some(Head { seq: 1500, ..head })]
        {
            let problems = read(&world.path(), noted, &mut |_| {}, &mut |_, _| {}).unwrap().problems;
            let missing: Vec<_> = problems.iter().map(|problem| problem.kind).collect();
            assert_eq!(missing, vec![ProblemKind::Missing; 1 + usize::from(noted.is_some())], "{noted:?} {empty}");
        }
        let error = Ledger::at(&world.path(), WIDE).open().err().unwrap();
        assert!(matches!(error, LedgerError::Short { last: 0, .. }), "{error}");
    }
    // A ledger that never had one is another matter.
    let world = World::new();
    recover::recover(&Files::of(&world.path()).unwrap()).unwrap();
    let with = |noted| read(&world.path(), noted, &mut |_| {}, &mut |_, _| {}).unwrap().problems;
    assert_eq!((with(None), with(Some(Head::NONE))), (Vec::new(), Vec::new()));
    assert_eq!(with(Some(Head { seq: 1, ..head }))[0].kind, ProblemKind::Missing);
}

/// Records that nobody honest writes, each of which holds for itself.
#[test]
fn hostile_records() {
    use ProblemKind::{Duplicated, Missing, OtherHead, Reordered};
    let hostile = |seq: u64| {
        move |lines: &mut Vec<Vec<u8>>| {
            let mut line = format!("{{\"seq\":{seq},\"prev\":\"{}\"}}", Hash::NONE).into_bytes();
            chain::seal(&mut line, 0);
            lines.insert(1, line);
        }
    };
    check(1, hostile(0), |_| vec![(Duplicated, Some(0))]);
    check(1, hostile(1), |_| vec![(Duplicated, Some(1))]);
    // All that is behind the highest number comes too late, and what lies between is missing: so is what the head names.
    let (world, paths) = ledger();
    let mut all = lines(&paths[1]);
    hostile(u64::MAX)(&mut all);
    fs::write(&paths[1], all.concat()).unwrap();
    let problems = world.verify().problems;
    let of = |kind| problems.iter().filter(|problem| problem.kind == kind).count();
    assert_eq!((of(Missing), of(OtherHead), of(Reordered) + 2), (1, 1, problems.len()), "{problems:#?}");
    assert!(problems.len() > 3);
}

/// A full file is never torn by a crash, be it followed by another or not.
#[test]
fn line_feed_that_is_missing_in_a_full_file_is_found() {
    check(
        0,
        |lines| {
            lines.last_mut().unwrap().pop();
        },
        |_| vec![(ProblemKind::Changed, None)],
    );
    let (world, paths) = ledger();
    let [.., newest_full, _] = &*paths else { panic!("{paths:?}") };
    fs::remove_file(world.path()).unwrap();
    let head = chain::check(lines(newest_full).last().unwrap().trim_ascii_end()).unwrap().head;
    let files = Files::of(&world.path()).unwrap();
    files.write_head(&files::Ends { synced: head, ..files.read_head().unwrap().unwrap() }).unwrap();
    world.assert_holds();
    let text = fs::read(newest_full).unwrap();
    fs::write(newest_full, &text[..text.len() - 1]).unwrap();
    assert_eq!(world.verify().problems[0].kind, ProblemKind::Changed);
    assert!(matches!(Ledger::at(&world.path(), WIDE).open(), Err(LedgerError::Damaged { .. })));
}

/// A ledger that was made up, and can't go on: its last record has the largest number.
#[test]
fn ledger_is_refused_when_no_record_can_follow() {
    let before = Head { seq: u64::MAX - 1, hash: Hash::NONE };
    let mut line = format!("{{\"seq\":{},\"prev\":\"{}\"", u64::MAX, before.hash).into_bytes();
    line.push(b'}');
    let last = Head { seq: u64::MAX, hash: chain::seal(&mut line, 0) };
    for is_full in [false, true] {
        let world = World::new();
        let files = Files::of(&world.path()).unwrap();
        fs::write(if is_full { files.full(u64::MAX) } else { world.path() }, &line).unwrap();
        files.write_head(&files::Ends { synced: last, oldest: files::Begin::after(before) }).unwrap();
        world.assert_holds();
        let error = Ledger::at(&world.path(), WIDE).open().err().unwrap().to_string();
        assert!(error.contains("its number is larger than any that was written"), "{error}");
    }
}

#[test]
fn lines_that_are_no_text() {
    check(1, |lines| lines.insert(1, b"\xff\xff\n".to_vec()), |_| vec![(ProblemKind::Changed, None)]);
}

#[test]
fn there_has_to_be_a_ledger() {
    let world = World::new();
    let absent = |path: &Path| matches!(read(path, None, &mut |_| {}, &mut |_, _| {}), Err(LedgerError::Absent(_)));
    assert!(absent(&world.path()) && absent(&world.folder.path().join("no/folder.jsonl")));
}
