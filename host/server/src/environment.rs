//! What the environment says, read once at start. The names and defaults stand here and nowhere else; `--help` is made from
//! them, and README lists them.
//!
//! A value that can't be used is an error, never the default: whoever set it did not mean the default.

use std::collections::BTreeMap;
use std::ffi::OsString;
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
/// The folder with the adapters.
pub const ADAPTERS: &str = "HAUSKI_ADAPTERS";
/// The file with a record of all that adapters ask for.
pub const LEDGER: &str = "HAUSKI_LEDGER";
/// Whether `/config/…` and `/adapters` answer.
pub const EXPOSE_CONFIG: &str = "HAUSKI_EXPOSE_CONFIG";
/// What is logged. The log is the program's, so this is not among the gateway's [`Settings`].
pub const LOG: &str = "HAUSKI_LOG";

/// The default of each variable, with what it is for; in the order in which help lists them.
pub const DEFAULTS: [(&str, &str, &str); 8] = [
    (BIND, "127.0.0.1:8080", "address and port to listen on"),
    (ROUTING, "policies/routing.yaml", "what adapters may reach, and how models are routed"),
    (LIMITS, "policies/limits.yaml", "budgets and limits"),
    (MODELS, "policies/models.yml", "the models and their adapters"),
    (ADAPTERS, "target/adapters", "the folder with the adapters' `.wasm` files"),
    (LEDGER, "ledger/egress.jsonl", "the record of all that adapters ask for; `off`: none"),
    (EXPOSE_CONFIG, "false", "`true`: /config/… and /adapters answer on loopback"),
    (LOG, "info", "what is logged, as `level` or `crate=level,…`"),
];

/// Where variables come from: the process, or a map in tests.
pub trait Environment: Send + Sync + 'static {
    /// The variable's value, if it is set; whether it is UTF-8 is for the reader to judge.
    fn var(&self, name: &str) -> Option<OsString>;
}

/// The environment of this process.
pub struct Process;

impl Environment for Process {
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }
}

impl Environment for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<OsString> {
        self.get(name).map(OsString::from)
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
    /// [`ADAPTERS`].
    pub adapters: PathBuf,
    /// [`LEDGER`]; `None` where it is `off`.
    pub ledger: Option<PathBuf>,
    /// [`EXPOSE_CONFIG`].
    pub expose_config: bool,
}

/// A variable whose value can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}=`{value}`{note}: write {expected} instead, or unset it for the default `{default}`")]
pub struct SettingError {
    name: &'static str,
    value: String,
    note: &'static str,
    expected: &'static str,
    default: &'static str,
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// All variables that can't be used, at once.
    pub fn read(env: &dyn Environment) -> Result<Self, Vec<SettingError>> {
        let bind = parse(env, BIND, "an IP address and a port", |value| value.parse().ok());
        let expose_config = parse(env, EXPOSE_CONFIG, "`true` or `false`", |value| value.parse().ok());
        match (bind, expose_config) {
            (Ok(bind), Ok(expose_config)) => Ok(Self {
                bind,
                routing: path(env, ROUTING),
                limits: path(env, LIMITS),
                models: path(env, MODELS),
                adapters: path(env, ADAPTERS),
                ledger: ledger(env),
                expose_config,
            }),
            (bind, expose_config) => Err(bind.err().into_iter().chain(expose_config.err()).collect()),
        }
    }
}

/// The path that the variable `name` or its default says. Paths need not be UTF-8, so any value is one.
#[must_use]
pub fn path(env: &dyn Environment, name: &'static str) -> PathBuf {
    value(env, name).into()
}

/// Where the ledger is, or `None` where there is to be none. A file with that name is `./off`.
#[must_use]
pub fn ledger(env: &dyn Environment) -> Option<PathBuf> {
    let path = path(env, LEDGER);
    (path != Path::new("off")).then_some(path)
}

/// What `filter` makes of what [`LOG`] says.
///
/// # Errors
/// If it is not UTF-8, or `filter` can't read it.
pub fn log<T>(env: &dyn Environment, filter: fn(&str) -> Option<T>) -> Result<T, SettingError> {
    parse(env, LOG, "`level` or `crate=level,…`", filter)
}

/// The variable's value, or its default. An empty value counts as unset.
fn value(env: &dyn Environment, name: &str) -> OsString {
    env.var(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default(name).into())
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
    let wrong = |value, note| SettingError { name, value, note, expected, default: default(name) };
    let value = value(env, name);
    let Some(text) = value.to_str() else {
        return Err(wrong(value.as_encoded_bytes().escape_ascii().to_string(), ", which is not UTF-8"));
    };
    parse(text).ok_or_else(|| wrong(text.escape_debug().to_string(), ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_defaults_hold_where_nothing_is_set() {
        let settings = Settings::read(&env(&[(MODELS, "")])).unwrap();
        assert_eq!(settings.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.models, PathBuf::from("policies/models.yml"));
        assert_eq!(settings.ledger, Some(PathBuf::from("ledger/egress.jsonl")));
        assert!(!settings.expose_config);
    }

    #[test]
    fn the_ledger_can_be_turned_off() {
        assert_eq!(ledger(&env(&[(LEDGER, "off")])), None);
        assert_eq!(ledger(&env(&[(LEDGER, "./off")])), Some(PathBuf::from("./off")));
    }

    #[test]
    fn what_is_set_holds() {
        let settings = Settings::read(&env(&[(BIND, "[::1]:0"), (EXPOSE_CONFIG, "true"), (ADAPTERS, "/a")])).unwrap();
        assert_eq!((settings.bind.to_string().as_str(), settings.expose_config), ("[::1]:0", true));
        assert_eq!(settings.adapters, PathBuf::from("/a"));
    }

    /// An environment in which every variable is the one byte 0xff.
    struct NotUtf8;

    impl Environment for NotUtf8 {
        fn var(&self, _: &str) -> Option<OsString> {
            Some(OsString::from_vec(vec![0xff]))
        }
    }

    #[test]
    fn what_is_not_utf_8_is_an_error_and_not_unset() {
        let errors = Settings::read(&NotUtf8).unwrap_err();
        let texts: Vec<_> = errors.iter().chain(&log(&NotUtf8, |_| Some(())).err()).map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                r"HAUSKI_BIND=`\xff`, which is not UTF-8: write an IP address and a port instead, or unset it for the default `127.0.0.1:8080`",
                r"HAUSKI_EXPOSE_CONFIG=`\xff`, which is not UTF-8: write `true` or `false` instead, or unset it for the default `false`",
                r"HAUSKI_LOG=`\xff`, which is not UTF-8: write `level` or `crate=level,…` instead, or unset it for the default `info`",
            ]
        );
    }

    #[test]
    fn paths_need_not_be_utf_8() {
        assert_eq!(path(&NotUtf8, MODELS).into_os_string(), OsString::from_vec(vec![0xff]));
    }

    #[test]
    fn all_errors_come_at_once() {
        let errors = Settings::read(&env(&[(BIND, "localhost"), (EXPOSE_CONFIG, "yes")])).unwrap_err();
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "HAUSKI_BIND=`localhost`: write an IP address and a port instead, or unset it for the default `127.0.0.1:8080`",
                "HAUSKI_EXPOSE_CONFIG=`yes`: write `true` or `false` instead, or unset it for the default `false`",
            ]
        );
    }
}
