//! `routing.yaml`: what adapters may reach, and what is preferred.

use super::grant::{self, RawEntry};
use super::routes::{self, RawRoute};
use crate::diagnostics::{Diagnostics, Parsed};
use crate::egress::Egress;
use crate::grant::Grant;
use crate::node::{Node, Value};
use crate::raw::{FromNode, raw};
use crate::reader::Reader;
use crate::route::Route;
use crate::scalar::{Word, Words};
use crate::source::FileText;
use crate::yaml;
use serde::{Serialize, Serializer};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// The most entries of `egress.allow`: the review compares each with each model.
pub(crate) const MAX_ENTRIES: usize = 4096;

/// `routing.yaml` in its valid form.
#[derive(Clone, Debug)]
pub struct Routing {
    /// What adapters may reach.
    pub egress: Egress,
    /// Whether a local model goes before one that is not, where both could answer.
    pub prefer_local: bool,
    /// Whether a model that is not local may answer where no local one can.
    pub cloud_fallback: bool,
    /// The public names behind which several models stand, in the file's order; they are distinct.
    pub routes: Vec<Route>,
    pub(crate) text: FileText,
}

impl Routing {
    /// The route with this public name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| &*route.name == name)
    }
}

raw! {
    /// What adapters may reach, and which models are preferred.
    #[schemars(rename = "Routing")]
    pub(super) struct RawRouting {
        required {
            /// What adapters may reach. Stands first, so that a file that was cut off is noticed.
            egress: RawEgress = "{ default: deny, allow: [] }",
            /// Which models are preferred.
            routing: RawPreferences = "{ prefer_local: true, cloud_fallback: { enabled: false } }",
        }
        optional {}
    }
}

raw! {
    /// What adapters may reach.
    #[schemars(rename = "Egress")]
    pub(super) struct RawEgress {
        required {
            /// What happens to a request that no entry covers.
            default: Word<Deny> = "deny",
            /// The entries. An empty list grants nothing.
            allow: Vec<RawEntry> = "[]",
        }
        optional {
            /// Whether every request is held to entries that are local. `false`, where the key is not there.
            local_only: bool,
        }
    }
}

raw! {
    /// Which models are preferred.
    #[schemars(rename = "Preferences")]
    pub(super) struct RawPreferences {
        required {
            /// Whether a local model goes before one that is not, where both could answer.
            prefer_local: bool = "true",
            /// What happens where no local model can answer.
            cloud_fallback: RawFallback = "{ enabled: false }",
        }
        optional {
            /// Public names behind which several models stand. None, where the key is not there. Stands before one of the others, so
            /// that a file that was cut off is noticed.
            routes: Vec<RawRoute>,
        }
    }
}

raw! {
    /// What happens where no local model can answer.
    #[schemars(rename = "CloudFallback")]
    pub(super) struct RawFallback {
        required {
            /// Whether a model that is not local may answer then.
            enabled: bool = "false",
        }
        optional {}
    }
}

/// The only default there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deny;

impl Words for Deny {
    const WORDS: &'static [(&'static str, Self)] = &[("deny", Self)];
}

impl Routing {
    /// Parses the text of `file`, whose name is for diagnostics only.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &[u8]) -> Result<Parsed<Self>, Diagnostics> {
        let (mut reader, root) = yaml::parse(file, text);
        let value = root.and_then(|root| {
            reader.source.hide_comments(|comment| ["secret", "value"].iter().any(|key| comment.contains(key)));
            hide_secrets(&root, &mut reader);
            check_order(&root, &mut reader);
            RawRouting::from_node(&root, &mut reader)?.validate(&mut reader)
        });
        reader.finish(value).map(|mut parsed: Parsed<Self>| {
            parsed.value.text = FileText::of(&parsed.warnings);
            parsed
        })
    }

    /// The policy in the shape of the file. Of secrets it has headers and references.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "egress": {
                "default": "deny",
                "allow": self.egress.grants.iter().map(|grant| grant::to_json(grant)).collect::<Vec<_>>(),
                "local_only": self.egress.local_only,
            },
            "routing": {
                "prefer_local": self.prefer_local,
                "routes": self.routes.iter().map(routes::to_json).collect::<Vec<_>>(),
                "cloud_fallback": { "enabled": self.cloud_fallback },
            },
        })
    }
}

/// As [`Routing::to_json`].
impl Serialize for Routing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl RawRouting {
    fn validate(self, reader: &mut Reader) -> Option<Routing> {
        let egress = self.egress.get().and_then(|egress| egress.validate(reader));
        let preferences = self.routing.get()?;
        let cloud_fallback = preferences.cloud_fallback.get().and_then(|fallback| fallback.enabled.get());
        let routes = routes::validate(preferences.routes.get().unwrap_or_default(), reader);
        Some(Routing {
            egress: egress?,
            prefer_local: preferences.prefer_local.get()?,
            cloud_fallback: cloud_fallback?,
            routes,
            text: FileText::default(),
        })
    }
}

impl RawEgress {
    fn validate(self, reader: &mut Reader) -> Option<Egress> {
        let mut seen = HashMap::new();
        let mut grants = Vec::new();
        let local_only = if self.local_only.is_absent() { Some(false) } else { self.local_only.get() };
        let allow = self.allow.spanned()?;
        reader.check_count(allow.value.len(), MAX_ENTRIES, "entries of `egress.allow`", &allow.span);
        for entry in allow.value {
            let Some((grant, span)) = entry.validate(reader) else { continue };
            if let Some(line) = seen.insert(identity(&grant), grant.line) {
                let message = format!("the entry says the same as the one on line {line}");
                reader.error("duplicate-entry", &span, message).help("delete one of the two");
            }
            grants.push(Arc::new(grant));
        }
        let Word(Deny) = self.default.get()?;
        Some(Egress { grants, local_only: local_only? })
    }
}

/// What two entries share that say the same, however they are written.
fn identity(grant: &Grant) -> String {
    let mut methods = grant.methods.clone();
    methods.sort_unstable();
    let adapters = grant.adapters.as_ref().map(|refs| {
        let mut names: Vec<_> = refs.iter().map(|r| (&r.id, r.digest)).collect();
        names.sort_unstable();
        names
    });
    format!(
        "{grant} {methods:?} {adapters:?} {:?} {:?} {} {:?} {:?}",
        grant.models, grant.network, grant.local, grant.secret, grant.expires
    )
}

/// A file that is cut off within its last section could grant more than the whole: an entry without its `adapters`. So the last
/// section is one in which nothing is granted and whose keys are required.
fn check_order(root: &Node, reader: &mut Reader) {
    let Value::Map(entries) = &root.value else { return };
    let at = |name| entries.iter().position(|(key, _)| &*key.text == name);
    if let (Some(egress), Some(routing)) = (at("egress"), at("routing"))
        && routing < egress
    {
        reader
            .error(
                "egress-last",
                &entries[egress].0.span,
                "`egress` stands after `routing`, so a file that was cut off could grant more",
            )
            .help("write `egress` first: the required keys after it show that the file is whole");
    }
    if let Some((_, routing)) = entries.iter().find(|(key, _)| &*key.text == "routing") {
        check_order_of_routes(routing, reader);
    }
}

/// A route that is cut off could lead elsewhere than the whole: to a candidate without its `order`, or past one that is local.
fn check_order_of_routes(routing: &Node, reader: &mut Reader) {
    let Value::Map(entries) = &routing.value else { return };
    let has_items = |node: &Node| matches!(&node.value, Value::List(items) if !items.is_empty());
    if let Some((key, _)) = entries.last().filter(|(key, routes)| &*key.text == "routes" && has_items(routes)) {
        reader
            .warning("routes-last", &key.span, "`routes` stands last, so a file that was cut off could lead elsewhere")
            .help("write `routes` before `cloud_fallback`: the required keys after it show that the file is whole");
    }
}

/// Nothing of what stands in a `secret` but the header's name may be shown: it may be the secret itself.
fn hide_secrets(node: &Node, reader: &mut Reader) {
    let children: Vec<(&str, &Node)> = match &node.value {
        Value::Map(entries) => entries.iter().map(|(key, child)| (&*key.text, child)).collect(),
        Value::List(items) => items.iter().map(|item| ("", item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => return,
    };
    for (key, child) in children {
        match &child.value {
            Value::Map(entries) if key == "secret" => {
                let all_but_header = entries.iter().filter(|(key, _)| &*key.text != "header");
                all_but_header.for_each(|(_, value)| reader.hide(value, &|_| true));
            }
            _ if key == "secret" => reader.hide(child, &|_| true),
            _ => hide_secrets(child, reader),
        }
    }
}
