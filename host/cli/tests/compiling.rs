//! Files that are hard to compile: what they cost, and whom.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use common::{command, folder, write};
use hauski_tests::{adapter, guest};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HAUSKI: &str = env!("CARGO_BIN_EXE_hauski");
/// The longest that anything takes here on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns an adapter with one more core module, which is compiled with it.
fn with_module(module: &[u8]) -> Vec<u8> {
    let mut bytes = guest("counts");
    bytes.extend(section(1, module));
    bytes
}

/// Returns a module that makes the compiler take memory without end: calls with a thousand results each.
fn memory_bomb() -> Vec<u8> {
    let results = [vec![0x60, 0], vector(&vec![vec![0x7f]; 1_000])].concat();
    let calls = [vec![0], [0x10, 0].repeat(27_000), vec![0, 0x0b]].concat();
    module(&[results, vec![0x60, 0, 0]], &[vec![0, 0, 0x0b], calls])
}

/// Returns a module that makes the compiler take minutes: loops within loops. `number` makes its bytes different from others.
fn time_bomb(number: usize) -> Vec<u8> {
    let depth = 20_000 + number;
    module(&[vec![0x60, 0, 0]], &[[vec![0], [0x03, 0x40].repeat(depth), vec![0x0b; depth + 1]].concat()])
}

/// Returns a core module with these types and bodies, each function having the type of its number.
fn module(types: &[Vec<u8>], bodies: &[Vec<u8>]) -> Vec<u8> {
    let functions: Vec<_> = (0..bodies.len()).map(leb).collect();
    let bodies: Vec<_> = bodies.iter().map(|body| [leb(body.len()), body.clone()].concat()).collect();
    let sections = [section(1, &vector(types)), section(3, &vector(&functions)), section(10, &vector(&bodies))];
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb(content.len()), content.to_vec()].concat()
}

fn vector(items: &[Vec<u8>]) -> Vec<u8> {
    [leb(items.len()), items.concat()].concat()
}

/// Returns a number as unsigned LEB128.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        bytes.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return bytes;
        }
    }
}

/// A gateway in a process of its own, without compiled code.
struct Served {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Served {
    fn start(files: &[(&str, Vec<u8>)]) -> Self {
        Self::with_queue_time(files, 5_000)
    }

    /// Starts a gateway whose requests wait so long for an instance.
    fn with_queue_time(files: &[(&str, Vec<u8>)], queue_ms: u32) -> Self {
        let folder = folder();
        let limits = fs::read_to_string(folder.path().join("limits.yaml")).unwrap();
        let queue_time = format!("queue_ms: {queue_ms}");
        assert!(limits.contains("queue_ms: 5000"));
        write(&folder, "limits.yaml", &limits.replace("queue_ms: 5000", &queue_time));
        files.iter().for_each(|(name, bytes)| put(&folder, name, bytes));
        let models = "models: [{ id: echo, adapter: echo }, { id: late, adapter: late }]\n";
        write(&folder, "models.yml", models);
        let mut serve = command(HAUSKI, &folder);
        serve.arg("serve").env("HAUSKI_BIND", "127.0.0.1:0").env("HAUSKI_LEDGER", "off").env("SECRET", "x");
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("http://").unwrap();
        let (address, _) = rest.split_once(' ').unwrap();
        Self { address: address.to_owned(), child, folder }
    }

    #[expect(clippy::disallowed_methods, reason = "a test's client is not the gateway")]
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    }

    /// Asks a model, and returns the whole answer.
    fn chat(&self, model: &str) -> String {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        let length = body.len();
        self.ask(&format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    fn ready(&self) -> Value {
        serde_json::from_str(self.get("/ready").split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Waits until a model answers.
    #[track_caller]
    fn until_answers(&self, model: &str) {
        let begin = Instant::now();
        while !self.chat(model).starts_with("HTTP/1.1 200") {
            assert!(begin.elapsed() < PATIENCE, "{}", self.chat(model));
            sleep(Duration::from_millis(100));
        }
    }

    /// Returns the compiler processes of this gateway.
    fn compilers(&self) -> Vec<u32> {
        let parent = self.child.id().to_string();
        let of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        let is_child =
            |pid: &u32| of(*pid).is_some_and(|stat| stat_field(&stat, 4) == parent && stat_field(&stat, 3) != "Z");
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        pids.filter(is_child).collect()
    }

    #[track_caller]
    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begin = Instant::now();
        while !holds(self) {
            assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Returns the largest memory that the gateway's process has had, in MiB.
    fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a field of `/proc/…/stat`, counted from 1 as its manual does.
fn stat_field(stat: &str, number: usize) -> &str {
    // The second one may have blanks in it.
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(number - 3).unwrap()
}

fn put(folder: &TempDir, name: &str, bytes: &[u8]) {
    let (part, path) = (folder.path().join("part"), folder.path().join("adapters").join(name));
    fs::write(&part, bytes).unwrap();
    fs::rename(part, path).unwrap();
}

#[test]
fn memory_bomb_is_refused_and_costs_the_gateway_nothing() {
    let served = Served::start(&[("bomb.wasm", with_module(&memory_bomb())), ("echo.wasm", adapter("echo"))]);
    served.until_answers("echo");
    served.until("a refusal", |served| served.ready()["adapters"]["refused"] == 1);
    assert!(served.chat("echo").contains("200 OK"));
    let peak = served.peak_mib();
    assert!(peak < 250, "{peak} MiB");
    let listed = command(HAUSKI, &served.folder).args(["adapters", "ls"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("compiling it takes more than 1024 MiB of memory: build it smaller"), "{listed}");
}

#[test]
fn endless_compilations_keep_no_other_file_waiting() {
    let bombs: Vec<_> = (0..3).map(|number| with_module(&time_bomb(number))).collect();
    let names = ["a.wasm", "b.wasm", "c.wasm"];
    let served = Served::start(&names.into_iter().zip(bombs).collect::<Vec<_>>());
    // The port is open, and says what it is at.
    assert!(served.get("/health").starts_with("HTTP/1.1 200"));
    assert_eq!(served.ready()["adapters"]["loading"], serde_json::json!(names));
    assert_eq!(served.ready()["status"], "adapters are being loaded");
    served.until("two compilers", |served| served.compilers().len() == 2);
    let refused = served.chat("late");
    assert!(refused.contains("there is no `late.wasm`"), "{refused}");
    put(&served.folder, "late.wasm", &adapter("echo"));
    served.until("it is loading", |served| {
        served.ready()["adapters"]["loading"].as_array().unwrap().iter().any(|file| file == "late.wasm")
    });
    served.until_answers("late");
    assert_eq!(served.ready()["adapters"]["loading"], serde_json::json!(names), "and the others are still at it");
    assert!(served.compilers().len() <= 2);

    // Without its file, a compiler ends.
    names.iter().for_each(|name| fs::remove_file(served.folder.path().join("adapters").join(name)).unwrap());
    served.until("no compiler", |served| served.compilers().is_empty());
    assert!(served.chat("late").starts_with("HTTP/1.1 200"));
}

#[test]
fn compiler_process_has_nothing_but_its_input() {
    let served = Served::start(&[("a.wasm", with_module(&time_bomb(0)))]);
    let restricted = |served: &Served| {
        let compilers = served.compilers();
        let status = compilers.first().and_then(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok());
        // All that it gives up it has given up once it has more than one thread.
        status.is_some_and(|status| status.contains("NoNewPrivs:\t1") && !status.contains("Threads:\t1\n"))
    };
    served.until("a compiler", restricted);
    let pid = served.compilers()[0];
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    assert_eq!(read("environ"), "");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().collect();
    let open: Vec<_> = open.iter().map(|entry| fs::read_link(entry.path()).unwrap_or_default()).collect();
    let others = open.iter().filter(|to| !to.starts_with("/dev/null") && !to.to_string_lossy().starts_with("pipe:"));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0].map(std::path::PathBuf::from).iter().collect::<Vec<_>>());
    let limits = read("limits");
    for (name, value) in [("Max cpu time", "120"), ("Max core file size", "0"), ("Max data size", "2147483648")] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line[name.len()..].split_whitespace().next(), Some(value), "{line}");
    }
    assert_eq!(read("oom_score_adj").trim(), "1000");
    let own = fs::read_to_string(format!("/proc/{}/stat", served.child.id())).unwrap();
    let (own, its): (i32, i32) =
        (stat_field(&own, 19).parse().unwrap(), stat_field(&read("stat"), 19).parse().unwrap());
    assert!(its > own, "its nice value is {its}, the gateway's {own}");
    // It is not left behind.
    let mut served = served;
    served.child.kill().unwrap();
    served.until("an end", |_| !fs::exists(format!("/proc/{pid}")).unwrap() || stat_is_zombie(pid));
}

fn stat_is_zombie(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat_field(&stat, 3) == "Z")
}

#[test]
fn compiler_that_is_killed_is_its_files_failure_only() {
    let served = Served::start(&[("a.wasm", with_module(&time_bomb(0))), ("echo.wasm", adapter("echo"))]);
    served.until_answers("echo");
    served.until("one compiler", |served| served.compilers().len() == 1);
    let pid = i32::try_from(served.compilers()[0]).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    served.until("a refusal", |served| served.ready()["adapters"]["refused"] == 1);
    served.until_answers("echo");
}

#[test]
fn request_waits_while_its_adapter_is_loaded() {
    let before = ["a.wasm", "b.wasm", "c.wasm", "d.wasm", "e.wasm", "f.wasm"];
    let bytes = |number: usize| with_module(&module(&[vec![0x60, 0, 0]], &vec![vec![0, 0x0b]; number + 1]));
    let mut files: Vec<_> = before.iter().enumerate().map(|(number, name)| (*name, bytes(number))).collect();
    files.push(("late.wasm", adapter("openai-compatible")));
    files.push(("echo.wasm", adapter("echo")));
    let served = Served::with_queue_time(&files, 60_000);
    let answer = served.chat("echo");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // What was loaded meanwhile can't be asked for another reason.
    assert!(served.chat("late").contains("base_url"), "{}", served.chat("late"));
}

#[test]
fn request_fails_when_its_adapter_is_not_loaded_within_the_queue_time() {
    let served = Served::with_queue_time(&[("late.wasm", with_module(&time_bomb(0)))], 50);
    let answer = served.chat("late");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    assert!(
        answer.contains("\"code\":\"adapter_loading\"") && answer.contains("`late` is still being loaded"),
        "{answer}"
    );
}

#[test]
fn configuration_errors_are_reported_before_anything_is_compiled() {
    let folder = folder();
    put(&folder, "echo.wasm", &adapter("echo"));
    let mut serve = command(HAUSKI, &folder);
    serve.arg("serve").env("HAUSKI_BIND", "127.0.0.1:0").env("HAUSKI_CACHE", "cache").env("HAUSKI_KEYS", "absent.yaml");
    let output = serve.output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("absent.yaml"));
    assert!(!folder.path().join("cache").exists());
}
