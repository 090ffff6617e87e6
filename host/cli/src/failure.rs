//! What went wrong, for people, and the exit code for scripts.

use hauski_server::StartError;
use hauski_server::environment::SettingError;
use hauski_server::setup::Problem;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

/// Bad configuration (`EX_USAGE` of sysexits.h).
const CONFIGURATION: u8 = 64;
/// The start failed.
const START: u8 = 1;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Variables of the environment that can't be used.
    Settings(Vec<SettingError>),
    /// Policies, secrets or adapters folder.
    Configuration(Vec<Problem>),
    /// It has been reported already, in another form.
    Reported,
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
            Self::Settings(errors) => errors.iter().for_each(|error| eprintln!("error[bad-setting]: {error}")),
            Self::Configuration(problems) => problems.iter().for_each(|problem| eprintln!("{}", show(problem))),
            Self::Reported => {}
            Self::Start(error) => eprintln!("error: {error}"),
            Self::Other(error) => eprintln!("error: {error:#}"),
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Reported => CONFIGURATION,
            Self::Configuration(problems) if problems.iter().any(|p| matches!(p, Problem::Engine(_))) => START,
            Self::Configuration(_) => CONFIGURATION,
            Self::Start(_) | Self::Other(_) => START,
        }
    }
}

fn show(problem: &Problem) -> String {
    match problem {
        Problem::Policy(diagnostics) => diagnostics.render(colour()),
        other => format!("error[{}]: {other}", code(other)),
    }
}

/// The problem's stable code.
pub(crate) fn code(problem: &Problem) -> &'static str {
    match problem {
        Problem::File { .. } => "unreadable-file",
        Problem::Policy(_) => "invalid-policy",
        Problem::Secret { .. } => "missing-secret",
        Problem::Folder(_) => "unreadable-folder",
        Problem::Root(_) => "invalid-root",
        Problem::Engine(_) => "no-engine",
        Problem::Metrics(_) => "metrics",
    }
}

/// Whether standard error takes colours: a terminal, and nobody has said no (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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
