//! A soak test of the release binary: `just soak`, or `just soak 120` for two minutes.
//!
//! Well-behaved clients are served for half an hour beside hostile clients, hostile adapters and hostile providers, while files are reloaded
//! and compiler processes are killed. Memory, open files and threads of the gateway are sampled once a second. At the end the gateway is
//! killed and started again, and its ledger is verified. The exit code is 1 where a well-behaved request failed, something grew, or the
//! ledger does not hold. Latencies are reported and not judged: machines differ.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a soak test that can't be made has failed, and its report is for people"
)]

mod clients;
mod gateway;
mod providers;
mod samples;

use clients::{Friends, Hostile};
use gateway::Gateway;
use providers::Providers;
use samples::{Report, Samples};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The interval of samples.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// The interval of lines that show the progress.
const PROGRESS_INTERVAL: u64 = 15;
/// The time in which requests under way may end, before the last sample.
const REST: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(1_800);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let report = runtime.block_on(soak(Duration::from_secs(seconds)));
    runtime.shutdown_background();
    if as_json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn soak(time: Duration) -> Report {
    let providers = Providers::start().await;
    let mut gateway = Gateway::start(&providers);
    gateway.until_ready().await;
    let (friends, hostile) = (Friends::default(), Hostile::default());
    let mut tasks = JoinSet::new();
    friends.start(gateway.address, &mut tasks);
    hostile.start(gateway.address, &mut tasks);
    tasks.spawn(gateway.disturbance().disturb());
    let mut samples = Samples::default();
    let begin = Instant::now();
    while begin.elapsed() < time {
        sleep(SAMPLE_INTERVAL).await;
        samples.take(&gateway);
        if begin.elapsed().as_secs().is_multiple_of(PROGRESS_INTERVAL) {
            let (good, bad) = (friends.answered(), hostile.sent());
            eprintln!(
                "{:>5} s of {}: {good} well-behaved requests, {bad} others; {}",
                begin.elapsed().as_secs(),
                time.as_secs(),
                samples.last()
            );
        }
    }
    tasks.shutdown().await;
    sleep(REST).await;
    let at_rest = samples::Sample::of(&gateway);
    let failures = friends.failures();
    gateway.kill_and_restart();
    gateway.until_ready().await;
    let ledger = gateway.verify_ledger();
    Report { time, latencies: friends.latencies(), failures, others: hostile.sent(), samples, at_rest, ledger }
}
