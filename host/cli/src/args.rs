//! The command line: what can be asked for, and the help that teaches it.

use clap::{Parser, Subcommand};
use hauski_server::environment::DEFAULTS;

/// A local-first model gateway that runs every provider adapter as a sandboxed WebAssembly component.
#[derive(Debug, Parser)]
#[command(name = "hauski", version, after_long_help = after_help(), after_help = "Use --help for the environment, exit codes and examples.")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the OpenAI-compatible API until SIGINT or SIGTERM
    ///
    /// Reads the policies, loads each `.wasm` file of the adapters folder, binds, and prints a `curl` line to try.
    Serve,
    /// Check everything that `serve` would, without binding
    ///
    /// All problems of all files are shown at once, with file, line and column, and what to write instead.
    Check {
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
        /// Fail on warnings as well: wide grants, files that can't be loaded, models that can't be asked
        #[arg(long)]
        strict: bool,
    },
    /// What `models.yml` says
    #[command(subcommand)]
    Models(Models),
    /// What the adapters folder holds
    #[command(subcommand)]
    Adapters(Adapters),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// List the models with their adapters, files and needs
    Ls {
        /// Print a JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Adapters {
    /// List the adapters: what each is, serves, and may reach; and the files that can't be loaded, with the reason
    Ls {
        /// Print one JSON object with all that is known of each
        #[arg(long)]
        json: bool,
    },
}

/// The help's end: the environment as [`DEFAULTS`] has it, exit codes and examples.
fn after_help() -> String {
    let width = |column: fn(&(&str, &str, &str)) -> usize| DEFAULTS.iter().map(column).max().unwrap_or_default();
    let (names, defaults) = (width(|(name, ..)| name.len()), width(|(_, default, _)| default.len()));
    let rows = DEFAULTS.map(|(name, default, what)| format!("  {name:names$}  {default:defaults$}  {what}\n"));
    format!("Environment (read once, at the start), with defaults:\n{}\n{AFTER_ENVIRONMENT}", rows.concat())
}

const AFTER_ENVIRONMENT: &str = "\
Exit codes:
  0   done
  1   could not start, such as when the address is taken; or ended by a second signal
  2   the command line is wrong
  64  the configuration is wrong: environment, policies, secrets, adapters folder

Examples:
  hauski check                        what would `serve` say?
  HAUSKI_BIND=127.0.0.1:9000 hauski serve
  hauski adapters ls                  which adapter may reach what?";
