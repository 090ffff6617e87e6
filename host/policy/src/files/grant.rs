//! An entry of `egress.allow`: the short form is a URL, the long form a map. Out comes a [`Grant`].

use super::model_names::{self, RawModelNames};
use super::secret::{self, RawSecret};
use crate::grant::{AdapterRef, Grant, HostPattern, Network};
use crate::grant_url::GrantUrl;
use crate::id::{AdapterId, Digest};
use crate::model_names::ModelNames;
use crate::node::{Node, Value};
use crate::raw::{FromNode, NonEmpty, Spanned, raw};
use crate::reader::Reader;
use crate::scalar::{Checked, Fault, Grammar, Word, Words};
use crate::target::{Method, Scheme};
use jiff::civil::Date;
use schemars::JsonSchema;
use serde_json::{Map, json};
use std::ops::Range;

/// One entry: a URL alone, or a map.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Entry")]
pub(super) enum RawEntry {
    /// The short form: this URL and all below it, for every adapter, with every method.
    Short(Spanned<Checked<GrantUrl>>),
    /// The long form.
    Long(Box<RawGrant>),
}

raw! {
    /// What may be reached, by whom, and how. One entry covers a request as a whole or not at all.
    #[schemars(rename = "Grant")]
    pub(super) struct RawGrant {
        required {
            /// Scheme, host, port and path prefix. No port means the scheme's default. A path covers whole segments: `/v1` covers
            /// `/v1` and `/v1/x`, `/v1/` only what is below it. The host may be `*.` and a name of two labels or more.
            url: Checked<GrantUrl> = "https://api.example.com/v1/",
        }
        optional {
            /// The ids of the adapters that hold the grant, each with `@sha256:` and a digest to bind it to the adapter's bytes.
            /// Every adapter, where the key is not there.
            adapters: NonEmpty<Checked<AdapterRef>>,
            /// The models on whose behalf the grant applies, by id; `"*"` alone is every model. Without the key, the grant applies
            /// to requests that go to the base URL of their model or below it.
            models: RawModelNames,
            /// The methods. All of them, where the key is not there.
            methods: NonEmpty<Word<Method>>,
            /// The network that every address of the host must be of: `public` for names, where the key is not there. Implied by
            /// an IP address and by `localhost`.
            network: Word<Network>,
            /// Whether a private network counts as local. `false`, where the key is not there; loopback always does, and nothing
            /// public can.
            local: bool,
            /// A header that the host attaches.
            secret: RawSecret,
            /// The last day on which the grant holds, in UTC: `2027-01-31`.
            expires: Checked<Day>,
        }
    }
}

impl FromNode for RawEntry {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(_) => Spanned::from_node(node, reader).map(Self::Short),
            Value::Map(_) => RawGrant::from_node(node, reader).map(|raw| Self::Long(Box::new(raw))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) => {
                reader.wrong_type(node, "a URL or a map").help("write `https://api.example.com`, or a map with `url`");
                None
            }
        }
    }
}

impl RawEntry {
    /// The grant, where the entry is whole.
    pub(super) fn validate(self, reader: &mut Reader) -> Option<(Grant, Range<usize>)> {
        match self {
            Self::Short(Spanned { value: Checked(url), span }) => {
                warn_of_wildcard(&url, &span, reader);
                reader
                    .warning("wide-adapters", &span, "the short form grants this to every adapter, with every method")
                    .help("write the long form: `url`, `adapters`, `methods`");
                let network = url.implied_network().unwrap_or(Network::Public);
                Some((grant(url, reader.line(&span), network), span))
            }
            Self::Long(raw) => raw.validate(reader),
        }
    }
}

impl RawGrant {
    fn validate(self, reader: &mut Reader) -> Option<(Grant, Range<usize>)> {
        let secret_span = self.secret.span().cloned();
        let no_adapters = self.adapters.is_absent();
        let no_methods = self.methods.is_absent();
        let adapters = self.adapters.get();
        let methods = self.methods.get();
        let models = self.models.spanned();
        let network = self.network.spanned();
        let local = self.local.spanned();
        let expires = self.expires.get();
        let secret = self.secret.get().and_then(|raw| raw.validate(reader));
        let Spanned { value: Checked(url), span } = self.url.spanned()?;

        warn_of_wildcard(&url, &span, reader);
        if no_adapters {
            let message = "the entry names no adapters: it grants this to every adapter";
            reader.warning("wide-adapters", &span, message).help("write `adapters: [name]`");
        }
        if no_methods {
            let message = "the entry names no methods: it grants all of them";
            reader.warning("wide-methods", &span, message).help("write `methods: [POST]`");
        }
        if let Some(Spanned { value: RawModelNames(ModelNames::All), span }) = &models {
            let message = "the entry grants this on behalf of every model of its adapters";
            reader.warning("wide-models", span, message).help("write `models: [name]`");
        }
        let network = check_network(&url, network, reader);
        let local = check_local(&url, network, local, reader);
        if let Some(place) = secret_span {
            check_secret(&url, network, no_adapters, &place, reader);
        }

        let mut grant = grant(url, reader.line(&span), network);
        grant.short = false;
        grant.adapters = adapters.map(|list| list.0.into_iter().map(|one| one.0).collect());
        if let Some(list) = methods {
            grant.methods = list.0.into_iter().map(|one| one.0).collect();
        }
        grant.models = models.map(|names| names.value.0);
        grant.local = local;
        grant.secret = secret;
        grant.expires = expires.map(|day| day.0.0);
        Some((grant, span))
    }
}

fn grant(url: GrantUrl, line: usize, network: Network) -> Grant {
    let GrantUrl { scheme, host, port, path } = url;
    let methods = Method::ALL.to_vec();
    Grant {
        line,
        scheme,
        host,
        port,
        path,
        methods,
        adapters: None,
        models: None,
        network,
        local: false,
        secret: None,
        expires: None,
        short: true,
    }
}

fn warn_of_wildcard(url: &GrantUrl, span: &Range<usize>, reader: &mut Reader) {
    if let HostPattern::OneLabelBelow(suffix) = &url.host {
        let message = format!("the entry grants every host directly below `{}`", &suffix[1..]);
        reader.warning("wide-host", span, message).help("write the hosts out");
    }
}

fn check_network(url: &GrantUrl, said: Option<Spanned<Word<Network>>>, reader: &mut Reader) -> Network {
    let implied = url.implied_network();
    let Some(Spanned { value: Word(said), span }) = said else {
        return implied.unwrap_or(Network::Public);
    };
    if let Some(implied) = implied.filter(|implied| *implied != said) {
        let message = format!("`{}` is {}, not {}", url.host, implied.as_str(), said.as_str());
        let help = format!("write `network: {}`, or delete the key", implied.as_str());
        reader.error("network-contradiction", &span, message).help(help);
    }
    said
}

/// What is local by itself needs no word, and what is public can't be made local by one.
fn check_local(url: &GrantUrl, network: Network, said: Option<Spanned<bool>>, reader: &mut Reader) -> bool {
    let Some(Spanned { value: local, span }) = said else { return false };
    if local && network == Network::Public {
        reader
            .error("local-contradiction", &span, format!("`{}` is public, so it can't be local", url.host))
            .help("delete the key, or write `network: private` if all its addresses are private");
    }
    local && network == Network::Private
}

fn check_secret(url: &GrantUrl, network: Network, no_adapters: bool, span: &Range<usize>, reader: &mut Reader) {
    if url.scheme == Scheme::Http && network != Network::Loopback {
        reader
            .error("secret-in-clear", span, format!("`{}` would be sent the secret in the clear", url.host))
            .help("write `https://` in the URL");
    }
    if matches!(url.host, HostPattern::OneLabelBelow(_)) {
        reader
            .error("secret-for-wildcard", span, "a secret for a wildcard goes to hosts that nobody named")
            .help("write the host out in the URL");
    }
    if no_adapters {
        reader
            .error("secret-for-every-adapter", span, "a secret that every adapter could use")
            .help("write `adapters: [name]` in the entry");
    }
}

/// The grant in the shape of the file, where it was written short: the short form.
pub(super) fn to_json(grant: &Grant) -> serde_json::Value {
    if grant.short {
        return grant.to_string().into();
    }
    let mut map = Map::new();
    map.insert("url".to_owned(), grant.to_string().into());
    if let Some(adapters) = &grant.adapters {
        let one = |r: &AdapterRef| r.digest.map_or(r.id.to_string(), |digest| format!("{}@{digest}", r.id));
        map.insert("adapters".to_owned(), adapters.iter().map(one).collect());
    }
    if let Some(names) = &grant.models {
        map.insert("models".to_owned(), model_names::to_json(names));
    }
    map.insert("methods".to_owned(), grant.methods.iter().map(|method| method.as_str()).collect());
    map.insert("network".to_owned(), grant.network.as_str().into());
    if grant.local {
        map.insert("local".to_owned(), true.into());
    }
    if let Some(template) = &grant.secret {
        map.insert("secret".to_owned(), secret::to_json(template));
    }
    if let Some(day) = grant.expires {
        map.insert("expires".to_owned(), json!(day.to_string()));
    }
    map.into()
}

impl Words for Method {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("GET", Self::Get),
        ("HEAD", Self::Head),
        ("POST", Self::Post),
        ("PUT", Self::Put),
        ("PATCH", Self::Patch),
        ("DELETE", Self::Delete),
        ("OPTIONS", Self::Options),
    ];
}

impl Words for Network {
    const WORDS: &'static [(&'static str, Self)] =
        &[("public", Self::Public), ("private", Self::Private), ("loopback", Self::Loopback)];
}

impl Grammar for AdapterRef {
    const PATTERN: &'static str = r"^[a-z0-9][a-z0-9._-]{0,63}(@sha256:[0-9a-f]{64})?$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let (id, digest) = text.split_once('@').map_or((text, None), |(id, digest)| (id, Some(digest)));
        let AdapterIdText(id) = AdapterIdText::parse(id)?;
        let digest = digest.map(str::parse::<Digest>).transpose().map_err(|error| Fault {
            code: "digest-invalid",
            at: id.as_str().len() + 1..text.len(),
            message: error.to_string(),
            help: "copy it from `hauski adapters`, or delete it from the `@` on".to_owned(),
        })?;
        Ok(Self { id, digest })
    }
}

/// An adapter's id.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AdapterIdText(pub(super) AdapterId);

impl Grammar for AdapterIdText {
    const PATTERN: &'static str = r"^[a-z0-9][a-z0-9._-]{0,63}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map(Self).map_err(|error: crate::id::InvalidAdapterId| Fault {
            code: "adapter-invalid",
            at: 0..text.len(),
            message: error.to_string(),
            help: "write the stem of its file's name in the adapters folder, such as `ollama`".to_owned(),
        })
    }
}

/// A day: year, month, day, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Day(pub(super) Date);

impl Grammar for Day {
    const PATTERN: &'static str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let shape = |(at, b): (usize, u8)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() };
        let date = (text.len() == 10 && text.bytes().enumerate().all(shape)).then(|| text.parse().ok()).flatten();
        date.map(Self).ok_or_else(|| Fault {
            code: "date-invalid",
            at: 0..text.len(),
            message: "`expires` is no day of the calendar".to_owned(),
            help: "write year, month and day, such as `2027-01-31`".to_owned(),
        })
    }
}
