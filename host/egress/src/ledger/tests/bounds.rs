//! However much an adapter asks for, and whatever it writes, its records are short, few, and count all of it.

use super::*;
use crate::{DnsError, EgressError};
use hauski_policy::{AddressClass, InvalidTarget};

/// What is recorded of requests that were not let out, each in a request of its own.
fn recorded(paths: &[&str]) -> Vec<Value> {
    let world = World::new();
    let (ledger, writer, _) = world.open(WIDE);
    paths.iter().for_each(|path| deny(&ledger, &format!("https://api.test{path}")));
    drop(writer);
    let mut records = world.records();
    records.retain(|record| record["kind"] == "request");
    records
}

#[test]
fn paths_are_cut_behind_a_whole_segment() {
    let (long, segments) = ("x".repeat(4000), "/0123456789".repeat(300));
    let whole = format!("/{}", "x".repeat(199));
    let paths = ["/v1", &whole, &format!("{whole}x"), &format!("/v1/chat/{long}"), &format!("/{long}/v1"), &segments];
    let found: Vec<_> = recorded(&paths)
        .iter()
        .map(|record| (record["path"].as_str().unwrap().to_owned(), record["path_cut"].as_bool()))
        .collect();
    let cut = |path: &str| (path.to_owned(), Some(true));
    let expected = [
        ("/v1".to_owned(), None),
        (whole, None),
        cut("/"),
        cut("/v1/chat/"),
        cut("/"),
        cut(&format!("{}/", "/0123456789".repeat(18))),
    ];
    assert_eq!(found, expected);
}

#[test]
fn whatever_a_guest_writes_a_record_is_short() {
    let world = World::new();
    let (ledger, writer, _) = world.open(WIDE);
    let text = Denied::Target(InvalidTarget::Character);
    for shown in ["\\\"\\\"".repeat(1000), "\u{10ffff}é".repeat(1000), "GET x".to_owned()] {
        decide(&ledger, Asked::Text(&shown), Verdict::Denied(&text));
    }
    let host = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(57)].join(".");
    let target = Target::parse("GET", &format!("https://{host}/{}", "y/".repeat(3000))).unwrap();
    decide(&ledger, Asked::Target(&target), Verdict::Unresolved(&EgressError::from(DnsError::Timeout)));
    drop(writer);
    let records = world.records();
    for record in &records {
        assert!(record.to_string().len() < 1200, "{record}");
        assert!(record["shown"].as_str().is_none_or(|shown| shown.len() <= 200), "{record}");
    }
    assert_eq!((&records[3]["shown"], &records[4]["path_cut"]), (&"GET x".into(), &true.into()));
    assert!(records[2]["shown"].as_str().unwrap().ends_with('…'));
}

fn refuse(ledger: &Ledger, caller: &Caller, id: &Arc<str>, url: &str) {
    let target = Target::parse("GET", url).unwrap();
    let verdict = Verdict::Denied(&Denied::Grant(Denial::Host));
    let slip = ledger.reserve().unwrap();
    slip.denied(&Decision { caller, scope: &scope(), request_id: id, asked: Asked::Target(&target), verdict });
}

/// How many records of one denial each there are, and what those say which stand for several; in all and of `id`.
fn counts(records: &[Value], id: &str, adapter: &str) -> (usize, Vec<u64>) {
    let own = |record: &&Value| record["request"] == *id && record["adapter"] == *adapter;
    let of = |kind: &'static str| records.iter().filter(own).filter(move |record| record["kind"] == *kind);
    (of("request").count(), of("repeated").map(|record| record["repeated"].as_u64().unwrap()).collect())
}

/// Two requests at a time with the same id of the client's, one of them of two adapters, and others between them.
#[test]
fn one_request_has_few_records_which_count_all_it_was_denied() {
    let world = World::new();
    let (ledger, writer, _) = world.open(WIDE);
    let other = Caller::new("other".parse().unwrap(), Digest::from_bytes([8; 32]), *caller().limits());
    let (one, same): (Arc<str>, Arc<str>) = ("one".into(), "same".into());
    for n in 0..256 {
        refuse(&ledger, &caller(), &one, &format!("https://api.test/{n}"));
        deny(&ledger, "https://api.test/");
        if n < 20 {
            refuse(&ledger, &other, &one, "https://api.test/");
        }
        if n < 16 {
            refuse(&ledger, &caller(), &same, "https://api.test/");
        }
    }
    drop(writer);
    let records = world.records();
    world.assert_holds();
    assert_eq!(counts(&records, "one", "ollama"), (16, vec![240]));
    assert_eq!(counts(&records, "one", "other"), (16, vec![4]));
    assert_eq!(counts(&records, "same", "ollama"), (16, Vec::new()));
    assert_eq!(counts(&records, "r-1", "ollama"), (256, Vec::new()));
    let kinds = world.kinds();
    assert_eq!(kinds[kinds.len() - 3..], ["repeated", "repeated", "closed"]);
    // The first ones are those that are told in full.
    let paths = records.iter().filter(|record| record["request"] == "one" && record["adapter"] == "ollama");
    let paths: Vec<_> = paths.filter_map(|record| record["path"].as_str()).collect();
    assert_eq!(paths, (0..16).map(|n| format!("/{n}")).collect::<Vec<_>>());
}

/// Whoever answers for the name has seen the question, and what an adapter may have told by it.
#[test]
fn what_was_looked_up_has_a_record_each() {
    let world = World::new();
    let (ledger, writer, _) = world.open(WIDE);
    let (id, caller, unresolved) = (Arc::<str>::from("one"), caller(), EgressError::from(DnsError::Timeout));
    let denied = Denied::AddressClass { address: "10.0.0.7".parse().unwrap(), class: AddressClass::Private };
    for n in 0..40 {
        let target = Target::parse("GET", &format!("https://{n}.api.test/")).unwrap();
        for verdict in [Verdict::Denied(&denied), Verdict::Unresolved(&unresolved)] {
            let asked = Asked::Target(&target);
            ledger.reserve().unwrap().denied(&Decision {
                caller: &caller,
                scope: &scope(),
                request_id: &id,
                asked,
                verdict,
            });
        }
    }
    drop(writer);
    assert_eq!(counts(&world.records(), "one", "ollama"), (80, Vec::new()));
}

/// A request that is over is counted then, though nothing comes after it.
#[test]
fn the_count_is_written_when_the_request_is_over() {
    let world = World::new();
    let (ledger, writer, _) = world.open(WIDE);
    let id: Arc<str> = "one".into();
    (0..30).for_each(|_| refuse(&ledger, &caller(), &id, "https://api.test/"));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(counts(&world.records(), "one", "ollama"), (16, Vec::new()));
    (0..30).for_each(|_| refuse(&ledger, &caller(), &id, "https://api.test/"));
    // Behind the last record, so that none comes which it could be written with.
    std::thread::sleep(Duration::from_millis(500));
    drop(id);
    let begun = Instant::now();
    while counts(&world.records(), "one", "ollama").1.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(counts(&world.records(), "one", "ollama"), (16, vec![44]));
    drop(writer);
    assert_eq!(world.assert_holds().records, 19);
}
