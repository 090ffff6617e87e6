//! Tests of the review of models, and of the entries that they need.

use super::{Files, GPT, LLAMA, LOOPBACK, NONE, OPENAI, check, findings};

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
            "is for the adapters c => write `adapters: ['c', 'a']`",
        ),
        (
            "https://api.openai.test/v1",
            entry("https://api.openai.test/v1/", &format!("adapters: [\"a@sha256:{}\"]", "0".repeat(64))),
            "pins another digest of `a`",
        ),
        (
            "https://api.openai.test/v1",
            entry("https://api.openai.test/v1/", "adapters: [a], models: [other]"),
            "is for the models other only => write `models: ['other', 'm']`",
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
        &["models.yml:2 no-base-url ... it has no base URL ... models: ['m']"],
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
    // An entry for another place says nothing about the base URL.
    let image = "{ url: \"https://images.test/\", adapters: [a], methods: [GET], models: [m] }";
    check(&Files { models: &[&bare], entries: &[LOOPBACK, image], ..NONE }, &["models.yml:2 base-url-version"]);
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
    assert!(found[0].contains("line 5 is for the adapters c => write `adapters: ['c', 'a']`"), "{found:#?}");
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
            "models.yml:2 no-grant ... is for the adapters openai => write `adapters: ['a']`",
            "routing.yaml:4 adapter-unknown: the entry names the adapter `openai`",
        ],
    );
    let model = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], models: [lama], methods: [POST] }";
    check(
        &Files { models: &[LLAMA], entries: &[model], ..NONE },
        &[
            "models.yml:2 no-grant ... is for the models lama only => write `models: ['llama']`",
            "routing.yaml:4 model-unknown ... did you mean `llama`?",
        ],
    );
    let typo = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [ecko], methods: [POST] }";
    let found = findings(&Files { models: &["{ id: e, adapter: echo }"], entries: &[typo], ..NONE });
    assert!(found[0].contains("adapter-unknown") && found[0].ends_with("did you mean `echo`?"), "{found:?}");
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
    let entries: Vec<_> = (0..4_000).map(entry).collect();
    let models: Vec<_> = models.iter().map(String::as_str).collect();
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    let found = findings(&Files { models: &models, entries: &entries, ..NONE });
    assert_eq!(found.len(), 200, "100 findings of each file are kept");
}

/// Proposals weaken no grant: digests stay, and https stays https.
#[test]
fn review_proposes_no_change_that_weakens_a_grant() {
    let digest = "1".repeat(64);
    let pinned =
        format!("{{ url: \"http://127.0.0.1:8081/v1/\", adapters: [\"c@sha256:{digest}\"], methods: [POST] }}");
    let found = findings(&Files { models: &[LLAMA], entries: &[&pinned], ..NONE });
    assert!(found[0].contains(&format!("write `adapters: ['c@sha256:{digest}', 'a']`")), "{found:#?}");
    let clear = "{ id: m, adapter: a, config: { base_url: \"http://api.openai.test/v1\" } }";
    let tls = "{ url: \"https://api.openai.test/v1/\", adapters: [a], methods: [POST] }";
    let found = findings(&Files { models: &[clear], entries: &[tls], ..NONE });
    assert!(found[0].ends_with("=> write `base_url: 'https://api.openai.test/v1'`"), "{found:#?}");
    // An entry that another model needs is not respelled.
    let other = "{ id: other, adapter: a, config: { base_url: \"http://localhost:8081/v1\" } }";
    let shared = "{ url: \"http://localhost:8081/v1/\", adapters: [a], methods: [POST] }";
    let found = findings(&Files { models: &[LLAMA, other], entries: &[shared], ..NONE });
    assert!(found[0].ends_with("=> write `base_url: 'http://localhost:8081/v1'`"), "{found:#?}");
}

#[test]
fn review_reports_an_expired_grant_at_the_base_url_beside_one_for_images() {
    let ended = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], methods: [POST], expires: 2026-11-29 }";
    let image = "{ url: \"https://images.test/\", adapters: [a], models: [llama], methods: [GET] }";
    check(
        &Files { models: &[LLAMA], entries: &[ended, image], ..NONE },
        &["models.yml:2 grants-expired ... the one on line 4 of routing.yaml on 2026-11-29"],
    );
}

/// Models of adapters without network imports need no grant.
#[test]
fn review_asks_for_no_completion_of_models_that_stay_in_the_sandbox() {
    let any = "{ url: \"https://images.test/\", methods: [GET], models: [\"*\"] }";
    check(&Files { models: &["{ id: e, adapter: echo }"], entries: &[any], ..NONE }, &[]);
}

#[test]
fn review_warns_of_settings_that_the_adapter_does_not_describe() {
    let entry = "{ url: \"https://api.c.test/v1/\", adapters: [c], methods: [POST] }";
    let model = |key: &str| format!("{{ id: m, adapter: c, config: {{ {key}: 1 }} }}");
    check(
        &Files { models: &[&model("headres"), &model("x").replace("id: m", "id: n")], entries: &[entry], ..NONE },
        &[
            "models.yml:2 config-key-unknown ... `headres`, which its adapter does not describe => did you mean `headers`?",
            "models.yml:3 config-key-unknown ... `x` ... => write one of base_url, base_uri, headers, or delete the key",
        ],
    );
    // An adapter that describes no settings may read any.
    let silent = "{ id: e, adapter: echo, config: { delay_ms: 5 } }";
    check(&Files { models: &[silent, &model("headers")], entries: &[entry], ..NONE }, &[]);
}

#[test]
fn review_reports_a_base_url_at_which_the_gateway_listens() {
    let model = "{ id: m, adapter: a, config: { base_url: \"http://localhost:8080/v1\" } }";
    let entry = "{ url: \"http://localhost:8080/v1/\", adapters: [a], methods: [POST] }";
    check(
        &Files { models: &[model], entries: &[entry], ..NONE },
        &[
            "models.yml:2 base-url-own-address: the base URL http://localhost:8080/v1 of the model `m` is the gateway itself",
        ],
    );
    // No entry is proposed that would let the gateway ask itself.
    check(&Files { models: &[model], ..NONE }, &["base-url-own-address"]);
    check(&Files { models: &[LLAMA], entries: &[LOOPBACK], ..NONE }, &[]);
}

#[test]
fn review_reports_a_base_url_that_the_entries_for_its_model_do_not_cover() {
    let other_port = "{ url: \"http://127.0.0.1:8097/v1/\", adapters: [a], models: [llama], methods: [POST] }";
    check(
        &Files { models: &[LLAMA], entries: &[other_port], ..NONE },
        &[
            "models.yml:2 no-grant: no entry covers the base URL http://127.0.0.1:8081/v1 of the model `llama`; the entries that name it",
        ],
    );
    check(&Files { models: &[LLAMA], entries: &[other_port, LOOPBACK], ..NONE }, &[]);
}
