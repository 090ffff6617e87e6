//! `hauski serve`: prepare, bind, say where, wait for the signal, drain. A dry run ends with what was denied.

use super::{block_on, check, policy, settings};
use crate::args::Serve;
use crate::failure::Failure;
use crate::{descriptors, log, os_lock};
use anyhow::anyhow;
use hauski_egress::Ledger;
use hauski_egress::suggest::Wanted;
use hauski_server::environment::{LEDGER, TLS_CERT, TLS_KEY};
use hauski_server::setup::{self, World};
use hauski_server::{Gateway, Running, Settings, log_warnings, start};
use jiff::Timestamp;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The longest time that the greeting waits for adapters, so that it can name a model. The port is open meanwhile.
const LOADED_BEFORE_GREETING: Duration = Duration::from_secs(1);

/// Serves until SIGINT or SIGTERM.
pub(crate) fn run(options: Serve) -> Result<(), Failure> {
    let (mut settings, wanted) = settings()?;
    settings.dry_run_egress = options.dry_run_egress;
    let dry_run = options.dry_run_egress.then(|| DryRun::begin(&settings)).transpose()?;
    // Before the log, which is the first to start a thread.
    let lock = options.os_egress_lock.then(|| os_lock::apply(&settings)).transpose()?;
    // Held to the end: what is still to be written is written when it is dropped.
    let _log = log::Log::start(wanted);
    let files = descriptors::raise();
    if let Err(error) = descriptors::forbid_core_dumps() {
        tracing::warn!(%error, "core dumps can't be forbidden: one would have keys and prompts in it");
    }
    let prepared = setup::prepare(&settings, World::real());
    let (gateway, warnings) = prepared.map_err(|problems| {
        check::misspelled_variables().iter().for_each(|note| tracing::warn!("{note}"));
        Failure::Configuration(problems)
    })?;
    lock.iter().for_each(os_lock::report);
    warnings.iter().for_each(log_warnings);
    warn(&settings, &gateway, files);
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let ledger = gateway.egress.ledger().clone();
    block_on(async {
        let mut signals = Signals::catch()?;
        let running = start(gateway, settings.bind, workers).map_err(Failure::Start)?;
        let gateway = running.gateway();
        // What was compiled before is loaded in a moment; the rest is said to be loading.
        let _ = timeout(LOADED_BEFORE_GREETING, gateway.loaded()).await;
        let (summary, model) = (check::summary(gateway), gateway.view().names_served().first().cloned());
        let greeting = Greeting { tls: gateway.speaks_tls(), keys: gateway.keys().is_some(), summary, model };
        // Nobody may be reading; that is no reason to stop.
        let _ = greeting.print(running.address());
        signals.stop(&running).await;
        tracing::info!("stopping: running answers may end, no new ones begin; a second signal ends them");
        stop(running, signals, &ledger).await
    })??;
    dry_run.map_or(Ok(()), DryRun::end)
}

/// A run after which what was denied is told.
struct DryRun {
    ledger: PathBuf,
    since: Timestamp,
}

impl DryRun {
    fn begin(settings: &Settings) -> Result<Self, Failure> {
        let off = || anyhow!("`--dry-run-egress` needs the ledger, and `{LEDGER}` is `off`: unset it, or name a file");
        Ok(Self { ledger: settings.ledger.clone().ok_or_else(off)?, since: Timestamp::now() })
    }

    fn end(self) -> Result<(), Failure> {
        policy::suggest(Some(&self.ledger), Wanted { since: Some(self.since), ..Wanted::default() }, false)
    }
}

/// Logs what the operator should know of a gateway that can run all the same.
fn warn(settings: &Settings, gateway: &Gateway, files: Option<u64>) {
    for note in check::notes(gateway) {
        tracing::warn!("{note}");
    }
    if !settings.bind.ip().is_loopback() && !gateway.speaks_tls() {
        tracing::warn!(
            bind = %settings.bind,
            "listening beyond this machine without TLS: keys and prompts can be read on their way; set `{TLS_CERT}` and \
             `{TLS_KEY}`, unless something in front speaks TLS"
        );
    }
    if settings.ledger.is_none() {
        tracing::warn!("`HAUSKI_LEDGER` is `off`: there is no record of what adapters ask for");
    }
    let connections = gateway.limits().server.connections;
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
async fn stop(running: Running, mut signals: Signals, ledger: &Ledger) -> Result<(), Failure> {
    let (done, stopped) = oneshot::channel();
    // A thread of its own and none of the runtime's: a runtime waits for its threads, and the second signal must not wait.
    thread::Builder::new().name("hauski-stop".to_owned()).spawn(move || {
        running.stop();
        let _ = done.send(());
    })?;
    tokio::select! {
        _ = stopped => Ok(()),
        () = signals.end() => {
            tracing::error!("ended by a second signal: running answers were cut off");
            ledger.close();
            Err(Failure::Interrupted)
        }
    }
}

/// SIGINT and SIGTERM, which stop, and SIGHUP, which reloads.
struct Signals {
    reload: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the signal to stop; until then, reloads the policy as often as asked.
    async fn stop(&mut self, running: &Running) {
        loop {
            tokio::select! {
                () = end(&mut self.interrupt, &mut self.terminate) => return,
                _ = self.reload.recv() => running.reload(),
            }
        }
    }

    /// Waits for the signal to stop.
    async fn end(&mut self) {
        end(&mut self.interrupt, &mut self.terminate).await;
    }
}

async fn end(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// What is said at the start.
struct Greeting {
    tls: bool,
    keys: bool,
    summary: String,
    model: Option<Box<str>>,
}

impl Greeting {
    /// Says where the gateway is, and how to try it.
    fn print(&self, address: SocketAddr) -> io::Result<()> {
        let scheme = if self.tls { "https" } else { "http" };
        let mut out = io::stdout().lock();
        writeln!(out, "hauski {} listens on {scheme}://{address} ({})", env!("CARGO_PKG_VERSION"), self.summary)?;
        if let Some(model) = &self.model {
            let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
            let key = if self.keys { " -H \"authorization: Bearer $KEY\"" } else { "" };
            writeln!(
                out,
                "try: curl -s {scheme}://{address}/v1/chat/completions -H 'content-type: application/json'{key} -d '{body}'"
            )?;
        }
        out.flush()
    }
}
