//! A file for each command.

mod adapters;
mod check;
mod models;
mod serve;

use crate::args::{Adapters, Args, Command, Models};
use crate::failure::Failure;
use hauski_server::{Process, Settings};
use std::io::Write;

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let settings = Settings::read(&Process).map_err(Failure::Settings)?;
    match &args.command {
        Command::Serve => serve::run(&settings),
        Command::Check { json } => check::run(&settings, *json),
        Command::Models(Models::Ls { json }) => models::ls(&settings, *json),
        Command::Adapters(Adapters::Ls { json }) => adapters::ls(&settings, *json),
    }
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
