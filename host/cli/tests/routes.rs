//! `hauski route explain`, and what `hauski check` says of routes.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use assert_cmd::Command;
use common::{folder, write};
use predicates::str::contains;
use tempfile::TempDir;

/// The binary, in an environment that has nothing but the files of `folder`.
fn hauski(folder: &TempDir) -> Command {
    Command::from_std(common::command(env!("CARGO_BIN_EXE_hauski"), folder))
}

const ROUTES: &str = "egress: { default: deny, allow: [] }
routing:
  prefer_local: true
  routes:
    - { model: chat, candidates: [{ model: lost }, { model: typo, order: 2 }, { model: new }] }
  cloud_fallback: { enabled: false }
";

#[test]
fn route_explain_tells_who_is_asked_and_why() {
    let folder = folder();
    write(&folder, "routing.yaml", ROUTES);
    let models = "models: [{ id: lost, adapter: nowhere }, { id: new, adapter: nowhere, canary: true }]\n";
    write(&folder, "models.yml", models);
    let explain = |args: &[&str]| {
        let output = hauski(&folder).args(["route", "explain"]).args(args).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    insta::assert_snapshot!("route_explain", explain(&["chat", "--key", "alice"]));
    assert!(
        explain(&["chat"])
            .starts_with("`chat` is a route; decided for a request without a key. Each of these is drawn")
    );
    assert!(explain(&["lost"]).starts_with("`lost` is a model; decided for a request without a key\n"));
    let told: serde_json::Value = serde_json::from_str(&explain(&["chat", "--local-only", "--json"])).unwrap();
    assert_eq!((&told["given"]["local_only"], &told["is_route"]), (&true.into(), &true.into()));
    assert_eq!(told["held"][1]["code"], "unavailable");
    hauski(&folder).args(["route", "explain", "nobody"]).assert().code(1).stderr(contains("no model and no route"));
}

#[test]
fn check_names_candidates_that_never_take_part() {
    let folder = folder();
    write(&folder, "routing.yaml", ROUTES);
    let models = "models: [{ id: lost }, { id: new, canary: true }]\n";
    write(&folder, "models.yml", models);
    let typo = "error[candidate-unknown]: the candidate `typo` is no model of models.yml";
    hauski(&folder).arg("check").assert().code(64).stderr(contains(typo));
    write(&folder, "routing.yaml", &ROUTES.replace("{ model: typo, order: 2 }, ", ""));
    let idle = "warning: the route `chat` never asks its candidate `new`: it names no adapter in models.yml";
    hauski(&folder).arg("check").assert().success().stdout(contains(idle));
    hauski(&folder).args(["check", "--strict"]).assert().code(64);
}
