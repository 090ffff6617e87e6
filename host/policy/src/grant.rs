//! Grants: the entries of `egress.allow` in their valid form, and the decision whether one of them covers a request.

use crate::AddressClass;
use crate::host::Host;
use crate::id::{AdapterId, Digest};
use crate::secret::SecretTemplate;
use crate::target::{Method, Scheme, Target};
use jiff::civil::Date;
use std::fmt;
use std::sync::Arc;

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
    /// The class that every address of the host must have.
    pub network: Network,
    /// The header that the host attaches.
    pub secret: Option<SecretTemplate>,
    /// The last day on which it holds, in UTC.
    pub expires: Option<Date>,
    /// Whether it was written in the short form, which the audit flags as wide.
    pub short: bool,
}

impl Grant {
    /// Whether `adapter` with these bytes holds the grant.
    #[must_use]
    pub fn is_held_by(&self, adapter: &AdapterId, digest: &Digest) -> bool {
        self.adapters.as_ref().is_none_or(|refs| refs.iter().any(|r| r.covers(adapter, digest)))
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
    /// The prefix with this text, which [`crate::target::check_path`] has passed.
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

/// Whether what an adapter is sent can leave this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Locality {
    /// It can't: every grant the adapter holds is loopback.
    Local,
    /// It can.
    Cloud,
}

impl Locality {
    /// `local` or `cloud`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}

/// The grants that one adapter holds.
#[derive(Clone, Debug, Default)]
pub struct GrantSet(Arc<[Arc<Grant>]>);

/// Why no grant covers a request: how far the best entry got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Denial {
    /// No entry names the host.
    Host,
    /// One names the host, but with the other scheme.
    Scheme,
    /// And the scheme, but another port.
    Port,
    /// And the port, but not this path.
    Path,
    /// And the path, but not this method.
    Method,
    /// An entry would cover the request, but its day is past.
    Expired,
}

impl Denial {
    /// The reason's stable code, for log, ledger and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Host => "host-not-granted",
            Self::Scheme => "scheme-not-granted",
            Self::Port => "port-not-granted",
            Self::Path => "path-not-granted",
            Self::Method => "method-not-granted",
            Self::Expired => "grant-expired",
        }
    }
}

impl GrantSet {
    /// The grants of `all` that `adapter` with these bytes holds.
    #[must_use]
    pub fn of(all: &[Arc<Grant>], adapter: &AdapterId, digest: &Digest) -> Self {
        Self(all.iter().filter(|grant| grant.is_held_by(adapter, digest)).cloned().collect())
    }

    /// The grants, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.0.iter()
    }

    /// Whether what the holder is sent can leave this machine: computed, never claimed.
    #[must_use]
    pub fn locality(&self) -> Locality {
        if self.0.iter().all(|grant| grant.network == Network::Loopback) { Locality::Local } else { Locality::Cloud }
    }

    /// The first grant that covers `target` as a whole on the day `today` (UTC).
    ///
    /// # Errors
    /// If there is none: with how far the best one got.
    pub fn decide(&self, target: &Target, today: Date) -> Result<&Arc<Grant>, Denial> {
        let mut best = Denial::Host;
        for grant in self.0.iter() {
            match judge(grant, target, today) {
                Ok(()) => return Ok(grant),
                Err(denial) => best = best.max(denial),
            }
        }
        Err(best)
    }
}

fn judge(grant: &Grant, target: &Target, today: Date) -> Result<(), Denial> {
    let rules = [
        (grant.host.covers(&target.host), Denial::Host),
        (grant.scheme == target.scheme, Denial::Scheme),
        (grant.port == target.port, Denial::Port),
        (grant.path.covers(target.path()), Denial::Path),
        (grant.methods.contains(&target.method), Denial::Method),
        (grant.expires.is_none_or(|last| today <= last), Denial::Expired),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, denial)| Err(denial))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scheme: Scheme, host: HostPattern, path: &str, methods: &[Method]) -> Arc<Grant> {
        Arc::new(Grant {
            line: 1,
            scheme,
            host,
            port: scheme.default_port(),
            path: PathPrefix::new(path),
            methods: methods.to_vec(),
            adapters: None,
            network: Network::Public,
            secret: None,
            expires: None,
            short: false,
        })
    }

    fn exact(name: &str) -> HostPattern {
        HostPattern::Exact(name.parse().unwrap())
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(grants: &[Arc<Grant>], request: &str, expected: Result<(), Denial>) {
        let set = GrantSet(grants.into());
        let (method, url) = request.split_once(' ').unwrap();
        let target = Target::parse(method, url).unwrap();
        assert_eq!(set.decide(&target, day("2026-11-22")).map(drop), expected, "{request}");
    }

    #[test]
    fn one_entry_covers_the_whole_request() {
        let grants = [
            grant(Scheme::Https, exact("api.allowed.test"), "/v1/", &[Method::Post]),
            grant(Scheme::Https, exact("api.allowed.test"), "/status", &[Method::Get]),
        ];
        check(&grants, "POST https://api.allowed.test/v1/chat", Ok(()));
        check(&grants, "POST https://api.allowed.test:443/v1/", Ok(()));
        check(&grants, "GET https://api.allowed.test/status/x?y=z", Ok(()));
        check(&grants, "GET https://api.allowed.test/v1/chat", Err(Denial::Method));
        check(&grants, "POST https://api.allowed.test/status", Err(Denial::Method));
        check(&grants, "POST https://api.allowed.test/v1evil", Err(Denial::Path));
        check(&grants, "POST https://api.allowed.test/v1", Err(Denial::Path));
        check(&grants, "GET https://api.allowed.test/statuses", Err(Denial::Path));
        check(&grants, "POST https://api.allowed.test/V1/chat", Err(Denial::Path));
        check(&grants, "POST https://api.allowed.test:8443/v1/chat", Err(Denial::Port));
        check(&grants, "POST http://api.allowed.test:443/v1/chat", Err(Denial::Scheme));
        check(&grants, "POST https://api.allowed.test.evil.test/v1/chat", Err(Denial::Host));
        check(&[], "POST https://api.allowed.test/v1/chat", Err(Denial::Host));
    }

    #[test]
    fn wildcards_stand_for_one_label() {
        let grants = [grant(Scheme::Https, HostPattern::OneLabelBelow(".allowed.test".into()), "/", &[Method::Get])];
        check(&grants, "GET https://a.allowed.test/", Ok(()));
        for host in ["evilallowed.test", "allowed.test", "allowed.test.evil", "a.b.allowed.test", "127.0.0.1"] {
            check(&grants, &format!("GET https://{host}/"), Err(Denial::Host));
        }
    }

    #[test]
    fn a_grant_holds_through_its_last_day() {
        let mut entry = (*grant(Scheme::Https, exact("a.test"), "/", &[Method::Get])).clone();
        entry.expires = Some(day("2026-11-22"));
        check(&[Arc::new(entry.clone())], "GET https://a.test/", Ok(()));
        entry.expires = Some(day("2026-11-21"));
        check(&[Arc::new(entry)], "GET https://a.test/", Err(Denial::Expired));
    }

    #[test]
    fn grants_go_to_whom_they_name() {
        let (a, b): (AdapterId, AdapterId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let (one, two) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
        let mut entry = (*grant(Scheme::Https, exact("a.test"), "/", &[Method::Get])).clone();
        assert!(entry.is_held_by(&a, &one) && entry.is_held_by(&b, &two));
        entry.adapters = Some(vec![AdapterRef { id: a.clone(), digest: Some(one) }]);
        assert!(entry.is_held_by(&a, &one) && !entry.is_held_by(&a, &two) && !entry.is_held_by(&b, &one));
        entry.adapters = Some(vec![]);
        assert!(!entry.is_held_by(&a, &one));
    }

    #[test]
    fn local_is_computed() {
        let mut entry = (*grant(Scheme::Http, exact("localhost"), "/", &[Method::Get])).clone();
        entry.network = Network::Loopback;
        let (near, far) = (Arc::new(entry), grant(Scheme::Https, exact("a.test"), "/", &[Method::Get]));
        assert_eq!(GrantSet::default().locality(), Locality::Local);
        assert_eq!(GrantSet([near.clone()].into()).locality(), Locality::Local);
        assert_eq!(GrantSet([near, far].into()).locality(), Locality::Cloud);
    }
}
