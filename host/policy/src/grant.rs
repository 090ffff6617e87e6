//! Grants: the entries of `egress.allow` in their valid form.

use crate::AddressClass;
use crate::host::Host;
use crate::id::{AdapterId, Digest};
use crate::model_names::ModelNames;
use crate::secret::SecretTemplate;
use crate::target::{Method, Scheme};
use jiff::civil::Date;
use std::fmt;

/// One entry of `egress.allow`. A request is covered by one entry as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Where the entry stands in `routing.yaml`: its line, counted from 1. Names the entry in listings and logs.
    pub line: usize,
    /// The scheme.
    pub scheme: Scheme,
    /// The host, or one level of names below it.
    pub host: HostPattern,
    /// The port; the scheme's default where the entry has none.
    pub port: u16,
    /// The path's prefix.
    pub path: PathPrefix,
    /// The methods.
    pub methods: Vec<Method>,
    /// Who holds it; `None` is every adapter.
    pub adapters: Option<Vec<AdapterRef>>,
    /// The models on whose behalf it applies; `None` is every model whose base URL the request goes to or below.
    pub models: Option<ModelNames>,
    /// The class that every address of the host must have.
    pub network: Network,
    /// Whether a private network counts as local.
    pub local: bool,
    /// The header that the host attaches.
    pub secret: Option<SecretTemplate>,
    /// The last day on which it holds, in UTC.
    pub expires: Option<Date>,
    /// Whether it was written in the short form, which the audit flags as wide.
    pub short: bool,
}

impl Grant {
    /// Returns whether `adapter` with these bytes holds the grant. The gateway itself, under its reserved ids, holds only grants that name
    /// it.
    #[must_use]
    pub fn is_held_by(&self, adapter: &AdapterId, digest: &Digest) -> bool {
        match &self.adapters {
            None => !adapter.is_reserved(),
            Some(refs) => refs.iter().any(|one| one.covers(adapter, digest)),
        }
    }

    /// Returns whether the grant has not expired on the day `today` (UTC).
    #[must_use]
    pub fn holds_on(&self, today: Date) -> bool {
        self.expires.is_none_or(|last| today <= last)
    }

    /// All that the entry grants, in a line that is the same for entries that grant the same. Of secrets it has the references.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut methods: Vec<_> = self.methods.iter().map(|method| method.as_str()).collect();
        methods.sort_unstable();
        let mut notes = vec![self.network.as_str().to_owned(), self.locality().as_str().to_owned()];
        if let Some(secret) = &self.secret {
            notes.push(format!("{} from {}", secret.header, secret.names().join(" and ")));
        }
        notes.extend(self.expires.map(|day| format!("until {day}")));
        if self.adapters.is_none() {
            notes.push("any adapter".to_owned());
        }
        match &self.models {
            None => {}
            Some(ModelNames::All) => notes.push("any model".to_owned()),
            Some(ModelNames::These(names)) => {
                let names: Vec<_> = names.iter().map(|name| &**name).collect();
                notes.push(format!("for {}", names.join(" and ")));
            }
        }
        format!("{self} {} ({})", methods.join(" "), notes.join(", "))
    }

    /// Whether what is sent under the grant stays local: on this machine, or on a private network that the policy calls local.
    #[must_use]
    pub fn locality(&self) -> Locality {
        match self.network {
            Network::Loopback => Locality::Local,
            Network::Private if self.local => Locality::Local,
            Network::Private | Network::Public => Locality::Cloud,
        }
    }
}

/// The entry as a short form would have it; for listings and logs.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(self.path.as_str())
    }
}

/// A host, or `*.` and a name: exactly one label more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(Host),
    /// Each name that is one label and this suffix, which begins with a dot.
    OneLabelBelow(Box<str>),
}

impl HostPattern {
    /// Whether the pattern covers `host`.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(own), _) => own == host,
            (Self::OneLabelBelow(suffix), Host::Name(name)) => {
                name.strip_suffix(&**suffix).is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
            (Self::OneLabelBelow(_), Host::Address(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::OneLabelBelow(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// A prefix of whole segments: `/v1` covers `/v1` and `/v1/x`, not `/v10`; `/v1/` covers only what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(Box<str>);

impl PathPrefix {
    /// The prefix with this text, which [`crate::path::check_path`] has passed.
    pub(crate) fn new(checked: &str) -> Self {
        Self(checked.into())
    }

    /// The prefix's text, beginning with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the prefix covers `path`.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&*self.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/'))
    }
}

/// An adapter by its id and, where the grant is bound to its bytes, their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterRef {
    /// The adapter's id.
    pub id: AdapterId,
    /// The digest that its bytes must have.
    pub digest: Option<Digest>,
}

impl AdapterRef {
    /// Whether this is `adapter` with these bytes.
    #[must_use]
    pub fn covers(&self, adapter: &AdapterId, digest: &Digest) -> bool {
        self.id == *adapter && self.digest.is_none_or(|own| own == *digest)
    }
}

/// The reference as the file has it: the id, or `id@sha256:...`.
impl fmt::Display for AdapterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id.as_str())?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// The class of network that a grant is for. All addresses of its host must be of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The internet.
    Public,
    /// A private network.
    Private,
    /// This machine.
    Loopback,
}

impl Network {
    /// Whether an address of this class may be dialled under the grant.
    #[must_use]
    pub fn covers(self, class: AddressClass) -> bool {
        Self::of(class) == Some(self)
    }

    /// The network that addresses of this class belong to; `None` where they can't be granted.
    #[must_use]
    pub fn of(class: AddressClass) -> Option<Self> {
        match class {
            AddressClass::Public => Some(Self::Public),
            AddressClass::Private => Some(Self::Private),
            AddressClass::Loopback => Some(Self::Loopback),
            AddressClass::LinkLocal | AddressClass::Metadata | AddressClass::Translated | AddressClass::Reserved => {
                None
            }
        }
    }

    /// The word for it in `routing.yaml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
        }
    }
}

/// The locality of a model: whether its prompts can leave this machine and the private networks that the policy calls local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Locality {
    /// Every grant in the model's reach is local.
    Local,
    /// Some grant in the model's reach is not local.
    Cloud,
    /// No grant is in the model's reach, so no request on its behalf can be sent.
    NoGrant,
}

impl Locality {
    /// `local`, `cloud` or `no grant`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
            Self::NoGrant => "no grant",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Routing;

    /// A lock compares these lines, and the log of a reload shows them.
    #[test]
    fn summary_has_all_that_an_entry_grants_but_to_whom() {
        for (entry, expected) in [
            (
                "https://a.test/v1/",
                "https://a.test/v1/ DELETE GET HEAD OPTIONS PATCH POST PUT (public, cloud, any adapter)",
            ),
            (
                "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], methods: [POST, GET], models: [m, n] }",
                "http://127.0.0.1:8081/v1/ GET POST (loopback, local, for m and n)",
            ),
            (
                "{ url: \"https://a.test/\", adapters: [a], methods: [GET], models: [\"*\"], expires: 2027-01-01, \
                 secret: { header: x-api-key, value: \"${env:KEY}\" } }",
                "https://a.test/ GET (public, cloud, x-api-key from env:KEY, until 2027-01-01, any model)",
            ),
        ] {
            let text = format!(
                "egress:\n  default: deny\n  allow:\n    - {entry}\nrouting: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n"
            );
            let routing = Routing::parse("routing.yaml", text.as_bytes()).unwrap().value;
            assert_eq!(routing.egress.grants[0].summary(), expected);
        }
    }

    /// Address classes without a network cannot be granted.
    #[test]
    fn network_covers_its_own_class_of_addresses_alone() {
        use AddressClass::{LinkLocal, Loopback, Metadata, Private, Public, Reserved, Translated};
        for (class, expected) in [
            (Public, Some(Network::Public)),
            (Private, Some(Network::Private)),
            (Loopback, Some(Network::Loopback)),
            (LinkLocal, None),
            (Metadata, None),
            (Translated, None),
            (Reserved, None),
        ] {
            assert_eq!(Network::of(class), expected, "{class:?}");
            for network in [Network::Public, Network::Private, Network::Loopback] {
                assert_eq!(network.covers(class), expected == Some(network), "{network:?} {class:?}");
            }
        }
    }

    #[test]
    fn locality_displays_a_stable_word() {
        let words = [Locality::Local, Locality::Cloud, Locality::NoGrant].map(Locality::as_str);
        assert_eq!(words, ["local", "cloud", "no grant"]);
    }
}
