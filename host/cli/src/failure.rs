//! What went wrong: for people, as JSON for programs, and the exit code for scripts.

use hauski_egress::LedgerError;
use hauski_policy::Diagnostics;
use hauski_server::StartError;
use hauski_server::environment::SettingError;
use hauski_server::setup::Problem;
use serde_json::{Value, json};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bad configuration (`EX_USAGE` of sysexits.h).
const CONFIGURATION: u8 = 64;
/// The ledger is not what was written, or the adapters are not what was approved (`EX_DATAERR`).
const CHANGED: u8 = 65;
/// A provider did not answer (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// What clap gives for a wrong command line.
const USAGE: u8 = 2;
/// The start failed, or the end was not orderly.
const START: u8 = 1;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Variables of the environment that can't be used.
    Settings(Vec<SettingError>),
    /// Policies, secrets or adapters folder.
    Configuration(Vec<Problem>),
    /// Files that are valid each by itself, and do not fit together.
    Review(Vec<Diagnostics>),
    /// Providers gave no answer to `check --online`.
    Unanswered(Diagnostics),
    /// `check --strict` found so many warnings.
    Strict(usize),
    /// The ledger can't be read.
    Ledger(LedgerError),
    /// Another process writes the ledger in which `check --online` would record its requests.
    LedgerInUse(PathBuf),
    /// The ledger has so many problems, which have been told.
    Changed(u64),
    /// So many adapters and files are not what the lock has, which has been told.
    Drift {
        /// How many.
        count: usize,
        /// The file with the lock.
        lock: PathBuf,
    },
    /// What the command line asks for can't be.
    Usage(String),
    /// The failure has been told already, in another form.
    Reported(Box<Failure>),
    /// A second signal came before the running answers had ended; the log says so.
    Interrupted,
    /// The server could not be started.
    Start(StartError),
    /// Output or the runtime failed.
    Other(anyhow::Error),
}

impl Failure {
    /// Prints it to standard error.
    #[expect(clippy::print_stderr, reason = "this is where the program talks to people")]
    pub(crate) fn report(self) -> ExitCode {
        match &self {
            Self::Settings(errors) => errors.iter().for_each(|error| eprintln!("error[{BAD_SETTING}]: {error}")),
            Self::Configuration(problems) => problems.iter().for_each(|problem| eprintln!("{}", show(problem))),
            Self::Review(found) => found.iter().for_each(|found| eprintln!("{}", found.render(colour(&io::stderr())))),
            Self::Unanswered(found) => eprintln!("{}", found.render(colour(&io::stderr()))),
            Self::Strict(flaws) => eprintln!("error[{STRICT}]: {}", strict(*flaws)),
            Self::Ledger(error) => eprintln!("error[{LEDGER}]: {error}"),
            Self::LedgerInUse(path) => eprintln!("error[{LEDGER}]: {}", in_use(path)),
            Self::Changed(problems) => eprintln!("error[{LEDGER_CHANGED}]: {}", changed(*problems)),
            Self::Drift { count, lock } => eprintln!("error[{DRIFT}]: {}", drift(*count, lock)),
            Self::Usage(message) => eprintln!("error: {message}"),
            Self::Reported(_) | Self::Interrupted => {}
            Self::Start(error) => eprintln!("error: {error}"),
            Self::Other(error) => eprintln!("error: {error:#}"),
        }
        ExitCode::from(self.code())
    }

    /// The same for whoever tells it, and in whatever form.
    fn code(&self) -> u8 {
        match self {
            Self::Reported(failure) => failure.code(),
            Self::Configuration(problems) if problems.iter().any(is_of_the_machine) => START,
            Self::Settings(_) | Self::Configuration(_) | Self::Review(_) | Self::Strict(_) => CONFIGURATION,
            Self::Unanswered(_) => UNAVAILABLE,
            Self::Changed(_) | Self::Drift { .. } => CHANGED,
            Self::Usage(_) => USAGE,
            Self::Interrupted | Self::Start(_) | Self::Ledger(_) | Self::LedgerInUse(_) | Self::Other(_) => START,
        }
    }

    /// What is wrong as JSON, an object each, with the code and the message.
    pub(crate) fn to_json(&self) -> Vec<Value> {
        match self {
            Self::Settings(errors) => errors.iter().map(|error| item(BAD_SETTING, error)).collect(),
            Self::Configuration(problems) => problems.iter().flat_map(problem_to_json).collect(),
            Self::Review(found) => found.iter().flat_map(diagnostics_to_json).collect(),
            Self::Unanswered(found) => diagnostics_to_json(found),
            Self::Strict(flaws) => vec![item(STRICT, &strict(*flaws))],
            Self::Ledger(error) => vec![item(LEDGER, error)],
            Self::LedgerInUse(path) => vec![item(LEDGER, &in_use(path))],
            Self::Changed(problems) => vec![item(LEDGER_CHANGED, &changed(*problems))],
            Self::Drift { count, lock } => vec![item(DRIFT, &drift(*count, lock))],
            Self::Usage(message) => vec![item("usage", message)],
            Self::Reported(failure) => failure.to_json(),
            Self::Interrupted => vec![item("interrupted", &"a second signal came before the end")],
            Self::Start(error) => vec![item("not-started", error)],
            Self::Other(error) => vec![item("failed", &format_args!("{error:#}"))],
        }
    }
}

/// Whether it is this machine that can't, whatever the configuration says.
fn is_of_the_machine(problem: &Problem) -> bool {
    matches!(problem, Problem::Engine(_) | Problem::Metrics(_) | Problem::NoRandom(_))
}

fn problem_to_json(problem: &Problem) -> Vec<Value> {
    match problem {
        Problem::Policy(diagnostics) => diagnostics_to_json(diagnostics),
        other => vec![item(code(other), other)],
    }
}

/// The diagnostics as JSON, an object each, with the place.
pub(crate) fn diagnostics_to_json(diagnostics: &Diagnostics) -> Vec<Value> {
    match serde_json::to_value(diagnostics) {
        Ok(Value::Array(items)) => items,
        Ok(other) => vec![other],
        Err(error) => vec![item(INVALID_POLICY, &error)],
    }
}

fn item(code: &str, message: &dyn std::fmt::Display) -> Value {
    json!({ "code": code, "message": message.to_string() })
}

fn show(problem: &Problem) -> String {
    match problem {
        Problem::Policy(diagnostics) => diagnostics.render(colour(&io::stderr())),
        other => format!("error[{}]: {other}", code(other)),
    }
}

fn in_use(path: &Path) -> String {
    let path = path.display();
    format!(
        "opening the ledger failed: another process, such as a running gateway, holds `{path}`; set `HAUSKI_LEDGER` to another \
         file, or to `off`"
    )
}

fn strict(flaws: usize) -> String {
    let s = if flaws == 1 { "" } else { "s" };
    format!(
        "{flaws} warning{s}, and `--strict` allows none: narrow what is wide, and take away what can't be loaded or asked"
    )
}

fn changed(problems: u64) -> String {
    let s = if problems == 1 { "" } else { "s" };
    format!("{problems} problem{s}: the ledger is not what the gateway has written")
}

fn drift(count: usize, lock: &Path) -> String {
    let (s, lock) = (if count == 1 { "" } else { "s" }, lock.display());
    format!(
        "{count} difference{s} to `{lock}`: `hauski adapters approve ID` takes up one that was looked at, `hauski audit --lock` all"
    )
}

const DRIFT: &str = "drift";
const LEDGER: &str = "ledger-unreadable";
const LEDGER_CHANGED: &str = "ledger-changed";
const STRICT: &str = "strict";
const BAD_SETTING: &str = "bad-setting";
const INVALID_POLICY: &str = "invalid-policy";

/// The problem's stable code.
fn code(problem: &Problem) -> &'static str {
    match problem {
        Problem::File { .. } => "unreadable-file",
        Problem::Policy(_) => INVALID_POLICY,
        Problem::Secret { .. } => "missing-secret",
        Problem::Open(_) => "open-to-all",
        Problem::KeysLost { .. } => "keys-lost",
        Problem::Tls(error) => error.code(),
        Problem::NoRandom(_) => "no-random",
        Problem::Folder(_) => "unreadable-folder",
        Problem::Root(_) => "invalid-root",
        Problem::Engine(_) => "no-engine",
        Problem::Metrics(_) => "metrics",
    }
}

/// Whether `stream` takes colours: it is a terminal, and nobody has said no (<https://no-color.org>).
pub(crate) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Other(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_same_in_any_form() {
        let file = || Problem::File { path: "x".into(), variable: "X", source: io::ErrorKind::NotFound.into() };
        let failures = [
            (Failure::Configuration(vec![file()]), CONFIGURATION),
            (Failure::Settings(Vec::new()), CONFIGURATION),
            (Failure::Other(anyhow::anyhow!("no threads")), START),
            (Failure::Interrupted, START),
            (Failure::Changed(1), CHANGED),
            (Failure::Ledger(LedgerError::Absent("x".into())), START),
        ];
        for (failure, expected) in failures {
            assert_eq!(failure.code(), expected, "{failure:?}");
            assert_eq!(Failure::Reported(Box::new(failure)).code(), expected);
        }
    }
}
