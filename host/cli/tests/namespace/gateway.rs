//! The gateway as a process in the namespace, with the two probes as its adapters, and a client for it.

use crate::capture::TEST;
use crate::common;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Where it listens.
pub(crate) const BIND: &str = "127.0.0.1:8080";

/// The adapters: the same program over both ways out.
pub(crate) const WAYS: [&str; 2] = ["probe", "probe-wasi-http"];

/// As long as the whole test may take; it takes seconds.
const LONG: Duration = Duration::from_secs(120);

/// The gateway that runs.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

pub(crate) struct Gateway {
    child: Child,
}

impl Gateway {
    /// Starts it with these grants and variables.
    pub(crate) fn start(folder: &TempDir, grants: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let models: Vec<_> = WAYS.iter().map(|way| json!({ "id": way, "adapter": way })).collect();
        common::write(folder, "models.yml", &json!({ "models": models }).to_string());
        common::write(folder, "routing.yaml", &common::ROUTING.replace("[]", grants));
        for way in WAYS {
            let wasm = folder.path().join(format!("adapters/{way}.wasm"));
            fs::write(wasm, hauski_tests::guest(&way.replace('-', "_"))).unwrap();
        }
        Self::start_in(folder, variables, arguments)
    }

    /// Starts it with the files that are in the folder.
    pub(crate) fn start_in(folder: &TempDir, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        // The next one in the folder may ask for no keys.
        let _ = fs::remove_file(folder.path().join("ledger/keys-required"));
        let mut command = common::command(env!("CARGO_BIN_EXE_hauski"), folder);
        command.args(arguments).env("HAUSKI_BIND", BIND).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        *RUNNING.lock().unwrap() = Some(Pid::from_child(&child));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut gateway = Self { child };
        assert!(line.contains(BIND), "{line}: {}", gateway.end());
        gateway
    }

    /// Ends it, and returns its log.
    fn end(&mut self) -> String {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        self.child.wait().unwrap();
        log
    }

    /// Ends it in order, and returns its log.
    pub(crate) fn stop(mut self) -> String {
        let log = self.end();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{log}");
        log
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        *RUNNING.lock().unwrap() = None;
    }
}

/// Ends the test if it takes too long, with the gateway that it has started, so that neither is left behind.
pub(crate) fn bound() {
    thread::spawn(|| {
        thread::sleep(LONG);
        if let Some(gateway) = *RUNNING.lock().unwrap() {
            let _ = kill_process(gateway, Signal::KILL);
        }
        std::process::exit(1);
    });
}

/// Connects from the test's own address.
pub(crate) fn connect() -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((TEST, 0)).into()).unwrap();
    socket.connect(&BIND.parse::<SocketAddr>().unwrap().into()).unwrap();
    TcpStream::from(socket)
}

/// Sends bytes from the test's own address, and reads until the gateway closes.
pub(crate) fn raw(bytes: &str) -> String {
    let mut stream = connect();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // If it does not come to an end, that is shown by what it is.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// How a row's outcome begins if the probe gave none.
pub(crate) const NO_ANSWER: &str = "no answer of the probe";

/// Has a probe send what `order` says, and returns how that ended: the status, or the kind of error.
pub(crate) fn probe(way: &str, order: &Value) -> String {
    let body = json!({ "model": way, "messages": [{ "role": "user", "content": order.to_string() }] }).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {BIND}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let answer = raw(&(head + &body));
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let completion: Value = serde_json::from_str(body).unwrap_or_default();
    let content = completion["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    let seen: Value = serde_json::from_str(content).unwrap_or_default();
    match (seen["ok"]["status"].as_u64(), seen["err"].as_str()) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => error.to_owned(),
        (None, None) => format!("{NO_ANSWER}: {answer}"),
    }
}
