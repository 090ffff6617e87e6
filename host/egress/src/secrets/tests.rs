//! Tests that each accepted value is redacted in every spelling that a recipient may see.

use super::{Attached, Secrets};
use crate::SecretProblem;
use crate::fuzzing::write;
use crate::redact::Redactor;
use crate::search::SPELLINGS;
use crate::secret_value::{MAX_HEADER_LENGTH, MAX_LENGTH};
use bytes::Bytes;
use hauski_policy::{Grant, Routing, SecretPart, SecretTemplate};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

fn grant(header: &str, parts: &[SecretPart]) -> Arc<Grant> {
    let file = "egress: { default: deny, allow: [\"https://a.test/\"] }\n\
                routing: { prefer_local: true, cloud_fallback: { enabled: false } }\n";
    let routing = Routing::parse("routing.yaml", file.as_bytes()).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let mut grant = (*routing.value.egress.grants[0]).clone();
    grant.secret = Some(SecretTemplate { header: header.into(), parts: parts.to_vec() });
    Arc::new(grant)
}

/// Loads a secret whose references have these names and values.
fn load(header: &str, parts: &[SecretPart], values: &[(&str, &[u8])]) -> Result<Attached, Vec<SecretProblem>> {
    let grant = grant(header, parts);
    let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_vec());
    let env = |name: &str| value(name).map(OsString::from_vec);
    let read = |path: &Path| value(&path.to_string_lossy()).ok_or(std::io::ErrorKind::NotFound.into());
    let secrets = Secrets::load(std::slice::from_ref(&grant), &env, &read)
        .map_err(|missing| missing.into_iter().map(|one| one.problem).collect::<Vec<_>>())?;
    Ok(secrets.get(grant.secret.as_ref().unwrap()).unwrap())
}

fn text(text: &str) -> SecretPart {
    SecretPart::Text(text.into())
}

/// References to a variable and to a file. Both go by one rule.
fn sources() -> [(&'static str, SecretPart); 2] {
    [("KEY", SecretPart::Env("KEY".into())), ("/run/key", SecretPart::File("/run/key".into()))]
}

/// The redacted body when it arrives in pieces that end at these places, which are parts of a thousand.
fn redact(secret: &Attached, body: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut * body.len() / 1000).chain([body.len()]).collect();
    ends.sort_unstable();
    ends.dedup();
    let (mut redactor, mut redacted, mut start) = (Redactor::new(Arc::clone(&secret.needles)), Vec::new(), 0);
    for (n, end) in ends.iter().enumerate() {
        let piece = Bytes::copy_from_slice(&body[start..*end]);
        redacted.extend_from_slice(&redactor.feed(piece, n + 1 == ends.len()));
        start = *end;
    }
    redacted
}

/// Asserts that `echo` is redacted in a body, whole and in pieces, and in a header, and that nothing else is.
#[track_caller]
fn assert_redacted(secret: &Attached, echo: &[u8], cuts: &[usize]) {
    let stars = vec![b'*'; echo.len()];
    let shown = || echo.escape_ascii().to_string();
    for (before, after) in [("", ""), ("data: {\"bad\":\"", "\"}\n\n")] {
        let body = [before.as_bytes(), echo, after.as_bytes()].concat();
        let expected = [before.as_bytes(), &stars, after.as_bytes()].concat();
        for cuts in [&[][..], cuts, &(0..1000).collect::<Vec<_>>()] {
            let got = redact(secret, &body, cuts);
            assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{}", shown());
        }
    }
    let mut fields = HeaderMap::new();
    fields.append("x-echo", HeaderValue::from_bytes(echo).unwrap());
    fields.append("x-other", HeaderValue::from_static("other"));
    Redactor::new(Arc::clone(&secret.needles)).redact_fields(&mut fields);
    assert_eq!(fields["x-echo"].as_bytes(), stars, "{}", shown());
    assert_eq!(fields["x-other"], "other");
}

/// Asserts that an accepted secret is sent as recipients read it, and that its echoes are redacted in all spellings.
fn assert_holds(secret: &Attached, keys: &[&[u8]], choices: &[u8], cuts: &[usize]) {
    let sent = secret.value.as_bytes();
    assert!(secret.value.is_sensitive());
    // Recipients trim values (RFC 9110, section 5.5), some of them by Unicode's rules.
    assert_eq!(std::str::from_utf8(sent).unwrap().trim().as_bytes(), sent);
    assert!(sent.iter().all(|byte| (b' '..=b'~').contains(byte)) && sent.len() <= MAX_HEADER_LENGTH);
    for echo in keys.iter().copied().chain([sent]) {
        for spelling in 0..SPELLINGS.len() {
            assert_redacted(secret, &write(echo, spelling, choices), cuts);
        }
    }
}

fn edge() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,4}"
}

fn key() -> impl Strategy<Value = String> {
    "[!-~]{8,60}".prop_filter("one character repeated", |key| key.bytes().any(|byte| byte != key.as_bytes()[0]))
}

fn choices() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..40)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..=1000_usize, 0..12)
}

/// Bytes as a careless copy leaves them: keys, white space, and characters that nobody sees.
fn careless() -> impl Strategy<Value = Vec<u8>> {
    let invisible = ["\u{feff}", "\u{200b}", "\u{a0}", "\u{2028}", "\0", "\u{b}", "\u{c}", "\u{7f}", " ", "\t", "\r\n"];
    let part = prop_oneof![
        3 => "[!-~]{1,12}".prop_map(String::into_bytes),
        1 => edge().prop_map(String::into_bytes),
        1 => prop::sample::select(invisible.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn accepted_key_is_redacted_in_each_spelling(
        key in key(),
        (before, after, marked) in (edge(), edge(), any::<bool>()),
        prefix in prop::sample::select(vec!["", "Bearer ", "key  ", "a\\b%2f\" ", "x-y:"]),
        suffix in prop::sample::select(vec!["", " c", "=="]),
        (choices, cuts) in (choices(), cuts()),
    ) {
        let mark = if marked { "\u{feff}" } else { "" };
        let value = format!("{mark}{before}{key}{after}");
        for (name, reference) in sources() {
            let parts = [text(prefix), reference, text(suffix)];
            let secret = load("authorization", &parts, &[(name, value.as_bytes())]).unwrap();
            prop_assert_eq!(secret.value.to_str().unwrap().to_owned(), format!("{prefix}{key}{suffix}"));
            assert_holds(&secret, &[key.as_bytes()], &choices, &cuts);
        }
    }

    #[test]
    fn pair_of_keys_is_redacted_together_and_apart(
        (user, password) in (key(), key()),
        (first, second) in (edge(), edge()),
        joint in prop::sample::select(vec!["", ":", " "]),
        (choices, cuts) in (choices(), cuts()),
    ) {
        let parts = [text("Pair "), SecretPart::Env("A".into()), text(joint), SecretPart::File("/b".into())];
        let (a, b) = (format!("{first}{user}{second}"), format!("{second}{password}{first}"));
        let secret = load("x-api-key", &parts, &[("A", a.as_bytes()), ("/b", b.as_bytes())]).unwrap();
        prop_assert_eq!(secret.value.to_str().unwrap().to_owned(), format!("Pair {user}{joint}{password}"));
        assert_holds(&secret, &[user.as_bytes(), password.as_bytes()], &choices, &cuts);
    }

    #[test]
    fn any_value_is_refused_or_redacted(value in careless(), choices in choices(), cuts in cuts()) {
        for (name, reference) in sources() {
            if let Ok(secret) = load("authorization", &[reference], &[(name, &value)]) {
                let sent = secret.value.as_bytes();
                prop_assert!((8..=MAX_LENGTH).contains(&sent.len()), "{}", value.escape_ascii());
                prop_assert!(sent.iter().all(u8::is_ascii_graphic) && sent.iter().any(|byte| *byte != sent[0]));
                prop_assert!(value.windows(sent.len()).any(|part| part == sent));
                assert_holds(&secret, &[sent], &choices, &cuts);
            }
        }
    }
}

#[test]
fn longest_values_are_redacted_and_longer_headers_refused() {
    let key = "ab/\"".repeat(MAX_LENGTH / 4);
    let (a, b) = (SecretPart::Env("A".into()), SecretPart::Env("B".into()));
    let (first, second) = (format!("1{}", &key[1..]), format!("2{}", &key[1..]));
    let values = [("A", first.as_bytes()), ("B", second.as_bytes())];
    let secret = load("authorization", &[a.clone(), b.clone()], &values).unwrap();
    assert_eq!((secret.value.len(), MAX_HEADER_LENGTH), (8_192, 8_192));
    for spelling in 0..SPELLINGS.len() {
        for echo in [&*first, &*second, &*format!("{first}{second}")] {
            let echo = write(echo.as_bytes(), spelling, &[1, 2, 0, 3]);
            assert!(redact(&secret, &echo, &[1, 500, 501]).iter().all(|byte| *byte == b'*'));
        }
    }
    let refused = load("authorization", &[a, text(":"), b], &values);
    assert_eq!(refused.err(), Some(vec![SecretProblem::HeaderTooLong]));
}

#[test]
fn each_template_is_loaded_once() {
    let reference = |name: &str| SecretPart::Env(name.into());
    let grants = [grant("a", &[reference("A")]), grant("b", &[reference("B")]), grant("a", &[reference("A")])];
    let env = |name: &str| Some(format!("key-of-{name}").into());
    let secrets = Secrets::load(&grants, &env, &|_| Ok(Vec::new())).unwrap();
    assert_eq!(format!("{secrets:?}"), "Secrets { loaded: 2, .. }");
    let value = |grant: &Grant| secrets.get(grant.secret.as_ref().unwrap()).unwrap().value;
    assert_eq!(grants.each_ref().map(|grant| value(grant)), ["key-of-A", "key-of-B", "key-of-A"]);
    assert!(secrets.get(&SecretTemplate { header: "a".into(), parts: vec![reference("B")] }).is_none());
}

#[test]
fn problem_of_a_whole_header_names_its_references() {
    let parts = [SecretPart::Env("A".into()), text(" \u{e4} "), SecretPart::File("/b".into())];
    let grants = [grant("authorization", &parts)];
    let refused = Secrets::load(&grants, &|_| Some("sk-12345".into()), &|_| Ok(b"sk-67890".to_vec())).unwrap_err();
    assert_eq!(
        refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "the secret of the entry in line 1 can't be used: `${env:A}` and `${file:/b}` would not make a valid header; \
          correct the `secret` of the entry"
        ]
    );
}

#[test]
fn template_that_makes_no_header_is_refused() {
    let key = || SecretPart::Env("KEY".into());
    for (header, parts) in [
        ("x\n", vec![key()]),
        ("", vec![key()]),
        ("authorization", vec![text(" "), key()]),
        ("authorization", vec![key(), text("\t")]),
        ("authorization", vec![text("a\r\nb: "), key()]),
        ("authorization", vec![text("ä "), key()]),
    ] {
        let refused = load(header, &parts, &[("KEY", b"sk-12345")]);
        assert_eq!(refused.err(), Some(vec![SecretProblem::NotAHeader]), "{header:?} {parts:?}");
    }
}
