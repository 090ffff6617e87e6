//! The binary as a process: terminals, signals, a log that nobody reads, limits of the system.

#![expect(clippy::unwrap_used, reason = "these are tests: what fails here has failed")]

mod common;

use common::{ROUTING, command, folder, write};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HAUSKI: &str = env!("CARGO_BIN_EXE_hauski");
const LONG: Duration = Duration::from_secs(20);

/// A policy that is warned of.
fn wide(folder: &TempDir) {
    write(folder, "routing.yaml", &ROUTING.replace("[]", "[https://api.matrix.example]"));
}

/// A new terminal: our end, and the one for a program.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.to_bytes())).unwrap();
    (ours.into(), theirs)
}

/// What a terminal was shown. Its end is an error.
fn shown(mut terminal: File) -> String {
    let mut bytes = Vec::new();
    let _ = terminal.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn each_stream_has_colours_if_it_is_a_terminal() {
    let folder = folder();
    wide(&folder);
    let check = || {
        let mut command = command(HAUSKI, &folder);
        command.arg("check");
        command
    };
    // Warnings go to standard output: a terminal for errors does not colour them.
    let (ours, theirs) = terminal();
    let output = check().stderr(theirs).output().unwrap();
    assert_eq!(shown(ours), "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("wide-adapters") && !text.contains('\u{1b}'), "{text:?}");

    for (no_color, coloured) in [("", true), ("1", false)] {
        let (ours, theirs) = terminal();
        check().env("NO_COLOR", no_color).stdout(theirs).output().unwrap();
        let text = shown(ours);
        assert!(text.contains("wide-adapters") && text.contains('\u{1b}') == coloured, "{text:?}");
    }

    write(&folder, "models.yml", "models: [{ path: x }]\n");
    let (ours, theirs) = terminal();
    check().stderr(theirs).output().unwrap();
    let text = shown(ours);
    assert!(text.contains("models.yml:1:") && text.contains('\u{1b}'), "{text:?}");
}

/// A gateway in a process of its own.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    /// Starts `command` on any port and waits until it says where it listens.
    fn start(mut command: Command) -> Self {
        command.env("HAUSKI_BIND", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("http://").unwrap();
        let (address, _) = rest.split_once(' ').unwrap();
        Self { address: address.to_owned(), child }
    }

    fn serve(folder: &TempDir) -> Self {
        let mut serve = command(HAUSKI, folder);
        serve.arg("serve");
        Self::start(serve)
    }

    /// Runs `limit` in a shell, which becomes the gateway then.
    fn limited(folder: &TempDir, limit: &str) -> Self {
        let mut shell = command("/bin/sh", folder);
        shell.args(["-c", &format!("{limit} && exec \"$0\" serve"), HAUSKI]);
        Self::start(shell)
    }

    #[expect(clippy::disallowed_methods, reason = "a test's client is not the gateway")]
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The end, which must come within `time`.
    fn end(&mut self, time: Duration) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < time, "it did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it and returns its log.
    fn log(mut self) -> String {
        self.signal(Signal::TERM);
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(self.end(LONG).code(), Some(0), "{log}");
        log
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_log_has_one_line_for_each_warning() {
    let folder = folder();
    wide(&folder);
    let log = Served::serve(&folder).log();
    assert!(log.lines().all(|line| line.starts_with("20") && !line.contains('\u{1b}')), "{log}");
    let line = log.lines().find(|line| line.contains("wide-adapters")).unwrap();
    let at = line.find("routing.yaml:1:").unwrap();
    assert!(line.contains(" WARN ") && line[at..].contains(" wide-adapters: "), "{line}");
}

#[test]
fn the_log_can_be_json() {
    let folder = folder();
    wide(&folder);
    let mut serve = command(HAUSKI, &folder);
    serve.env("HAUSKI_LOG_FORMAT", "json").arg("serve");
    let served = Served::start(serve);
    let mut client = served.connect();
    write!(client, "GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nx-request-id: r-1\r\nconnection: close\r\n\r\n")
        .unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    let log = served.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for name in ["timestamp", "level", "target", "message"] {
            assert!(line[name].is_string(), "{line}");
        }
    }
    let request = lines.iter().find(|line| line["request_id"] == "r-1").unwrap();
    assert_eq!((&request["level"], &request["message"]), (&"INFO".into(), &"request".into()));
    assert_eq!((&request["path"], &request["status"]), (&"/v1/models".into(), &200.into()));
    assert_eq!(request["outcome"], "complete");
    assert!(request["target"].as_str().unwrap().starts_with("hauski_server"), "{request}");
    assert!(lines.iter().any(|line| line["level"] == "WARN"), "{log}");
}

#[test]
fn unknown_variables_are_in_the_log() {
    let folder = folder();
    let mut serve = command(HAUSKI, &folder);
    serve.env("HAUSKI_LGO", "debug").arg("serve");
    let log = Served::start(serve).log();
    let line = log.lines().find(|line| line.contains("HAUSKI_LGO")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(" WARN ") && line.contains("did you mean `HAUSKI_LOG`?"), "{line}");
}

#[test]
fn the_log_has_a_line_for_each_request_but_probes() {
    let folder = folder();
    let mut serve = command(HAUSKI, &folder);
    serve.arg("serve");
    let served = Served::start(serve);
    for path in ["/health", "/nowhere", "/v1/models"] {
        let mut client = served.connect();
        write!(client, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
    }
    let log = served.log();
    assert!(!log.contains("path=/health"), "{log}");
    let line = log.lines().find(|line| line.contains("path=/v1/models")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(" INFO ") && line.contains(" status=200 outcome=complete "), "{line}");
    assert!(log.lines().any(|line| line.contains("path=unmatched status=404 outcome=refused")), "{log}");
}

#[test]
fn a_second_signal_ends_the_drain() {
    for (first, second) in [(Signal::TERM, Signal::INT), (Signal::INT, Signal::INT)] {
        let folder = folder();
        let mut served = Served::serve(&folder);
        let mut client = served.connect();
        // A body that does not come holds the end up.
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
        write!(client, "{head}content-length: 100\r\n\r\n").unwrap();
        // The handler has begun to wait for it.
        assert!(client.read(&mut [0; 12]).unwrap() > 0);
        served.signal(first);
        let mut log = BufReader::new(served.child.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains("stopping") {
            assert!(log.read_line(&mut text).unwrap() > 0, "{text}");
        }
        std::thread::sleep(Duration::from_millis(300));
        assert!(served.child.try_wait().unwrap().is_none(), "it did not wait for the answer");
        served.signal(second);
        assert_eq!(served.end(Duration::from_secs(5)).code(), Some(1));
        log.read_to_string(&mut text).unwrap();
        assert!(text.contains("ended by a second signal"), "{text}");
    }
}

/// M8: with its keys lost, a gateway that had asked for them let in everyone at its next start.
#[test]
fn gateway_does_not_start_open_after_its_keys_are_lost() {
    let folder = folder();
    fs::create_dir(folder.path().join("policies")).unwrap();
    let serve = || {
        let mut command = command(HAUSKI, &folder);
        command.env("HAUSKI_BIND", "127.0.0.1:0").arg("serve");
        command
    };
    let end = |mut served: Served| {
        served.signal(Signal::TERM);
        assert_eq!(served.end(LONG).code(), Some(0));
    };
    let keys = format!("keys: [{{ name: a, hash: \"sha256:{}\", models: [\"*\"] }}]\n", "0".repeat(64));
    write(&folder, "policies/keys.yaml", &keys);
    end(Served::start(serve()));
    fs::remove_file(folder.path().join("policies/keys.yaml")).unwrap();
    let output = serve().output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("keys are missing") && text.contains("ledger/keys-required"), "{text}");
    assert_eq!(output.status.code(), Some(64));
    fs::remove_file(folder.path().join("ledger/keys-required")).unwrap();
    end(Served::start(serve()));
}

#[test]
fn a_hangup_reads_the_policy_again() {
    let folder = folder();
    let mut served = Served::serve(&folder);
    let mut log = BufReader::new(served.child.stderr.take().unwrap());
    let mut until = |part: &str| {
        let mut text = String::new();
        while !text.contains(part) {
            assert!(log.read_line(&mut text).unwrap() > 0, "{text}");
        }
        text
    };
    served.signal(Signal::HUP);
    until("the policy was reloaded generation=2 entries=0");
    write(
        &folder,
        "routing.yaml",
        &ROUTING.replace("[]", "[{ url: https://a.test/v1, adapters: [a], methods: [GET] }]"),
    );
    served.signal(Signal::HUP);
    let text = until("the policy was reloaded generation=3 entries=1");
    assert!(
        text.contains("grant added entry=") && text.contains("https://a.test/v1 GET (public, cloud) for a\""),
        "{text}"
    );
    write(&folder, "routing.yaml", "egress: {}\n");
    served.signal(Signal::HUP);
    let text = until("the last good one holds on");
    assert!(text.contains("routing.yaml:1:") && text.contains("missing-key"), "{text}");
    served.signal(Signal::TERM);
    assert_eq!(served.end(LONG).code(), Some(0));
}

/// Each request is logged; a pipe takes 64 KiB.
#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let folder = folder();
    let mut served = Served::serve(&folder);
    let client = served.connect();
    let mut answers = BufReader::new(client.try_clone().unwrap());
    for number in 0..2_000 {
        write!(&client, "GET /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            answers.read_line(&mut line).unwrap_or_else(|error| panic!("request {number}: {error}"));
            let line = line.trim().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        answers.read_exact(&mut vec![0; length]).unwrap();
    }
    drop((client, answers));
    served.signal(Signal::TERM);
    assert_eq!(served.end(LONG).code(), Some(0));
}

#[test]
fn the_limit_on_open_files_is_raised() {
    let folder = folder();
    let served = Served::limited(&folder, "ulimit -Sn 256");
    let limits = fs::read_to_string(format!("/proc/{}/limits", served.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let columns: Vec<_> = line.split_whitespace().skip(3).collect();
    assert_eq!(columns[0], columns[1], "{line}");
    assert_ne!(columns[0], "256");
}

#[test]
fn too_few_open_files_are_warned_of() {
    let folder = folder();
    let warning = "the limit on open files is too low for `server.connections`";
    let log = Served::limited(&folder, "ulimit -n 512").log();
    let line = log.lines().find(|line| line.contains(warning)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("files=512") && line.contains("connections=4096"), "{line}");
    let limits = fs::read_to_string(folder.path().join("limits.yaml")).unwrap();
    write(&folder, "limits.yaml", &limits.replace("connections: 4096", "connections: 256"));
    let log = Served::limited(&folder, "ulimit -n 512").log();
    assert!(!log.contains(warning), "{log}");
}

/// Whether each thread of the process is barred from new privileges, which a lock does to those that it holds.
fn each_thread_is_locked(served: &Served) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", served.child.id())).unwrap();
    let statuses = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let locked: Vec<_> = statuses.map(|status| status.contains("\nNoNewPrivs:\t1\n")).collect();
    assert!(locked.len() >= 2, "a log and a worker at least");
    assert!(locked.iter().all(|one| one == &locked[0]), "some threads are and some are not: {locked:?}");
    locked[0]
}

#[test]
fn the_lock_holds_each_thread_and_says_so() {
    let folder = folder();
    write(&folder, "routing.yaml", &ROUTING.replace("[]", "[https://api.matrix.example, \"http://127.0.0.1:11434\"]"));
    let serve = |arguments: &[&str]| {
        let mut serve = command(HAUSKI, &folder);
        serve.args(arguments);
        Served::start(serve)
    };
    let served = serve(&["serve"]);
    assert!(!each_thread_is_locked(&served), "nobody asked for it");
    assert!(!served.log().contains("os-egress-lock"));

    let served = serve(&["serve", "--os-egress-lock"]);
    served.connect();
    assert!(each_thread_is_locked(&served));
    let log = served.log();
    let line = log.lines().find(|line| line.contains(" --os-egress-lock: ")).unwrap_or_else(|| panic!("{log}"));
    if line.contains("the system enforces nothing") {
        assert!(line.contains(" WARN "), "{line}");
        return std::io::stderr().write_all(format!("SKIPPED, THIS KERNEL CAN'T LOCK: {line}\n").as_bytes()).unwrap();
    }
    let ports = "connect by TCP to the ports 53, 443, 11434 only and bind port 0 (a free one) only";
    assert!(line.contains(" INFO ") && line.contains(ports) && line.contains("Not restricted: "), "{line}");
}

/// The lock reads the policy first of all; what is wrong with it is told as ever.
#[test]
fn a_lock_hides_no_problem() {
    let folder = folder();
    write(&folder, "routing.yaml", "egress: { default: allow }\n");
    write(&folder, "models.yml", "models: [{ path: x }]\n");
    let [with, without] = [&["serve", "--os-egress-lock"][..], &["serve"]].map(|arguments| {
        let output = command(HAUSKI, &folder).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    });
    assert_eq!(with, without);
    assert!(with.0 == Some(64) && with.1.contains("routing.yaml:1:") && with.1.contains("models.yml:1:"), "{}", with.1);
}
