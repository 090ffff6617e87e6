//! What an operator can know of an adapter: who it is, what it imports, what it may reach under a policy.

use crate::adapter::Adapter;
use crate::bindings::exports::hauski::adapter::about;
use crate::imports::Import;
use crate::stamped::Stamped;
use hauski_egress::today;
use hauski_policy::{Egress, Holder, ModelNames, ModelScope, Models, SecretTemplate};
use serde::Serialize;
use serde::de::IgnoredAny;

/// What an adapter is, whatever it may reach.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// The adapter's id: the stem of its file's name.
    pub id: String,
    /// The SHA-256 of its bytes, as `sha256:…`.
    pub digest: String,
    /// The file's size in bytes.
    pub bytes: usize,
    /// The version of the contract that it is built for.
    pub contract: Option<String>,
    /// What its builder has stamped into it.
    pub stamped: Stamped,
    /// What it says of itself.
    pub description: Description,
}

impl Profile {
    /// The digest's first 12 hexadecimal digits with their `sha256:`, for people and response headers.
    #[must_use]
    pub fn short_digest(&self) -> &str {
        self.digest.get(..19).unwrap_or(&self.digest)
    }
}

/// What an adapter is, imports, and may reach under one policy.
#[derive(Clone, Debug, Serialize)]
pub struct Audit<'a> {
    /// What it is.
    #[serde(flatten)]
    pub profile: &'a Profile,
    /// Its imports and what becomes of each.
    pub imports: Vec<Import>,
    /// The grants that it holds.
    pub grants: Vec<GrantLine>,
    /// The reach of each of its models.
    pub models: Vec<ModelReach>,
}

/// The reach of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelReach {
    /// The model's public name.
    pub model: String,
    /// The base URL of its provider: its own, or the default of the adapter.
    pub base_url: Option<String>,
    /// `local`, `cloud` or `no grant`, computed from the grants in its reach and the policy's `local_only`.
    pub locality: &'static str,
    /// The lines of `routing.yaml` with the grants in its reach.
    pub lines: Vec<usize>,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(adapter: &'a Adapter, egress: &Egress, models: &Models) -> Self {
        let facts = adapter.facts();
        let grants = GrantLine::held(egress, facts.holder);
        let has_grants = grants.iter().any(|grant| !grant.expired);
        let served = models.iter().filter(|model| model.adapter.as_ref() == Some(facts.holder.id));
        let reach = |scope: ModelScope| {
            let standing = egress.standing(&facts, &scope, today());
            ModelReach {
                model: scope.id.to_string(),
                base_url: scope.base_url.map(|base| base.to_string()),
                locality: standing.locality.as_str(),
                lines: standing.reach.grants.iter().map(|grant| grant.line).collect(),
            }
        };
        Self {
            profile: adapter.profile(),
            imports: adapter.imports.iter().map(|import| import.judge(has_grants)).collect(),
            grants,
            models: served.map(|model| reach(ModelScope::new(model, facts.base_url.as_ref()))).collect(),
        }
    }
}

/// What an adapter says of itself; none of it grants anything.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for, in a line.
    pub summary: String,
    /// What it exports: `chat`, `embeddings`.
    pub serves: Vec<&'static str>,
    /// The URLs it would like to reach.
    pub hosts: Vec<String>,
    /// The keys of `config` that it reads.
    pub config: Vec<ConfigKey>,
}

/// A key of a model's `config` that an adapter reads.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigKey {
    /// The key.
    pub name: String,
    /// What it means.
    pub summary: String,
    /// Whether a model without it can't be served.
    pub required: bool,
    /// The value that holds where a model does not set it, as JSON.
    pub default: Option<String>,
}

/// A grant that an adapter holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantLine {
    /// The URL, as a short form would have it.
    pub url: String,
    /// The methods.
    pub methods: Vec<&'static str>,
    /// `public`, `private` or `loopback`.
    pub network: &'static str,
    /// Whether what is sent under it stays local: `local` or `cloud`.
    pub locality: &'static str,
    /// The header that the host attaches, if any; never its value.
    pub secret_header: Option<String>,
    /// What the header is made of, by name: `env:NAME`, `file:PATH`.
    pub secrets: Vec<String>,
    /// The last day on which it holds.
    pub expires: Option<String>,
    /// Whether that day is over, so that it grants nothing any more.
    pub expired: bool,
    /// The models on whose behalf it applies, where it names any; `*` is all of them.
    pub models: Option<Vec<String>>,
    /// The line of `routing.yaml` where it stands.
    pub line: usize,
}

impl GrantLine {
    /// The grants that `holder` has.
    pub(crate) fn held(egress: &Egress, holder: Holder<'_>) -> Vec<Self> {
        egress.held_by(holder).map(|grant| Self::from(&**grant)).collect()
    }
}

impl From<&hauski_policy::Grant> for GrantLine {
    fn from(grant: &hauski_policy::Grant) -> Self {
        Self {
            url: grant.to_string(),
            methods: grant.methods.iter().map(|method| method.as_str()).collect(),
            network: grant.network.as_str(),
            locality: grant.locality().as_str(),
            secret_header: grant.secret.as_ref().map(|secret| secret.header.to_string()),
            secrets: grant.secret.as_ref().map(SecretTemplate::names).unwrap_or_default(),
            expires: grant.expires.map(|day| day.to_string()),
            expired: !grant.holds_on(today()),
            models: grant.models.as_ref().map(|names| match names {
                ModelNames::All => vec!["*".to_owned()],
                ModelNames::These(names) => names.iter().map(ToString::to_string).collect(),
            }),
            line: grant.line,
        }
    }
}

/// Characters of a text that an adapter says of itself; more is cut.
const TEXT: usize = 400;
/// Bytes of a default; a longer one, or one that is not JSON, is none.
const DEFAULT: usize = 4096;
/// Entries of a list.
const ENTRIES: usize = 64;

impl Description {
    /// Takes over what the adapter says, bounded, and without control characters.
    pub(crate) fn new(said: about::Description, serves: Vec<&'static str>) -> Self {
        Self {
            name: plain(&said.name),
            version: plain(&said.version),
            summary: plain(&said.summary),
            serves,
            hosts: said.hosts.iter().take(ENTRIES).map(|host| plain(host)).collect(),
            config: said.config.iter().take(ENTRIES).map(ConfigKey::from).collect(),
        }
    }
}

impl From<&about::ConfigKey> for ConfigKey {
    fn from(said: &about::ConfigKey) -> Self {
        let default = said.default.as_deref().filter(|json| json.len() <= DEFAULT && !said.required);
        let default = default.filter(|json| serde_json::from_str::<IgnoredAny>(json).is_ok()).map(str::to_owned);
        Self { name: plain(&said.name), summary: plain(&said.summary), required: said.required, default }
    }
}

/// `text` with control characters, and what hides or reorders text, escaped; cut to a length.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(TEXT) {
        if matches!(c, '\'' | '"' | '\\') {
            out.push(c);
        } else if matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}') {
            // Letters, for Unicode, of which nothing is seen.
            out.extend(c.escape_unicode());
        } else {
            out.extend(c.escape_debug());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_adapters_say_is_made_plain() {
        assert_eq!(plain("it's \"ok\" \\ ä"), "it's \"ok\" \\ ä");
        assert_eq!(plain("a\u{1b}[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(plain("a\u{3164}b\u{2800}"), "a\\u{3164}b\\u{2800}");
        assert_eq!(plain(&"x".repeat(1_000)).len(), TEXT);
    }
}
