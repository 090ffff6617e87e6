//! What holds for all texts: what is accepted reads the same to everybody, and nothing but what an entry says is permitted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod reference;

use hauski_policy::Routing;
use proptest::prelude::*;
use proptest::sample::select;
use reference::lock::fuzz_lock;
use reference::{POLICY, check_files, check_guard, check_host, check_parts, check_url, fuzz_policy, fuzz_url};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder(name)).unwrap()
}

/// Of texts, each of which is likely to be part of what is looked for.
fn joined(parts: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(select(parts), 0..=most).prop_map(|parts| parts.concat())
}

fn scheme() -> impl Strategy<Value = String> {
    prop_oneof![8 => select(&["https", "http", "HTTPS", "hTTp"][..]).prop_map(str::to_owned), 1 => "[a-z:/]{0,6}"]
}

fn host() -> impl Strategy<Value = String> {
    let address = any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string());
    let literal = any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]"));
    let known = select(
        &[
            "api.matrix.example",
            "api.a.test",
            "127.0.0.1",
            "[::1]",
            "x.b.test",
            "gpu.test",
            "api.c.test",
            "[::ffff:127.0.0.1]",
        ][..],
    );
    let parts: &[_] =
        &["a", "api", ".", "-", "b.test", "xn--", "0x", "1", "127", "é", "%61", "[", "]", ":", "A", "_", "[::1]"];
    prop_oneof![6 => known.prop_map(str::to_owned), 2 => address, 2 => literal, 3 => joined(parts, 6), 1 => "[!-~]{0,12}"]
}

fn authority() -> impl Strategy<Value = String> {
    let ports: &[_] =
        &["", "", "", ":443", ":80", ":11434", ":8080", ":8443", ":", ":0", ":65536", ":00", ":+1", "@evil.test"];
    let users: &[_] = &["", "", "", "", "", "", "u@", "u:p@", "@"];
    (select(users), host(), select(ports)).prop_map(|(user, host, port)| format!("{user}{host}{port}"))
}

fn path() -> impl Strategy<Value = String> {
    let parts: &[_] = &[
        "/",
        "/",
        "/",
        "v1",
        "v10",
        "api",
        "x",
        "m%C3%A4",
        ".",
        "..",
        ";",
        "%2e",
        "%2f",
        "%C3",
        "%",
        "?",
        "&q='",
        "%2F",
        "#",
        "\\",
        " ",
        "\t",
        "é",
        "~",
        "@",
        ":",
        "!$'()*+,=",
        "|",
        "^",
        "<",
    ];
    prop_oneof![
        2 => select(&["", "/", "/v1", "/v1/", "/v1/x/", "/v10", "/api/x", "/m%C3%A4/?a=b"][..]).prop_map(str::to_owned),
        3 => joined(parts, 8),
    ]
}

fn method() -> impl Strategy<Value = &'static str> {
    select(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "get", ""][..])
}

/// What an entry of [`POLICY`] covers, and what is only nearly the same.
fn near() -> impl Strategy<Value = (&'static str, String)> {
    let entries: &[_] = &[
        ("https", "api.matrix.example", "", "", "PATCH"),
        ("https", "api.a.test", "", "/v1", "POST"),
        ("https", "api.a.test", "", "/v1/x", "GET"),
        ("http", "127.0.0.1", ":11434", "/api", "POST"),
        ("http", "[::1]", ":8080", "", "PUT"),
        ("https", "x.b.test", ":8443", "/m%C3%A4", "DELETE"),
        ("https", "gpu.test", "", "", "GET"),
        ("https", "api.c.test", ":443", "/v1", "PUT"),
    ];
    let scheme = prop_oneof![9 => Just(None), 1 => select(&["http", "https"][..]).prop_map(Some)];
    let before = select(&["", "", "", "", "", "", "x.", "x", "a.b."][..]);
    let after = select(&["", "", "", "", "", "", ".test", ".b.test", "x"][..]);
    let port = prop_oneof![9 => Just(None), 1 => select(&["", ":80", ":443", ":8443"][..]).prop_map(Some)];
    let rest: &[_] = &[
        "",
        "/",
        "/",
        "/x",
        "0",
        "x/",
        "/y/z?q=/",
        "?q",
        ";x/y",
        "%C3%A4",
        "/./x",
        "/../y",
        "/..;z",
        "/%2e%2E/x",
        "//",
        "/%2e",
        "/.",
    ];
    let rest = select(rest);
    let method = prop_oneof![9 => Just(None), 1 => method().prop_map(Some)];
    (select(entries), scheme, before, after, port, rest, method).prop_map(
        |(entry, scheme, before, after, port, rest, method)| {
            let (own_scheme, host, own_port, path, own_method) = entry;
            let (scheme, port) = (scheme.unwrap_or(own_scheme), port.unwrap_or(own_port));
            (method.unwrap_or(own_method), format!("{scheme}://{before}{host}{after}{port}{path}{rest}"))
        },
    )
}

/// A file with a few of its bytes, lines or words replaced, doubled or left out.
fn mutated(files: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece: &[_] = &[
        "", "\n", " ", "  ", ":", "-", "[", "]", "{", "}", "\"", "'", "#", "&a", "*a", "!", "|", "~", "0", "é",
        "\u{feff}",
    ];
    let change = (0..10_000_usize, 0..12_usize, select(piece));
    (select(files), prop::collection::vec(change, 0..6)).prop_map(|(file, changes)| {
        let mut text = if file.is_empty() { POLICY.as_bytes().to_vec() } else { read(file) };
        for (at, len, piece) in changes {
            let at = at % (text.len() + 1);
            let end = text.len().min(at + len);
            text.splice(at..end, piece.bytes());
        }
        text
    })
}

/// Entries of any kind, of which most are valid.
fn entries() -> impl Strategy<Value = String> {
    let entry =
        (scheme(), host(), path(), select(&["", "*."][..]), 0..128_u8).prop_map(|(scheme, host, path, star, keys)| {
            let url =
                format!("\"{scheme}://{star}{}{}\"", host.replace(['"', '\\'], ""), path.replace(['"', '\\'], ""));
            let rest = [
                ", adapters: [a]",
                ", methods: [GET, POST]",
                ", network: private",
                ", secret: { header: x-k, value: \"a ${env:K}\" }",
                ", expires: 2027-01-31",
                ", local: true",
                ", models: [m]",
            ];
            let rest: String = (0..).zip(rest).filter(|(bit, _)| keys >> bit & 1 == 1).map(|(_, key)| key).collect();
            if rest.is_empty() { format!("    - {url}\n") } else { format!("    - {{ url: {url}{rest} }}\n") }
        });
    prop::collection::vec(entry, 0..3).prop_map(|entries| entries.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn targets_read_the_same_to_everybody(method in method(), scheme in scheme(), authority in authority(), path in path()) {
        let parts = check_parts(method, &scheme, &authority, &path);
        let text = check_url(method, &format!("{scheme}://{authority}{path}"));
        prop_assert!(parts.is_none() || parts == text);
        if let Some((target, url)) = text {
            let policy = Routing::parse("routing.yaml", POLICY.as_bytes()).unwrap().value;
            check_guard(&policy.egress, &target, &url);
        }
    }

    #[test]
    fn entries_cover_whole_parts(targets in prop::collection::vec(near(), 16)) {
        let policy = Routing::parse("routing.yaml", POLICY.as_bytes()).unwrap().value;
        for (method, text) in targets {
            if let Some((target, url)) = check_url(method, &text) {
                check_guard(&policy.egress, &target, &url);
            }
        }
    }

    #[test]
    fn hosts_print_what_they_are(text in host()) {
        check_host(&text);
    }

    #[test]
    fn files_of_any_entries_hold(entries in entries(), cuts in prop::collection::vec(0..1000_usize, 8)) {
        let text = POLICY.split_once("    - ").unwrap().0.to_owned() + &entries + POLICY.split_at(POLICY.find("routing:").unwrap()).1;
        check_files(text.as_bytes(), cuts.into_iter());
    }

    #[test]
    fn damaged_files_hold(
        text in mutated(&["", "policies/routing.yaml", "policies/models.yml", "policies/limits.yaml"]),
        cuts in prop::collection::vec(0..2000_usize, 4),
    ) {
        check_files(&text, cuts.into_iter());
    }
}

#[test]
fn a_file_that_is_cut_off_grants_nothing() {
    let whole = Routing::parse("routing.yaml", POLICY.as_bytes()).unwrap().value.to_json();
    for cut in 0..POLICY.len() {
        match Routing::parse("routing.yaml", &POLICY.as_bytes()[..cut]) {
            // The last line's end may be missing.
            Ok(part) => assert!(part.value.to_json() == whole && cut + 1 == POLICY.len(), "{cut}"),
            Err(errors) => assert!(errors.errors() > 0),
        }
    }
}

/// What the fuzzers have found worth keeping; the checks are theirs.
#[test]
fn the_corpus_holds() {
    for (name, check) in [("url", fuzz_url as fn(&[u8])), ("policy", fuzz_policy), ("lock", fuzz_lock)] {
        let files: Vec<_> = std::fs::read_dir(folder("fuzz/corpus").join(name)).unwrap().collect();
        assert!(files.len() >= 5, "{name}");
        files.into_iter().for_each(|file| check(&std::fs::read(file.unwrap().path()).unwrap()));
    }
}
