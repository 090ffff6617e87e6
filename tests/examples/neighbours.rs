//! Measures what an adapter that misbehaves costs its neighbours: `just bench-neighbours`.
//!
//! The release binary with the limits that it comes with, in one run: rounds in which a neighbour is asked alone and beside each of
//! those that spin, allocate, flood or hang, in turn, so that whatever else the machine does meets all of them. The same beside two
//! programs that have nothing to do with the gateway and run when nobody else wants to: one computes, one takes memory and gives it
//! back. What those cost is the machine's own doing (a core that is never idle, a virtual one that its host takes away), and nothing
//! that computes can cost less. Out comes a table: percentiles of the neighbour's latency, and ratios. The last one is for an adapter that
//! computes, beside programs that keep the processors busy. Nothing is asserted; machines differ.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that can't be made has no result, which is what this prints"
)]

use hauski_tests::{Client, adapter, guest};
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Those that misbehave, each with the program that does as much outside.
const OTHERS: [(&str, Option<&str>); 5] = [
    ("spins", Some(COMPUTING)),
    ("allocates", Some(ALLOCATING)),
    ("floods-log", Some(COMPUTING)),
    ("streams-forever", None),
    ("sleeps", None),
];
const ALONE: &str = "nobody";
const COMPUTING: &str = "(computing)";
const ALLOCATING: &str = "(allocating)";
/// Three programs that compute, each with the gateway's own priority.
const PROGRAMS: &str = "(3 programs)";
const ROUNDS: usize = 24;
const PHASE: Duration = Duration::from_millis(500);
/// The neighbour's clients, and the pause of each between two requests: with few requests, and with as many as it can answer.
const LIGHT: (usize, Duration) = (4, Duration::from_millis(2));
const BUSY: (usize, Duration) = (16, Duration::ZERO);

/// The neighbour's latencies beside one of the others, by rounds.
type Rounds = Vec<Vec<Duration>>;

fn main() {
    if let Some(program) = std::env::args().nth(1) {
        outside(&program);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let gateway = Gateway::start(root, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (load, (clients, pause)) in [("few", LIGHT), ("many", BUSY)] {
        println!("The neighbour has {load} requests, by {clients} clients:");
        print(&runtime.block_on(measure(gateway.address, clients, pause)));
    }
    println!("An adapter that computes for some milliseconds, with one client:");
    print(&runtime.block_on(beside_programs(gateway.address)));
}

/// Writes the adapters, and a policy that grants nothing.
fn fill(folder: &Path) {
    let adapters = folder.join("adapters");
    fs::create_dir(&adapters).unwrap();
    fs::write(adapters.join("echo.wasm"), adapter("echo")).unwrap();
    let mut models = "models:\n  - { id: echo, adapter: echo }\n".to_owned();
    for id in OTHERS.map(|(id, _)| id).into_iter().chain(["computes"]) {
        fs::write(adapters.join(id).with_extension("wasm"), guest(&id.replace('-', "_"))).unwrap();
        models.push_str(&format!("  - {{ id: {id}, adapter: {id} }}\n"));
    }
    fs::write(folder.join("models.yml"), models).unwrap();
    let routing = "egress: { default: deny, allow: [] }\n\
                   routing: { prefer_local: true, cloud_fallback: { enabled: false } }\n";
    fs::write(folder.join("routing.yaml"), routing).unwrap();
}

/// A process that ends with it.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
fn run_when_idle() {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let own = thread_priority::thread_native_id();
    thread_priority::set_thread_priority_and_policy(own, ThreadPriority::Min, idle).unwrap();
}

/// Does what a guest that misbehaves does, outside of any gateway and when nobody else wants to run; or computes with the same priority.
fn outside(program: &str) -> ! {
    #[cfg(target_os = "linux")]
    if program != PROGRAMS {
        run_when_idle();
    }
    loop {
        if program == ALLOCATING {
            black_box((0..64).map(|_| vec![black_box(1_u8); 1 << 20]).collect::<Vec<_>>());
        }
        black_box(());
    }
}

/// The gateway in a process of its own.
struct Gateway {
    _process: Process,
    address: SocketAddr,
}

impl Gateway {
    fn start(root: &Path, folder: &Path) -> Self {
        let limits = root.join("policies/limits.yaml");
        let mut command = Command::new(root.join("target/release/hauski"));
        command.arg("serve").current_dir(folder).env_clear().env("HAUSKI_LIMITS", limits);
        command.env("HAUSKI_BIND", "127.0.0.1:0").env("HAUSKI_ROUTING", "routing.yaml");
        command.env("HAUSKI_MODELS", "models.yml").env("HAUSKI_ADAPTERS", "adapters");
        command.stdout(Stdio::piped()).stderr(File::create(folder.join("log")).unwrap());
        let mut process = Process::start(&mut command);
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.split("://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().parse().unwrap();
        Self { _process: process, address }
    }
}

/// Prints a table: the latencies beside each of the others, how many times the neighbour's own the 99th percentile is, and how many
/// times the one beside a program that does as much outside. Both are medians of what the rounds say: what comes over the machine
/// in single rounds is no adapter's doing.
fn print(latencies: &[(&'static str, Rounds)]) {
    println!(
        "{:<16} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>10}",
        "beside", "requests", "p50 ms", "p95 ms", "p99 ms", "x p50", "x p99", "x outside"
    );
    let of = |name| latencies.iter().find(|(other, _)| *other == name).map(|(_, rounds)| rounds);
    for (name, rounds) in latencies {
        let all = rounds.concat();
        let at = |percent| percentile(all.clone(), percent);
        let ratio_at = |percent, to| of(to).map(|other| format!("{:.2}", median_ratio(rounds, other, percent)));
        let ratio = |to| ratio_at(99, to).unwrap_or_default();
        let outside = OTHERS.iter().find(|(other, _)| other == name).and_then(|(_, outside)| *outside);
        println!(
            "{name:<16} {:>9} {:>9.3} {:>9.3} {:>9.3} {:>8} {:>8} {:>10}",
            all.len(),
            at(50),
            at(95),
            at(99),
            ratio_at(50, ALONE).unwrap_or_default(),
            ratio(ALONE),
            outside.map(ratio).unwrap_or_default()
        );
    }
}

/// The median over the rounds of the ratio of their percentiles.
fn median_ratio(rounds: &Rounds, others: &Rounds, percent: usize) -> f64 {
    let at = |round: &Vec<Duration>| percentile(round.clone(), percent);
    let mut ratios: Vec<f64> = rounds.iter().zip(others).map(|(round, other)| at(round) / at(other)).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// A percentile in milliseconds.
fn percentile(mut all: Vec<Duration>, percent: usize) -> f64 {
    all.sort_unstable();
    all[(all.len() * percent / 100).min(all.len() - 1)].as_secs_f64() * 1e3
}

/// The neighbour's latencies, alone and beside each of the others.
async fn measure(address: SocketAddr, clients_at_once: usize, pause: Duration) -> Vec<(&'static str, Rounds)> {
    let names = [ALONE].into_iter().chain(OTHERS.map(|(name, _)| name)).chain([COMPUTING, ALLOCATING]);
    let mut latencies: Vec<(&str, Rounds)> = names.map(|name| (name, Vec::new())).collect();
    for round in 0..=ROUNDS {
        for (name, rounds) in &mut latencies {
            let outside = name
                .starts_with('(')
                .then(|| Process::start(Command::new(std::env::current_exe().unwrap()).arg(*name)));
            let other = (*name != ALONE && outside.is_none()).then(|| elsewhere(misbehave(Client(address), name)));
            tokio::time::sleep(PHASE / 7).await;
            let mut clients = JoinSet::new();
            (0..clients_at_once).for_each(|_| drop(clients.spawn(ask(address, "echo", pause))));
            let seen = clients.join_all().await;
            // The first round warms up.
            if round > 0 {
                rounds.push(seen.concat());
            }
            drop((other, outside));
        }
    }
    latencies
}

/// The latencies of an adapter that computes, alone and beside programs that keep all processors busy, as a local model does.
async fn beside_programs(address: SocketAddr) -> Vec<(&'static str, Rounds)> {
    let mut latencies = vec![(ALONE, Vec::new()), (PROGRAMS, Vec::new())];
    for round in 0..=ROUNDS {
        for (name, rounds) in &mut latencies {
            let count = if *name == PROGRAMS { 3 } else { 0 };
            let program = || Process::start(Command::new(std::env::current_exe().unwrap()).arg(PROGRAMS));
            let programs: Vec<_> = (0..count).map(|_| program()).collect();
            tokio::time::sleep(PHASE / 7).await;
            let seen = ask(address, "computes", Duration::ZERO).await;
            if round > 0 {
                rounds.push(seen);
            }
            drop(programs);
        }
    }
    latencies
}

/// Runs a client on a thread of its own, so that it does not slow the one that measures, until what is returned is dropped.
fn elsewhere(client: impl Future<Output = ()> + Send + 'static) -> tokio::sync::oneshot::Sender<()> {
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // A client is a machine elsewhere: what this one takes of the processor would be taken from nobody.
        let _ = rustix::process::setpriority_process(None, 19);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = client => {}
                _ = ended => {}
            }
        });
    });
    end
}

/// Asks an adapter that misbehaves again and again, and reads whatever comes.
async fn misbehave(client: Client, model: &str) {
    let streams = model == "streams-forever";
    loop {
        let mut stream = client.begin_chat(model, "x", streams).await;
        let mut bytes = vec![0; 64 << 10];
        let mut answer = String::new();
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
            if !streams && answer.contains("\r\n\r\n") {
                break;
            }
            answer.clear();
        }
    }
}

/// Asks the neighbour over one connection for the time of a phase.
async fn ask(address: SocketAddr, model: &str, pause: Duration) -> Vec<Duration> {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = connect(address).await;
    let (begin, mut all, mut answer) = (Instant::now(), Vec::new(), vec![0; 64 << 10]);
    while begin.elapsed() < PHASE {
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        // The answer is small and comes in one piece.
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        all.push(asked.elapsed());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    all
}

#[expect(clippy::disallowed_methods, reason = "the client's side of the measurement")]
async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
