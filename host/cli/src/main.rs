//! The binary `hauski`: parse, run, print what went wrong, exit code.

mod args;
mod commands;
mod descriptors;
mod failure;
mod log;
mod os_lock;
mod since;
mod table;

use clap::Parser;
use std::process::ExitCode;

/// Requests allocate on one core and free there; this allocator is quicker at that than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    if let args::Command::CompileComponent = args.command {
        return hauski_runtime::compile_stdin();
    }
    match commands::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
