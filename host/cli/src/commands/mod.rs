//! A file for each command.

mod adapters;
mod audit;
mod check;
pub(crate) mod keys;
mod ledger;
mod models;
mod online;
mod policy;
mod route;
mod serve;

use crate::args::{Adapters, Args, Audit, Command, Keys, Ledger, Models, Policy, Route};
use crate::failure::Failure;
use crate::log;
use crate::since::Since;
use audit::Form;
use hauski_egress::suggest::Wanted;
use hauski_server::environment::{self, SettingError};
use hauski_server::{Process, Settings};
use std::io::{IsTerminal, Write};

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if !matches!(args.command, Command::Serve(_)) {
        log::notes();
    }
    match &args.command {
        // Never gets here: see `main`.
        Command::CompileComponent => Ok(()),
        Command::Serve(options) => serve::run(*options),
        Command::Check { json, online, strict } => check::run(*json, *online, *strict),
        Command::Keys(Keys::New(wanted)) => keys::new(wanted),
        Command::Keys(Keys::Ls { json }) => keys::ls(*json),
        Command::Models(Models::Ls { json }) => models::ls(*json),
        Command::Adapters(Adapters::Ls { json }) => adapters::ls(*json),
        Command::Adapters(Adapters::Approve { id, digest, dry_run }) => audit::approve(id, *digest, *dry_run),
        Command::Audit(Audit { lock: true, .. }) => audit::write(),
        Command::Audit(Audit { check: true, json, .. }) => audit::check(*json),
        Command::Audit(Audit { id, json, markdown, .. }) => {
            let form = match (json, markdown) {
                (true, _) => Form::Json,
                (false, true) => Form::Markdown,
                (false, false) => Form::Table,
            };
            audit::show(form, id.as_ref())
        }
        Command::Ledger(Ledger::Verify { path, head, json }) => ledger::verify(path.as_deref(), *head, *json),
        Command::Route(Route::Explain { name, key, local_only, json }) => route::explain(name, key, *local_only, *json),
        Command::Policy(Policy::Suggest { ledger, adapter, since, pin, json }) => {
            let wanted = Wanted { adapter: adapter.clone(), since: since.map(Since::begin), pin: *pin };
            policy::suggest(ledger.as_deref(), wanted, *json)
        }
    }
}

/// The gateway's settings and what is to be logged, or all variables that can't be used. The listings read only what they need.
fn settings() -> Result<(Settings, log::Wanted), Failure> {
    let log = (environment::log(&Process), environment::log_format(&Process));
    match (Settings::read(&Process), log) {
        (Ok(settings), (Ok(filter), Ok(format))) => Ok((settings, log::Wanted { filter, format })),
        (settings, (filter, format)) => {
            let errors = settings.err().into_iter().flatten().chain(filter.err()).chain(format.err());
            Err(Failure::Settings(errors.collect::<Vec<SettingError>>()))
        }
    }
}

/// Returns a function that shows on a terminal how many files of the adapters folder are still being loaded.
fn progress() -> impl FnMut(&hauski_runtime::Adapters) {
    let is_terminal = std::io::stderr().is_terminal();
    move |adapters| {
        if is_terminal {
            // Nobody may be reading; that is no reason to stop.
            let _ = writeln!(
                std::io::stderr(),
                "{} of the adapters folder are still being compiled",
                files(adapters.loading().count())
            );
        }
    }
}

fn files(count: usize) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

/// Runs what is asynchronous in a command.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// Prints one JSON value to standard output.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(anyhow::Error::from)?;
    Ok(out.write_all(b"\n")?)
}
