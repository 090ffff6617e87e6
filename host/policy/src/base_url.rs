//! The base URL of a model's provider: requests for the model go to this URL or below it.

use crate::address::{self, AddressClass};
use crate::grant::{Grant, HostPattern};
use crate::grant_url::GrantUrl;
use crate::host::Host;
use crate::render::quote;
use crate::scalar::{Fault, Grammar};
use crate::target::{Scheme, Target};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The base URL of a provider's API, with its version, such as `https://api.openai.com/v1`.
///
/// It has no query, fragment or userinfo, and its path has no slash at the end.
///
/// ```
/// use hauski_policy::{BaseUrl, Target};
///
/// let base: BaseUrl = "https://api.openai.com/v1/".parse().unwrap();
/// assert_eq!(base.to_string(), "https://api.openai.com/v1");
/// assert!(base.covers(&Target::parse("POST", "https://api.openai.com/v1/responses").unwrap()));
/// assert!(!base.covers(&Target::parse("POST", "https://api.openai.com/v2/responses").unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Whole segments without a slash at the end: empty for the root.
    pub(crate) path: Box<str>,
}

/// An invalid base URL; the text says what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidBaseUrl(String);

impl BaseUrl {
    /// Returns whether a request to `target` goes to this URL or below it.
    #[must_use]
    pub fn covers(&self, target: &Target) -> bool {
        let origin = self.scheme == target.scheme && self.port == target.port && self.host == target.host;
        origin && self.covers_path(target.path())
    }

    /// Returns whether some request below this URL is covered by the origin and the path of `grant`.
    pub(crate) fn overlaps(&self, grant: &Grant) -> bool {
        self.has_origin_of(grant) && (self.is_below(grant) || self.covers_path(grant.path.as_str()))
    }

    /// Returns whether scheme, host and port are those of `grant`.
    pub(crate) fn has_origin_of(&self, grant: &Grant) -> bool {
        self.scheme == grant.scheme && self.port == grant.port && grant.host.covers(&self.host)
    }

    /// Returns whether the path of `grant` covers everything below this URL.
    pub(crate) fn is_below(&self, grant: &Grant) -> bool {
        let rest = self.path.strip_prefix(grant.path.as_str().trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns whether the URL leads to a server on this machine that listens on `own`, as far as its spelling tells: without a DNS
    /// query.
    pub(crate) fn leads_to(&self, own: SocketAddr) -> bool {
        let listening = address::canonical(own.ip());
        let is_there = match &self.host {
            Host::Address(address) => {
                let is_loopback = address::classify(*address) == AddressClass::Loopback;
                *address == listening || listening.is_unspecified() && is_loopback
            }
            Host::Name(_) => self.host.is_localhost() && (listening.is_loopback() || listening.is_unspecified()),
        };
        self.port == own.port() && is_there
    }

    fn covers_path(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).map_err(|fault| InvalidBaseUrl(format!("{}; {}", fault.message, fault.help)))
    }
}

impl Grammar for BaseUrl {
    const PATTERN: &'static str = GrantUrl::PATTERN;

    fn parse(text: &str) -> Result<Self, Fault> {
        let GrantUrl { scheme, host, port, path } = GrantUrl::parse(text)?;
        let HostPattern::Exact(host) = host else {
            return Err(Fault {
                code: "base-url-wildcard",
                at: 0..text.len(),
                message: format!("the base URL {} has a wildcard host", quote(text)),
                help: "write the host of the provider".to_owned(),
            });
        };
        Ok(Self { scheme, host, port, path: path.as_str().trim_end_matches('/').into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_url_prints_in_canonical_form() {
        for (text, expected) in [
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
            ("HTTPS://API.Example.com:443/v1/", "https://api.example.com/v1"),
            ("http://[::1]:80/", "http://[::1]"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn base_url_rejects_ambiguous_text() {
        for text in [
            "",
            "127.0.0.1:8000",
            "ftp://a.test/",
            "https://*.example.com/v1",
            "https://u:p@a.test/v1",
            "https://a.test/v1?key=x",
            "https://a.test/v1#x",
            "https://a.test/v1/../v2",
            "https://a.test//v1",
            "https://a.test:0/",
            "http://169.254.169.254/",
        ] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn base_url_covers_whole_segments_of_its_origin() {
        let base: BaseUrl = "http://127.0.0.1:8000/v1".parse().unwrap();
        for (url, expected) in [
            ("http://127.0.0.1:8000/v1", true),
            ("http://127.0.0.1:8000/v1/", true),
            ("http://127.0.0.1:8000/v1/chat/completions?x=y", true),
            ("http://127.0.0.1:8000/v10", false),
            ("http://127.0.0.1:8000/", false),
            ("http://127.0.0.1:8001/v1/x", false),
            ("https://127.0.0.1:8000/v1/x", false),
            ("http://localhost:8000/v1/x", false),
        ] {
            assert_eq!(base.covers(&Target::parse("GET", url).unwrap()), expected, "{url}");
        }
        let root: BaseUrl = "https://a.test".parse().unwrap();
        assert!(root.covers(&Target::parse("GET", "https://a.test/v1").unwrap()));
        assert!(root.covers(&Target::parse("GET", "https://a.test").unwrap()));
    }

    #[test]
    fn base_url_leads_to_a_listener_of_this_machine() {
        for (url, own, expected) in [
            ("http://127.0.0.1:8080/v1", "127.0.0.1:8080", true),
            ("http://localhost:8080/v1", "127.0.0.1:8080", true),
            ("http://gateway.localhost:8080/v1", "[::1]:8080", true),
            ("http://127.0.0.1:8080/v1", "[::ffff:127.0.0.1]:8080", true),
            ("http://127.0.0.1:8081/v1", "127.0.0.1:8080", false),
            ("http://127.0.0.2:8080/v1", "127.0.0.1:8080", false),
            ("http://[::1]:8080/v1", "127.0.0.1:8080", false),
            ("http://127.0.0.2:8080/v1", "0.0.0.0:8080", true),
            ("http://localhost:8080/v1", "[::]:8080", true),
            ("http://192.168.1.7:8080/v1", "0.0.0.0:8080", false),
            ("http://192.168.1.7:8080/v1", "192.168.1.7:8080", true),
            ("http://localhost:8080/v1", "192.168.1.7:8080", false),
            ("http://provider.test:8080/v1", "127.0.0.1:8080", false),
        ] {
            let base: BaseUrl = url.parse().unwrap();
            assert_eq!(base.leads_to(own.parse().unwrap()), expected, "{url} for {own}");
        }
    }
}
