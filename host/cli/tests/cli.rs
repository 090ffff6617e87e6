//! The binary as its users meet it: output, errors, exit codes.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use assert_cmd::Command;
use common::{ROUTING, folder, write};
use hauski_server::environment::DEFAULTS;
use predicates::prelude::*;
use predicates::str::{contains, is_match};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use tempfile::TempDir;

/// The binary, in an environment that has nothing but the files of `folder`.
fn hauski(folder: &TempDir) -> Command {
    Command::from_std(common::command(env!("CARGO_BIN_EXE_hauski"), folder))
}

#[test]
fn models_ls_reads_yaml_and_prints_table() {
    let folder = folder();
    let path =
        write(&folder, "m.yml", "models:\n  - { id: demo, path: /tmp/demo.gguf, vram_min_gb: 4, canary: true }\n");
    let row = is_match(r"(?m)^demo +- +- +/tmp/demo\.gguf +4 GB +true$").unwrap();
    hauski(&folder)
        .env("HAUSKI_MODELS", path)
        .args(["models", "ls"])
        .assert()
        .success()
        .stdout(contains("ID").and(contains("CANARY")).and(row))
        .stderr("");
}

#[test]
fn models_ls_needs_only_the_models() {
    let folder = folder();
    fs::remove_file(folder.path().join("routing.yaml")).unwrap();
    fs::remove_dir(folder.path().join("adapters")).unwrap();
    hauski(&folder).args(["models", "ls"]).assert().success();
}

/// What is wrong with variables that a listing does not need is no reason to refuse it.
#[test]
fn listings_need_only_their_own_variables() {
    let folder = folder();
    let bytes = OsStr::from_bytes(b"\xff");
    for listing in ["models", "adapters"] {
        hauski(&folder)
            .envs([("HAUSKI_BIND", bytes), ("HAUSKI_EXPOSE_CONFIG", bytes), ("HAUSKI_LOG", bytes)])
            .args([listing, "ls"])
            .assert()
            .success();
    }
    let missing = contains("error[unreadable-file]: `models.yml` can't be read");
    fs::remove_file(folder.path().join("models.yml")).unwrap();
    hauski(&folder).args(["adapters", "ls"]).assert().code(64).stderr(missing);
}

#[test]
fn models_ls_as_json() {
    let folder = folder();
    write(&folder, "models.yml", "models: [{ id: demo, path: /tmp/demo.gguf, vram_min_gb: 4.5, canary: true }]\n");
    let output = hauski(&folder).args(["models", "ls", "--json"]).output().unwrap();
    let models: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(models[0]["id"], "demo");
    assert_eq!((models[0]["vram_min_gb"].as_f64(), models[0]["canary"].as_bool()), (Some(4.5), Some(true)));
}

#[test]
fn escape_sequences_are_shown_escaped() {
    let folder = folder();
    write(&folder, "models.yml", "models: [{ id: demo, path: \"/tmp/\\e[31mred\" }]\n");
    hauski(&folder).args(["models", "ls"]).assert().stdout(contains("\u{1b}").not());
    hauski(&folder).args(["check"]).assert().stderr(contains("\u{1b}").not());
}

#[test]
fn models_that_can_not_be_read() {
    let folder = folder();
    hauski(&folder).env("HAUSKI_MODELS", "nowhere.yml").args(["models", "ls"]).assert().code(64).stderr(
        contains("error[unreadable-file]: `nowhere.yml` can't be read").and(contains("or set `HAUSKI_MODELS`")),
    );
    write(&folder, "models.yml", "models:\n  - { id: demo, vram_min_gb: lots }\n");
    let error = is_match(r"(?m)^models\.yml:2:\d+ error\[wrong-type\]: ").unwrap();
    hauski(&folder).args(["models", "ls"]).assert().code(64).stdout("").stderr(error);
}

#[test]
fn adapters_ls_lists_what_can_not_be_loaded() {
    let folder = folder();
    write(&folder, "adapters/text.wasm", "hello");
    hauski(&folder)
        .args(["adapters", "ls"])
        .assert()
        .success()
        .stdout(contains("text.wasm").and(contains("refused")).and(contains("it is not WebAssembly")));
    let output = hauski(&folder).args(["adapters", "ls", "--json"]).output().unwrap();
    let listing: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listing["refused"][0]["file"], "text.wasm");
}

#[test]
fn check_says_that_all_is_well() {
    let folder = folder();
    hauski(&folder).arg("check").assert().success().stdout("ok: 0 adapters, 0 models to ask, 0 egress grants\n");
    let output = hauski(&folder).args(["check", "--json"]).output().unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((result["ok"].as_bool(), result["problems"].as_array().map(Vec::len)), (Some(true), Some(0)));
}

#[test]
fn check_fails_on_what_serve_runs_without() {
    let folder = folder();
    write(&folder, "adapters/text.wasm", "hello");
    write(&folder, "models.yml", "models: [{ id: lost, adapter: nowhere }]\n");
    write(&folder, "routing.yaml", &ROUTING.replace("[]", "[https://api.matrix.example]"));
    let warnings =
        contains("routing.yaml:1:").and(contains("warning[wide-adapters]")).and(contains("`text.wasm` is not loaded"));
    let error = contains("models.yml:1:31 error[adapter-unknown]: the adapters folder has no `nowhere.wasm`");
    hauski(&folder).arg("check").assert().code(64).stdout(warnings).stderr(error);
    let output = hauski(&folder).args(["check", "--json"]).output().unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["ok"], &result["problems"][0]["code"]), (&false.into(), &"adapter-unknown".into()));
    assert_eq!(result["warnings"].as_array().map(Vec::len), Some(1), "{result}");
}

#[test]
fn check_says_that_telemetry_would_stay_here() {
    let folder = folder();
    let url = "http://127.0.0.1:4318";
    let check = || {
        let mut check = hauski(&folder);
        check.env("HAUSKI_OTLP_ENDPOINT", url).arg("check");
        check
    };
    let note = "no entry of `egress.allow` lets `telemetry` POST to `http://127.0.0.1:4318/v1/traces`";
    check().assert().success().stdout(contains(note));
    let entry = format!("[{{ url: \"{url}/v1/\", adapters: [telemetry], methods: [POST] }}]");
    write(&folder, "routing.yaml", &ROUTING.replace("[]", &entry));
    check().assert().success().stdout(contains("telemetry").not());
}

#[test]
fn strict_allows_no_warning() {
    let folder = folder();
    hauski(&folder).args(["check", "--strict"]).assert().success();
    write(&folder, "routing.yaml", &ROUTING.replace("[]", "[https://api.matrix.example]"));
    let strict = || contains("error[strict]: 2 warnings, and `--strict` allows none");
    hauski(&folder).arg("check").assert().success();
    hauski(&folder).args(["check", "--strict"]).assert().code(64).stdout(contains("wide-adapters")).stderr(strict());
    write(&folder, "routing.yaml", ROUTING);
    write(&folder, "adapters/text.wasm", "hello");
    let strict = contains("error[strict]: 1 warning, and `--strict` allows none");
    hauski(&folder).arg("check").assert().success();
    hauski(&folder).args(["check", "--strict"]).assert().code(64).stderr(strict);
    let output = hauski(&folder).args(["check", "--strict", "--json"]).output().unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((result["ok"].as_bool(), output.status.code()), (Some(false), Some(64)));
    assert_eq!(result["problems"][0]["code"], "strict");
}

#[test]
fn all_problems_of_all_files_come_at_once() {
    let folder = folder();
    write(&folder, "routing.yaml", &ROUTING.replace("deny", "allow").replace("prefer_local", "prefer_lokal"));
    write(&folder, "models.yml", "models: [{ path: x }]\n");
    write(&folder, "limits.yaml", "latency: {}\n");
    for command in ["check", "serve"] {
        hauski(&folder).arg(command).assert().code(64).stdout("").stderr(
            contains("routing.yaml:1:20 error[")
                .and(contains("error[unknown-key]"))
                .and(contains("did you mean `prefer_local`"))
                .and(contains("models.yml:1:"))
                .and(contains("limits.yaml:1:"))
                .and(contains("\u{1b}").not()),
        );
    }
    let output = hauski(&folder).args(["check", "--json"]).output().unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((result["ok"].as_bool(), output.status.code()), (Some(false), Some(64)));
    let first = &result["problems"][0];
    assert!(first["code"].is_string() && first["line"].is_u64() && first["column"].is_u64(), "{first}");

    // What does not depend on a file that is wrong is looked at all the same.
    let folder = common::folder();
    let entry = "{ url: \"https://a.test/\", adapters: [x], secret: { header: x-key, value: \"${env:MY_KEY}\" } }";
    write(&folder, "routing.yaml", &ROUTING.replace("[]", &format!("[{entry}]")));
    write(&folder, "models.yml", "models: [{ id: demo, adaptor: x }]\n");
    fs::remove_dir(folder.path().join("adapters")).unwrap();
    for command in ["check", "serve"] {
        hauski(&folder).arg(command).assert().code(64).stdout("").stderr(
            contains("models.yml:1:22 error[unknown-key]")
                .and(contains("error[missing-secret]: routing.yaml: "))
                .and(contains("error[unreadable-folder]: ")),
        );
    }
    let output = hauski(&folder).args(["check", "--json"]).output().unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let codes: Vec<_> = result["problems"].as_array().unwrap().iter().map(|problem| &problem["code"]).collect();
    assert_eq!(codes, ["missing-secret", "unknown-key", "unreadable-folder"]);
}

#[test]
fn missing_secrets_are_named() {
    let folder = folder();
    let entry = "{ url: \"https://a.test/\", adapters: [x], secret: { header: x-key, value: \"${env:MY_KEY}\" } }";
    write(&folder, "routing.yaml", &ROUTING.replace("[]", &format!("[{entry}]")));
    for command in ["check", "serve"] {
        hauski(&folder)
            .arg(command)
            .assert()
            .code(64)
            .stderr(contains("error[missing-secret]: routing.yaml: ").and(contains("MY_KEY")));
    }
    let bytes = OsStr::from_bytes(b"\xff");
    hauski(&folder).env("MY_KEY", bytes).arg("check").assert().code(64).stderr(contains("error[missing-secret]"));
    hauski(&folder).env("MY_KEY", "a-key-of-mine").arg("check").assert().success();
}

#[test]
fn what_the_environment_may_not_say() {
    let folder = folder();
    hauski(&folder)
        .env("HAUSKI_BIND", "localhost")
        .env("HAUSKI_EXPOSE_CONFIG", "1")
        .arg("serve")
        .assert()
        .code(64)
        .stderr(
            contains("HAUSKI_BIND=`localhost`: write an IP address and a port")
                .and(contains("HAUSKI_EXPOSE_CONFIG=`1`")),
        );
    hauski(&folder)
        .env("HAUSKI_LOG", "hauski=loud")
        .arg("check")
        .assert()
        .code(64)
        .stderr(contains("HAUSKI_LOG=`hauski=loud`: `loud` is not a level; write `level` or `crate=level,…`"));
    hauski(&folder)
        .env("HAUSKI_LOG_FORMAT", "yaml")
        .env("HAUSKI_OTLP_ENDPOINT", "localhost:4318")
        .arg("check")
        .assert()
        .code(64)
        .stderr(
            contains("HAUSKI_LOG_FORMAT=`yaml`: write `text` or `json`")
                .and(contains("`HAUSKI_OTLP_ENDPOINT` is no URL")),
        );
    hauski(&folder)
        .env("HAUSKI_ADAPTERS", "nowhere")
        .arg("serve")
        .assert()
        .code(64)
        .stderr(contains("error[unreadable-folder]: the adapters folder `nowhere` can't be read"));
}

/// A value that can't be read is not the same as none: the default might be more than what was meant.
#[test]
fn variables_that_are_not_utf_8_are_refused() {
    let folder = folder();
    for name in ["HAUSKI_BIND", "HAUSKI_EXPOSE_CONFIG", "HAUSKI_LOG"] {
        for command in ["check", "serve"] {
            let error = format!(r"error[bad-setting]: {name}=`in\xfffo`, which is not UTF-8: write ");
            let value = OsStr::from_bytes(b"in\xfffo");
            hauski(&folder).env(name, value).arg(command).assert().code(64).stdout("").stderr(contains(error));
        }
    }
}

#[test]
fn check_as_json_tells_of_the_environment_too() {
    let folder = folder();
    let mut check = hauski(&folder);
    check.env("HAUSKI_BIND", "localhost").env("HAUSKI_EXPOSE_CONFIG", "1").args(["check", "--json"]);
    let output = check.assert().code(64).stderr("").get_output().stdout.clone();
    let result: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(result["ok"], false);
    for (problem, name) in result["problems"].as_array().unwrap().iter().zip(["HAUSKI_BIND=", "HAUSKI_EXPOSE_CONFIG="])
    {
        assert_eq!(problem["code"], "bad-setting");
        assert!(problem["message"].as_str().unwrap().starts_with(name), "{problem}");
    }
    assert_eq!(result["problems"].as_array().unwrap().len(), 2);
}

#[test]
fn a_port_in_use() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    hauski(&folder)
        .env("HAUSKI_BIND", &address)
        .arg("serve")
        .assert()
        .code(1)
        .stderr(contains(format!("error: can't listen on {address}")).and(contains("set `HAUSKI_BIND`")));
}

#[test]
fn help_teaches() {
    let folder = folder();
    hauski(&folder).arg("--help").assert().success().stdout(
        contains("serve").and(contains("HAUSKI_ROUTING")).and(contains("Exit codes:")).and(contains("Examples:")),
    );
    hauski(&folder).assert().code(2);
    hauski(&folder).arg("sreve").assert().code(2).stderr(contains("serve"));
}

/// The table stands in `environment.rs` only.
#[test]
fn help_lists_the_environment() {
    let help = String::from_utf8(hauski(&folder()).arg("--help").output().unwrap().stdout).unwrap();
    for (name, default, what) in DEFAULTS {
        let line = help.lines().find(|line| line.starts_with(&format!("  {name} ")));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{help}"));
        assert!(line.contains(default) && line.ends_with(what), "{line}");
    }
    assert!(!include_str!("../src/args.rs").contains(DEFAULTS[1].1));
}

/// A closed pipe (`hauski models ls | head`) is no error worth a panic.
#[test]
fn a_closed_pipe_is_no_panic() {
    let folder = folder();
    let rows: String = (0..50_000).map(|n| format!("  - {{ id: m{n} }}\n")).take(9_000).collect();
    write(&folder, "models.yml", &format!("models:\n{rows}"));
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_hauski"))
        .args(["models", "ls"])
        .env("HAUSKI_MODELS", folder.path().join("models.yml"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}
