//! Each entry allows the denials it was made from, and nothing of another adapter, method, scheme, host or port.

use super::*;
use hauski_policy::{Holder, ModelScope, Parsed, Routing, Scope};
use serde_json::json;
use std::sync::Arc;

/// The model of each line.
fn scope() -> Scope {
    Scope::Model(Arc::new(ModelScope { id: "m".into(), base_url: None }))
}

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// The line of a denial: `adapter METHOD url reason` and, after a space, the class of an address.
fn line(text: &str) -> Vec<u8> {
    let [adapter, method, url, reason, rest @ ..] = &*text.split(' ').collect::<Vec<_>>() else { panic!("{text}") };
    let target = Target::parse(method, url).unwrap();
    let line = json!({
        "seq": 1, "time": "2026-11-22T10:00:00.000000Z", "kind": "request", "adapter": adapter, "digest": DIGEST, "model": "m",
        "verdict": "denied", "reason": reason, "method": method, "scheme": target.scheme().as_str(),
        "host": target.host().to_string(), "port": target.port(), "path": target.path(), "address_class": rest.first(),
    });
    line.to_string().into_bytes()
}

fn suggest_with(wanted: Wanted, lines: &[Vec<u8>]) -> Fragment {
    let mut suggester = Suggester::new(wanted, &|_, _, _, _| None, &|model| model == "m");
    lines.iter().for_each(|line| suggester.record(line));
    suggester.finish()
}

fn suggest(denials: &[&str]) -> Fragment {
    suggest_with(Wanted::default(), &denials.iter().map(|text| line(text)).collect::<Vec<_>>())
}

#[track_caller]
fn routing(fragment: &Fragment) -> Parsed<Routing> {
    let file = format!("{fragment}routing: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n");
    Routing::parse("routing.yaml", file.as_bytes()).unwrap_or_else(|e| panic!("{file}\n{}", e.render(false)))
}

fn entries(fragment: &Fragment) -> Vec<String> {
    fragment.entries.iter().map(|one| one.entry.to_string()).collect()
}

/// The entries for these denials, without what all of them have.
#[track_caller]
fn check(denials: &[&str], expected: &[&str]) {
    let found: Vec<_> = entries(&suggest(denials)).iter().map(|entry| entry.replace("- { url: ", "{ ")).collect();
    assert_eq!(found, expected);
}

#[test]
fn fragment_names_local_models_that_an_entry_makes_cloud() {
    for (denial, expected) in [
        ("a POST https://api.test/v1/chat host-not-granted", true),
        ("a POST http://192.168.1.7/v1/chat host-not-granted", true),
        ("a POST http://127.0.0.1:8081/v1/chat host-not-granted", false),
        ("a POST http://localhost:8081/v1/chat host-not-granted", false),
        ("a POST http://gpu.test/v1/chat address-class loopback", false),
        ("a POST http://gpu.test/v1/chat address-class private", true),
    ] {
        let fragment = suggest(&[denial]);
        let text = "# makes the local model m cloud: its prompts may leave then";
        assert_eq!(fragment.to_string().contains(text), expected, "{denial}\n{fragment}");
        let model = expected.then_some("m");
        assert_eq!(fragment.to_json()["entries"][0]["makes_cloud"], json!(model), "{denial}");
    }
}

#[test]
fn entries_are_narrow() {
    check(
        &["a POST https://api.test/v1/chat?key=x host-not-granted", "a POST https://api.test/v1/chat host-not-granted"],
        &[r#"{ 'https://api.test/v1/chat', adapters: ['a'], models: ['m'], methods: [POST] }"#],
    );
    // What was only read is not to be written, and one adapter's denial is not another's.
    check(
        &[
            "a GET https://api.test/v1/models path-not-granted",
            "a POST https://api.test/v1/chat path-not-granted",
            "b POST https://api.test/v1/chat path-not-granted",
        ],
        &[
            r#"{ 'https://api.test/v1/models', adapters: ['a'], models: ['m'], methods: [GET] }"#,
            r#"{ 'https://api.test/v1/chat', adapters: ['a'], models: ['m'], methods: [POST] }"#,
            r#"{ 'https://api.test/v1/chat', adapters: ['b'], models: ['m'], methods: [POST] }"#,
        ],
    );
    check(
        &["a GET http://127.0.0.1:11434/api host-not-granted", "a PUT http://[::1]:1/ method-not-granted"],
        &[
            r#"{ 'http://127.0.0.1:11434/api', adapters: ['a'], models: ['m'], methods: [GET] }"#,
            r#"{ 'http://[::1]:1/', adapters: ['a'], models: ['m'], methods: [PUT] }"#,
        ],
    );
    // The network is known once the name was resolved.
    check(
        &["a GET https://gpu.test/ host-not-granted", "a GET https://gpu.test/ address-class private"],
        &[r#"{ 'https://gpu.test/', adapters: ['a'], models: ['m'], methods: [GET], network: private }"#],
    );
    let many: Vec<_> = (0..6).map(|n| format!("a GET https://api.test/v1/files/{n} path-not-granted")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    check(&many, &[r#"{ 'https://api.test/v1/files/', adapters: ['a'], models: ['m'], methods: [GET] }"#]);
}

#[test]
fn what_can_never_be_granted_is_said_and_not_suggested() {
    let text = json!({
        "time": "2026-11-22T10:00:00Z", "kind": "request", "adapter": "a", "digest": DIGEST, "verdict": "denied",
        "reason": "invalid-scheme", "shown": "GET ws://a\n    - https://evil.test #\u{2028}\u{202e}",
    });
    let mut lines = vec![text.to_string().into_bytes()];
    lines.extend(
        [
            "a GET http://169.254.169.254/latest host-not-granted",
            "a GET http://metadata.google.internal/ host-not-granted",
            "a GET http://rebound.test/ address-class link-local",
            "a GET http://localhost/ address-class public",
            "a GET http://127.0.0.1:8080/ own-address",
            "a GET https://api.test/ not-local",
        ]
        .map(line),
    );
    let fragment = suggest_with(Wanted::default(), &lines);
    assert_eq!((fragment.entries.len(), fragment.hopeless.len()), (0, 7));
    assert!(routing(&fragment).value.egress.grants.is_empty());
    let text = fragment.to_string();
    assert!(text.contains("allow: []") && text.contains("it is the gateway itself"), "{text}");
    assert!(text.lines().skip(3).all(|line| line.starts_with("# ")) && !text.contains('\u{202e}'), "{text}");
}

#[test]
fn what_is_no_denial_is_passed_over() {
    for other in ["{}", "x", r#"{"time":"2026-11-22T10:00:00Z","kind":"closed","unfinished":0}"#] {
        assert!(suggest_with(Wanted::default(), &[other.into()]).entries.is_empty());
    }
    let allowed = String::from_utf8(line("a GET https://api.test/ host-not-granted")).unwrap();
    for (from, to) in [("\"denied\"", "\"allowed\""), ("host-not-granted", "unheard-of"), ("\"a\"", "\"A B\"")] {
        let line = allowed.replace(from, to);
        assert_ne!(line, allowed);
        assert!(suggest_with(Wanted::default(), &[line.into()]).entries.is_empty(), "{to}");
    }
}

#[test]
fn only_what_is_wanted() {
    let lines = [line("a GET https://api.test/ host-not-granted"), line("b GET https://api.test/ host-not-granted")];
    let only = |wanted: Wanted| entries(&suggest_with(wanted, &lines));
    let id = Some("b".parse().unwrap());
    assert_eq!(only(Wanted { adapter: id, ..Wanted::default() }).len(), 1);
    let since = |text: &str| Wanted { since: Some(text.parse().unwrap()), ..Wanted::default() };
    assert_eq!(only(since("2026-11-22T10:00:00Z")).len(), 2);
    assert_eq!(only(since("2026-11-22T10:00:01Z")).len(), 0);
    let pinned = suggest_with(Wanted { pin: true, ..Wanted::default() }, &lines);
    assert!(entries(&pinned)[0].contains(&format!("adapters: ['a@{DIGEST}']")), "{pinned}");
    routing(&pinned);
    // What the policy allows by now, in the network that was needed.
    for (network, expected) in [(Network::Private, 0), (Network::Public, 1)] {
        let allows = |_: &AdapterId, _: &Digest, _: Option<&str>, _: &Target| Some(network);
        let mut suggester = Suggester::new(Wanted::default(), &allows, &|_| false);
        suggester.record(&line("a GET https://api.test/ address-class private"));
        assert_eq!(suggester.finish().entries.len(), expected);
    }
}

#[test]
fn adapters_can_not_make_it_long() {
    let lines: Vec<_> = (0..500).map(|n| line(&format!("a GET https://api.test/{n} host-not-granted"))).collect();
    let fragment = suggest_with(Wanted::default(), &lines);
    assert_eq!((fragment.entries.len(), fragment.left), (ENTRIES, 500 - ENTRIES as u64));
    assert!(fragment.to_string().contains("492 left out"));
}

/// All combinations of a few parts: what an entry was made from it allows, and of the rest nothing that differs in more than
/// the path below it.
#[test]
fn entries_allow_their_denials_and_nothing_else() {
    let mut all = Vec::new();
    for adapter in ["a", "b"] {
        for method in ["GET", "POST"] {
            for origin in ["https://api.test", "http://api.test", "https://api.test:8443", "https://x.api.test"] {
                for path in ["/", "/v1", "/v1/a", "/v1/b", "/v10", "/w/1", "/w/2", "/w/3"] {
                    all.push((adapter, method, origin, path));
                }
            }
        }
    }
    let today = "2026-11-22".parse().unwrap();
    for round in 0_u64..200 {
        // Some of them, by a multiplicative hash: the same in every run.
        let chosen = |at: usize| (at as u64 + 1).wrapping_mul(round * 2 + 0x9E37_79B9_7F4A_7C15) >> 60 == 0;
        let denied: Vec<_> = all.iter().enumerate().filter(|(at, _)| chosen(*at)).map(|(_, one)| *one).collect();
        let lines: Vec<_> =
            denied.iter().map(|(a, m, o, p)| line(&format!("{a} {m} {o}{p} host-not-granted"))).collect();
        let fragment = suggest_with(Wanted::default(), &lines);
        let parsed = routing(&fragment);
        assert_eq!((fragment.left, parsed.warnings.is_empty()), (0, true), "{fragment}");
        for (adapter, method, origin, path) in &all {
            let (id, digest) = (adapter.parse().unwrap(), DIGEST.parse().unwrap());
            let target = Target::parse(method, &format!("{origin}{path}")).unwrap();
            let holder = Holder { id: &id, digest: &digest };
            let allowed = parsed.value.egress.decide(holder, &scope(), &target, today, false).is_ok();
            let asked = denied.contains(&(adapter, method, origin, path));
            let alike = denied.iter().any(|(a, m, o, _)| (a, m, o) == (adapter, method, origin));
            assert!(allowed || !asked, "denies {adapter} {target}\n{fragment}");
            assert!(alike || !allowed, "allows {adapter} {target}\n{fragment}");
        }
    }
}

/// The line of a denial whose path the ledger has cut.
fn cut(text: &str) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(&line(text)).unwrap();
    value["path_cut"] = true.into();
    value.to_string().into_bytes()
}

#[test]
fn a_path_that_was_cut_is_a_prefix_or_nothing() {
    let fragment = suggest_with(Wanted::default(), &[cut("a GET https://api.test/v1/chat/ path-not-granted")]);
    assert_eq!(
        entries(&fragment),
        [r#"- { url: 'https://api.test/v1/chat/', adapters: ['a'], models: ['m'], methods: [GET] }"#]
    );
    routing(&fragment);
    assert!(fragment.to_string().contains("covers all below it; asked for: /v1/chat/…\n"), "{fragment}");
    // No ledger of ours has the last one, nor one that is that long.
    let long = format!("a GET https://api.test/{} path-not-granted", "x".repeat(4000));
    for line in [
        cut("a GET https://api.test/ path-not-granted"),
        cut("a GET https://api.test/v1 host-not-granted"),
        line(&long),
    ] {
        let fragment = suggest_with(Wanted::default(), &[line]);
        assert_eq!((fragment.entries.len(), fragment.hopeless.len()), (0, 1), "{fragment}");
        assert!(fragment.to_string().contains("its path is too long for the ledger"), "{fragment}");
        routing(&fragment);
    }
    let deep = format!("a GET https://api.test/v1/{} path-not-granted", "x".repeat(4000));
    assert!(entries(&suggest_with(Wanted::default(), &[line(&deep)]))[0].contains("'https://api.test/v1/'"));
}

/// An entry is a prefix, whatever it was made from: each says so.
#[test]
fn each_entry_says_what_it_covers() {
    let mut denials = vec!["a POST https://api.test/v1/chat path-not-granted".to_owned()];
    denials.extend((0..6).map(|n| format!("a GET https://files.test/v1/{n} path-not-granted")));
    let text = suggest(&denials.iter().map(String::as_str).collect::<Vec<_>>()).to_string();
    assert!(text.contains("# covers all below it; asked for: /v1/chat\n"), "{text}");
    assert!(text.contains("# covers all below it; asked for: /v1/0 /v1/1 /v1/2 /v1/3 /v1/4 and 1 more\n"), "{text}");
    assert_eq!(text.matches("covers all below it").count(), text.matches("- { url").count());
}

#[test]
fn what_was_only_counted_is_said() {
    let counted = |adapter: &str| {
        let time = "2026-11-22T10:00:00Z";
        let line = json!({ "time": time, "kind": "repeated", "adapter": adapter, "digest": DIGEST, "repeated": 240 });
        line.to_string().into_bytes()
    };
    let lines = [counted("a"), counted("b"), line("a GET https://api.test/ host-not-granted")];
    let fragment = suggest_with(Wanted::default(), &lines);
    assert!(fragment.to_string().contains("# 480 more that the ledger has only counted\n"), "{fragment}");
    assert_eq!(fragment.to_json()["only_counted"], 480);
    let wanted = Wanted { adapter: Some("b".parse().unwrap()), ..Wanted::default() };
    assert_eq!(suggest_with(wanted, &lines).to_json()["only_counted"], 240);
}

/// One adapter that makes up paths, hosts and texts takes no time, and nothing from the others.
#[test]
fn no_adapter_crowds_out_another() {
    let begun = std::time::Instant::now();
    let mut suggester = Suggester::new(Wanted::default(), &|_, _, _, _| None, &|_| false);
    for n in 0..REQUESTS {
        suggester.record(&line(&format!("a GET https://api.test/{n}/x path-not-granted")));
        suggester.record(&line(&format!("a GET https://h{n}.test/ host-not-granted")));
        suggester.record(&line(&format!("a GET http://169.254.169.254/{n} host-not-granted")));
    }
    suggester.record(&line("b GET https://api.test/v1 path-not-granted"));
    // Of what is known, no more is needed to go on counting.
    suggester.record(&line("a GET https://h0.test/ host-not-granted"));
    let fragment = suggester.finish();
    let of = |adapter: &str| fragment.entries.iter().filter(|one| one.entry.adapter == adapter).count();
    assert_eq!(of("b"), 1);
    assert!(of("a") == ENTRIES_IN_ALL && fragment.hopeless.len() <= REQUESTS);
    let all = 3 * REQUESTS as u64 + 2;
    let told = fragment.entries.iter().map(|one| one.seen.count).sum::<u64>()
        + fragment.hopeless.iter().map(|(_, seen)| seen.count).sum::<u64>();
    assert_eq!(told + fragment.left + fragment.beyond, all);
    assert!(fragment.entries.iter().any(|one| one.seen.count == 2));
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

#[test]
fn one_origin_takes_not_all_of_an_adapters_share() {
    let mut lines: Vec<_> =
        (0..=PATHS).map(|n| line(&format!("a GET https://api.test/{n} path-not-granted"))).collect();
    lines.push(line("a GET https://other.test/ host-not-granted"));
    let fragment = suggest_with(Wanted::default(), &lines);
    assert_eq!((fragment.beyond, fragment.left), (1, (PATHS - ENTRIES) as u64));
    assert!(entries(&fragment).iter().any(|entry| entry.contains("other.test")));
}
