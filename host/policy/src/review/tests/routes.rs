//! Tests of the review of routes.

use super::{Files, GPT, LLAMA, LOOPBACK, NONE, OPENAI, check, findings};

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
fn review_reports_candidates_that_are_no_models() {
    let route = "{ model: chat, candidates: [{ model: llama }, { model: gtp, order: 2 }] }";
    check(
        &Files { models: &[LLAMA, GPT], entries: &[LOOPBACK, OPENAI], routes: &[route], ..NONE },
        &["routing.yaml:6 candidate-unknown: the candidate `gtp` is no model of models.yml => did you mean `gpt`?"],
    );
}

#[test]
fn review_reports_routes_that_ask_cloud_models_first() {
    let files = |route: &'static str, preferences| Files {
        models: &[LLAMA, GPT, "{ id: listed }"],
        entries: &[LOOPBACK, OPENAI],
        routes: std::slice::from_ref(Box::leak(Box::new(route))),
        preferences,
        local_only: false,
    };
    // Without `prefer_local`, the lowest order is asked first, and nothing that began there is held.
    let unordered = "prefer_local: false, cloud_fallback: { enabled: false }";
    let cloud_first = "{ model: chat, candidates: [{ model: gpt }, { model: llama, order: 2 }] }";
    check(
        &files(cloud_first, unordered),
        &["route-without-local ... no local candidate of the lowest `order` ... => write `prefer_local: true`"],
    );
    check(
        &files(
            "{ model: chat, candidates: [{ model: gpt }, { model: llama, order: 2 }], cloud_only: true }",
            unordered,
        ),
        &[],
    );
    check(&files(cloud_first, "prefer_local: true, cloud_fallback: { enabled: false }"), &[]);
    check(&files("{ model: chat, candidates: [{ model: llama }, { model: gpt, order: 2 }] }", unordered), &[]);
    // A model without an adapter is never asked, and holds the others only where nothing may fall back.
    let listed = "{ model: chat, candidates: [{ model: listed }, { model: gpt }] }";
    check(&files(listed, "prefer_local: true, cloud_fallback: { enabled: true }"), &["route-without-local"]);
    check(&files(listed, "prefer_local: true, cloud_fallback: { enabled: false }"), &[]);
}

#[test]
fn review_warns_of_canaries_that_are_never_asked() {
    let route: &[&str] = &["{ model: chat, candidates: [{ model: llama }, { model: gpt, canary_percent: 50 }] }"];
    let files = Files { models: &[LLAMA, GPT], entries: &[LOOPBACK, OPENAI], routes: route, ..NONE };
    check(&files, &["routing.yaml:6 canary-held: the canary `gpt` of the route `chat` receives no requests"]);
    let preferences = "prefer_local: true, cloud_fallback: { enabled: true }";
    check(&Files { preferences, ..files }, &[]);
}
