//! `hauski serve`: prepare, bind, say where, wait for the signal, drain.

use super::{block_on, check, settings};
use crate::failure::Failure;
use crate::{descriptors, log};
use hauski_server::setup::{self, World};
use hauski_server::{Gateway, Process, Running, Settings, start};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::thread;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Serves until SIGINT or SIGTERM.
pub(crate) fn run() -> Result<(), Failure> {
    let (settings, filter) = settings()?;
    // Held to the end: what is still to be written is written when it is dropped.
    let _log = log::Log::start(filter);
    let files = descriptors::raise();
    let (gateway, warnings) =
        block_on(setup::prepare(&settings, World::real(&Process)))?.map_err(Failure::Configuration)?;
    warnings.iter().for_each(log::warnings);
    warn(&settings, &gateway, files);
    let summary = check::summary(&gateway);
    let model = gateway.models_served().next().map(str::to_owned);
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    block_on(async {
        let mut signals = Signals::catch()?;
        let running = start(gateway, settings.bind, workers).map_err(Failure::Start)?;
        // Nobody may be reading; that is no reason to stop.
        let _ = greet(running.address(), &summary, model.as_deref());
        signals.next().await;
        tracing::info!("stopping: running answers may end, no new ones begin; a second signal ends them");
        stop(running, signals).await
    })?
}

/// Logs what the operator should know of a gateway that can run all the same.
fn warn(settings: &Settings, gateway: &Gateway, files: Option<u64>) {
    for note in check::notes(gateway) {
        tracing::warn!("{note}");
    }
    if !settings.bind.ip().is_loopback() {
        tracing::warn!(bind = %settings.bind, "listening beyond this machine: whoever reaches this address can ask the models, without a key");
    }
    let connections = gateway.limits.server.connections;
    if !descriptors::suffice(files, connections) {
        tracing::warn!(
            files,
            connections,
            "the limit on open files is too low for `server.connections`, each of which may need two: raise the hard limit \
             (`ulimit -Hn`, `LimitNOFILE=`), or lower `server.connections`"
        );
    }
}

/// Lets running answers end, unless a second signal comes. The signals' handlers stay once they are installed, so without this
/// a second Ctrl-C would do nothing.
async fn stop(running: Running, mut signals: Signals) -> Result<(), Failure> {
    let (done, stopped) = oneshot::channel();
    // A thread of its own and none of the runtime's: a runtime waits for its threads, and the second signal must not wait.
    thread::Builder::new().name("hauski-stop".to_owned()).spawn(move || {
        running.stop();
        let _ = done.send(());
    })?;
    tokio::select! {
        _ = stopped => Ok(()),
        () = signals.next() => {
            tracing::error!("ended by a second signal: running answers were cut off");
            Err(Failure::Interrupted)
        }
    }
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for either.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Says where the gateway is, and how to try it.
fn greet(address: SocketAddr, summary: &str, model: Option<&str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "hauski {} listens on http://{address} ({summary})", env!("CARGO_PKG_VERSION"))?;
    if let Some(model) = model {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        writeln!(
            out,
            "try: curl -s http://{address}/v1/chat/completions -H 'content-type: application/json' -d '{body}'"
        )?;
    }
    out.flush()
}
