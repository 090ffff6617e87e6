//! What the environment says, read once at start. The names and defaults stand here and nowhere else; README lists them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

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
/// Whether `/config/…` and `/adapters` answer.
pub const EXPOSE_CONFIG: &str = "HAUSKI_EXPOSE_CONFIG";

/// The default of each variable, with what it is for; in the order in which help lists them.
pub const DEFAULTS: [(&str, &str, &str); 6] = [
    (BIND, "127.0.0.1:8080", "address and port to listen on"),
    (ROUTING, "policies/routing.yaml", "what adapters may reach, and how models are routed"),
    (LIMITS, "policies/limits.yaml", "budgets and limits"),
    (MODELS, "policies/models.yml", "the models and their adapters"),
    (ADAPTERS, "target/adapters", "the folder with the adapters' `.wasm` files"),
    (EXPOSE_CONFIG, "false", "`true`: /config/… and /adapters answer, on loopback only"),
];

/// Where variables come from: the process, or a map in tests.
pub trait Environment {
    /// The variable's value, if it is set and UTF-8.
    fn var(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
pub struct Process;

impl Environment for Process {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Environment for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// The settings of one process.
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
    /// [`EXPOSE_CONFIG`].
    pub expose_config: bool,
}

/// A variable whose value can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}=`{value}`: write {expected} instead, or unset it for the default `{default}`")]
pub struct SettingError {
    name: &'static str,
    value: String,
    expected: &'static str,
    default: &'static str,
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// All variables that can't be used, at once.
    pub fn read(env: &dyn Environment) -> Result<Self, Vec<SettingError>> {
        let mut errors = Vec::new();
        let bind = value(env, BIND).parse().map_err(|_| errors.push(wrong(env, BIND, "an IP address and a port")));
        let expose_config = match value(env, EXPOSE_CONFIG).as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                errors.push(wrong(env, EXPOSE_CONFIG, "`true` or `false`"));
                None
            }
        };
        let path = |name| PathBuf::from(value(env, name));
        match (bind, expose_config) {
            (Ok(bind), Some(expose_config)) => Ok(Self {
                bind,
                routing: path(ROUTING),
                limits: path(LIMITS),
                models: path(MODELS),
                adapters: path(ADAPTERS),
                expose_config,
            }),
            _ => Err(errors),
        }
    }
}

/// The variable's value, or its default. An empty value counts as unset.
fn value(env: &dyn Environment, name: &str) -> String {
    env.var(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default(name).to_owned())
}

fn default(name: &str) -> &'static str {
    DEFAULTS.iter().find(|(own, ..)| *own == name).map_or("", |(_, default, _)| default)
}

fn wrong(env: &dyn Environment, name: &'static str, expected: &'static str) -> SettingError {
    SettingError { name, value: value(env, name).escape_debug().to_string(), expected, default: default(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_defaults_hold_where_nothing_is_set() {
        let settings = Settings::read(&env(&[(MODELS, "")])).unwrap();
        assert_eq!(settings.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.models, PathBuf::from("policies/models.yml"));
        assert!(!settings.expose_config);
    }

    #[test]
    fn what_is_set_holds() {
        let settings = Settings::read(&env(&[(BIND, "[::1]:0"), (EXPOSE_CONFIG, "true"), (ADAPTERS, "/a")])).unwrap();
        assert_eq!((settings.bind.to_string().as_str(), settings.expose_config), ("[::1]:0", true));
        assert_eq!(settings.adapters, PathBuf::from("/a"));
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
