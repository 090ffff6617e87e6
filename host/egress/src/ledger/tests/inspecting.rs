//! What happens to the ledger's files while they are written to is noticed, and so is how far back they reach.

use super::*;
use std::io::Write as _;

fn wait_for(ledger: &Ledger, intact: bool) -> bool {
    let begun = Instant::now();
    while ledger.stats().unwrap().intact != intact {
        if begun.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// F12: nothing was noticed until the next start, which then refuses.
#[test]
fn change_of_a_file_is_noticed_while_it_is_written_to() {
    type Change = fn(&Path);
    let elsewhere = |path: &Path| path.with_file_name("elsewhere");
    let changes: [(&str, Change); 5] = [
        ("renamed", |path| fs::rename(path, path.with_file_name("elsewhere")).unwrap()),
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("truncated", |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap()),
        ("extended", |path| fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"{}\n").unwrap()),
        ("replaced", |path| {
            fs::copy(path, path.with_file_name("copy")).unwrap();
            fs::rename(path.with_file_name("copy"), path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let world = World::new();
        let (ledger, _writer, _) = world.open(WIDE);
        deny(&ledger, "https://api.test/");
        // Its own writing, and time that passes, are no changes.
        std::thread::sleep(Duration::from_millis(1200));
        assert!(ledger.stats().unwrap().intact, "{what}");
        change(&world.path());
        assert!(wait_for(&ledger, false), "{what}");
        assert!(ledger.stats().unwrap().up, "what is decided is still written: {what}");
        if what == "renamed" {
            fs::rename(elsewhere(&world.path()), world.path()).unwrap();
            assert!(wait_for(&ledger, true));
        }
    }
}

#[test]
fn loss_of_the_head_is_noticed() {
    let world = World::new();
    let (ledger, _writer, _) = world.open(WIDE);
    deny(&ledger, "https://api.test/");
    let (head, begun) = (world.path().with_file_name("egress.head"), Instant::now());
    while ledger.stats().unwrap().intact {
        assert!(begun.elapsed() < Duration::from_secs(20));
        // On a slow disk the last records are still to be written, and the head with them.
        let _ = fs::remove_file(&head);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn loss_of_a_full_file_is_noticed() {
    let world = World::new();
    let (ledger, _writer, _) = world.open(LedgerLimits { file_bytes: 2000, files: 3 });
    (0..40).for_each(|n| drop_one(&ledger, n));
    std::thread::sleep(Duration::from_millis(1200));
    assert!(ledger.stats().unwrap().intact);
    let full = world.names().into_iter().find(|name| name.starts_with("egress.0")).unwrap();
    fs::remove_file(world.folder.path().join(full)).unwrap();
    assert!(wait_for(&ledger, false));
}

/// L2: records that push out others are seen by how far back the ledger reaches.
#[test]
fn oldest_record_is_that_of_the_oldest_file() {
    let world = World::new();
    let limits = LedgerLimits { file_bytes: 2000, files: 3 };
    let (ledger, writer, _) = world.open(limits);
    let first = ledger.stats().unwrap().oldest.unwrap();
    drop_one(&ledger, 0);
    std::thread::sleep(Duration::from_millis(1100));
    (0..40).for_each(|n| drop_one(&ledger, n));
    drop(writer);
    let oldest = ledger.stats().unwrap().oldest.unwrap();
    assert!(oldest > first, "{first} {oldest}");
    let time = |record: &Value| record["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(world.records().first().map(time), Some(oldest));
    // A restart finds it on the disk.
    let (ledger, _writer, _) = world.open(limits);
    assert!(ledger.stats().unwrap().oldest.unwrap() >= oldest);
}

/// A record that is not folded.
fn drop_one(ledger: &Ledger, n: usize) {
    let slip = ledger.reserve().unwrap();
    finish(slip, &grant("https://api.test/"), &format!("https://api.test/{n}"), End::Dropped);
}
