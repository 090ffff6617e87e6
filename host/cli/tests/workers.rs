//! The division of work between the threads that serve connections and the others.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use common::{command, folder};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

const HAUSKI: &str = env!("CARGO_BIN_EXE_hauski");

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processor time that the threads of a process have used, in clock ticks: that of its workers, and that of all.
fn cpu_ticks(process: u32) -> (u64, u64) {
    let (mut workers, mut all) = (0, 0);
    for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let text = fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        // The name is in parentheses; user and system time are the 12th and 13th fields behind it.
        let (name, fields) = text.rsplit_once(')').unwrap();
        let used: u64 = fields.split(' ').skip(12).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        all += used;
        if name.contains("hauski-worker") {
            workers += used;
        }
    }
    (workers, all)
}

#[expect(clippy::disallowed_methods, reason = "a test's client is not the gateway")]
fn post(address: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// M1: a worker read 32 MiB of JSON for most of a second, and served nobody else meanwhile.
#[test]
fn workers_do_not_read_large_bodies() {
    let folder = folder();
    let mut serve = command(HAUSKI, &folder);
    serve.arg("serve").env("HAUSKI_BIND", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut gateway = Ended(serve.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(gateway.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (_, rest) = line.split_once("http://").unwrap();
    let (address, _) = rest.split_once(' ').unwrap();

    let parts = vec![r#"{"type":"text","text":"x"}"#; 60_000].join(",");
    let body = format!(r#"{{"model":"none","max_tokens":1,"messages":[{{"role":"user","content":[{parts}]}}]}}"#);
    let input = vec!["1"; 390_000].join(",");
    for (path, body) in [
        ("/v1/chat/completions", &body),
        ("/v1/messages", &body),
        ("/v1/messages/count_tokens", &body),
        ("/v1/embeddings", &format!(r#"{{"model":"none","input":[{input}]}}"#)),
    ] {
        let before = cpu_ticks(gateway.0.id());
        let answer = post(address, path, body);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {}", answer.get(..300).unwrap_or(&answer));
        let after = cpu_ticks(gateway.0.id());
        let (workers, all) = (after.0 - before.0, after.1 - before.1);
        assert!(workers * 2 < all, "{path}: workers {workers} of {all} ticks");
    }
}
