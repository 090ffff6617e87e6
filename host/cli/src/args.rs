//! The command line: what can be asked for, and the help that teaches it.

use clap::{Parser, Subcommand};

/// A local-first model gateway that runs every provider adapter as a sandboxed WebAssembly component.
#[derive(Debug, Parser)]
#[command(name = "hauski", version, after_long_help = AFTER_HELP, after_help = "Use --help for the environment, exit codes and examples.")]
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

const AFTER_HELP: &str = "\
Environment (read once, at the start):
  HAUSKI_BIND           address and port to listen on            [default: 127.0.0.1:8080]
  HAUSKI_ROUTING        what adapters may reach; routes          [default: policies/routing.yaml]
  HAUSKI_LIMITS         budgets and limits                       [default: policies/limits.yaml]
  HAUSKI_MODELS         the models and their adapters            [default: policies/models.yml]
  HAUSKI_ADAPTERS       the folder with the `.wasm` files        [default: target/adapters]
  HAUSKI_EXPOSE_CONFIG  `true`: /config/… and /adapters answer   [default: false]
  HAUSKI_LOG            what is logged, as `level` or `crate=level,…`  [default: info]

Exit codes:
  0   done
  1   could not start: the address is taken, or the machine can't run the sandbox
  2   the command line is wrong
  64  the configuration is wrong: environment, policies, secrets, adapters folder

Examples:
  hauski check                        what would `serve` say?
  HAUSKI_BIND=127.0.0.1:9000 hauski serve
  hauski adapters ls                  which adapter may reach what?";
