//! Measures what an adapter that misbehaves costs its neighbours: `just bench-neighbours`.
//!
//! One gateway, one run: rounds in which a neighbour is asked alone and beside each of those that spin, allocate, flood or hang, in turn,
//! so that whatever else the machine does meets all of them. Out comes a table: percentiles of the neighbour's own latency, and
//! their ratios. Nothing is asserted; machines differ.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that can't be made has no result, which is what this prints"
)]

use hauski_tests::{Client, TestHost};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Those that misbehave, each with what it does.
const OTHERS: [(&str, &str); 5] = [
    ("spins", "computes without end"),
    ("allocates", "takes all the memory it can get"),
    ("floods_log", "writes lines of log"),
    ("streams_forever", "streams as fast as it can"),
    ("sleeps", "hangs"),
];
const ROUNDS: usize = 12;
const PHASE: Duration = Duration::from_millis(700);
/// The neighbour's clients, and the pause of each between two requests: with few requests, and with as many as it can answer.
const LIGHT: (usize, Duration) = (4, Duration::from_millis(2));
const BUSY: (usize, Duration) = (16, Duration::ZERO);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (load, (clients, pause)) in [("few", LIGHT), ("many", BUSY)] {
        println!("The neighbour has {load} requests, by {clients} clients:");
        print(runtime.block_on(measure(clients, pause)));
    }
}

/// Prints a table: the latencies beside each of the others, and how many times the neighbour's own the 99th percentile is.
fn print(latencies: Vec<(&'static str, Vec<Duration>)>) {
    let percentile = |sorted: &[Duration], percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)];
    println!("{:<16} {:>9} {:>9} {:>9} {:>9} {:>7}", "beside", "requests", "p50 ms", "p95 ms", "p99 ms", "p99 x");
    let mut own = Duration::ZERO;
    for (name, mut all) in latencies {
        all.sort_unstable();
        let p99 = percentile(&all, 99);
        own = if own.is_zero() { p99 } else { own };
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{name:<16} {:>9} {:>9.3} {:>9.3} {:>9.3} {:>7.2}",
            all.len(),
            ms(percentile(&all, 50)),
            ms(percentile(&all, 95)),
            ms(p99),
            p99.as_secs_f64() / own.as_secs_f64()
        );
    }
}

/// The neighbour's latencies, alone and beside each of the others.
async fn measure(clients_at_once: usize, pause: Duration) -> Vec<(&'static str, Vec<Duration>)> {
    let mut builder = TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }").limit("cpu_ms", 5_000);
    for (guest, _) in OTHERS {
        builder = builder.guest(guest);
    }
    let host = builder.start().await;
    let address = host.address();
    let mut latencies = vec![("nobody", Vec::new())];
    latencies.extend(OTHERS.map(|(guest, _)| (guest, Vec::new())));
    for round in 0..=ROUNDS {
        for (name, all) in &mut latencies {
            let stop = Arc::new(AtomicBool::new(false));
            let other = (*name != "nobody").then(|| elsewhere(misbehave(Client(address), name, stop.clone())));
            tokio::time::sleep(PHASE / 7).await;
            let mut clients = JoinSet::new();
            (0..clients_at_once).for_each(|_| drop(clients.spawn(ask(address, pause))));
            let seen = clients.join_all().await;
            // The first round warms up.
            if round > 0 {
                all.extend(seen.into_iter().flatten());
            }
            stop.store(true, Relaxed);
            drop(other);
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
async fn misbehave(client: Client, guest: &str, stop: Arc<AtomicBool>) {
    let model = guest.replace('_', "-");
    while !stop.load(Relaxed) {
        let mut stream = client.begin_chat(&model, "x", guest == "streams_forever").await;
        let mut bytes = vec![0; 64 << 10];
        let mut answer = String::new();
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
            if guest != "streams_forever" && answer.contains("\r\n\r\n") {
                break;
            }
            answer.clear();
        }
    }
}

/// Asks the neighbour over one connection for the time of a phase.
async fn ask(address: std::net::SocketAddr, pause: Duration) -> Vec<Duration> {
    let body = r#"{"model":"echo","messages":[{"role":"user","content":"hello"}]}"#;
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
async fn connect(address: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
