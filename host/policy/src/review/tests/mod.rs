//! Tests of the review, as tables of files and findings.

mod models;
mod routes;

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
        let config_keys = if can_send { vec!["base_url", "base_uri", "headers"] } else { vec![] };
        AdapterFile::Loaded(AdapterFacts { holder, base_url, config_keys, can_send })
    };
    let adapters = [
        loaded(0, None, true),
        loaded(1, Some("https://api.c.test/v1"), true),
        loaded(2, None, false),
        AdapterFile::NotLoaded("broken".parse().unwrap()),
    ];
    let own = ["127.0.0.1:8080".parse().unwrap()];
    let found = review(&models, &routing, &adapters, &own, "2026-11-30".parse().unwrap());
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
