//! `hauski serve`: prepare, bind, say where, wait for the signal, drain.

use super::{block_on, check};
use crate::failure::{Failure, colour};
use hauski_server::setup::{self, World};
use hauski_server::{Process, Settings, start};
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use tokio::signal::unix::{SignalKind, signal};

/// What is logged. The log is the program's, not a setting of the gateway, so its variable stands here.
const LOG: &str = "HAUSKI_LOG";

/// Serves until SIGINT or SIGTERM.
pub(crate) fn run(settings: &Settings) -> Result<(), Failure> {
    start_log();
    let (gateway, warnings) =
        block_on(setup::prepare(settings, World::real(&Process)))?.map_err(Failure::Configuration)?;
    for warning in &warnings {
        tracing::warn!("{}", warning.render(colour()));
    }
    for note in check::notes(&gateway) {
        tracing::warn!("{note}");
    }
    if !settings.bind.ip().is_loopback() {
        tracing::warn!(bind = %settings.bind, "listening beyond this machine: whoever reaches this address can ask the models, without a key");
    }
    let summary = check::summary(&gateway);
    let model = gateway.models_served().next().map(str::to_owned);
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let running = start(gateway, settings.bind, workers).map_err(Failure::Start)?;
        // Nobody may be reading; that is no reason to stop.
        let _ = greet(running.address(), &summary, model.as_deref());
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping: running answers may end, no new ones begin");
        running.stop();
        Ok(())
    })?
}

/// Says where the gateway is, and how to try it.
fn greet(address: SocketAddr, summary: &str, model: Option<&str>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
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

fn start_log() {
    let filter = std::env::var(LOG).unwrap_or_default();
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .parse_lossy(filter);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && colour())
        .init();
}
