//! Tests of the review, as tables of files and findings.

use super::*;
use crate::id::Digest;

/// The files of one case. The adapter `a` sends and describes no base URL, `c` describes one, `echo` sends nothing, `broken` is not
/// loaded.
struct Files<'f> {
    models: &'f [&'f str],
    entries: &'f [&'f str],
    routes: &'f [&'f str],
    preferences: &'f str,
}

const NONE: Files<'static> = Files {
    models: &[],
    entries: &[],
    routes: &[],
    preferences: "prefer_local: true, cloud_fallback: { enabled: false }",
};

fn list(items: &[&str], indent: &str) -> String {
    if items.is_empty() {
        return " []".to_owned();
    }
    items.iter().map(|item| format!("\n{indent}- {item}")).collect()
}

/// Returns what the review finds: `file:line code: message => help`, one for each finding.
fn findings(files: &Files<'_>) -> Vec<String> {
    let models = format!("models:{}\n", list(files.models, "  "));
    let models = Models::parse("models.yml", models.as_bytes()).unwrap().value;
    let routes = list(files.routes, "    ").replace('\n', "");
    let routing = format!(
        "egress:\n  default: deny\n  allow:{}\nrouting: {{ routes: [{}], {} }}\n",
        list(files.entries, "  "),
        routes.trim_start_matches(" []").replace("    - ", ", ").trim_start_matches(", "),
        files.preferences
    );
    let routing = Routing::parse("routing.yaml", routing.as_bytes()).unwrap().value;
    let digest = Digest::from_bytes([1; 32]);
    let ids = ["a", "c", "echo"].map(|id| id.parse::<AdapterId>().unwrap());
    let loaded = |at: usize, base_url: Option<&str>, sends| {
        let holder = Holder { id: &ids[at], digest: &digest };
        AdapterFile::Loaded(AdapterFacts { holder, base_url: base_url.map(|url| url.parse().unwrap()), sends })
    };
    let adapters = [
        loaded(0, None, true),
        loaded(1, Some("https://api.c.test/v1"), true),
        loaded(2, None, false),
        AdapterFile::NotLoaded("broken".parse().unwrap()),
    ];
    let found = review(&models, &routing, &adapters, "2026-11-30".parse().unwrap());
    found
        .iter()
        .flat_map(Diagnostics::iter)
        .map(|one| {
            let help = one.help.as_deref().unwrap_or_default();
            format!("{}:{} {}: {} => {help}", one.file, one.line, one.code, one.message)
        })
        .collect()
}

#[track_caller]
fn check(files: &Files<'_>, expected: &[&str]) {
    let found = findings(files);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let mut rest = found.as_str();
        for part in expected.split(" ... ") {
            let Some(at) = rest.find(part) else { panic!("{found}\nlacks {part}") };
            rest = &rest[at + part.len()..];
        }
    }
}

const LLAMA: &str = "{ id: llama, adapter: a, config: { base_url: \"http://127.0.0.1:8081/v1\" } }";
const GPT: &str = "{ id: gpt, adapter: a, config: { base_url: \"https://api.openai.test/v1\" } }";
const LOOPBACK: &str = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], methods: [POST] }";
const OPENAI: &str = "{ url: \"https://api.openai.test/v1/\", adapters: [a], methods: [POST] }";

#[test]
fn review_finds_nothing_where_models_and_grants_agree() {
    check(&NONE, &[]);
    check(&Files { models: &[LLAMA, GPT], entries: &[LOOPBACK, OPENAI], ..NONE }, &[]);
    check(&Files { models: &["{ id: e, adapter: echo }", "{ id: listed, path: /m.gguf }"], ..NONE }, &[]);
    let described = "{ url: \"https://api.c.test/v1/messages\", adapters: [c], methods: [POST] }";
    check(&Files { models: &["{ id: c, adapter: c }"], entries: &[described], ..NONE }, &[]);
    let named = "{ url: \"https://else.test/\", adapters: [a], models: [bare], methods: [POST] }";
    check(&Files { models: &["{ id: bare, adapter: a }"], entries: &[named], ..NONE }, &[]);
    let telemetry = "{ url: \"http://127.0.0.1:4318/v1/\", adapters: [telemetry], methods: [POST] }";
    check(&Files { entries: &[telemetry], ..NONE }, &[]);
}

#[test]
fn review_reports_unknown_adapters_with_the_closest_name() {
    check(
        &Files {
            models: &["{ id: m, adapter: ekho }", "{ id: n, adapter: ollama }", "{ id: b, adapter: broken }"],
            ..NONE
        },
        &[
            "models.yml:2 adapter-unknown: the adapters folder has no `ekho.wasm` => did you mean `echo`?",
            "models.yml:3 adapter-unknown ... put `ollama.wasm` into the adapters folder",
        ],
    );
}

#[test]
fn review_reports_models_without_a_grant_with_the_nearest_miss() {
    let at = |url: &str| format!("{{ id: m, adapter: a, config: {{ base_url: \"{url}\" }} }}");
    let entry = |url: &str, rest: &str| format!("{{ url: \"{url}\", methods: [POST], {rest} }}");
    for (base, entry, expected) in [
        (
            "http://localhost:8081/v1",
            entry("http://127.0.0.1:8081/v1/", "adapters: [a]"),
            "spells this machine `127.0.0.1`, and the base URL `localhost` => write `base_url: \"http://127.0.0.1:8081/v1\"`",
        ),
        ("http://127.0.0.1:8081/v1", entry("http://[::1]:8081/v1/", "adapters: [a]"), "spells this machine `[::1]`"),
        ("http://127.0.0.1:8082/v1", entry("http://127.0.0.1:8081/v1/", "adapters: [a]"), "is for port 8081"),
        ("https://api.openai.test/v1", entry("http://api.openai.test/v1/", "adapters: [a]"), "is for `http`"),
        ("https://api.openai.test/v1", entry("https://api.openai.test/v2/", "adapters: [a]"), "grants `/v2/` there"),
        (
            "https://api.openai.test/v1",
            entry("https://api.openai.tset/v1/", "adapters: [a]"),
            "did you mean `api.openai.tset`",
        ),
        (
            "https://api.openai.test/v1",
            entry("https://api.openai.test/v1/", "adapters: [c]"),
            "is for the adapters c => write `adapters: [c, a]`",
        ),
        (
            "https://api.openai.test/v1",
            entry("https://api.openai.test/v1/", &format!("adapters: [\"a@sha256:{}\"]", "0".repeat(64))),
            "is bound to other bytes of `a`",
        ),
        (
            "https://api.openai.test/v1",
            entry("https://api.openai.test/v1/", "adapters: [a], models: [other]"),
            "is for the models other only => write `models: [other, m]`",
        ),
        (
            "https://api.openai.test/v1",
            entry("https://unrelated.test/v1/", "adapters: [a], models: [other]"),
            "=> write into `egress.allow`: `- { url: \"https://api.openai.test/v1/\", adapters: [\"a\"]",
        ),
    ] {
        let (model, other) =
            (at(base), "{ id: other, adapter: a, config: { base_url: \"https://unrelated.test/v1\" } }");
        let found = findings(&Files {
            models: &[&model, other],
            entries: &[&entry, "{ url: \"https://unrelated.test/v1/\", adapters: [a], methods: [GET] }"],
            ..NONE
        });
        let one =
            found.iter().find(|line| line.starts_with("models.yml:2 no-grant")).unwrap_or_else(|| panic!("{found:#?}"));
        assert!(one.contains(expected), "{one}\nlacks {expected}");
    }
    check(
        &Files { models: &["{ id: m, adapter: a }"], ..NONE },
        &["models.yml:2 no-base-url ... it has no base URL ... models: [m]"],
    );
    let expired = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], methods: [POST], expires: 2026-11-29 }";
    check(
        &Files { models: &[LLAMA], entries: &[expired], ..NONE },
        &["models.yml:2 grants-expired ... the one on line 4 of routing.yaml on 2026-11-29"],
    );
}

#[test]
fn review_reports_a_base_url_that_lacks_its_version() {
    let model = |url: &str| format!("{{ id: m, adapter: a, config: {{ base_url: \"{url}\" }} }}");
    let bare = model("http://127.0.0.1:8081");
    check(
        &Files { models: &[&bare], entries: &[LOOPBACK], ..NONE },
        &["models.yml:2 base-url-version ... lacks `/v1` ... => write `base_url: \"http://127.0.0.1:8081/v1\"`"],
    );
    // The whole origin is granted, the model is named, or the rest of the path is no version.
    let root = "{ url: \"http://127.0.0.1:8081/\", adapters: [a], methods: [POST] }";
    let named = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], methods: [POST], models: [m] }";
    let narrow = "{ url: \"http://127.0.0.1:8081/chat/completions\", adapters: [a], methods: [POST] }";
    for entry in [root, named, narrow] {
        check(&Files { models: &[&bare], entries: &[entry], ..NONE }, &[]);
    }
}

#[test]
fn review_reports_entries_that_apply_to_no_model() {
    let images = "{ url: \"https://images.test/\", adapters: [a], methods: [GET] }";
    check(
        &Files { models: &[LLAMA], entries: &[LOOPBACK, images], ..NONE },
        &["routing.yaml:5 grant-unused: the entry applies to no model ... write `models: [name]`"],
    );
    let typo = "{ url: \"https://images.test/\", adapters: [a], methods: [GET], models: [lama] }";
    check(
        &Files { models: &[LLAMA], entries: &[LOOPBACK, typo], ..NONE },
        &[
            "routing.yaml:5 model-unknown: the entry names the model `lama`, which models.yml lacks => did you mean `llama`?",
        ],
    );
    // Of an adapter that is not loaded, the default base URL is not known.
    let broken = "{ url: \"https://images.test/\", adapters: [broken], methods: [GET] }";
    check(&Files { models: &["{ id: b, adapter: broken }"], entries: &[broken], ..NONE }, &[]);
}

#[test]
fn review_reports_routes_on_which_the_preferences_can_have_no_effect() {
    let files = |route: &'static str, preferences| Files {
        models: &[LLAMA, GPT],
        entries: &[LOOPBACK, OPENAI],
        routes: std::slice::from_ref(Box::leak(Box::new(route))),
        preferences,
    };
    let held = "prefer_local: true, cloud_fallback: { enabled: false }";
    let cloud = "{ model: chat, candidates: [{ model: gpt }] }";
    for preferences in [
        held,
        "prefer_local: false, cloud_fallback: { enabled: false }",
        "prefer_local: true, cloud_fallback: { enabled: true }",
    ] {
        check(
            &files(cloud, preferences),
            &[
                "routing.yaml:6 route-without-local: the route `chat` has no local candidate ... write `cloud_only: true`",
            ],
        );
    }
    check(&files(cloud, "prefer_local: false, cloud_fallback: { enabled: true }"), &[]);
    check(&files("{ model: chat, candidates: [{ model: gpt }], cloud_only: true }", held), &[]);
    check(&files("{ model: chat, candidates: [{ model: llama }, { model: gpt, order: 2 }] }", held), &[]);
    check(&files("{ model: chat, candidates: [{ model: llama }] }", held), &[]);
    check(
        &files("{ model: chat, candidates: [{ model: llama }, { model: gpt }], cloud_only: true }", held),
        &["routing.yaml:6 cloud-only-contradiction"],
    );
}
