//! What is written, when there is no place for it, and how files follow each other.

use super::*;
use crate::EgressError;

#[test]
fn every_outcome_is_one_record_without_query_or_secret() {
    let world = World::new();
    let (ledger, writer, recovery) = world.open(WIDE);
    assert_eq!(recovery, Recovery::default());
    deny_for(
        &ledger,
        "GET",
        "http://10.0.0.7:11434/api/tags?key=s3cret",
        Denied::AddressClass { address: "10.0.0.7".parse().unwrap(), class: hauski_policy::AddressClass::Private },
    );
    let text = Denied::Target(hauski_policy::InvalidTarget::Scheme);
    decide(&ledger, Asked::Text("GET ws://a"), Verdict::Denied(&text));
    let target = Target::parse("POST", "https://api.test/v1/chat?key=s3cret").unwrap();
    decide(&ledger, Asked::Target(&target), Verdict::Unresolved(&crate::DnsError::Timeout.into()));
    let secret = "secret: { header: authorization, value: \"Bearer ${env:KEY}\" }";
    let entry = "{ url: \"https://*.api.test/v1/\", adapters: [ollama], methods: [POST] }";
    finish(ledger.reserve().unwrap(), &grant(entry), "https://eu.api.test/v1/chat?key=s3cret", End::Complete);
    let entry = format!("{{ url: \"https://api.test:8443/v1/\", adapters: [ollama], {secret} }}");
    let failed = EgressError::IdleTimeout;
    finish(ledger.reserve().unwrap(), &grant(&entry), "https://api.test:8443/v1/x", End::Failed(&failed));
    drop(ledger.reserve().unwrap());
    drop(writer);

    let mut records = world.records();
    assert_eq!(world.assert_holds().records, 7);
    for (at, record) in records.iter_mut().enumerate() {
        let record = record.as_object_mut().unwrap();
        assert_eq!(record["seq"], at + 1);
        assert!(!format!("{record:?}").contains("s3cret") && !format!("{record:?}").contains("Bearer"), "{record:?}");
        let time = record["time"].as_str().unwrap();
        assert!(time.len() == "2026-11-22T00:00:00.000000Z".len() && time.ends_with('Z'), "{time}");
        for volatile in ["seq", "time", "prev", "hash", "duration_us", "digest", "version"] {
            record.shift_remove(volatile);
        }
    }
    let texts: Vec<_> = records.iter().map(Value::to_string).collect();
    let expected = [
        r#"{"kind":"opened"}"#,
        r#"{"kind":"request","request":"r-1","adapter":"ollama","model":"m","verdict":"denied","reason":"address-class","method":"GET","scheme":"http","host":"10.0.0.7","port":11434,"path":"/api/tags","address":"10.0.0.7","address_class":"private","bytes_out":0,"bytes_in":0}"#,
        r#"{"kind":"request","request":"r-1","adapter":"ollama","model":"m","verdict":"denied","reason":"invalid-scheme","shown":"GET ws://a","bytes_out":0,"bytes_in":0}"#,
        r#"{"kind":"request","request":"r-1","adapter":"ollama","model":"m","verdict":"unresolved","reason":"dns-timeout","method":"POST","scheme":"https","host":"api.test","port":443,"path":"/v1/chat","bytes_out":0,"bytes_in":0}"#,
        r#"{"kind":"request","request":"r-2","adapter":"ollama","model":"m","verdict":"allowed","reason":"granted","method":"POST","scheme":"https","host":"eu.api.test","port":443,"path":"/v1/","entry":4,"network":"public","status":200,"end":"complete","reused":true,"bytes_out":11,"bytes_in":22}"#,
        r#"{"kind":"request","request":"r-2","adapter":"ollama","model":"m","verdict":"allowed","reason":"granted","method":"POST","scheme":"https","host":"api.test","port":8443,"path":"/v1/","entry":4,"network":"public","status":200,"end":"idle-timeout","reused":true,"bytes_out":11,"bytes_in":22}"#,
        r#"{"kind":"closed","unfinished":0}"#,
    ];
    assert_eq!(texts, expected);
}

#[test]
fn without_a_place_nothing_is_let_out() {
    let world = World::new();
    let ledger = Ledger::with_places(&world.path(), WIDE, 2);
    assert_eq!(ledger.reserve().unwrap_err(), LedgerUnavailable::NotOpen);
    assert!(world.names().is_empty(), "looking at a ledger makes no file");
    let (writer, _) = ledger.open().unwrap();
    let (one, two) = (ledger.reserve().unwrap(), ledger.reserve().unwrap());
    assert_eq!(ledger.reserve().unwrap_err(), LedgerUnavailable::Full);
    drop(one);
    drop(ledger.reserve().unwrap());
    let stats = ledger.stats().unwrap();
    assert_eq!((stats.records, stats.refused, stats.up, stats.intact), (1, 2, true, true));
    // What is under way when the ledger is closed is counted there.
    drop(writer);
    assert_eq!(ledger.reserve().unwrap_err(), LedgerUnavailable::Closed);
    assert_eq!(world.records().last().unwrap()["unfinished"], 1);
    finish(two, &grant("https://api.test"), "https://api.test/", End::Dropped);
    assert_eq!(ledger.stats().map(|stats| stats.up), Some(false));
    assert_eq!(world.assert_holds().records, 2);
}

#[test]
fn off_takes_everything_and_keeps_nothing() {
    let ledger = Ledger::off();
    let _writer = ledger.open().unwrap();
    deny(&ledger, "https://api.test/");
    assert_eq!((ledger.path(), ledger.stats()), (None, None));
}

#[test]
fn one_process_at_a_time() {
    let world = World::new();
    let (ledger, writer, _) = world.open(WIDE);
    assert!(matches!(Ledger::at(&world.path(), WIDE).open(), Err(LedgerError::Locked(_))));
    assert!(matches!(ledger.open(), Err(LedgerError::Locked(_))));
    drop(writer);
    let (_, _writer, recovery) = world.open(WIDE);
    assert_eq!(recovery, Recovery { records: 2, unclosed: false, torn: None });
}

#[test]
fn files_are_replaced_when_they_are_full() {
    let limits = LedgerLimits { file_bytes: 2000, files: 3 };
    let world = World::written(40, limits);
    let report = world.assert_holds();
    let full: Vec<_> = world.names().into_iter().filter(|name| name.starts_with("egress.0")).collect();
    assert_eq!((report.files, full.len()), (3, 2));
    let first = report.first.unwrap();
    assert!(first > 1 && full[0] == format!("egress.{first:020}.jsonl"), "{full:?}");
    assert_eq!((report.head.seq, report.records), (42, 42 - first + 1));
    for name in full.iter().map(String::as_str).chain(["egress.jsonl"]) {
        assert!(fs::metadata(world.folder.path().join(name)).unwrap().len() <= 2000, "{name}");
    }
    // The chain goes on over a restart.
    let (ledger, writer, recovery) = world.open(limits);
    assert_eq!((recovery.records, recovery.unclosed), (42, false));
    deny(&ledger, "https://api.test/");
    drop(writer);
    assert_eq!(world.assert_holds().head.seq, 45);
}

/// A folder takes the place of the file for the head: whatever the cause, what can't be written is tried again.
#[test]
fn what_can_not_be_written_is_kept_and_tried_again() {
    let world = World::new();
    let (ledger, writer, _) = world.open(WIDE);
    fs::create_dir(world.folder.path().join("egress.head.tmp")).unwrap();
    deny(&ledger, "https://api.test/1");
    let until = |up: bool| {
        let begun = Instant::now();
        while ledger.stats().unwrap().up != up {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    until(false);
    assert_eq!(ledger.reserve().unwrap_err(), LedgerUnavailable::Down);
    fs::remove_dir(world.folder.path().join("egress.head.tmp")).unwrap();
    until(true);
    deny(&ledger, "https://api.test/2");
    drop(writer);
    assert_eq!(world.assert_holds().records, 4);
}

/// Records of a second by one writer; how long the sender takes is what a request pays. Run with `--ignored --nocapture`.
#[test]
#[ignore = "it measures"]
fn speed() {
    let world = World::new();
    let (ledger, writer, _) = world.open(LedgerLimits { file_bytes: 64 << 20, files: 16 });
    let (caller, id, grant) = (caller(), Arc::<str>::from("r-2"), grant("https://api.test/v1/"));
    let target = Target::parse("POST", "https://api.test/v1/chat/completions").unwrap();
    let (n, begun) = (1_000_000_u32, Instant::now());
    let mut sending = Duration::ZERO;
    for _ in 0..n {
        let sent = Instant::now();
        let Ok(slip) = ledger.reserve() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        slip.finished(&Exchange {
            scope: &scope(),
            caller: &caller,
            request_id: &id,
            target: &target,
            grant: &grant,
            status: Some(http::StatusCode::OK),
            reused: true,
            bytes_out: 1100,
            bytes_in: 2200,
            first_byte: None,
            duration: Duration::from_micros(1234),
            end: End::Complete,
        });
        sending += sent.elapsed();
    }
    drop(writer);
    let (records, took) = (ledger.stats().unwrap().records, begun.elapsed());
    let rate = f64::from(u32::try_from(records).unwrap()) / took.as_secs_f64();
    println!("{records} records in {took:?}: {rate:.0} a second, {:?} each for the sender", sending / n);
    let begun = Instant::now();
    let report = world.assert_holds();
    println!("{} bytes verified in {:?}", report.bytes, begun.elapsed());
}
