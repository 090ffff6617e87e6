//! What the operator reads of a denial: what was asked for, and the entry that would allow it.

use crate::{Caller, Denied, Destination};
use hauski_policy::{Host, Network, Target, address};
use std::fmt::Write as _;

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

/// The entry of `egress.allow` that would allow `target`, on one line; `None` where no entry could.
pub(crate) fn entry(caller: &Caller, target: &Target, denied: &Denied) -> Option<String> {
    // A literal and `localhost` imply their network; of another name it is known once it is resolved.
    let implied = match target.host() {
        Host::Address(address) => Some(Network::of(address::classify(*address))?),
        Host::Name(name) if address::is_metadata_name(name) => return None,
        Host::Name(name) => is_localhost(name).then_some(Network::Loopback),
    };
    let network = match (denied, implied) {
        (Denied::Grant(_), _) => None,
        (Denied::AddressClass { class, .. }, None) => Some(Network::of(*class)?),
        (Denied::AddressClass { .. }, Some(_)) => return None,
        (Denied::Target(_) | Denied::UrlTooLong | Denied::OwnAddress(_), _) => return None,
    };
    let (scheme, authority, path) = (target.scheme().as_str(), target.authority(), target.path());
    let mut entry = format!(
        "- {{ url: \"{scheme}://{authority}{path}\", adapters: [\"{id}\"], methods: [{method}]",
        // In quotes: YAML could take an id such as `1e5` for a number.
        id = caller.id(),
        method = target.method(),
    );
    if let Some(network) = network {
        // Writing to a string can't fail.
        let _ = write!(entry, ", network: {}", network.as_str());
    }
    entry.push_str(" }");
    Some(entry)
}

/// Whether `name` means this machine (RFC 6761, section 6.3).
pub(crate) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauski_policy::{AdapterLimits, AddressClass, Denial, Digest, GrantSet, Routing};
    use std::time::Duration;

    fn caller(grants: GrantSet) -> Caller {
        let span = Duration::from_secs(1);
        let limits = AdapterLimits {
            memory_bytes: 0,
            cpu: span,
            instances: 1,
            connect: span,
            first_token: span,
            idle: span,
            total: span,
            response_bytes: 0,
        };
        Caller::new("1e5".parse().unwrap(), Digest::from_bytes([0; 32]), grants, limits)
    }

    /// The advice, written into a policy, allows what was denied.
    #[track_caller]
    fn check(request: &str, denied: Denied, network: Network) {
        let (method, url) = request.split_once(' ').unwrap();
        let target = Target::parse(method, url).unwrap();
        let advice = entry(&caller(GrantSet::default()), &target, &denied).unwrap();
        let file = format!(
            "egress:\n  default: deny\n  allow:\n    {advice}\nrouting: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n"
        );
        let routing =
            Routing::parse("routing.yaml", file.as_bytes()).unwrap_or_else(|e| panic!("{file}\n{}", e.render(false)));
        let caller = caller(GrantSet::default());
        let grants = GrantSet::of(&routing.value.grants, caller.id(), caller.digest());
        let grant = grants.decide(&target, "2026-11-22".parse().unwrap()).unwrap();
        assert_eq!(grant.network, network, "{advice}");
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
            ("http://rebound.test/", class(AddressClass::LinkLocal)),
            ("http://localhost/", class(AddressClass::Public)),
            ("http://127.0.0.1:8080/", Denied::OwnAddress("127.0.0.1:8080".parse().unwrap())),
        ] {
            let target = Target::parse("GET", url).unwrap();
            assert_eq!(entry(&caller(GrantSet::default()), &target, &denied), None, "{url}");
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
