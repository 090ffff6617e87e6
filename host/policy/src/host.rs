//! Hosts and ports as text: one spelling each, and no text that two parsers could read differently.

use crate::address;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host that a request can name: a DNS name or an IP literal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name in lower case, without a trailing dot.
    Name(Box<str>),
    /// An IP literal; an IPv4 address inside an IPv6 one is taken out.
    Address(IpAddr),
}

impl Host {
    /// Returns whether the host is a name that always means this machine (RFC 6761, section 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if is_localhost(name))
    }
}

/// Returns whether `name` is `localhost` or below it (RFC 6761, section 6.3).
pub(crate) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Why a text is no [`Host`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// No text at all.
    #[error("the host is empty")]
    Empty,
    /// A character that no host name has; userinfo, percent signs and everything beyond ASCII end here.
    #[error("a host has only letters `a-z`, digits, `-` and `.`")]
    Character,
    /// A label or the name is too long or empty, or begins or ends with `-`; also a trailing dot.
    #[error(
        "each label of a host has 1 to 63 characters and no `-` at its ends, the whole at most 253 and no dot at its end"
    )]
    Label,
    /// Punycode: look-alikes can't be told apart by eye.
    #[error("internationalised names (`xn--`) are not supported")]
    Punycode,
    /// `127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`: some resolvers read them as addresses, some as names.
    #[error("an IPv4 address is written as four decimal numbers without leading zeros")]
    Numeric,
    /// Brackets that hold no IPv6 address; zone ids are refused.
    #[error("an IPv6 address is written in brackets, without a zone")]
    Ipv6,
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest.strip_suffix(']').ok_or(InvalidHost::Ipv6)?;
            let v6: Ipv6Addr = inner.parse().map_err(|_| InvalidHost::Ipv6)?;
            return Ok(Self::Address(address::canonical(v6.into())));
        }
        if text.is_empty() {
            return Err(InvalidHost::Empty);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')) {
            return Err(InvalidHost::Character);
        }
        let name = text.to_ascii_lowercase();
        let label_ok = |l: &str| (1..=63).contains(&l.len()) && !l.starts_with('-') && !l.ends_with('-');
        if name.len() > 253 || !name.split('.').all(label_ok) {
            return Err(InvalidHost::Label);
        }
        if ends_in_a_number(&name) {
            return name.parse().map(|v4| Self::Address(IpAddr::V4(v4))).map_err(|_| InvalidHost::Numeric);
        }
        if name.split('.').any(|label| label.starts_with("xn--")) {
            return Err(InvalidHost::Punycode);
        }
        Ok(Self::Name(name.into()))
    }
}

/// Whether a resolver might read `name` as an IPv4 address (WHATWG URL, "ends in a number").
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || last.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

/// A port as its decimal text without sign or leading zero: 1 to 65535.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if digits { text.parse().ok() } else { None }
}

/// Cuts `host:port` before the port's colon; an IPv6 literal's colons are inside its brackets.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_literal = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[after_literal..].find(':') {
        Some(at) => (&authority[..after_literal + at], Some(&authority[after_literal + at + 1..])),
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, InvalidHost>) {
        let got = text.parse::<Host>().map(|host| host.to_string());
        assert_eq!(got, expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn names() {
        check("api.allowed.test", Ok("api.allowed.test"));
        check("API.Allowed.TEST", Ok("api.allowed.test"));
        check("localhost", Ok("localhost"));
        check("4chan.test", Ok("4chan.test"));
        check("", Err(InvalidHost::Empty));
        for text in
            ["a@b.test", "a:b", "a b", "a\tb", "a\\b", "a_b.test", "ａpi.test", "api。test", "%61pi.test", "a/b", "a\0"]
        {
            check(text, Err(InvalidHost::Character));
        }
        let (long, longer) = ("a".repeat(64), ["a".repeat(60).as_str(); 5].join("."));
        for text in ["api.test.", ".test", "a..test", "-a.test", "a-.test", &long, &longer] {
            check(text, Err(InvalidHost::Label));
        }
        check("xn--pi-7kc.test", Err(InvalidHost::Punycode));
        check("a.XN--p1ai", Err(InvalidHost::Punycode));
    }

    #[test]
    fn literals() {
        check("127.0.0.1", Ok("127.0.0.1"));
        check("[::1]", Ok("[::1]"));
        check("[::FFFF:127.0.0.1]", Ok("127.0.0.1"));
        check("[::ffff:7f00:1]", Ok("127.0.0.1"));
        check("[::127.0.0.1]", Ok("127.0.0.1"));
        for text in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "1.2.3.256", "1.2.3.4.5", "a.0x1", "a.1", "0x"]
        {
            check(text, Err(InvalidHost::Numeric));
        }
        for text in ["[::1", "[]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[127.0.0.1]", "[::1]]", "[[::1]"] {
            check(text, Err(InvalidHost::Ipv6));
        }
        check("::1", Err(InvalidHost::Character));
    }

    #[test]
    fn ports() {
        for (text, port) in [("1", Some(1)), ("65535", Some(65535))] {
            assert_eq!(parse_port(text), port);
        }
        for text in ["", "0", "65536", "99999", "+443", "0443", "abc", "44 3", "-1"] {
            assert_eq!(parse_port(text), None, "{text:?}");
        }
    }
}
