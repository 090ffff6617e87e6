//! `keys.yaml`: who may ask for what, what is refused, and that no hash is ever shown.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use hauski_policy::{KeyHash, Keys, ModelNames};
use proptest::prelude::*;
use proptest::sample::select;

const HASH: &str = "\"sha256:abababababababababababababababababababababababababababababababab\"";
const ARGON2ID: &str =
    "\"$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g\"";

#[track_caller]
fn parse(text: &str) -> Keys {
    let parsed = Keys::parse("keys.yaml", text.as_bytes()).unwrap();
    assert!(parsed.warnings.is_empty());
    parsed.value
}

/// The codes of what is found in a file with these lines of keys.
#[track_caller]
fn check(keys: &str, expected: &[&str]) {
    let text = format!("keys:\n  - {}\n", keys.replace("HASH", HASH));
    let found = Keys::parse("keys.yaml", text.as_bytes()).map_or_else(|errors| errors, |parsed| parsed.warnings);
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), expected, "{keys}");
    assert!(!found.render(false).contains("ababab") && !format!("{found:?}").contains("ababab"), "{keys}");
}

#[test]
fn keys() {
    let text = format!(
        "keys:\n  - name: laptop\n    hash: {}\n    models: [echo, chat, echo/2]\n    requests_per_minute: 60\n    \
         local_only: true\n    operator: true\n    expires: 2027-01-31\n  - {{ name: 0.a-b_c, hash: {ARGON2ID}, models: [\"*\"] }}\n",
        HASH.trim_matches('"')
    );
    let keys = parse(&text);
    let laptop = keys.get("laptop").unwrap();
    assert_eq!(laptop.hash, KeyHash::Sha256([0xab; 32]));
    assert!(laptop.models.covers("chat") && !laptop.models.covers("*") && !laptop.models.covers("cha"));
    assert_eq!((laptop.requests_per_minute, laptop.local_only, laptop.operator), (Some(60), true, true));
    let holds = |day: &str| laptop.holds_on(day.parse().unwrap());
    assert!(holds("2027-01-31") && !holds("2027-02-01"));

    let other = keys.get("0.a-b_c").unwrap();
    let KeyHash::Argon2id(hash) = &other.hash else { unreachable!("{other:?}") };
    assert_eq!((hash.as_str(), hash.memory_kib()), (ARGON2ID.trim_matches('"'), 65536));
    assert_eq!((&other.models, other.requests_per_minute, other.local_only), (&ModelNames::All, None, false));
    assert!(!other.operator, "nobody is one by absence");
    assert!(other.models.covers("anything") && other.holds_on("9999-12-31".parse().unwrap()));
    assert_eq!((keys.iter().count(), keys.get("phone").is_none()), (2, true));

    insta::assert_snapshot!("shown", serde_json::to_string_pretty(&keys).unwrap());
    insta::assert_snapshot!("debug", format!("{keys:#?}"));
}

/// A file that says so lets nobody in; one that says nothing is refused.
#[test]
fn nobody() {
    assert_eq!(parse("keys: []\n").iter().count(), 0);
    for text in ["", "keys:\n", "{}\n", "key: []\n", "- a\n"] {
        assert!(Keys::parse("keys.yaml", text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn what_is_refused() {
    check("{ name: a, hash: HASH, models: [x] }", &[]);
    check("{ hash: HASH, models: [x] }", &["missing-key"]);
    check("{ name: a, models: [x] }", &["missing-key"]);
    check("{ name: a, hash: HASH }", &["missing-key"]);
    check("{ name: a, hash: HASH, models: [x], model: y }", &["unknown-key"]);
    check("HASH", &["wrong-type"]);
    for name in ["A", "\"a b\"", "ä", "a/b", "\"\"", &"a".repeat(65)] {
        check(&format!("{{ name: {name}, hash: HASH, models: [x] }}"), &["key-name-invalid"]);
    }
    for (hash, expected) in [
        ("\"\"", "hash-invalid"),
        ("hauski-ababab", "hash-invalid"),
        ("sha256:ababab", "hash-invalid"),
        (&HASH.to_uppercase(), "hash-invalid"),
        (&HASH.replace("sha256:", ""), "hash-invalid"),
        (&HASH.replace("sha256", "sha512"), "hash-invalid"),
        (&ARGON2ID.replace("65536", "524288"), "hash-invalid"),
        (&ARGON2ID.replace("argon2id", "argon2d"), "hash-invalid"),
        ("~", "missing-value"),
        ("12", "wrong-type"),
        ("[HASH]", "wrong-type"),
    ] {
        check(&format!("{{ name: a, hash: {hash}, models: [x] }}"), &[expected]);
    }
    for (models, expected) in [
        ("[]", "empty-list"),
        ("x", "wrong-type"),
        ("\"*\"", "wrong-type"),
        ("[\"*\", x]", "models-contradiction"),
        ("[x, x]", "duplicate-item"),
        ("[\"x*\"]", "model-id-invalid"),
        ("[*]", "syntax"),
    ] {
        check(&format!("{{ name: a, hash: HASH, models: {models} }}"), &[expected]);
    }
    for (rest, expected) in [
        ("requests_per_minute: 0", "out-of-range"),
        ("requests_per_minute: 1000001", "out-of-range"),
        ("requests_per_minute: ~", "missing-value"),
        ("local_only: yes", "wrong-type"),
        ("operator: 1", "wrong-type"),
        ("expires: 2027-02-29", "date-invalid"),
    ] {
        check(&format!("{{ name: a, hash: HASH, models: [x], {rest} }}"), &[expected]);
    }
    check("{ name: a, hash: HASH, models: [x] }\n  - { name: b, hash: HASH, models: [y] }", &["duplicate-hash"]);
    let other = HASH.replace("ab", "cd");
    check(&format!("{{ name: a, hash: HASH, models: [x] }}\n  - {{ name: b, hash: {other}, models: [x] }}"), &[]);
    check(
        &format!("{{ name: a, hash: HASH, models: [x] }}\n  - {{ name: a, hash: {other}, models: [x] }}"),
        &["duplicate-key-name"],
    );
}

/// The parser tells nothing of comments, so they are looked for.
#[test]
fn what_was_commented_out_is_not_shown() {
    for comment in ["# hash: HASH", "#{ hash: HASH }", "# hauski-ababab"] {
        let text = format!("keys:\n  - name: ä {comment}\n    models: [x]\n    hash: HASH\n").replace("HASH", HASH);
        let shown = Keys::parse("keys.yaml", text.as_bytes()).unwrap_err().render(false);
        assert!(shown.contains("- name: ä ***\n") && !shown.contains("ababab"), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However a file is damaged elsewhere, no diagnostic shows what stands at `hash`.
    #[test]
    fn no_diagnostic_shows_a_hash((start, end) in select(elsewhere()), piece in "[\\[\\]{}\"':,#&*!|~ \n-]{0,3}") {
        let mut damaged = two_keys();
        damaged.replace_range(start..end, &piece);
        if let Err(found) = Keys::parse("keys.yaml", damaged.as_bytes()) {
            let shown = found.render(true) + &format!("{found:?}") + &serde_json::to_string(&found).unwrap();
            prop_assert!(!shown.contains("ababab"), "{damaged}\n{shown}");
        }
    }
}

fn two_keys() -> String {
    format!(
        "keys:\n  - name: a\n    hash: {HASH}\n    models: [x]\n    expires: 2027-02-30\n  - {{ name: b, hash: {HASH}, models: [] }}\n"
    )
}

/// The parts of it, of up to 12 bytes, that touch no hash.
fn elsewhere() -> Vec<(usize, usize)> {
    let text = two_keys();
    let is_hash = |at: usize| text[..at].rfind("hash").is_some_and(|key| at < key + 6 + HASH.len());
    let parts = (0..=text.len()).flat_map(|start| (start..=text.len().min(start + 12)).map(move |end| (start, end)));
    parts.filter(|(start, end)| !(*start..=*end).any(is_hash)).collect()
}
