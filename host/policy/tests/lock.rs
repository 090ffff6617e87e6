//! `adapters.lock`: what was approved, by what it can't be mistaken, and what differs.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use hauski_policy::{AdapterId, Digest, Lock, Locked, Routing, Unapproved};
use std::collections::BTreeSet;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn id(text: &str) -> AdapterId {
    text.parse().unwrap()
}

fn locked(byte: u8, imports: &[&str], grants: &[&str]) -> Locked {
    Locked { digest: digest(byte), imports: set(imports), grants: set(grants) }
}

fn lock(adapters: &[(&str, Locked)]) -> Lock {
    Lock { adapters: adapters.iter().map(|(name, locked)| (id(name), locked.clone())).collect() }
}

fn two() -> Lock {
    lock(&[
        ("echo", locked(1, &["hauski:adapter/log@0.1.0"], &[])),
        ("ollama", locked(2, &["a", "b: \"c\" # d"], &["http://127.0.0.1:11434/api/ GET POST (loopback, local)"])),
    ])
}

#[test]
fn what_is_written_is_read() {
    for lock in [Lock::default(), two()] {
        let text = lock.to_yaml();
        let parsed = Lock::parse("adapters.lock", text.as_bytes()).unwrap();
        assert_eq!((parsed.value, parsed.warnings.iter().count()), (lock, 0), "{text}");
    }
}

/// A part approves nothing that the whole does not.
#[test]
fn a_lock_that_is_cut_off_approves_no_more() {
    let (whole, text) = (two(), two().to_yaml());
    for cut in 0..text.len() {
        let Ok(part) = Lock::parse("adapters.lock", &text.as_bytes()[..cut]) else { continue };
        for (id, locked) in &part.value.adapters {
            assert_eq!(locked.digest, whole.adapters[id].digest, "{cut}");
            assert!(locked.imports.is_subset(&whole.adapters[id].imports), "{cut}");
        }
    }
}

#[test]
fn only_these_bytes_with_these_imports_are_approved() {
    let (lock, imports) = (two(), set(&["hauski:adapter/log@0.1.0"]));
    let judge = |name: &str, byte, imports: &BTreeSet<String>| lock.judge(&id(name), &digest(byte), imports);
    assert_eq!(judge("echo", 1, &imports), Ok(()));
    assert_eq!(judge("echo", 2, &imports), Err(Unapproved::OtherBytes { id: id("echo"), locked: digest(1) }));
    assert_eq!(judge("echo", 1, &set(&[])), Err(Unapproved::OtherImports { id: id("echo") }));
    assert_eq!(judge("ech", 1, &imports), Err(Unapproved::Absent { id: id("ech") }));
    // Under its own name only.
    assert!(judge("ollama", 1, &imports).is_err());
}

#[test]
fn what_differs_is_told_line_by_line() {
    let now = lock(&[("new", locked(7, &["a"], &["g"])), ("ollama", locked(3, &["a", "wasi:http/types@0.2.6"], &[]))]);
    let drift: Vec<_> = two().drift(&now).iter().map(ToString::to_string).collect();
    let (old, new) = (digest(2), digest(3));
    assert_eq!(
        drift,
        [
            "echo: in the lock, but not in the folder".to_owned(),
            format!("new: not in the lock\n  + digest {}\n  + import a\n  + grant g", digest(7)),
            format!(
                "ollama: not what the lock has\n  - digest {old}\n  + digest {new}\n  - import b: \"c\" # d\n  \
                 + import wasi:http/types@0.2.6\n  - grant http://127.0.0.1:11434/api/ GET POST (loopback, local)"
            ),
        ]
    );
    assert_eq!(two().drift(&two()), []);
}

#[test]
fn what_is_refused() {
    let codes = |text: &str| -> Vec<&'static str> {
        match Lock::parse("adapters.lock", text.as_bytes()) {
            Ok(_) => vec![],
            Err(found) => found.iter().map(|one| one.code).collect(),
        }
    };
    let entry = |id: &str, digest: &str| format!("{{ id: {id}, digest: \"{digest}\", imports: [], grants: [] }}");
    let good = entry("a", &digest(1).to_string());
    assert_eq!(codes(&format!("adapters: [{good}]")), [""; 0]);
    assert_eq!(codes(""), ["empty-file"]);
    assert_eq!(codes("adapters: {}"), ["wrong-type"]);
    assert_eq!(codes(&format!("adapters: [{good}, {good}]")), ["duplicate-adapter"]);
    let behind = format!("{{ digest: \"{}\", imports: [], grants: [], id: a }}", digest(1));
    assert_eq!(codes(&format!("adapters: [{behind}]")), ["id-behind-digest"]);
    assert_eq!(codes(&format!("adapters: [{}]", entry("A", &digest(1).to_string()))), ["adapter-invalid"]);
    assert_eq!(codes(&format!("adapters: [{}]", entry("a", "sha256:12"))), ["digest-invalid"]);
    assert_eq!(
        codes(&format!("adapters: [{}]", good.replace("imports: []", "imports: [\"\\u001b\"]"))),
        ["line-invalid"]
    );
    assert_eq!(codes(&format!("adapters: [{}]", good.replace(", grants: []", ""))), ["missing-key"]);
}

/// Two entries that grant the same have the same line, wherever and however they are written.
#[test]
fn the_line_of_a_grant() {
    let summary = |entry: &str| {
        let text = format!(
            "egress: {{ default: deny, allow: [{entry}] }}\nrouting: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n"
        );
        Routing::parse("routing.yaml", text.as_bytes()).unwrap().value.egress.grants[0].summary()
    };
    assert_eq!(
        summary("https://a.test"),
        "https://a.test/ DELETE GET HEAD OPTIONS PATCH POST PUT (public, cloud, any adapter)"
    );
    assert_eq!(
        summary(
            "{ url: \"https://a.test:443/v1/\", adapters: [x], methods: [POST, GET], expires: 2027-01-31, \
                 secret: { header: Authorization, value: \"Bearer ${env:A}${file:/b}\" } }"
        ),
        "https://a.test/v1/ GET POST (public, cloud, authorization from env:A and file:/b, until 2027-01-31)"
    );
}
