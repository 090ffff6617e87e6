//! The clients of the soak test: those that behave, whose requests have to succeed, and those that do not.

use crate::gateway::HOSTILE;
use hauski_tests::Client;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Failures that are kept with their text.
const KEPT_FAILURES: usize = 20;

/// The clients that behave: two, each with a pause between its requests.
#[derive(Clone, Default)]
pub(crate) struct Friends(Arc<Seen>);

#[derive(Default)]
struct Seen {
    /// Microseconds.
    latencies: Mutex<Vec<u32>>,
    failed: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// The well-behaved requests that failed: their number, and the first of them.
pub(crate) struct Failures {
    pub(crate) count: u64,
    pub(crate) first: Vec<String>,
}

impl Friends {
    pub(crate) fn start(&self, address: SocketAddr, tasks: &mut JoinSet<()>) {
        for (model, is_stream) in [("echo", false), ("good", false), ("good", true)] {
            tasks.spawn(self.clone().ask(address, model, is_stream));
        }
    }

    async fn ask(self, address: SocketAddr, model: &'static str, is_stream: bool) {
        loop {
            let begin = Instant::now();
            let client = Client(address);
            let answer = if is_stream { client.stream(model, "well").await } else { client.chat(model, "well").await };
            let holds = match is_stream {
                true => answer.status == 200 && answer.text.trim_end().ends_with("data: [DONE]"),
                false => answer.status == 200 && answer.content().contains("well"),
            };
            if !holds {
                self.0.failed.fetch_add(1, Relaxed);
                let mut failures = self.0.failures.lock().unwrap();
                if failures.len() < KEPT_FAILURES {
                    let start: String = answer.text.chars().take(300).collect();
                    failures.push(format!("{model}: {}: {start}", answer.status));
                }
            }
            let took = u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.0.latencies.lock().unwrap().push(took);
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn answered(&self) -> usize {
        self.0.latencies.lock().unwrap().len()
    }

    pub(crate) fn latencies(&self) -> Vec<u32> {
        self.0.latencies.lock().unwrap().clone()
    }

    pub(crate) fn failures(&self) -> Failures {
        Failures { count: self.0.failed.load(Relaxed), first: self.0.failures.lock().unwrap().clone() }
    }
}

/// The clients that misbehave, or ask adapters and providers that do. Nothing is expected of their answers.
#[derive(Clone, Default)]
pub(crate) struct Hostile(Arc<AtomicUsize>);

impl Hostile {
    pub(crate) fn start(&self, address: SocketAddr, tasks: &mut JoinSet<()>) {
        for model in HOSTILE.into_iter().chain(["wrong", "wrong"]) {
            tasks.spawn(self.clone().ask(address, model));
        }
        tasks.spawn(self.clone().attack(address));
    }

    /// Returns the number of requests so far.
    pub(crate) fn sent(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Asks a model again and again, whole and as a stream, and leaves now and then before the end.
    async fn ask(self, address: SocketAddr, model: &'static str) {
        for number in 0_usize.. {
            let mut stream = Client(address).begin_chat(model, "x", number % 2 == 0).await;
            self.0.fetch_add(1, Relaxed);
            let patience = if number % 3 == 0 { Duration::from_millis(50) } else { Duration::from_secs(5) };
            let _ = timeout(patience, read_some(&mut stream)).await;
            drop(stream);
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends bodies and heads that are hard to read, one after the other.
    async fn attack(self, address: SocketAddr) {
        let urls = format!("[{}]", vec![r#"{"a_url":""}"#; 20_000].join(","));
        let numbers = format!("[{}1{}]", "[".repeat(110), "]".repeat(110));
        let bodies = [
            format!(r#"{{"model":"echo","messages":[{{"role":"user","content":{urls}}}]}}"#),
            format!(r#"{{"model":"echo","x":{},"messages":[]}}"#, "[".repeat(100_000)),
            format!(r#"{{"model":"echo","messages":[{{"role":"user","content":"x","y":{numbers}}}]}}"#),
            format!(
                r#"{{"model":"echo","max_tokens":1,"stop_sequences":[{}""],"messages":[]}}"#,
                r#""","#.repeat(100_000)
            ),
        ];
        for number in 0_usize.. {
            let path = ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"][number / 4 % 4];
            let answer = Client(address).post(path, bodies[number % 4].clone());
            let _ = timeout(Duration::from_secs(5), answer).await;
            // A head that does not end, and one that says two things; kept open for a moment.
            let mut heads = Vec::new();
            for head in [
                "GET /health HTTP/1.1\r\nx: ",
                "POST /v1/x HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            ] {
                heads.push(Client(address).begin(head).await);
            }
            self.0.fetch_add(3, Relaxed);
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Reads until the end, or a megabyte.
async fn read_some(stream: &mut tokio::net::TcpStream) {
    let mut piece = vec![0; 16 << 10];
    let mut left = 1_usize << 20;
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        left = left.saturating_sub(read);
        if left == 0 {
            break;
        }
    }
    let _ = stream.shutdown().await;
}
