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
    local_only: bool,
}

const NONE: Files<'static> = Files {
    models: &[],
    entries: &[],
    routes: &[],
    preferences: "prefer_local: true, cloud_fallback: { enabled: false }",
    local_only: false,
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
        "egress:\n  default: deny\n  allow:{}\n{}routing: {{ routes: [{}], {} }}\n",
        list(files.entries, "  "),
        if files.local_only { "  local_only: true\n" } else { "" },
        routes.trim_start_matches(" []").replace("    - ", ", ").trim_start_matches(", "),
        files.preferences
    );
    let routing = Routing::parse("routing.yaml", routing.as_bytes()).unwrap().value;
    let digest = Digest::from_bytes([1; 32]);
    let ids = ["a", "c", "echo"].map(|id| id.parse::<AdapterId>().unwrap());
    let loaded = |at: usize, base_url: Option<&str>, can_send| {
        let holder = Holder { id: &ids[at], digest: &digest };
        let base_url = base_url.map(|url| url.parse().unwrap());
        AdapterFile::Loaded(AdapterFacts { holder, base_url, config_keys: vec!["base_url", "base_uri"], can_send })
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
            "spells this machine `127.0.0.1`, and the base URL `localhost` => write `base_url: 'http://127.0.0.1:8081/v1'`",
        ),
        ("http://127.0.0.1:8081/v1", entry("http://[::1]:8081/v1/", "adapters: [a]"), "spells this machine `[::1]`"),
        ("http://127.0.0.1:8082/v1", entry("http://127.0.0.1:8081/v1/", "adapters: [a]"), "is for port 8081"),
        ("https://api.openai.test/v1", entry("http://api.openai.test/v1/", "adapters: [a]"), "is for `http`"),
        ("https://api.openai.test/v1", entry("https://api.openai.test/v2/", "adapters: [a]"), "covers the path `/v2/`"),
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
            "pins another digest of `a`",
        ),
        (
            "https://api.openai.test/v1",
            entry("https://api.openai.test/v1/", "adapters: [a], models: [other]"),
            "is for the models other only => write `models: [other, m]`",
        ),
        (
            "https://api.openai.test/v1",
            entry("https://unrelated.test/v1/", "adapters: [a], models: [other]"),
            "=> write into `egress.allow`: `- { url: 'https://api.openai.test/v1/', adapters: ['a']",
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
        &["models.yml:2 base-url-version ... lacks `/v1` ... => write `base_url: 'http://127.0.0.1:8081/v1'`"],
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
        local_only: false,
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

#[test]
fn review_does_not_count_canaries_as_local_candidates() {
    let canary = "{ id: tried, canary: true, adapter: a, config: { base_url: \"http://127.0.0.1:8081/v1\" } }";
    let check = |route: &str, expected: &[&str]| {
        check(
            &Files { models: &[LLAMA, GPT, canary], entries: &[LOOPBACK, OPENAI], routes: &[route], ..NONE },
            expected,
        );
    };
    let expected = "route-without-local: the route `chat` has no local candidate but canaries ... \
                    all requests that fall to no canary leave";
    check("{ model: chat, candidates: [{ model: llama, canary_percent: 5 }, { model: gpt }] }", &[expected]);
    check("{ model: chat, candidates: [{ model: tried }, { model: gpt }] }", &[expected]);
    check("{ model: chat, candidates: [{ model: llama, canary_percent: 5 }, { model: gpt }], cloud_only: true }", &[]);
}

#[test]
fn review_does_not_say_that_requests_leave_where_all_are_local_only() {
    let routes: &[&str] = &["{ model: chat, candidates: [{ model: gpt }] }"];
    let files = Files { models: &[LLAMA, GPT], entries: &[LOOPBACK, OPENAI], routes, ..NONE };
    assert_eq!(findings(&files).len(), 1);
    check(&Files { local_only: true, ..files }, &[]);
}

#[test]
fn review_does_not_count_expired_entries_as_cloud() {
    let image =
        "{ url: \"https://images.test/\", adapters: [a], models: [llama], methods: [GET], expires: 2026-11-29 }";
    let routes: &[&str] = &["{ model: chat, candidates: [{ model: llama }] }"];
    check(&Files { models: &[LLAMA], entries: &[LOOPBACK, image], routes, ..NONE }, &[]);
}

#[test]
fn review_reports_misspelt_base_urls() {
    let described = "{ url: \"https://api.c.test/v1/\", adapters: [c], methods: [POST] }";
    for key in ["baseUrl", "BASE_URL", "base-url", "base_ulr", "baseurl"] {
        let model = format!("{{ id: m, adapter: c, config: {{ {key}: \"http://127.0.0.1:8081/v1\" }} }}");
        let expected = format!("models.yml:2 base-url-misspelt ... `{key}` ... => write `base_url`");
        check(&Files { models: &[&model], entries: &[described], ..NONE }, &[&expected]);
    }
    // The adapter describes this key: it means something else.
    let model = "{ id: m, adapter: c, config: { base_uri: x } }";
    check(&Files { models: &[model], entries: &[described], ..NONE }, &[]);
}

#[test]
fn review_reports_an_entry_for_other_adapters_before_one_with_another_port() {
    let other_port = "{ url: \"http://127.0.0.1:5000/v1/\", adapters: [a], methods: [POST] }";
    let other_adapter = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [c], methods: [POST] }";
    let found = findings(&Files { models: &[LLAMA], entries: &[other_port, other_adapter], ..NONE });
    assert!(found[0].contains("line 5 is for the adapters c => write `adapters: [c, a]`"), "{found:#?}");
}

#[test]
fn review_compares_loopback_urls_with_entries_for_this_machine_only() {
    let entry = |n: usize| format!("{{ url: \"https://g{n}.test/v1/\", adapters: [c], models: [c], methods: [POST] }}");
    let mut entries: Vec<_> = (0..100).map(entry).collect();
    entries.push("{ url: \"http://localhost:8081/v1/\", adapters: [a], methods: [POST] }".to_owned());
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    let found = findings(&Files { models: &[LLAMA, "{ id: c, adapter: c }"], entries: &entries, ..NONE });
    assert!(found[0].contains("the entry on line 104 spells this machine `localhost`"), "{found:#?}");
}

#[test]
fn review_reports_models_whose_grants_allow_no_completion() {
    let get = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], methods: [GET] }";
    check(
        &Files { models: &[LLAMA], entries: &[get], ..NONE },
        &["models.yml:2 no-post: the entry on line 4 of routing.yaml grants the model `llama` no POST"],
    );
    let image = "{ url: \"https://images.test/\", adapters: [a], models: [gpt], methods: [GET] }";
    check(
        &Files { models: &[GPT], entries: &[image], ..NONE },
        &[
            "models.yml:2 no-grant: no entry covers the base URL https://api.openai.test/v1 of the model `gpt` ... write into",
        ],
    );
    check(&Files { models: &[GPT], entries: &[image, OPENAI], ..NONE }, &[]);
    let bare = "{ url: \"https://else.test/\", adapters: [a], models: [bare], methods: [GET] }";
    check(&Files { models: &["{ id: bare, adapter: a }"], entries: &[bare], ..NONE }, &["models.yml:2 no-post"]);
}

/// An entry that works for one model is not the one to change for another.
#[test]
fn review_proposes_a_new_entry_beside_one_that_another_model_needs() {
    let second = "{ id: second, adapter: a, config: { base_url: \"http://127.0.0.1:8082/v1\" } }";
    check(
        &Files { models: &[LLAMA, second], entries: &[LOOPBACK], ..NONE },
        &[
            "models.yml:3 no-grant: no grant for the model `second` ... write into `egress.allow`: `- { url: 'http://127.0.0.1:8082/v1/'",
        ],
    );
}

#[test]
fn review_drops_unknown_names_from_what_it_proposes() {
    let adapter = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [openai], methods: [POST] }";
    check(
        &Files { models: &[LLAMA], entries: &[adapter], ..NONE },
        &[
            "models.yml:2 no-grant ... is for the adapters openai => write `adapters: [a]`",
            "routing.yaml:4 adapter-unknown: the entry names the adapter `openai`",
        ],
    );
    let model = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], models: [lama], methods: [POST] }";
    check(
        &Files { models: &[LLAMA], entries: &[model], ..NONE },
        &[
            "models.yml:2 no-grant ... is for the models lama only => write `models: [llama]`",
            "routing.yaml:4 model-unknown ... did you mean `llama`?",
        ],
    );
    let typo = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [ecko], methods: [POST] }";
    let found = findings(&Files { models: &["{ id: e, adapter: echo }"], entries: &[typo], ..NONE });
    assert!(found[0].contains("adapter-unknown") && found[0].ends_with("did you mean `echo`?"), "{found:?}");
}

#[test]
fn review_reports_candidates_that_are_no_models() {
    let route = "{ model: chat, candidates: [{ model: llama }, { model: gtp, order: 2 }] }";
    check(
        &Files { models: &[LLAMA, GPT], entries: &[LOOPBACK, OPENAI], routes: &[route], ..NONE },
        &["routing.yaml:6 candidate-unknown: the candidate `gtp` is no model of models.yml => did you mean `gpt`?"],
    );
}

#[test]
fn review_warns_of_base_urls_that_name_an_endpoint_or_lack_the_default_version() {
    let whole = "{ id: m, adapter: a, config: { base_url: \"https://api.openai.test/v1/chat/completions\" } }";
    check(
        &Files { models: &[whole], entries: &[OPENAI], ..NONE },
        &["models.yml:2 base-url-endpoint ... => write `base_url: 'https://api.openai.test/v1'`"],
    );
    let old = "{ id: m, adapter: c, config: { base_url: \"https://api.c.test\" } }";
    let root = "{ url: \"https://api.c.test/\", adapters: [c], methods: [POST] }";
    check(
        &Files { models: &[old], entries: &[root], ..NONE },
        &[
            "models.yml:2 base-url-version ... lacks `/v1`, which the adapter's default has => write `base_url: 'https://api.c.test/v1'`",
        ],
    );
}

/// The largest files, in which no model has a grant: time and findings are bounded.
#[test]
fn review_of_large_files_is_bounded() {
    let model = |n: usize| format!("{{ id: m{n}, adapter: a, config: {{ base_url: \"https://h{n}.test/v1\" }} }}");
    let models: Vec<_> = (0..3_000).map(model).collect();
    let entry = |n: usize| format!("{{ url: \"https://g{n}.test/v1/\", adapters: [a], methods: [POST] }}");
    let entries: Vec<_> = (0..4_500).map(entry).collect();
    let models: Vec<_> = models.iter().map(String::as_str).collect();
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    let found = findings(&Files { models: &models, entries: &entries, ..NONE });
    assert_eq!(found.len(), 200, "100 findings of each file are kept");
}
