//! `hauski check --online`: what the providers say of the models.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use assert_cmd::Command;
use common::{ROUTING, folder, write};
use hauski_tests::Upstream;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

/// A folder with the model `m`, whose provider is at this address and knows it as `theirs`.
fn with_model(address: std::net::SocketAddr) -> TempDir {
    let folder = folder();
    let adapter = hauski_tests::adapter("openai-compatible");
    fs::write(folder.path().join("adapters/openai-compatible.wasm"), adapter).unwrap();
    let base = format!("http://{address}/v1");
    let entry = json!([{ "url": format!("{base}/"), "adapters": ["openai-compatible"], "methods": ["GET", "POST"] }]);
    write(&folder, "routing.yaml", &ROUTING.replace("[]", &entry.to_string()));
    let model =
        json!({ "id": "m", "adapter": "openai-compatible", "upstream": "theirs", "config": { "base_url": base } });
    write(&folder, "models.yml", &json!({ "models": [model] }).to_string());
    folder
}

fn online(folder: &TempDir, more: &[&str]) -> Command {
    let mut command = Command::from_std(common::command(env!("CARGO_BIN_EXE_hauski"), folder));
    command.args(["check", "--online"]).args(more);
    command
}

#[test]
fn online_check_compares_models_with_the_list_of_the_provider() {
    for (ids, expected) in [("theirs", None), ("theirs:latest", None), ("other", Some("`other`"))] {
        let upstream =
            Upstream::json(json!({ "object": "list", "data": [{ "id": ids, "object": "model" }] }).to_string());
        let folder = with_model(upstream.address());
        let assert = online(&folder, &[]).assert().success();
        match expected {
            None => assert.stdout(contains("model-not-listed").not()),
            Some(name) => {
                online(&folder, &["--strict"]).assert().code(64);
                assert.stdout(contains("warning[model-not-listed]").and(contains(name)))
            }
        };
        assert!(upstream.requests().iter().all(|request| request.starts_with("GET /v1/models HTTP/1.1\r\n")));
        let ledger = fs::read_to_string(folder.path().join("ledger/egress.jsonl")).unwrap();
        assert!(ledger.contains(r#""model":"m","verdict":"allowed""#), "{ledger}");
    }
}

#[test]
fn online_check_ends_with_69_when_a_provider_is_down() {
    let address = {
        let upstream = Upstream::json("{}");
        upstream.address()
    };
    let folder = with_model(address);
    let down = contains("models.yml:1:").and(contains("error[provider-unanswered]")).and(contains("no connection"));
    online(&folder, &[]).assert().code(69).stderr(down);
    let output = online(&folder, &["--json"]).output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &result["ok"]), (Some(69), &json!(false)));
    assert_eq!((&result["online"][0]["model"], &result["online"][0]["listed"]), (&json!("m"), &Value::Null));
    // Without it, no provider is asked.
    let mut plain = Command::from_std(common::command(env!("CARGO_BIN_EXE_hauski"), &folder));
    plain.arg("check").assert().success();
}

/// Providers without a grant are not asked: the errors of the files come first.
#[test]
fn online_check_sends_nothing_for_a_model_without_a_grant() {
    let upstream = Upstream::json("{}");
    let folder = with_model(upstream.address());
    write(&folder, "routing.yaml", ROUTING);
    online(&folder, &[]).assert().code(64).stderr(contains("error[no-grant]"));
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn online_check_names_the_remedy_for_each_kind_of_failure() {
    for (status, kind, remedy) in [
        ("401 Unauthorized", "credentials", "correct the `secret` of the grant"),
        ("404 Not Found", "not-found", "which includes the version"),
        ("500 Internal Server Error", "other", "look up the request in the ledger"),
    ] {
        let upstream = Upstream::start(move |conversation| {
            conversation.request()?;
            conversation.answer(status, "content-type: application/json\r\n", "{}")
        });
        let folder = with_model(upstream.address());
        online(&folder, &[]).assert().code(69).stderr(contains(remedy));
        let output = online(&folder, &["--json"]).output().unwrap();
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["online"][0]["error_kind"], kind, "{result}");
    }
    let upstream = Upstream::json("{}");
    let folder = with_model(upstream.address());
    let routing = fs::read_to_string(folder.path().join("routing.yaml")).unwrap();
    write(&folder, "routing.yaml", &routing.replace(r#""GET","#, ""));
    online(&folder, &[]).assert().code(69).stderr(contains("write `methods: [GET, POST]` in the grant"));
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn online_check_says_that_a_running_gateway_holds_the_ledger() {
    let upstream = Upstream::json(json!({ "object": "list", "data": [{ "id": "theirs" }] }).to_string());
    let folder = with_model(upstream.address());
    online(&folder, &[]).assert().success();
    let lock = fs::File::options().write(true).open(folder.path().join("ledger/egress.lock")).unwrap();
    lock.lock().unwrap();
    online(&folder, &[])
        .assert()
        .code(1)
        .stderr(contains("another process, such as a running gateway, holds").and(contains("`off`")));
    let output = online(&folder, &["--json"]).output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&result["ok"], &result["problems"][0]["code"]),
        (&json!(false), &json!("ledger-unreadable")),
        "{result}"
    );
    online(&folder, &[]).env("HAUSKI_LEDGER", "off").assert().success();
}
