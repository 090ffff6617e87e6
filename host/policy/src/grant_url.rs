//! A grant's URL: what `egress.allow` says about scheme, host, port and path, parsed as strictly as the requests it is held
//! against.

use crate::address::{self, AddressClass};
use crate::grant::{HostPattern, Network, PathPrefix};
use crate::host::{self, Host, InvalidHost, is_localhost};
use crate::path;
use crate::public_suffix::is_public_suffix;
use crate::render::quote;
use crate::scalar::{Fault, Grammar};
use crate::target::{InvalidTarget, MAX_URL, Scheme};
use std::net::IpAddr;
use std::ops::Range;

/// A URL that can be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantUrl {
    pub(crate) scheme: Scheme,
    pub(crate) host: HostPattern,
    pub(crate) port: u16,
    pub(crate) path: PathPrefix,
}

impl GrantUrl {
    /// The network that the host's text implies: that of a literal, loopback for `localhost`.
    pub(crate) fn implied_network(&self) -> Option<Network> {
        match &self.host {
            HostPattern::Exact(Host::Address(address)) => Network::of(address::classify(*address)),
            HostPattern::Exact(Host::Name(name)) if is_localhost(name) => Some(Network::Loopback),
            HostPattern::OneLabelBelow(suffix) if is_localhost(suffix) => Some(Network::Loopback),
            HostPattern::Exact(Host::Name(_)) | HostPattern::OneLabelBelow(_) => None,
        }
    }
}

fn fault<T>(
    code: &'static str,
    at: Range<usize>,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Result<T, Fault> {
    Err(Fault { code, at, message: message.into(), help: help.into() })
}

impl Grammar for GrantUrl {
    const PATTERN: &'static str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\s]+(/[^?#\s]*)?$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > MAX_URL {
            let message = format!("the URL is longer than the {MAX_URL} bytes that a request's may have");
            return fault("url-too-long", 0..text.len(), message, "write a shorter path: it covers all below it");
        }
        let Some((scheme_text, rest)) = text.split_once("://") else {
            let begins_local = ["localhost", "127.", "[::1]"].iter().any(|local| text.starts_with(local));
            let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/[]".contains(&byte));
            let help =
                match (begins_local, is_plain && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')) {
                    (true, true) => format!("write `http://{text}`"),
                    (true, false) => "write `http://` and the host".to_owned(),
                    (false, true) if !text.contains([':', '/']) => format!("write `https://{text}`"),
                    (false, _) => "write `https://` and the host".to_owned(),
                };
            return fault("scheme-missing", 0..text.len(), "the URL has no scheme", help);
        };
        let Ok(scheme) = scheme_text.parse::<Scheme>() else {
            let message = format!("the scheme {} can't be granted", quote(scheme_text));
            return fault(
                "scheme-unsupported",
                0..scheme_text.len(),
                message,
                "write `https://` or, on this machine, `http://`",
            );
        };
        let begin = scheme_text.len() + 3;
        let authority = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
        let end = begin + authority.len();
        if let Some(at) = authority.rfind('@') {
            let help = format!(
                "write {} and attach credentials by `secret`",
                quote(&format!("{scheme_text}://{}", &rest[at + 1..]))
            );
            return fault("userinfo", begin..begin + at + 1, "userinfo (`@` before the host) in the URL", help);
        }
        for (mark, code, name) in [('#', "fragment", "a fragment"), ('?', "query", "a query")] {
            if let Some(at) = text.find(mark) {
                let help =
                    format!("write {}: a grant is for a path and all below it, whatever the query", quote(&text[..at]));
                return fault(code, at..text.len(), format!("{name} (`{mark}`) in the URL"), help);
            }
        }
        let (host_text, port_text) = host::split_port(authority);
        let host_end = begin + host_text.len();
        let host = parse_host(host_text, begin)?;
        let port = match port_text.map(host::parse_port) {
            None => scheme.default_port(),
            Some(Some(port)) => port,
            Some(None) => {
                let message = "the port is not a number from 1 to 65535 without leading zeros";
                let help = format!("write `:{}`, or no port at all for the scheme's default", scheme.default_port());
                return fault("port-invalid", host_end..end, message, help);
            }
        };
        let path = if end == text.len() { "/" } else { &text[end..] };
        if let Err(error) = path::check_path(path) {
            return fault(
                "path-invalid",
                end..text.len(),
                path_message(error),
                "write whole, plain segments such as `/v1/`",
            );
        }
        Ok(Self { scheme, host, port, path: PathPrefix::new(path) })
    }
}

fn path_message(error: InvalidTarget) -> String {
    match error {
        InvalidTarget::Path => "the path has an empty segment or one of dots and blanks, such as `..`".to_owned(),
        InvalidTarget::Encoding
        | InvalidTarget::Character
        | InvalidTarget::Method
        | InvalidTarget::Scheme
        | InvalidTarget::Userinfo
        | InvalidTarget::Host(_)
        | InvalidTarget::Port => error.to_string(),
    }
}

fn parse_host(text: &str, begin: usize) -> Result<HostPattern, Fault> {
    let at = begin..begin + text.len();
    if text.contains('*') {
        return parse_wildcard(text, at);
    }
    let host: Host = match text.parse() {
        Ok(host) => host,
        Err(error) => return fault("host-invalid", at, error.to_string(), host_help(text, error)),
    };
    match &host {
        Host::Address(address @ IpAddr::V4(_)) if text.starts_with('[') => {
            let message = format!("{} hides the IPv4 address {address}", quote(text));
            return fault("host-invalid", at, message, format!("write `{address}`"));
        }
        Host::Address(address) => {
            let class = address::classify(*address);
            if Network::of(class).is_none() {
                let message = format!("{} is {} and can't be granted", quote(text), class_name(class));
                return fault(
                    "address-not-grantable",
                    at,
                    message,
                    "write a public, private or loopback address, or a name",
                );
            }
        }
        Host::Name(name) if address::is_metadata_name(name) => {
            let message = format!("{} is a cloud's metadata service and can't be granted", quote(text));
            return fault("address-not-grantable", at, message, "delete the entry: that service hands out credentials");
        }
        Host::Name(_) => {}
    }
    Ok(HostPattern::Exact(host))
}

fn parse_wildcard(text: &str, at: Range<usize>) -> Result<HostPattern, Fault> {
    let suffix = text.strip_prefix('*').filter(|suffix| suffix.starts_with('.') && !suffix.contains('*'));
    let name = suffix.and_then(|suffix| match suffix[1..].parse() {
        Ok(Host::Name(name)) if name.contains('.') => Some(name),
        Ok(Host::Name(_) | Host::Address(_)) | Err(_) => None,
    });
    let Some(name) = name else {
        let message = format!("the wildcard host {} is too wide or misplaced", quote(text));
        let help = "write the host out, or `*.` and a name of two labels or more, such as `*.example.com`";
        return fault("wildcard-invalid", at, message, help);
    };
    let suffix = format!(".{name}");
    if address::METADATA_NAMES.iter().any(|service| service.ends_with(&suffix)) {
        let message = format!("the wildcard host {} covers a cloud's metadata service", quote(text));
        return fault("address-not-grantable", at, message, "write the hosts out");
    }
    if is_public_suffix(&name) {
        let message = format!("the wildcard host {} covers names that anyone can register", quote(text));
        return fault("wildcard-invalid", at, message, "write the hosts out");
    }
    Ok(HostPattern::OneLabelBelow(suffix.into()))
}

fn host_help(text: &str, error: InvalidHost) -> String {
    match error {
        InvalidHost::Empty => "write the host after `://`".to_owned(),
        InvalidHost::Label if text.ends_with('.') && text.trim_end_matches('.').parse::<Host>().is_ok() => {
            format!("write {}", quote(text.trim_end_matches('.')))
        }
        InvalidHost::Ipv6 => "write it like `[::1]`".to_owned(),
        InvalidHost::Numeric => "write it like `127.0.0.1`".to_owned(),
        InvalidHost::Character | InvalidHost::Label | InvalidHost::Punycode => {
            "write the host's plain ASCII name, such as `api.example.com`".to_owned()
        }
    }
}

fn class_name(class: AddressClass) -> &'static str {
    match class {
        AddressClass::Public => "a public address",
        AddressClass::Private => "a private address",
        AddressClass::Loopback => "a loopback address",
        AddressClass::LinkLocal => "a link-local address",
        AddressClass::Metadata => "a cloud's metadata service",
        AddressClass::Translated => "an address that hides an IPv4 one (NAT64, 6to4, Teredo, ISATAP)",
        AddressClass::Reserved => "a reserved address",
    }
}
