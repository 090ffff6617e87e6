//! The command line: what can be asked for, and the help that teaches it.

use crate::commands::keys::NewKey;
use crate::since::Since;
use clap::{Parser, Subcommand};
use hauski_egress::ledger::Head;
use hauski_policy::{AdapterId, Digest};
use hauski_server::environment::DEFAULTS;
use std::path::PathBuf;

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
    Serve(Serve),
    /// Check everything that `serve` would, without binding
    ///
    /// All problems of all files are shown at once, with file, line and column, and what to write instead.
    Check {
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
        /// Ask the provider of each model for its models as well, within the grants; needs the ledger, which a running gateway holds
        #[arg(long)]
        online: bool,
        /// Fail on warnings as well: wide grants, files that can't be loaded, models that can't be asked
        #[arg(long)]
        strict: bool,
    },
    /// The clients' keys
    #[command(subcommand)]
    Keys(Keys),
    /// What `models.yml` says
    #[command(subcommand)]
    Models(Models),
    /// What the adapters folder holds
    #[command(subcommand)]
    Adapters(Adapters),
    /// Say what each adapter is, imports, may reach and has reached; or whether that is what was approved
    ///
    /// What is imported is granted, linked but empty, or refused; what may be reached has its line in `routing.yaml`; what was
    /// reached is from the ledger. Texts that an adapter chose are shown escaped.
    Audit(Audit),
    /// The record of all that adapters asked for
    #[command(subcommand)]
    Ledger(Ledger),
    /// Where requests go
    #[command(subcommand)]
    Route(Route),
    /// What the policy could say
    #[command(subcommand)]
    Policy(Policy),
    /// Compile the component on standard input to standard output; the gateway starts this for each file
    #[command(hide = true)]
    CompileComponent,
}

/// How to serve.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Serve {
    /// Have Linux hold the whole process to the TCP ports of the policy, as a second layer below the checks of each request
    ///
    /// By Landlock's network rules (Linux 6.7 and newer): connections only to the ports of all grants, to port 53 for DNS if
    /// a grant has a name for its host, and listening only on the port of `HAUSKI_BIND`. It restricts no addresses, no UDP, and
    /// nothing where the kernel can't; one line of the log says what holds and what does not. A port that the policy
    /// grants later needs a restart.
    #[arg(long)]
    pub(crate) os_egress_lock: bool,
    /// Note what is denied, and print at the end what would have to be granted
    ///
    /// For a first run with a new adapter: all that no entry covers is denied as ever and recorded in the ledger; at the end,
    /// entries for it are printed, as `hauski policy suggest` would for the time of this run. To be reviewed, not taken over blindly.
    #[arg(long)]
    pub(crate) dry_run_egress: bool,
}

/// What to audit, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    /// Only this adapter
    #[arg(value_name = "ID", conflicts_with_all = ["lock", "check"])]
    pub(crate) id: Option<AdapterId>,
    /// Print one JSON object
    #[arg(long, conflicts_with_all = ["markdown", "lock"])]
    pub(crate) json: bool,
    /// Print a page of Markdown with all that is known of each
    #[arg(long, conflicts_with_all = ["lock", "check"])]
    pub(crate) markdown: bool,
    /// Write `adapters.lock`: all adapters, with digests, imports and grants as they are now; none is compiled or run
    #[arg(long)]
    pub(crate) lock: bool,
    /// Print what is not as `adapters.lock` has it, and end with 65 if there is anything: for CI
    #[arg(long, conflicts_with = "lock")]
    pub(crate) check: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Find records that were changed, taken away, put elsewhere or doubled
    ///
    /// Each record has the hash of the one before it. All files are read, the oldest first; a gateway may write meanwhile. The last
    /// line of the output is the head: kept elsewhere and given by `--head` later, it shows whether the ledger was replaced as a
    /// whole. Ends with 65 where anything is wrong.
    Verify {
        /// The ledger's newest file, where it is not that of `HAUSKI_LEDGER`
        path: Option<PathBuf>,
        /// A head that was printed before, which the ledger has to have
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<Head>,
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Write entries of `egress.allow` for what the ledger shows as denied, to be reviewed
    ///
    /// Each entry is for one adapter and one origin, with the methods and paths that were asked for. What the policy allows by now
    /// is left out; what can't be granted is said in comments. No file is changed.
    Suggest {
        /// The ledger's newest file, where it is not that of `HAUSKI_LEDGER`
        ledger: Option<PathBuf>,
        /// Only what this adapter was denied
        #[arg(long, value_name = "ID")]
        adapter: Option<AdapterId>,
        /// Only what was denied since: `2026-11-22`, `2026-11-22T10:00:00Z`, or so long ago: `24h`, `7d`
        #[arg(long, value_name = "TIME")]
        since: Option<Since>,
        /// Bind each entry to the bytes of the adapter that asked
        #[arg(long)]
        pin: bool,
        /// Print one JSON object instead of YAML
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Route {
    /// Say which models a request for a name would be asked of, in which order, and why
    ///
    /// The decision is the one that `serve` would take now, breakers aside. Nothing is sent.
    Explain {
        /// What the client puts into `model`: a route's name or a model's id
        #[arg(value_name = "MODEL")]
        name: String,
        /// What the request's key is: `x-hauski-route-key`, or else `prompt_cache_key`, `safety_identifier` or `user` of its body
        #[arg(long, default_value = "", hide_default_value = true)]
        key: String,
        /// As if the request were local-only
        #[arg(long)]
        local_only: bool,
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key and show it once, with its entry for `keys.yaml`
    ///
    /// The key has 256 random bits. The entry has its hash, and no file is changed: whoever is to use the key gets the one, the file
    /// the other.
    New(NewKey),
    /// List whose keys there are, and what each is for
    Ls {
        /// Print a JSON array instead of a table; `null` where there are no keys
        #[arg(long)]
        json: bool,
    },
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
    /// Take an adapter into `adapters.lock` as it is now, and print what is different
    ///
    /// A gateway that runs with `require_lock: true` serves it a moment later.
    Approve {
        /// The stem of its file's name
        id: AdapterId,
        /// Only if it has these bytes: the digest that was reviewed
        #[arg(long, value_name = "SHA256:HEX")]
        digest: Option<Digest>,
        /// Print what would be different, and write nothing
        #[arg(long)]
        dry_run: bool,
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
  64  the configuration is wrong: environment, policies, secrets, keys, certificate, adapters folder
  65  the ledger is not what was written, or the adapters are not those of the lock
  69  a provider did not answer `hauski check --online`

Examples:
  hauski check                        what would `serve` say?
  hauski check --online               do the providers answer?
  HAUSKI_BIND=127.0.0.1:9000 hauski serve
  hauski keys new laptop              a key for a client
  hauski adapters ls                  which adapter may reach what?
  hauski audit --check                are the adapters those that were approved?
  hauski route explain chat           whom is a request for `chat` asked of?
  hauski ledger verify                is the record of it untouched?
  hauski policy suggest --since 24h   what would have to be granted?";
