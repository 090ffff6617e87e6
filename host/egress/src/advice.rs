//! What the operator reads of a denial: what was asked for, and the entry that would allow it.

use crate::ledger::cut_path;
use crate::{Caller, Denied, Destination};
use hauski_policy::{AddressClass, Denial, Host, Method, Network, Scope, Target, address};
use std::fmt;

/// Characters of a text that is no target which are shown.
const SHOWN: usize = 200;

/// Method and URL of what is no target: without query and userinfo, escaped, cut.
pub(crate) fn show(method: &str, to: &Destination<'_>) -> String {
    let text = match to {
        Destination::Url(url) => (*url).to_owned(),
        Destination::Parts { scheme, authority, path_and_query } => format!("{scheme}://{authority}{path_and_query}"),
    };
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let visible = text[..end].rsplit_once('@').map_or(&text[..end], |(_userinfo, rest)| rest);
    let hidden = if visible.len() < end { "***@" } else { "" };
    let mut shown = String::new();
    for c in method.chars().take(16).chain(" ".chars()).chain(hidden.chars()).chain(visible.chars().take(SHOWN)) {
        shown.extend(c.escape_debug());
    }
    if visible.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The entry of `egress.allow` that would allow `target`, on one line; `None` where no entry could. A path that is too long for the
/// ledger is too long here: the entry has its beginning, and covers it.
pub(crate) fn entry(caller: &Caller, scope: &Scope, target: &Target, denied: &Denied) -> Option<Entry> {
    let class = match denied {
        Denied::Grant(Denial::NotLocal) => return None,
        Denied::Grant(_) => None,
        Denied::AddressClass { class, .. } => Some(*class),
        Denied::Target(_) | Denied::UrlTooLong | Denied::OwnAddress(_) | Denied::OwnInterface(_) => return None,
    };
    let network = network(target.host(), class).ok()?;
    let (adapter, url) = (caller.id().to_string(), url(target, cut_path(target.path()).0));
    let model = scope.model().map(str::to_owned);
    let is_local = network_of(target.host(), network) == Network::Loopback;
    Some(Entry { url, adapter, model, methods: vec![target.method()], network, is_local })
}

/// The URL of `target`'s origin with another path.
pub(crate) fn url(target: &Target, path: &str) -> String {
    format!("{}://{}{path}", target.scheme().as_str(), target.authority())
}

/// The `network` that an entry for `host` has to name, where it has to name one; or why there can be none. `class` is that of an
/// address which no entry covered, though one covers the host.
pub(crate) fn network(host: &Host, class: Option<AddressClass>) -> Result<Option<Network>, &'static str> {
    // A literal and `localhost` imply their network; of another name it is known once it is resolved.
    match (host, class) {
        (Host::Address(address), _) if Network::of(address::classify(*address)).is_none() => Err(UNGRANTABLE),
        (Host::Name(name), _) if address::is_metadata_name(name) => Err("clouds offer their metadata under this name"),
        (Host::Address(_), Some(_)) => Err(UNGRANTABLE),
        (Host::Name(_), Some(_)) if host.is_localhost() => Err("the name means this machine, but led elsewhere"),
        (Host::Name(_), Some(class)) => Network::of(class).map(Some).ok_or(UNGRANTABLE),
        (_, None) => Ok(None),
    }
}

/// Returns the network that an entry for `host` is for, with what it says itself under `network`.
pub(crate) fn network_of(host: &Host, said: Option<Network>) -> Network {
    match host {
        _ if host.is_localhost() => Network::Loopback,
        Host::Address(address) => Network::of(address::classify(*address)).unwrap_or(Network::Public),
        Host::Name(_) => said.unwrap_or(Network::Public),
    }
}

const UNGRANTABLE: &str = "addresses of this kind are of no public, private or loopback network";

/// An entry of `egress.allow` for one adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Scheme, host, port and path, all parsed before: nothing in it needs an escape.
    pub(crate) url: String,
    /// The adapter's id, with `@` and its digest where the entry is bound to the bytes.
    pub(crate) adapter: String,
    /// The model on whose behalf the request was sent; `None` for the gateway itself.
    pub(crate) model: Option<String>,
    pub(crate) methods: Vec<Method>,
    pub(crate) network: Option<Network>,
    /// True if requests under the entry stay on this machine.
    pub(crate) is_local: bool,
}

impl Entry {
    /// Returns the model that the entry would make cloud, where `is_local` holds for the model by now.
    pub(crate) fn makes_cloud(&self, is_local: impl FnOnce(&str) -> bool) -> Option<&str> {
        self.model.as_deref().filter(|model| !self.is_local && is_local(model))
    }
}

/// On one line, as it is written into the file.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = self.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
        // In quotes, since YAML could take an id such as `1e5` for a number; in single ones, so that a quoted log line needs no escapes.
        let url = self.url.to_string().replace('\'', "''");
        write!(f, "- {{ url: '{url}', adapters: ['{}']", self.adapter)?;
        if let Some(model) = &self.model {
            write!(f, ", models: ['{model}']")?;
        }
        write!(f, ", methods: [{methods}]")?;
        if let Some(network) = self.network {
            write!(f, ", network: {}", network.as_str())?;
        }
        f.write_str(" }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauski_policy::{AdapterLimits, Digest, ModelScope, Routing};
    use std::sync::Arc;
    use std::time::Duration;

    fn scope() -> Scope {
        Scope::Model(Arc::new(ModelScope { id: "m".into(), base_url: None }))
    }

    fn caller() -> Caller {
        let span = Duration::from_secs(1);
        let limits = AdapterLimits {
            memory_bytes: 0,
            cpu: span,
            instances: 1,
            connect: span,
            first_token: span,
            idle: span,
            total: span,
            queue: 0,
            queue_wait: Duration::ZERO,
            retries: 0,
            breaker_failures: 1,
            breaker_open: Duration::ZERO,
            probe: None,
            response_bytes: 0,
        };
        Caller::new("1e5".parse().unwrap(), Digest::from_bytes([0; 32]), limits)
    }

    /// The advice, written into a policy, allows what was denied.
    #[track_caller]
    fn check(request: &str, denied: Denied, network: Network) {
        let (method, url) = request.split_once(' ').unwrap();
        let target = Target::parse(method, url).unwrap();
        let advice = entry(&caller(), &scope(), &target, &denied).unwrap();
        assert_eq!(advice.is_local, network == Network::Loopback, "{advice}");
        let file = format!(
            "egress:\n  default: deny\n  allow:\n    {advice}\nrouting: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n"
        );
        let routing =
            Routing::parse("routing.yaml", file.as_bytes()).unwrap_or_else(|e| panic!("{file}\n{}", e.render(false)));
        let today = "2026-11-22".parse().unwrap();
        let grant = routing.value.egress.decide(caller().holder(), &scope(), &target, today, false).unwrap();
        assert_eq!(grant.network, network, "{advice}");
        let other = Scope::Model(Arc::new(ModelScope { id: "other".into(), base_url: None }));
        let denial = routing.value.egress.decide(caller().holder(), &other, &target, today, false).unwrap_err();
        assert_eq!(denial, Denial::Model, "{advice} is for one model alone");
    }

    #[test]
    fn what_is_advised_is_valid_and_allows_it() {
        let host = Denied::Grant(Denial::Host);
        check("POST https://api.allowed.test/v1/chat?key=x", host, Network::Public);
        check("GET http://127.0.0.1:11434/api/tags", host, Network::Loopback);
        check("GET http://[::1]:11434/it's;a=b%C3%A4", host, Network::Loopback);
        check("GET http://192.168.1.7/", Denied::Grant(Denial::Method), Network::Private);
        check("GET http://localhost:8081/v1", host, Network::Loopback);
        let class = |address: &str, class| Denied::AddressClass { address: address.parse().unwrap(), class };
        check("GET https://gpu.test/", class("10.0.0.1", AddressClass::Private), Network::Private);
        check("GET https://gpu.test/", class("127.0.0.1", AddressClass::Loopback), Network::Loopback);
    }

    #[test]
    fn what_can_not_be_granted_is_not_advised() {
        let host = Denied::Grant(Denial::Host);
        let class = |class| Denied::AddressClass { address: "169.254.169.254".parse().unwrap(), class };
        for (url, denied) in [
            ("http://169.254.169.254/latest", host),
            ("http://metadata.google.internal/", host),
            ("http://0.0.0.0/", host),
            ("https://a.test/", Denied::Grant(Denial::NotLocal)),
            ("http://rebound.test/", class(AddressClass::LinkLocal)),
            ("http://localhost/", class(AddressClass::Public)),
            ("http://127.0.0.1:8080/", Denied::OwnAddress("127.0.0.1:8080".parse().unwrap())),
        ] {
            let target = Target::parse("GET", url).unwrap();
            assert_eq!(entry(&caller(), &scope(), &target, &denied), None, "{url}");
        }
    }

    #[test]
    fn texts_are_shown_without_what_may_be_secret() {
        let parts = Destination::Parts { scheme: "https", authority: "u:p@a.test", path_and_query: "/x?key=1" };
        for (to, expected) in [
            (Destination::Url("https://a.test:x/v1?key=1"), "GET https://a.test:x/v1"),
            (Destination::Url("https://u:p@a.test/v1#x"), "GET ***@a.test/v1"),
            (Destination::Url("ws://a\r\n\u{1b}[31m"), r"GET ws://a\r\n\u{1b}[31m"),
            (parts, "GET ***@a.test/x"),
        ] {
            assert_eq!(show("GET", &to), expected);
        }
        let long = "a".repeat(100_000);
        assert!(show(&long, &Destination::Url(&long)).chars().count() < 300);
    }
}
