//! `hauski ledger` and `hauski policy` over a ledger that a gateway has written.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use assert_cmd::Command;
use common::{ROUTING, folder, write};
use hauski_egress::ledger::{Head, Ledger};
use hauski_policy::{LedgerLimits, Routing};
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

const LIMITS: LedgerLimits = LedgerLimits { file_bytes: 1 << 20, files: 4 };

fn hauski(folder: &TempDir) -> Command {
    Command::from_std(common::command(env!("CARGO_BIN_EXE_hauski"), folder))
}

/// A folder with a ledger at its default place, in which are only its openings and ends.
fn with_ledger() -> (TempDir, PathBuf) {
    let folder = folder();
    let path = folder.path().join("ledger/egress.jsonl");
    for _ in 0..3 {
        drop(Ledger::at(&path, LIMITS).open().unwrap());
    }
    (folder, path)
}

fn json_of(command: &mut Command) -> Value {
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

#[test]
fn a_ledger_that_holds() {
    let (folder, path) = with_ledger();
    let verify = || {
        let mut command = hauski(&folder);
        command.args(["ledger", "verify"]);
        command
    };
    let assert = verify().assert().success().stderr("");
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(text.starts_with("ok: 6 records, 1 to 6, in ledger/egress.jsonl\nhead: 6:"), "{text}");
    let head = text.lines().last().unwrap().strip_prefix("head: ").unwrap();
    assert!(head.parse::<Head>().is_ok());
    verify().args(["--head", head]).assert().success();
    verify().arg(&path).env("HAUSKI_LEDGER", "off").assert().success();
    let found = json_of(verify().arg("--json"));
    assert_eq!((&found["ok"], &found["records"], &found["head"]), (&true.into(), &6.into(), &head.into()));

    // What a crash leaves is no one's doing.
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"{\"seq\":7,"].concat()).unwrap();
    verify().assert().success().stdout(starts_with("note: the last line is not whole (9 bytes)"));
    assert_eq!(json_of(verify().arg("--json"))["torn_bytes"], 9);
}

#[test]
fn a_ledger_that_was_changed() {
    let (folder, path) = with_ledger();
    let verify = || {
        let mut command = hauski(&folder);
        command.args(["ledger", "verify"]);
        command
    };
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    fs::write(&path, whole.replace("\"kind\":\"opened\"", "\"kind\":\"openef\"")).unwrap();
    let found = contains("ledger/egress.jsonl:3 error[changed]: record 3: the line's bytes have the hash")
        .and(contains("error[ledger-changed]: 3 problems"));
    verify().assert().code(65).stdout("").stderr(found);
    fs::write(&path, [lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]].concat()).unwrap();
    verify().assert().code(65).stderr(contains(":3 error[reordered]: record 2: it stands behind record 3"));
    fs::write(&path, lines[..4].concat()).unwrap();
    let missing = "egress.jsonl error[missing]: record 5: records 5 to 6 are missing at the end";
    verify().assert().code(65).stderr(contains(missing));
    let found = json_of(verify().arg("--json"));
    assert_eq!((&found["ok"], &found["problems"][0]["kind"]), (&false.into(), &"missing".into()));
    verify().arg("--json").assert().code(65).stderr("");
    // All of it, with a head that says that none of it is kept.
    let head = fs::read_to_string(path.with_file_name("egress.head")).unwrap();
    let hash = serde_json::from_str::<Value>(&head).unwrap()["hash"].as_str().unwrap().to_owned();
    let gone = format!("{{\"seq\":1000,\"hash\":\"{hash}\",\"oldest\":1001,\"oldest_prev\":\"{hash}\"}}");
    fs::write(path.with_file_name("egress.head"), gone).unwrap();
    fs::remove_file(&path).unwrap();
    for noted in [format!("900:{hash}"), format!("1000:{}", "0".repeat(64))] {
        verify().args(["--head", &noted]).assert().code(65).stdout("").stderr(contains("error[missing]"));
    }
    hauski(&folder).args(["policy", "suggest"]).assert().code(65).stdout("");
    let refused = contains("ends with record 0, but record 1000 was written");
    hauski(&folder).env("HAUSKI_BIND", "127.0.0.1:0").arg("serve").assert().code(1).stderr(refused);
    fs::write(path.with_file_name("egress.head"), head).unwrap();
    fs::write(&path, &whole).unwrap();
    let other = format!("3:{}", "0".repeat(64));
    verify().args(["--head", &other]).assert().code(65).stderr(contains("error[other-head]"));
    // No entries are made of it, and no gateway goes on with it.
    fs::write(&path, lines[..4].concat()).unwrap();
    hauski(&folder).args(["policy", "suggest"]).assert().code(65).stdout("");
    let refused = contains("can't open the ledger").and(contains("ends with record 4, but record 6 was written"));
    hauski(&folder).env("HAUSKI_BIND", "127.0.0.1:0").arg("serve").assert().code(1).stderr(refused);
}

#[test]
fn no_ledger_at_all() {
    let folder = folder();
    for command in [["ledger", "verify"], ["policy", "suggest"]] {
        let absent = contains("error[ledger-unreadable]: there is no ledger `ledger/egress.jsonl`");
        hauski(&folder).args(command).assert().code(1).stdout("").stderr(absent);
        let off = contains("`HAUSKI_LEDGER` is `off`: name the ledger's newest file");
        hauski(&folder).env("HAUSKI_LEDGER", "off").args(command).assert().code(1).stderr(off);
    }
    hauski(&folder).args(["ledger", "verify", "--head", "x"]).assert().code(2);
    hauski(&folder).args(["policy", "suggest", "--since", "soon"]).assert().code(2).stderr(contains("`24h`, `7d`"));
    assert!(!folder.path().join("ledger").exists());
}

/// A check starts nothing: a gateway may have the ledger.
#[test]
fn a_check_leaves_the_ledger_alone() {
    let folder = folder();
    hauski(&folder).arg("check").assert().success();
    assert!(!folder.path().join("ledger").exists());
    let ledger = Ledger::at(&folder.path().join("ledger/egress.jsonl"), LIMITS);
    let _writer = ledger.open().unwrap();
    hauski(&folder).arg("check").assert().success();
    let locked = contains("is locked: another process writes this ledger");
    hauski(&folder).env("HAUSKI_BIND", "127.0.0.1:0").arg("serve").assert().code(1).stderr(locked);
}

/// Of a guest that asks for 256 things in one request, the ledger has a few records, which count all of them.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test's client is not the gateway")]
fn one_request_can_not_fill_the_ledger() {
    let folder = folder();
    write(&folder, "models.yml", "models: [{ id: probe, adapter: probe }]\n");
    let unrelated = r#"[{ url: "https://unrelated.test/", methods: [GET], models: [probe] }]"#;
    write(&folder, "routing.yaml", &ROUTING.replace("[]", unrelated));
    fs::write(folder.path().join("adapters/probe.wasm"), hauski_tests::guest("probe")).unwrap();
    let mut serve = common::command(env!("CARGO_BIN_EXE_hauski"), &folder);
    serve.arg("serve").env("HAUSKI_BIND", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = serve.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_once("http://").unwrap().1.split_once(' ').unwrap().0;
    for _ in 0..2 {
        let order = json!({ "url": format!("https://api.test/v1/{}", "x".repeat(1000)), "repeat": 300 }).to_string();
        let body = json!({ "model": "probe", "messages": [{ "role": "user", "content": order }] }).to_string();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head =
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-request-id: same\r\nconnection: close\r\n";
        write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("denied"), "{answer}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let text = fs::read_to_string(folder.path().join("ledger/egress.jsonl")).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &'static str| records.iter().filter(move |record| record["kind"] == kind);
    assert!(of("request").all(|record| record["path"] == "/v1/" && record["path_cut"] == true));
    assert_eq!(of("request").count(), 2 * 16);
    assert_eq!(of("repeated").map(|record| record["repeated"].as_u64().unwrap()).collect::<Vec<_>>(), [240, 240]);
    let suggested = contains("'https://api.test/v1/'").and(contains("# 480 more that the ledger has only counted"));
    hauski(&folder).args(["policy", "suggest"]).assert().success().stdout(suggested);
}

#[test]
fn nothing_denied_is_a_policy_that_grants_nothing() {
    let (folder, _) = with_ledger();
    let assert = hauski(&folder).args(["policy", "suggest"]).assert().success().stderr("");
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    let rest = ROUTING.lines().last().unwrap();
    let parsed = Routing::parse("routing.yaml", format!("{text}{rest}\n").as_bytes()).unwrap();
    assert!(parsed.value.egress.grants.is_empty() && text.starts_with("# What adapters were denied"), "{text}");
    assert_eq!(json_of(hauski(&folder).args(["policy", "suggest", "--json"]))["entries"], Value::Array(Vec::new()));
    write(&folder, "routing.yaml", "egress: {}\n");
    hauski(&folder).args(["policy", "suggest"]).assert().code(64).stdout("");
}
