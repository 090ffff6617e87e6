//! Who may call: a web page on a foreign origin may not, nor one that a DNS name was rebound for (the `Host` and `Origin` fields).
//!
//! A name can be made to point anywhere, an IP literal can't; so `Host` has to be an IP literal or `localhost`. An `Origin` has to
//! be this machine's, or the very host and port that the request is for. Where there are keys, the gateway may be called by any
//! name: a page that a name was rebound for has no key, and learns no more than that a gateway is there and ready. Browsers send no `Origin` for images, frames and scripts, but say in
//! `Sec-Fetch-Site` (W3C Fetch Metadata) that another site embeds them: these are refused, and links that are followed are not.

use crate::error::ApiError;
use axum::extract::Request;
use http::{HeaderMap, header};
use std::net::{IpAddr, Ipv4Addr};

/// By which names the gateway may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// IP literals and `localhost`.
    Near,
    /// All.
    Any,
}

/// Refuses a request whose `Host` is none of `hosts`, or whose `Origin` is foreign.
pub(crate) fn judge(request: &Request, hosts: Hosts) -> Result<(), ApiError> {
    judge_fields(request.headers(), request.uri().host(), hosts)
}

fn judge_fields(headers: &HeaderMap, target_host: Option<&str>, hosts: Hosts) -> Result<(), ApiError> {
    let may = |host: &str| hosts == Hosts::Any || is_near(host);
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok()).ok_or_else(|| foreign("no `Host` field"))?;
    if hosts.next().is_some() || !may(host) || target_host.is_some_and(|host| !may(host)) {
        return Err(foreign("a foreign `Host` field: call the gateway by its IP address or as `localhost`"));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let authority = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host) || is_here(authority)) {
            return Err(foreign("a foreign `Origin` field: web pages of other origins may not use this gateway"));
        }
    }
    if !headers.contains_key(header::ORIGIN) && is_embedded(headers) {
        return Err(foreign("a foreign `Sec-Fetch-Site` field: pages of other sites may not embed this gateway"));
    }
    Ok(())
}

/// Returns whether a browser asks for what a page of another site embeds.
fn is_embedded(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get_all(name).iter().any(|found| found == value);
    let is_other = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
    is_other && !(is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document"))
}

fn foreign(what: &str) -> ApiError {
    ApiError::foreign(format!("the request has {what}"))
}

/// Whether `host[:port]` is `localhost` or an IP literal.
fn is_near(authority: &str) -> bool {
    parse(authority).is_some()
}

/// Whether `host[:port]` is this machine.
fn is_here(authority: &str) -> bool {
    parse(authority).is_some_and(|address| address.is_loopback())
}

/// The address of `localhost[:port]` or `literal[:port]`.
fn parse(authority: &str) -> Option<IpAddr> {
    let (address, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (IpAddr::V6(address.parse().ok()?), port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let here = host.eq_ignore_ascii_case("localhost").then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
            (here.or_else(|| host.parse::<Ipv4Addr>().ok().map(IpAddr::V4))?, port)
        }
    };
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(address)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &[&str], origin: &[&str], allowed: bool) {
        let mut headers = HeaderMap::new();
        for value in host {
            headers.append(header::HOST, value.parse().unwrap());
        }
        for value in origin {
            headers.append(header::ORIGIN, value.parse().unwrap());
        }
        let verdict = judge_fields(&headers, None, Hosts::Near).map_err(|error| error.status.as_u16());
        assert_eq!(verdict, if allowed { Ok(()) } else { Err(403) }, "{host:?} {origin:?}");
    }

    #[test]
    fn hosts() {
        for host in
            ["127.0.0.1:8080", "127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]:8080", "[::1]", "192.168.1.7:80"]
        {
            check(&[host], &[], true);
        }
        for host in [
            "evil.test",
            "evil.test:8080",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "",
            "[::1",
            "[::1]x",
            "localhost:x",
            "localhost:",
        ] {
            check(&[host], &[], false);
        }
        check(&[], &[], false);
        check(&["localhost", "evil.test"], &[], false);
        let headers = HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]);
        assert!(judge_fields(&headers, Some("evil.test"), Hosts::Near).is_err());
    }

    #[test]
    fn page_of_another_site_embeds_nothing_and_may_link() {
        for (site, mode, destination, allowed) in [
            ("cross-site", "no-cors", "image", false),
            ("same-site", "no-cors", "script", false),
            ("cross-site", "navigate", "iframe", false),
            ("cross-site", "navigate", "document", true),
            ("same-origin", "no-cors", "image", true),
            ("none", "navigate", "document", true),
        ] {
            let fields = [
                ("host", "localhost"),
                ("sec-fetch-site", site),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", destination),
            ];
            let field =
                |(name, value): (&'static str, &str)| (header::HeaderName::from_static(name), value.parse().unwrap());
            let mut headers: HeaderMap = fields.into_iter().map(field).collect();
            assert_eq!(judge_fields(&headers, None, Hosts::Near).is_ok(), allowed, "{site} {mode} {destination}");
            // A request with `Origin` is judged by that.
            headers.insert(header::ORIGIN, "http://localhost:3000".parse().unwrap());
            assert!(judge_fields(&headers, None, Hosts::Near).is_ok());
        }
    }

    /// Where a key is asked for, the gateway may have any name; pages of other origins are foreign all the same.
    #[test]
    fn any_host() {
        let fields = |origin: &str| {
            let fields = [(header::HOST, "gateway.test"), (header::ORIGIN, origin)];
            fields.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect::<HeaderMap>()
        };
        for (origin, allowed) in [
            ("https://gateway.test", true),
            ("http://localhost:3000", true),
            ("https://evil.test", false),
            ("https://gateway.test:8443", false),
            ("null", false),
        ] {
            let verdict = judge_fields(&fields(origin), Some("gateway.test"), Hosts::Any);
            assert_eq!(verdict.is_ok(), allowed, "{origin}");
        }
        assert!(judge_fields(&HeaderMap::new(), None, Hosts::Any).is_err());
    }

    #[test]
    fn origins() {
        for origin in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"] {
            check(&["localhost"], &[origin], true);
        }
        for origin in
            ["https://evil.test", "null", "", "file://", "http://localhost.evil.test", "chrome-extension://abc"]
        {
            check(&["localhost"], &[origin], false);
        }
        check(&["localhost"], &["http://localhost", "https://evil.test"], false);
        check(&["192.168.1.7:8080"], &["http://192.168.1.7:8080"], true);
        check(&["192.168.1.7:8080"], &["http://192.168.1.7:8081"], false);
    }
}
