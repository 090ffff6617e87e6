//! `serve --dry-run-egress`: what is denied is denied as ever, and told at the end as entries to review.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use common::{command, folder, write};
use hauski_policy::Routing;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const HAUSKI: &str = env!("CARGO_BIN_EXE_hauski");

/// Has the guest `probe` ask for `url`, and gives the answer.
#[expect(clippy::disallowed_methods, reason = "a test's client is not the gateway")]
fn ask(address: &str, url: &str) -> String {
    let order = serde_json::json!({ "method": "POST", "url": url }).to_string();
    let body = serde_json::json!({ "model": "probe", "messages": [{ "role": "user", "content": order }] }).to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Serves from `folder`, asks for each of `urls`, stops, and gives what was printed after the greeting.
fn run(folder: &TempDir, urls: &[&str]) -> String {
    let mut serve = command(HAUSKI, folder);
    serve.args(["serve", "--dry-run-egress"]).env("HAUSKI_BIND", "127.0.0.1:0");
    let mut child: Child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.split_once("http://").unwrap().1.split_once(' ').unwrap().0.to_owned();
    for url in urls {
        let answer = ask(&address, url);
        assert!(answer.contains("enied"), "it denies as ever: {answer}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    rest
}

#[test]
fn what_was_denied_is_told_at_the_end_as_entries() {
    let folder = folder();
    write(&folder, "models.yml", "models: [{ id: probe, adapter: probe }]\n");
    std::fs::write(folder.path().join("adapters/probe.wasm"), hauski_tests::guest("probe")).unwrap();
    let first = run(&folder, &["https://before.test/v1/x?key=sk-secret"]);
    assert!(first.contains("https://before.test/v1/x") && !first.contains("sk-secret"), "{first}");

    let second =
        run(&folder, &["https://api.allowed.test/v1/a", "https://api.allowed.test/v1/b", "http://169.254.169.254/"]);
    assert!(!second.contains("before.test"), "only what this run has seen: {second}");
    let entries = second.split_once("try:").map_or(&*second, |(_, rest)| rest.split_once('\n').unwrap().1);
    let file = format!("{entries}\nrouting: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n");
    let routing =
        Routing::parse("routing.yaml", file.as_bytes()).unwrap_or_else(|e| panic!("{file}\n{}", e.render(false)));
    let grants: Vec<_> = routing.value.egress.grants.iter().map(ToString::to_string).collect();
    assert_eq!(grants, ["https://api.allowed.test/v1/a", "https://api.allowed.test/v1/b"], "{file}");
    assert!(routing.warnings.is_empty(), "nothing wide");
}

#[test]
fn a_dry_run_needs_the_ledger() {
    let folder = folder();
    let mut serve = command(HAUSKI, &folder);
    let output = serve.args(["serve", "--dry-run-egress"]).env("HAUSKI_LEDGER", "off").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("`--dry-run-egress` needs the ledger, and `HAUSKI_LEDGER` is `off`"), "{text}");
}
