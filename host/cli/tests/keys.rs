//! `hauski keys`, and what the binary does with keys, certificates and addresses that others reach.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use assert_cmd::Command;
use common::{folder, write};
use hauski_policy::{Keys, ModelNames};
use predicates::prelude::*;
use predicates::str::{contains, is_match};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use tempfile::TempDir;

/// The binary, in an environment that has nothing but the files of `folder`.
fn hauski(folder: &TempDir) -> Command {
    let mut command = Command::from_std(common::command(env!("CARGO_BIN_EXE_hauski"), folder));
    command.timeout(std::time::Duration::from_secs(60));
    command
}

/// A key's entry, without the name.
const REST: &str = "hash: \"sha256:abababababababababababababababababababababababababababababababab\"";

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What is printed goes into the file as it is, and the key opens what the entry is for.
#[test]
fn keys_new_makes_a_key_and_its_entry() {
    let folder = folder();
    let args = ["keys", "new", "true", "--models", "echo,org/chat:1", "--local-only", "--operator", "--rate", "60"];
    let text = output(hauski(&folder).args(args));
    let (key, entry) = text.split_once("\n\n").unwrap();
    let key = key.lines().last().unwrap();
    assert!(is_match("^hk-[A-Za-z0-9_-]{43}$").unwrap().eval(key), "{text}");
    assert_eq!(text.matches(key).count(), 1, "it is shown once");
    assert!(
        !key.contains("sha256") && entry.trim_end().lines().last().unwrap().trim_start().starts_with("hash: \"sha256:")
    );

    let file = format!("keys:\n{entry}");
    let keys = Keys::parse("keys.yaml", file.as_bytes()).unwrap().value;
    let own = keys.get("true").unwrap();
    let models = ["echo", "org/chat:1"].map(Box::from).into();
    assert_eq!((&own.models, own.requests_per_minute), (&ModelNames::These(models), Some(60)));
    assert_eq!((own.local_only, own.operator), (true, true));
    // However much of its end is lost, the file is refused rather than read as something else.
    for end in 1..file.len() - 1 {
        assert!(Keys::parse("keys.yaml", &file.as_bytes()[..end]).is_err() || !file[..end].contains("name"), "{end}");
    }
    assert!(!folder.path().join("keys.yaml").exists(), "no file is written");
}

#[test]
fn keys_new_as_json() {
    let folder = folder();
    let make =
        || serde_json::from_str::<Value>(&output(hauski(&folder).args(["keys", "new", "laptop", "--json"]))).unwrap();
    let (one, other) = (make(), make());
    assert_eq!((&one["entry"]["name"], &one["entry"]["models"][0]), (&"laptop".into(), &"*".into()));
    assert!(one["key"].as_str().unwrap().starts_with("hk-") && one["entry"]["hash"].as_str().unwrap().len() == 71);
    assert!(one["key"] != other["key"] && one["entry"]["hash"] != other["entry"]["hash"]);
    let file = serde_json::json!({ "keys": [one["entry"]] }).to_string();
    assert_eq!(Keys::parse("keys.yaml", file.as_bytes()).unwrap().value.get("laptop").unwrap().models, ModelNames::All);
    assert!(one["entry"].get("operator").is_none() && one["entry"].get("local_only").is_none(), "{one}");
}

#[test]
fn what_keys_new_does_not_take() {
    let folder = folder();
    for (args, expected) in [
        (&["Laptop"][..], "a key's name is 1 to 64 of"),
        (&["a b"], "a key's name is 1 to 64 of"),
        (&["a", "--models", "x y"], "'x y' for '--models"),
        (&["a", "--models", "echo,,b"], "for '--models"),
        (&["a", "--models", "echo,echo"], "no file would take it"),
        (&["a", "--models", "*,echo"], "no file would take it"),
        (&["a", "--rate", "0"], "'0' for '--rate"),
        (&["a", "--rate", "1000001"], "'1000001' for '--rate"),
        (&[], "<NAME>"),
    ] {
        let stderr = contains(expected);
        hauski(&folder).args(["keys", "new"]).args(args).assert().code(2).stdout("").stderr(stderr);
    }
}

#[test]
fn keys_ls_lists_rights_and_never_hashes() {
    let folder = folder();
    let file = format!(
        "keys:\n  - {{ name: laptop, models: [echo, chat], requests_per_minute: 60, concurrent: 8, local_only: true, operator: true, {REST} }}\n  \
         - {{ name: phone, models: [\"*\"], expires: 2027-01-31, {} }}\n",
        REST.replace("ab", "cd")
    );
    let path = write(&folder, "k.yaml", &file);
    let rows = is_match(
        r"(?m)^NAME +MODELS +A MINUTE +AT ONCE +LOCAL ONLY +OPERATOR +LAST DAY\nlaptop +chat,echo +60 +8 +true +true +-\nphone +\* +- +- +false +false +2027-01-31$",
    );
    let silent = || contains("abab").not().and(contains("cdcd").not());
    hauski(&folder)
        .env("HAUSKI_KEYS", &path)
        .args(["keys", "ls"])
        .assert()
        .success()
        .stdout(rows.unwrap().and(silent()));
    hauski(&folder).env("HAUSKI_KEYS_TEXT", &file).args(["keys", "ls"]).assert().success().stdout(contains("laptop"));
    let json = output(hauski(&folder).env("HAUSKI_KEYS", &path).args(["keys", "ls", "--json"]));
    let listed: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&listed[0]["name"], &listed[1]["expires"]), (&"laptop".into(), &"2027-01-31".into()));
    assert!(silent().eval(&json));

    hauski(&folder).args(["keys", "ls"]).assert().success().stdout(contains("there are no keys"));
    hauski(&folder).args(["keys", "ls", "--json"]).assert().success().stdout("null\n");
    let missing = contains("error[unreadable-file]: `nowhere.yaml` can't be read").and(contains("`HAUSKI_KEYS`"));
    hauski(&folder).env("HAUSKI_KEYS", "nowhere.yaml").args(["keys", "ls"]).assert().code(64).stderr(missing);
    let broken = write(&folder, "k.yaml", "keys: [{ name: laptop, hash: hk-the-key-itself, models: [a] }]\n");
    let told = contains("k.yaml:1:").and(contains("error[hash-invalid]")).and(contains("hk-the").not());
    hauski(&folder).env("HAUSKI_KEYS", broken).args(["keys", "ls"]).assert().code(64).stderr(told);
}

#[test]
fn check_covers_keys() {
    let folder = folder();
    fs::create_dir(folder.path().join("policies")).unwrap();
    let path = "policies/keys.yaml";
    write(&folder, path, "keys: {}\n");
    hauski(&folder).arg("check").assert().code(64).stderr(contains("policies/keys.yaml:1:"));
    write(&folder, "models.yml", "models: [{ id: weights, path: /x }]\n");
    write(&folder, path, &format!("keys: [{{ name: laptop, models: [weights], {REST} }}]\n"));
    let ok = "ok: 0 adapters, 0 models to ask, 0 egress grants, 1 key\n";
    hauski(&folder).args(["check", "--strict"]).assert().success().stdout(ok);
    write(&folder, path, &format!("keys: [{{ name: laptop, models: [weihgts], expires: 2020-01-31, {REST} }}]\n"));
    let notes = || {
        contains("warning: the key `laptop` is for `weihgts`, and there is no such model and no such route")
            .and(contains("warning: the key `laptop` has expired: 2020-01-31 was its last day"))
    };
    hauski(&folder).arg("check").assert().success().stdout(notes());
    let strict = contains("error[strict]: 2 warnings");
    hauski(&folder).args(["check", "--strict"]).assert().code(64).stdout(notes()).stderr(strict);
    // A file that somebody has named has to be there.
    let named = || contains("error[unreadable-file]: `gone.yaml` can't be read").and(contains("set `HAUSKI_KEYS`"));
    for command in ["check", "serve"] {
        hauski(&folder).env("HAUSKI_KEYS", "gone.yaml").arg(command).assert().code(64).stderr(named());
        let both = "error[bad-setting]: `HAUSKI_KEYS` and `HAUSKI_KEYS_TEXT` are both set";
        let mut hauski = hauski(&folder);
        hauski.env("HAUSKI_KEYS", path).env("HAUSKI_KEYS_TEXT", "keys: []");
        hauski.arg(command).assert().code(64).stderr(contains(both));
    }
}

#[test]
fn others_are_let_in_with_keys_only() {
    let folder = folder();
    for command in ["check", "serve"] {
        let told = contains("error[open-to-all]: `HAUSKI_BIND` is 0.0.0.0:0")
            .and(contains("`hauski keys new`"))
            .and(contains("127.0.0.1"));
        hauski(&folder).env("HAUSKI_BIND", "0.0.0.0:0").arg(command).assert().code(64).stdout("").stderr(told);
    }
    let mut check = hauski(&folder);
    check.env("HAUSKI_BIND", "0.0.0.0:0").env("HAUSKI_KEYS_TEXT", "keys: []");
    check.arg("check").assert().success().stdout(contains(", 0 keys\n"));
}

#[test]
fn check_covers_certificates() {
    let folder = folder();
    write(&folder, "cert.pem", "nothing\n");
    write(&folder, "key.pem", "nothing\n");
    for command in ["check", "serve"] {
        let mut one = hauski(&folder);
        let told = contains("error[no-certificate]: `cert.pem` has no certificate");
        one.env("HAUSKI_TLS_CERT", "cert.pem")
            .env("HAUSKI_TLS_KEY", "key.pem")
            .arg(command)
            .assert()
            .code(64)
            .stderr(told);
        let alone = "error[bad-setting]: `HAUSKI_TLS_KEY` is set, and `HAUSKI_TLS_CERT` is not: set both, or neither";
        hauski(&folder).env("HAUSKI_TLS_KEY", "key.pem").arg(command).assert().code(64).stderr(contains(alone));
        let mut gone = hauski(&folder);
        let told = contains("error[unreadable-file]: `gone.pem`").and(contains("`HAUSKI_TLS_CERT`"));
        gone.env("HAUSKI_TLS_CERT", "gone.pem")
            .env("HAUSKI_TLS_KEY", "key.pem")
            .arg(command)
            .assert()
            .code(64)
            .stderr(told);
    }
}

/// What `serve` says first, and its log to the end.
fn served(folder: &TempDir, env: &[(&str, &str)]) -> (String, String) {
    let mut command = common::command(env!("CARGO_BIN_EXE_hauski"), folder);
    command.arg("serve").envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut greeting = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    child.wait().unwrap();
    (greeting, log)
}

#[test]
fn serve_says_how_it_can_be_reached() {
    let folder = folder();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
    write(&folder, "cert.pem", &params.self_signed(&key).unwrap().pem());
    write(&folder, "key.pem", &key.serialize_pem());
    let (cert, key) = (("HAUSKI_TLS_CERT", "cert.pem"), ("HAUSKI_TLS_KEY", "key.pem"));
    let keys = ("HAUSKI_KEYS_TEXT", "keys: []");
    let (near, far) = (("HAUSKI_BIND", "127.0.0.1:0"), ("HAUSKI_BIND", "0.0.0.0:0"));
    let warning = "listening beyond this machine without TLS";
    for (env, expected, warned) in [
        (&[near][..], "http://127.0.0.1:", false),
        (&[near, cert, key], "https://127.0.0.1:", false),
        (&[far, keys], "http://0.0.0.0:", true),
        (&[far, keys, cert, key], "https://0.0.0.0:", false),
    ] {
        let (greeting, log) = served(&folder, env);
        assert!(greeting.contains(&format!(" listens on {expected}")), "{greeting}\n{log}");
        assert_eq!((greeting.contains("TLS)"), greeting.contains("0 keys")), (env.contains(&key), env.contains(&keys)));
        assert_eq!(log.contains(warning), warned, "{log}");
    }
    // It asked for keys: without them it stays closed.
    std::fs::remove_file(folder.path().join("ledger/keys-required")).unwrap();
    hauski(&folder).envs([cert, key]).args(["check", "--strict"]).assert().success().stdout(contains(", TLS\n"));
}
