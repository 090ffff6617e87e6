//! Bounds on what an entry of `routing.yaml` may hold.

use hauski_policy::{MAX_URL, Routing};
use std::time::{Duration, Instant};

/// The codes of the errors of a file with this entry.
#[track_caller]
fn check(entry: &str, expected: &[&str]) {
    let file = format!(
        "egress:\n  default: deny\n  allow:\n    - {entry}\n\
         routing:\n  prefer_local: true\n  cloud_fallback: {{ enabled: false }}\n"
    );
    let codes: Vec<_> = match Routing::parse("routing.yaml", file.as_bytes()) {
        Ok(_) => vec![],
        Err(found) => found.iter().filter(|one| one.severity.as_str() == "error").map(|one| one.code).collect(),
    };
    assert_eq!(codes, expected, "{entry:.200}");
}

/// F11: such an entry could never match.
#[test]
fn urls_longer_than_any_request_are_refused() {
    let url = |length: usize| format!("https://a.test/{}", "x".repeat(length - "https://a.test/".len()));
    check(&format!("{{ url: \"{}\", adapters: [a], methods: [GET] }}", url(MAX_URL)), &[]);
    check(&format!("{{ url: \"{}\", adapters: [a], methods: [GET] }}", url(MAX_URL + 1)), &["url-too-long"]);
    check(&url(1 << 19), &["url-too-long"]);
}

/// F11: 120,000 references took a minute to check.
#[test]
fn references_of_one_secret_are_limited_in_number() {
    let begin = Instant::now();
    for (count, expected) in [(8, &[][..]), (9, &["secret-reference"]), (60_000, &["secret-reference"])] {
        let value = "${env:A}".repeat(count);
        let secret = format!("{{ header: x-key, value: \"{value}\" }}");
        check(&format!("{{ url: 'https://a.test/', adapters: [a], methods: [GET], secret: {secret} }}"), expected);
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}
