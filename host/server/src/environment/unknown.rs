//! Variables that begin as the gateway's do and that nothing reads: most are misspelled.

use super::{DEFAULTS, Environment};
use hauski_policy::{Egress, SecretPart, did_you_mean};
use std::fmt;

/// The beginning of the names of all of the gateway's variables.
const PREFIX: &str = "HAUSKI_";

/// A variable of the environment that has no effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownVariable {
    /// Its name, escaped.
    name: String,
    /// The name that was probably meant.
    suggestion: Option<&'static str>,
}

impl UnknownVariable {
    /// Returns whether it is close to the name of a variable that has an effect.
    #[must_use]
    pub fn is_misspelled(&self) -> bool {
        self.suggestion.is_some()
    }
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment variable `{}` has no effect: it is unknown; ", self.name)?;
        match self.suggestion {
            Some(suggestion) => write!(f, "did you mean `{suggestion}`?"),
            None => f.write_str("unset it, or see `hauski --help` for those that are known"),
        }
    }
}

/// Returns the variables that begin as the gateway's do and are neither its own nor a secret that `egress` names, sorted.
#[must_use]
pub fn unknown_variables(env: &dyn Environment, egress: Option<&Egress>) -> Vec<UnknownVariable> {
    let known = DEFAULTS.map(|(name, ..)| name);
    let is_secret = |name: &str| egress.is_some_and(|egress| names_secret(egress, name));
    let mut unknown: Vec<_> = env
        .names()
        .iter()
        .map(|name| name.to_string_lossy())
        .filter(|name| name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)))
        .filter(|name| !known.contains(&&**name) && !is_secret(name))
        .map(|name| UnknownVariable { name: name.escape_debug().to_string(), suggestion: closest(&name, &known) })
        .collect();
    unknown.sort();
    unknown
}

/// Returns the known name that is closest. The common beginning does not count: it would make all names alike.
fn closest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let rests: Vec<_> = known.iter().filter_map(|name| name.strip_prefix(PREFIX)).collect();
    let rest = did_you_mean(name.get(PREFIX.len()..)?, &rests)?;
    known.iter().find(|name| name.strip_prefix(PREFIX) == Some(rest)).copied()
}

fn names_secret(egress: &Egress, name: &str) -> bool {
    let mut parts = egress.grants.iter().filter_map(|grant| grant.secret.as_ref()).flat_map(|secret| &secret.parts);
    parts.any(|part| matches!(part, SecretPart::Env(variable) if **variable == *name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauski_policy::Routing;
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn env(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect()
    }

    #[track_caller]
    fn check(name: &str, expected: Option<Option<&str>>) {
        let unknown = unknown_variables(&env(&[name]), None);
        let found = unknown.first().map(|unknown| unknown.suggestion);
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn unknown_variables_have_a_suggestion_when_one_is_close() {
        check("HAUSKI_LGO", Some(Some("HAUSKI_LOG")));
        check("HAUSKI_ROUTNG", Some(Some("HAUSKI_ROUTING")));
        check("HAUSKI_LOGFORMAT", Some(Some("HAUSKI_LOG_FORMAT")));
        check("HAUSKI_EXPOSE_CONFIGS", Some(Some("HAUSKI_EXPOSE_CONFIG")));
        check("hauski_bind", Some(Some("HAUSKI_BIND")));
        check("HAUSKI_", Some(None));
        check("HAUSKI_TELEPHONE", Some(None));
    }

    #[test]
    fn unknown_variables_leave_out_those_of_the_gateway_and_of_others() {
        for (name, ..) in DEFAULTS {
            check(name, None);
        }
        for name in ["PATH", "HAUSK", "HAUSKI", "MY_HAUSKI_LGO", "OTEL_EXPORTER", "häuski_log"] {
            check(name, None);
        }
    }

    #[test]
    fn unknown_variables_leave_out_secrets_of_the_policy() {
        let entry =
            r#"{ url: "https://a.test/", adapters: [a], secret: { header: x-key, value: "${env:HAUSKI_MY_KEY}" } }"#;
        let routing = format!(
            "egress: {{ default: deny, allow: [{entry}] }}\nrouting: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n"
        );
        let routing = Routing::parse("routing.yaml", routing.as_bytes()).unwrap().value;
        let env = env(&["HAUSKI_MY_KEY", "HAUSKI_MY_KEYS"]);
        let names = |egress| unknown_variables(&env, egress).into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(Some(&routing.egress)), ["HAUSKI_MY_KEYS"]);
        assert_eq!(names(None), ["HAUSKI_MY_KEY", "HAUSKI_MY_KEYS"]);
    }

    #[test]
    fn unknown_variables_are_escaped() {
        struct Bytes;
        impl Environment for Bytes {
            fn var(&self, _: &str) -> Option<OsString> {
                None
            }

            fn names(&self) -> Vec<OsString> {
                vec![OsString::from_vec(b"HAUSKI_\x1b[31m\xff".to_vec())]
            }
        }
        let [unknown] = &*unknown_variables(&Bytes, None) else { panic!("one is unknown") };
        let expected = "the environment variable `HAUSKI_\\u{1b}[31m\u{fffd}` has no effect: it is unknown; unset it, or \
                        see `hauski --help` for those that are known";
        assert_eq!(unknown.to_string(), expected);
    }
}
