//! What the environment says, read once at start. The names and defaults stand here and nowhere else; `--help` is made from
//! them, and README lists them.
//!
//! A value that can't be used is an error, never the default: whoever set it did not mean the default.

mod log_filter;
mod observing;
mod unknown;

pub use log_filter::{LogFilter, LogFilterError};
pub use observing::{LogFormat, log, log_format};
pub use unknown::{UnknownVariable, unknown_variables};

use crate::telemetry::Endpoint;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The address to listen on.
pub const BIND: &str = "HAUSKI_BIND";
/// The file with the egress grants and routes.
pub const ROUTING: &str = "HAUSKI_ROUTING";
/// The file with budgets and limits.
pub const LIMITS: &str = "HAUSKI_LIMITS";
/// The file with the models.
pub const MODELS: &str = "HAUSKI_MODELS";
/// The file with the clients' keys, as hashes.
pub const KEYS: &str = "HAUSKI_KEYS";
/// What that file would say.
pub const KEYS_TEXT: &str = "HAUSKI_KEYS_TEXT";
/// The file with the certificate chain.
pub const TLS_CERT: &str = "HAUSKI_TLS_CERT";
/// The file with the certificate's private key.
pub const TLS_KEY: &str = "HAUSKI_TLS_KEY";
/// The folder with the adapters.
pub const ADAPTERS: &str = "HAUSKI_ADAPTERS";
/// The file with the adapters that were approved.
pub const LOCK: &str = "HAUSKI_LOCK";
/// The folder in which compiled code is kept.
pub const CACHE: &str = "HAUSKI_CACHE";
/// The file with a record of all that adapters ask for.
pub const LEDGER: &str = "HAUSKI_LEDGER";
/// Whether `/config/…` and `/adapters` answer.
pub const EXPOSE_CONFIG: &str = "HAUSKI_EXPOSE_CONFIG";
/// The collector that takes traces and metrics.
pub const OTLP: &str = "HAUSKI_OTLP_ENDPOINT";
/// What is logged. The log is the program's, so this is not among the gateway's [`Settings`].
pub const LOG: &str = "HAUSKI_LOG";
/// What a line of the log is, see [`LogFormat`].
pub const LOG_FORMAT: &str = "HAUSKI_LOG_FORMAT";

/// The default of each variable, with what it is for; in the order in which help lists them.
pub const DEFAULTS: [(&str, &str, &str); 16] = [
    (BIND, "127.0.0.1:8080", "address and port to listen on"),
    (ROUTING, "policies/routing.yaml", "what adapters may reach, and how models are routed"),
    (LIMITS, "policies/limits.yaml", "budgets and limits"),
    (MODELS, "policies/models.yml", "the models and their adapters"),
    (KEYS, "policies/keys.yaml", "hashes of the clients' keys; absent: none asked for"),
    (KEYS_TEXT, "", "what that file would say, instead of it"),
    (TLS_CERT, "", "PEM file with the certificate chain; absent: no TLS"),
    (TLS_KEY, "", "PEM file with its private key"),
    (ADAPTERS, "target/adapters", "the folder with the adapters' `.wasm` files"),
    (LOCK, "policies/adapters.lock", "the adapters that were approved"),
    (CACHE, "cache/compiled", "where compiled adapters are kept; `off`: nowhere"),
    (LEDGER, "ledger/egress.jsonl", "the record of all that adapters ask for; `off`: none"),
    (EXPOSE_CONFIG, "false", "`true`: /config/… and /adapters answer on loopback"),
    (OTLP, "", "where traces and metrics go, by OTLP over HTTP"),
    (LOG, "info", "what is logged, as `level` or `crate=level,…`"),
    (LOG_FORMAT, "text", "what a line of the log is: `text` or `json`"),
];

/// Where variables come from: the process, or a map in tests.
pub trait Environment: Send + Sync + 'static {
    /// The variable's value, if it is set; whether it is UTF-8 is for the reader to judge.
    fn var(&self, name: &str) -> Option<OsString>;

    /// Returns the names of all variables that are set.
    fn names(&self) -> Vec<OsString>;
}

/// The environment of this process.
pub struct Process;

impl Environment for Process {
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn names(&self) -> Vec<OsString> {
        std::env::vars_os().map(|(name, _)| name).collect()
    }
}

impl Environment for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<OsString> {
        self.get(name).map(OsString::from)
    }

    fn names(&self) -> Vec<OsString> {
        self.keys().map(OsString::from).collect()
    }
}

/// The settings of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// [`BIND`].
    pub bind: SocketAddr,
    /// [`ROUTING`].
    pub routing: PathBuf,
    /// [`LIMITS`].
    pub limits: PathBuf,
    /// [`MODELS`].
    pub models: PathBuf,
    /// [`KEYS`] or [`KEYS_TEXT`].
    pub keys: KeysFrom,
    /// [`TLS_CERT`] and [`TLS_KEY`].
    pub tls: Option<TlsFiles>,
    /// [`ADAPTERS`].
    pub adapters: PathBuf,
    /// [`LOCK`].
    pub lock: PathBuf,
    /// [`CACHE`]; `None` where it is `off`.
    pub cache: Option<PathBuf>,
    /// [`LEDGER`]; `None` where it is `off`.
    pub ledger: Option<PathBuf>,
    /// [`EXPOSE_CONFIG`].
    pub expose_config: bool,
    /// [`OTLP`].
    pub otlp: Option<Endpoint>,
    /// Whether models without a grant are offered, so that it is seen what they would need (`--dry-run-egress`). No variable sets it.
    pub dry_run_egress: bool,
}

/// Where the clients' keys stand.
#[derive(Clone, PartialEq, Eq)]
pub enum KeysFrom {
    /// In this file. It may be absent only if nobody has named it.
    File {
        /// Where it is.
        path: PathBuf,
        /// Whether [`KEYS`] is set.
        named: bool,
    },
    /// In [`KEYS_TEXT`] itself.
    Text(String),
}

/// The text is left out: it has hashes, or whatever was taken for them.
impl fmt::Debug for KeysFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, named } => f.debug_struct("File").field("path", path).field("named", named).finish(),
            Self::Text(_) => f.write_str("Text(***)"),
        }
    }
}

/// What the gateway shows who it is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, the gateway's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Variables whose values can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// One of them.
    #[error("{name}=`{value}`{note}: write {expected} instead, or unset it for the default `{default}`")]
    Value {
        /// The variable.
        name: &'static str,
        /// What it says, escaped.
        value: String,
        /// What else is to be said of it.
        note: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What holds without it.
        default: &'static str,
    },
    /// The filter of the log.
    #[error(
        "{LOG}=`{value}`: {cause}; write `level` or `crate=level,…` with the levels off, error, warn, info, debug and trace, \
         or unset it for the default `info`"
    )]
    Log {
        /// The variable's value, escaped.
        value: String,
        /// The first error in it.
        cause: LogFilterError,
    },
    /// Two that say the same thing, perhaps differently.
    #[error("`{0}` and `{1}` are both set: unset one of them")]
    Both(&'static str, &'static str),
    /// One that is of no use without another one.
    #[error("`{set}` is set, and `{missing}` is not: set both, or neither")]
    Alone {
        /// The one that is set.
        set: &'static str,
        /// The other one.
        missing: &'static str,
    },
    /// The keys' text is not UTF-8. It is not shown.
    #[error("`{KEYS_TEXT}` is not UTF-8: write what a `keys.yaml` would say, or unset it")]
    KeysText,
    /// The collector is none. It is not shown: who puts a key there has put it into the wrong place already.
    #[error(
        "`{OTLP}` is no URL of a collector: write one without user, query and fragment, such as `http://127.0.0.1:4318`, or unset it"
    )]
    Collector,
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// All variables that can't be used, at once.
    pub fn read(env: &dyn Environment) -> Result<Self, Vec<SettingError>> {
        let bind = parse(env, BIND, "an IP address and a port", |value| value.parse().ok());
        let expose_config = parse(env, EXPOSE_CONFIG, "`true` or `false`", |value| value.parse().ok());
        match (bind, expose_config, keys(env), tls(env), observing::otlp(env)) {
            (Ok(bind), Ok(expose_config), Ok(keys), Ok(tls), Ok(otlp)) => Ok(Self {
                bind,
                routing: path(env, ROUTING),
                limits: path(env, LIMITS),
                models: path(env, MODELS),
                keys,
                tls,
                adapters: path(env, ADAPTERS),
                lock: path(env, LOCK),
                cache: cache(env),
                ledger: ledger(env),
                expose_config,
                otlp,
                dry_run_egress: false,
            }),
            (bind, expose_config, keys, tls, otlp) => {
                let errors = [bind.err(), expose_config.err(), keys.err(), tls.err(), otlp.err()];
                Err(errors.into_iter().flatten().collect())
            }
        }
    }
}

/// Where the clients' keys stand.
///
/// # Errors
/// If there are two places, or the text is none.
pub fn keys(env: &dyn Environment) -> Result<KeysFrom, SettingError> {
    match (set(env, KEYS), set(env, KEYS_TEXT)) {
        (Some(_), Some(_)) => Err(SettingError::Both(KEYS, KEYS_TEXT)),
        (None, Some(text)) => text.into_string().map(KeysFrom::Text).map_err(|_| SettingError::KeysText),
        (named, None) => Ok(KeysFrom::File { path: path(env, KEYS), named: named.is_some() }),
    }
}

fn tls(env: &dyn Environment) -> Result<Option<TlsFiles>, SettingError> {
    match (set(env, TLS_CERT), set(env, TLS_KEY)) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert: cert.into(), key: key.into() })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(SettingError::Alone { set: TLS_CERT, missing: TLS_KEY }),
        (None, Some(_)) => Err(SettingError::Alone { set: TLS_KEY, missing: TLS_CERT }),
    }
}

/// The path that the variable `name` or its default says. Paths need not be UTF-8, so any value is one.
#[must_use]
pub fn path(env: &dyn Environment, name: &'static str) -> PathBuf {
    value(env, name).into()
}

/// Where the ledger is, or `None` where there is to be none.
#[must_use]
pub fn ledger(env: &dyn Environment) -> Option<PathBuf> {
    path_or_off(env, LEDGER)
}

/// Where compiled code is kept, or `None` where it is not to be.
#[must_use]
pub fn cache(env: &dyn Environment) -> Option<PathBuf> {
    path_or_off(env, CACHE)
}

/// The path that a variable or its default says, or `None` where that is `off`. A file with that name is `./off`.
fn path_or_off(env: &dyn Environment, name: &'static str) -> Option<PathBuf> {
    let path = path(env, name);
    (path != Path::new("off")).then_some(path)
}

/// The variable's value, or its default.
fn value(env: &dyn Environment, name: &str) -> OsString {
    set(env, name).unwrap_or_else(|| default(name).into())
}

/// The variable's value. An empty one counts as unset.
fn set(env: &dyn Environment, name: &str) -> Option<OsString> {
    env.var(name).filter(|value| !value.is_empty())
}

fn default(name: &str) -> &'static str {
    DEFAULTS.iter().find(|(own, ..)| *own == name).map_or("", |(_, default, _)| default)
}

/// What `parse` makes of the variable's text; `expected` is what it takes.
fn parse<T>(
    env: &dyn Environment,
    name: &'static str,
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, SettingError> {
    let wrong = |value, note| SettingError::Value { name, value, note, expected, default: default(name) };
    let value = value(env, name);
    let Some(text) = value.to_str() else {
        return Err(wrong(value.as_encoded_bytes().escape_ascii().to_string(), ", which is not UTF-8"));
    };
    parse(text).ok_or_else(|| wrong(text.escape_debug().to_string(), ""))
}

#[cfg(test)]
mod tests;
