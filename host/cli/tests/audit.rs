//! `hauski audit` and `hauski adapters approve`: what is shown of adapters, and what was approved against what is there.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use assert_cmd::Command;
use common::{folder, write};
use hauski_tests::{adapter, guest};
use predicates::prelude::*;
use predicates::str::{contains, is_match};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const ROUTING: &str = r#"egress:
  default: deny
  allow:
    - { url: "http://127.0.0.1:8081/v1/", adapters: [openai-compatible], methods: [POST, GET] }
    - url: https://api.allowed.test/v1/
      adapters: [anthropic]
      methods: [POST]
      secret: { header: x-api-key, value: "${env:KEY}" }
      expires: 2099-01-31
routing: { prefer_local: true, cloud_fallback: { enabled: false } }
"#;

fn hauski(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::from_std(common::command(env!("CARGO_BIN_EXE_hauski"), folder));
    command.env("HAUSKI_LOCK", "adapters.lock").arg(arguments[0]).args(&arguments[1..]);
    command
}

/// The adapters that come with the gateway.
fn shipped() -> TempDir {
    let folder = folder();
    for id in ["anthropic", "echo", "openai-compatible"] {
        put(&folder, id, &adapter(id));
    }
    write(&folder, "routing.yaml", ROUTING);
    write(&folder, "models.yml", MODELS);
    folder
}

/// A model of each locality.
const MODELS: &str = r#"models:
  - { id: echo, adapter: echo }
  - { id: claude, adapter: anthropic, config: { base_url: "https://api.allowed.test/v1" } }
  - { id: llama, adapter: openai-compatible, config: { base_url: "http://127.0.0.1:8081/v1" } }
  - { id: lost, adapter: openai-compatible, config: { base_url: "http://127.0.0.1:8082/v1" } }
"#;

fn put(folder: &TempDir, id: &str, bytes: &[u8]) {
    fs::write(folder.path().join(format!("adapters/{id}.wasm")), bytes).unwrap();
}

fn output(folder: &TempDir, arguments: &[&str]) -> String {
    let output = hauski(folder, arguments).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    // On a busy machine it is told that compiling takes long.
    let said: Vec<_> = said.lines().filter(|line| !line.contains("still compiling")).collect();
    assert_eq!(said, [""; 0]);
    String::from_utf8(output.stdout).unwrap()
}

/// What changes with each build is left out.
fn without_builds(page: &str) -> String {
    let keep = |line: &str| match line.split_once(": ") {
        Some((head @ ("- digest" | "- size"), _)) => format!("{head}: .."),
        _ if line.starts_with("  - `processed-by") => line.split(' ').take(5).collect::<Vec<_>>().join(" ") + " ..",
        _ => line.to_owned(),
    };
    page.lines().map(keep).map(|line| line + "\n").collect()
}

#[test]
fn the_audit_of_the_shipped_adapters() {
    let folder = shipped();
    insta::assert_snapshot!(without_builds(&output(&folder, &["audit", "--markdown"])));
    let table = output(&folder, &["audit"]);
    let row = r"(?m)^anthropic +serving +sha256:[0-9a-f]{12} +0\.1\.0 +claude \(cloud\) +\d+ granted, \d+ empty +https://api\.allowed\.test/v1/ \(line 5\) +env:KEY +- +- +- +-$";
    assert!(is_match(row).unwrap().eval(&table), "{table}");
    assert!(is_match(r"(?m)^echo +serving .* nothing +none ").unwrap().eval(&table), "{table}");
    let json: Value = serde_json::from_str(&output(&folder, &["audit", "--json"])).unwrap();
    let grant = &json["adapters"][0]["grants"][0];
    assert_eq!((&grant["secrets"], &grant["secret_header"]), (&json!(["env:KEY"]), &json!("x-api-key")));
    // One alone, and one that is not there.
    let one = output(&folder, &["audit", "echo", "--markdown"]);
    assert!(one.contains("## `echo`") && !one.contains("anthropic"), "{one}");
    hauski(&folder, &["audit", "ech"]).assert().code(2).stderr(contains("there is no `ech.wasm`"));
}

#[test]
fn what_was_reached_is_from_the_ledger() {
    let folder = shipped();
    fs::create_dir(folder.path().join("ledger")).unwrap();
    write(
        &folder,
        "ledger/egress.jsonl",
        "{\"seq\":1,\"time\":\"2026-11-29T10:00:01.5Z\",\"kind\":\"request\",\"adapter\":\"echo\",\"verdict\":\"allowed\",\
         \"scheme\":\"https\",\"host\":\"x.test\",\"port\":443,\"bytes_out\":5,\"bytes_in\":70}\n",
    );
    // Nobody has sealed it, which is said; it is no reason to say nothing.
    hauski(&folder, &["audit", "echo"]).assert().success().stderr(contains("`hauski ledger verify` tells more"));
}

#[test]
fn a_lock_is_written_checked_and_changed() {
    let folder = shipped();
    let drift = || hauski(&folder, &["audit", "--check"]).assert().code(65).get_output().clone();
    let seen = String::from_utf8(drift().stdout).unwrap();
    assert!(seen.contains("echo: not in the lock\n  + digest sha256:"), "{seen}");
    let written = output(&folder, &["audit", "--lock"]);
    assert!(written.ends_with("written: 3 adapters in adapters.lock\n"), "{written}");
    assert_eq!(output(&folder, &["audit", "--check"]), "ok: 3 adapters, as in adapters.lock\n");
    assert_eq!(output(&folder, &["audit", "--lock"]), "as before: 3 adapters in adapters.lock\n");

    // Other bytes, other grants, a file that is gone, one that is new, and one that is none.
    put(&folder, "echo", &guest("counts"));
    write(&folder, "routing.yaml", &ROUTING.replace("[POST, GET]", "[POST]"));
    fs::remove_file(folder.path().join("adapters/anthropic.wasm")).unwrap();
    put(&folder, "new", &guest("counts"));
    put(&folder, "none", b"nothing");
    let output = drift();
    let (seen, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    for part in [
        "anthropic: in the lock, but not in the folder\n",
        "echo: not what the lock has\n  - digest sha256:",
        "new: not in the lock\n  + digest sha256:",
        "none: not in the lock\n  + digest sha256:",
        "openai-compatible: not what the lock has\n  - grant http://127.0.0.1:8081/v1/ GET POST (loopback, local)\n  \
         + grant http://127.0.0.1:8081/v1/ POST (loopback, local)\n",
    ] {
        assert!(seen.contains(part), "{part}\n{seen}");
    }
    assert!(error.starts_with("error[drift]: 5 differences to `adapters.lock`"), "{error}");
    let json =
        hauski(&folder, &["audit", "--check", "--json"]).assert().code(65).stderr("").get_output().stdout.clone();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&json["ok"], &json["drift"][0]["kind"]), (&json!(false), &json!("gone")));
    assert_eq!(json["drift"].as_array().unwrap().len() + json["refused"].as_array().unwrap().len(), 5);
}

/// What a person looks at before it is approved is what it would get.
#[test]
fn what_is_quarantined_shows_what_it_would_reach() {
    let folder = shipped();
    let limits = fs::read_to_string(folder.path().join("limits.yaml")).unwrap();
    write(&folder, "limits.yaml", &limits.replace("require_lock: false", "require_lock: true"));
    let asked = |form| output(&folder, &["audit", "anthropic", form]);
    let seen: Value = serde_json::from_str(&asked("--json")).unwrap();
    let one = &seen["refused"][0];
    assert_eq!(one["state"], "quarantined");
    assert_eq!((&one["grants"][0]["line"], &one["grants"][0]["secrets"]), (&json!(5), &json!(["env:KEY"])));
    // Its imports are shown by who is about to approve it: until then it is not even parsed.
    assert_eq!((&one["imports"], &one["contract"]), (&Value::Null, &Value::Null));
    let seen = output(&folder, &["adapters", "approve", "anthropic", "--dry-run"]);
    assert!(seen.contains("\n  + import hauski:adapter/upstream@0.1.0\n"), "{seen}");
    assert!(seen.ends_with("nothing was written to adapters.lock\n"), "{seen}");
    assert!(!folder.path().join("adapters.lock").exists());
    assert!(
        asked("--markdown")
            .contains("- would be granted:\n  - line 5: POST `https://api.allowed.test/v1/` (public, cloud)")
    );
    assert!(output(&folder, &["audit", "anthropic"]).contains("https://api.allowed.test/v1/ (line 5)"));
}

#[test]
fn what_has_expired_is_no_reach() {
    let folder = shipped();
    write(&folder, "routing.yaml", &ROUTING.replace("2099-01-31", "2020-01-31"));
    let seen: Value = serde_json::from_str(&output(&folder, &["audit", "anthropic", "--json"])).unwrap();
    let one = &seen["adapters"][0];
    assert_eq!(one["grants"][0]["expired"], true);
    let upstream =
        one["imports"].as_array().unwrap().iter().find(|import| import["name"] == "hauski:adapter/upstream@0.1.0");
    assert_eq!(upstream.unwrap()["state"], "empty");
    assert!(output(&folder, &["audit", "anthropic"]).contains("https://api.allowed.test/v1/ (line 5, expired)"));
    assert!(output(&folder, &["audit", "anthropic", "--markdown"]).contains(", expired after 2020-01-31"));
    assert!(!output(&folder, &["adapters", "ls"]).contains("api.allowed.test"));
}

#[test]
fn where_nothing_is_there_nothing_is_as_approved() {
    let folder = folder();
    let missing = contains("there is no `adapters.lock` to check against");
    hauski(&folder, &["audit", "--check"]).assert().code(2).stdout("").stderr(missing);
    write(&folder, "adapters.lock", "adapters: []\n");
    assert_eq!(output(&folder, &["audit", "--check"]), "ok: 0 adapters, as in adapters.lock\n");
}

#[test]
fn a_lock_that_could_not_be_read_again_is_not_written() {
    let folder = shipped();
    output(&folder, &["audit", "--lock"]);
    let lock = || fs::read_to_string(folder.path().join("adapters.lock")).unwrap();
    let before = lock();
    write(&folder, "routing.yaml", &ROUTING.replace("8081/v1/", &format!("8081/{}/", "x".repeat(990))));
    for command in [&["audit", "--lock"][..], &["adapters", "approve", "openai-compatible"]] {
        hauski(&folder, command).assert().code(2).stderr(contains("nothing is written").and(contains("line-invalid")));
    }
    assert_eq!(lock(), before);
}

#[test]
fn approvals_at_the_same_time_are_all_kept() {
    let folder = shipped();
    let ids = ["anthropic", "echo", "openai-compatible"];
    for _ in 0..5 {
        write(&folder, "adapters.lock", "adapters: []\n");
        let approve = |id: &'static str| {
            let mut approve = common::command(env!("CARGO_BIN_EXE_hauski"), &folder);
            approve.env("HAUSKI_LOCK", "adapters.lock").args(["adapters", "approve", id]);
            approve.stdout(std::process::Stdio::null()).spawn().unwrap()
        };
        for mut child in ids.map(approve) {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(output(&folder, &["audit", "--check"]), "ok: 3 adapters, as in adapters.lock\n");
    }
}

#[cfg(unix)]
#[test]
fn a_lock_behind_a_link_stays_there() {
    let folder = shipped();
    write(&folder, "real.lock", "adapters: []\n");
    std::os::unix::fs::symlink("real.lock", folder.path().join("adapters.lock")).unwrap();
    output(&folder, &["audit", "--lock"]);
    assert!(folder.path().join("adapters.lock").is_symlink());
    assert!(fs::read_to_string(folder.path().join("real.lock")).unwrap().contains("- id: \"echo\""));
}

#[test]
fn one_adapter_is_approved_by_its_bytes() {
    let folder = shipped();
    output(&folder, &["audit", "--lock"]);
    let lock = || fs::read_to_string(folder.path().join("adapters.lock")).unwrap();
    let before = lock();
    put(&folder, "echo", &guest("counts"));
    put(&folder, "new", &guest("counts"));
    let other = format!("sha256:{}", "0".repeat(64));
    hauski(&folder, &["adapters", "approve", "echo", "--digest", &other])
        .assert()
        .code(2)
        .stderr(contains("nothing is approved"));
    hauski(&folder, &["adapters", "approve", "absent"]).assert().code(2).stderr(contains("there is no `absent.wasm`"));
    assert_eq!(lock(), before);
    let seen = output(&folder, &["adapters", "approve", "echo"]);
    assert!(seen.starts_with("echo: not what the lock has\n  - digest sha256:") && !seen.contains("new:"), "{seen}");
    assert!(lock().contains("- id: \"echo\"") && !lock().contains("- id: \"new\"") && lock() != before);
    // A lock that can't hold is not written over.
    write(&folder, "adapters.lock", "adapters: {");
    for command in [&["audit", "--lock"][..], &["audit", "--check"], &["adapters", "approve", "echo"]] {
        hauski(&folder, command).assert().code(64).stderr(contains("adapters.lock:1:"));
    }
    assert_eq!(lock(), "adapters: {");
}

#[test]
fn where_the_lock_is_required_the_rest_is_quarantined() {
    let folder = shipped();
    let limits = fs::read_to_string(folder.path().join("limits.yaml")).unwrap();
    write(&folder, "limits.yaml", &limits.replace("require_lock: false", "require_lock: true"));
    let quarantined = is_match(r"(?m)^echo\.wasm +quarantined +sha256:[0-9a-f]{12} +- ").unwrap();
    let table = output(&folder, &["audit"]);
    assert!(quarantined.eval(&table) && table.contains("adapters.lock has no adapter `echo`"), "{table}");
    assert!(output(&folder, &["audit", "--markdown"]).contains("## `echo.wasm`\n\n- state: quarantined\n"));
    let check = hauski(&folder, &["check"]).env("KEY", "12345678").assert().success().get_output().stdout.clone();
    let check = String::from_utf8(check).unwrap();
    assert!(check.contains("`echo.wasm` is not loaded: adapters.lock has no adapter `echo`"), "{check}");
    output(&folder, &["adapters", "approve", "echo"]);
    let table = output(&folder, &["audit"]);
    assert!(!quarantined.eval(&table) && table.contains("\nanthropic.wasm: adapters.lock has no adapter"), "{table}");
    assert!(output(&folder, &["adapters", "ls"]).contains("quarantined"));
}

/// Nothing that an adapter chose reaches a terminal as it is, nor marks anything up.
#[test]
fn what_adapters_say_is_shown_escaped() {
    let folder = folder();
    let section = |name: &str, text: &str| {
        let length = |n: usize| u8::try_from(n).unwrap();
        let mut bytes = vec![0, length(1 + name.len() + text.len()), length(name.len())];
        bytes.extend(name.bytes().chain(text.bytes()));
        bytes
    };
    let evil = "\u{1b}[31m\u{202e}`<b>\r\n## x";
    let bytes = [guest("counts"), section("authors", evil), section("description", evil)].concat();
    put(&folder, "counts", &bytes);
    fs::write(folder.path().join("adapters/\u{1b}[31m`.wasm"), b"nothing").unwrap();
    for form in [&["audit"][..], &["audit", "--json"], &["audit", "--markdown"], &["adapters", "ls"]] {
        let seen = output(&folder, form);
        assert!(!seen.contains('\u{1b}') && !seen.contains('\u{202e}') && !seen.contains('\r'), "{form:?}: {seen:?}");
    }
    let page = output(&folder, &["audit", "--markdown"]);
    assert!(page.contains("  - authors `\\u{1b}[31m\\u{202e}'<b>\\r\\n## x`\n"), "{page}");
    assert!(page.contains("## `\\u{1b}[31m'.wasm`\n"), "{page}");
}

/// Files that nobody has approved are neither compiled nor run, whatever command is given.
#[test]
fn lock_commands_compile_nothing() {
    let folder = shipped();
    put(&folder, "traps", &guest("describe_traps"));
    let cache = folder.path().join("cache");
    let run = |arguments: &[&str]| hauski(&folder, arguments).env("HAUSKI_CACHE", &cache).assert().get_output().clone();
    for arguments in [&["adapters", "approve", "echo"][..], &["audit", "--lock"], &["audit", "--check"]] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(!cache.exists(), "{arguments:?}");
    }
    // What it shows is no accident: with its bytes approved, it is compiled and run.
    let listed = run(&["adapters", "ls"]);
    assert!(String::from_utf8(listed.stdout).unwrap().contains("its `about.describe` failed"));
    assert!(cache.exists());
}
