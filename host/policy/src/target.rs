//! What a request would reach: method, scheme, host, port, path. Parsed strictly, so that what is judged is what is sent.
//!
//! Ambiguous text is refused, never normalised: where a parser further down could read it differently, it does not get there.

use crate::host::{self, Host, InvalidHost};
use crate::path::{check_path, check_query};
use std::fmt;
use std::str::FromStr;

/// The longest URL of a request, in bytes. Longer ones are denied, so an entry with a longer URL would never match.
pub const MAX_URL: usize = 8 * 1024;

/// An HTTP method that can be granted (RFC 9110, section 9). CONNECT and TRACE can't, nor can extension methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the methods' names say what they are")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// The method's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

impl FromStr for Method {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|method| method.as_str() == text).ok_or(InvalidTarget::Method)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear; for loopback and private networks.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The port that a URL without one means.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The scheme's name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl FromStr for Scheme {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
            .ok_or(InvalidTarget::Scheme)
    }
}

/// Where a request goes. Only [`Target::parse`] and [`Target::from_parts`] make one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub(crate) method: Method,
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    path_and_query: Box<str>,
    path_len: usize,
}

/// Why a text is no [`Target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// CONNECT, TRACE, extension methods, other letters than capitals.
    #[error("the method is none of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
    Method,
    /// Neither `http` nor `https`, or no scheme at all.
    #[error("the URL does not begin with `http://` or `https://`")]
    Scheme,
    /// `user:password@host`.
    #[error("the URL has userinfo (`@` before the host)")]
    Userinfo,
    /// See [`InvalidHost`].
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// Empty, signed, out of range, or with leading zeros.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// No leading slash, an empty segment, or one of dots and blanks, such as `..`.
    #[error("the path does not begin with `/`, or has an empty segment or one of dots and blanks, such as `..`")]
    Path,
    /// A malformed percent-encoding, or one that hides a separator, a dot, a percent sign, what some take for one of them, or a
    /// control character.
    #[error("a percent-encoding is malformed or hides a character that changes the path")]
    Encoding,
    /// A character that no URL has (RFC 3986, section 2), or a fragment.
    #[error("the URL has a character that URLs have not, or a fragment")]
    Character,
}

impl Target {
    /// Parses an absolute URL (RFC 3986) without userinfo and fragment.
    ///
    /// # Errors
    /// If the text is ambiguous or is not such a URL.
    pub fn parse(method: &str, url: &str) -> Result<Self, InvalidTarget> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidTarget::Scheme)?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        Self::from_parts(method, scheme, &rest[..end], &rest[end..])
    }

    /// Parses the parts of a URL that come apart, as `wasi:http` has them. An empty path means `/`.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn from_parts(
        method: &str,
        scheme: &str,
        authority: &str,
        path_and_query: &str,
    ) -> Result<Self, InvalidTarget> {
        let method = method.parse()?;
        let scheme: Scheme = scheme.parse()?;
        if authority.contains('@') {
            return Err(InvalidTarget::Userinfo);
        }
        let (host, port) = host::split_port(authority);
        let host = host.parse()?;
        let port = match port {
            Some(text) => host::parse_port(text).ok_or(InvalidTarget::Port)?,
            None => scheme.default_port(),
        };
        let (path, query) = path_and_query.find('?').map_or((path_and_query, ""), |at| path_and_query.split_at(at));
        check_query(query)?;
        let (path_and_query, path_len) = if path.is_empty() {
            (format!("/{query}").into(), 1)
        } else {
            check_path(path)?;
            (path_and_query.into(), path.len())
        };
        Ok(Self { method, scheme, host, port, path_and_query, path_len })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port: the scheme's default where the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, beginning with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path_and_query[..self.path_len]
    }

    /// The query without its `?`; empty where there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.path_and_query.get(self.path_len + 1..).unwrap_or_default()
    }

    /// The path and, with its `?`, the query: the request line's target in origin form (RFC 9112, section 3.2.1).
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// `host` or, where the port is not the scheme's default, `host:port`: the `Host` field's value.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Method and URL without the query, which may hold what only the provider should read.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}{}", self.method, self.scheme.as_str(), self.authority(), self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<&str, InvalidTarget>) {
        let got = Target::parse("POST", url);
        let printed = got.map(|t| format!("{}://{}:{}{}", t.scheme.as_str(), t.host, t.port, t.path_and_query));
        assert_eq!(printed, expected.map(str::to_owned), "{url:?}");
    }

    #[test]
    fn plain_urls() {
        check("https://api.allowed.test/v1/chat", Ok("https://api.allowed.test:443/v1/chat"));
        check("HTTPS://API.Allowed.TEST/V1", Ok("https://api.allowed.test:443/V1"));
        check("http://[::1]:8080/", Ok("http://[::1]:8080/"));
        check("http://127.0.0.1:11434", Ok("http://127.0.0.1:11434/"));
        check("http://a.test?x=1", Ok("http://a.test:80/?x=1"));
        check("https://a.test/v1/%C3%A4?q=%2F..%2e", Ok("https://a.test:443/v1/%C3%A4?q=%2F..%2e"));
        check("https://a.test/v1/m:generate@2;v=1", Ok("https://a.test:443/v1/m:generate@2;v=1"));
    }

    #[test]
    fn schemes_and_authorities() {
        for url in
            ["ws://a.test/", "file:///etc/passwd", "gopher://a.test/", "a.test/v1", "/v1", "//a.test/", "://a.test", ""]
        {
            check(url, Err(InvalidTarget::Scheme));
        }
        for url in
            ["https://api.allowed.test@evil.test/", "https://u:p@a.test/", "https://a@b@c.test/", "https://@a.test/"]
        {
            check(url, Err(InvalidTarget::Userinfo));
        }
        for port in ["", "abc", "0", "65536", "99999", "+443", "0443", "443:443", "443 "] {
            check(&format!("https://a.test:{port}/"), Err(InvalidTarget::Port));
        }
        check("https:///v1", Err(InvalidTarget::Host(InvalidHost::Empty)));
        check("https://a.test\\@evil.test/", Err(InvalidTarget::Path));
        check("https://a.test evil/", Err(InvalidTarget::Host(InvalidHost::Character)));
        check("https://::1/", Err(InvalidTarget::Host(InvalidHost::Empty)));
    }

    #[test]
    fn paths() {
        for path in ["/v1/../admin", "/v1/./x", "/v1/..;/admin", "/..", "/.", "//v1/x", "/v1//x", "/v1/.;a=b/x"] {
            check(&format!("https://a.test{path}"), Err(InvalidTarget::Path));
        }
        for path in [
            "/v1/%2e%2e",
            "/%2f",
            "/%5c",
            "/%5C",
            "/%252e",
            "/%ZZ",
            "/%2",
            "/%",
            "/%c0%ae",
            "/%00",
            "/%0d%0a",
            "/%7f",
            "/%ff",
            "/%3f",
            "/%23",
            "/%3B",
        ] {
            check(&format!("https://a.test{path}"), Err(InvalidTarget::Encoding));
        }
        for path in ["/a b", "/a\\b", "/a\r\n", "/ä", "/<x>", "/{x}", "/a#b", "/?a=b#c", "/?a b", "/?\u{7f}"] {
            check(&format!("https://a.test{path}"), Err(InvalidTarget::Character));
        }
        check("https://a.test/?a=%2", Err(InvalidTarget::Encoding));
    }

    #[test]
    fn query_is_the_text_behind_the_path() {
        for (url, path, query) in [
            ("https://a.test", "/", ""),
            ("https://a.test/v1", "/v1", ""),
            ("https://a.test/v1?", "/v1", ""),
            ("https://a.test?a=b", "/", "a=b"),
            ("https://a.test/v1?a=/b?c&d", "/v1", "a=/b?c&d"),
        ] {
            let target = Target::parse("GET", url).unwrap();
            assert_eq!((target.path(), target.query()), (path, query), "{url}");
        }
    }

    #[test]
    fn parts() {
        let parse =
            |authority, path| Target::from_parts("GET", "http", authority, path).map(|t| t.path_and_query().to_owned());
        assert_eq!(parse("a.test", "/x?y"), Ok("/x?y".to_owned()));
        assert_eq!(parse("a.test", "*"), Err(InvalidTarget::Path));
        assert_eq!(parse("a.test", "v1"), Err(InvalidTarget::Path));
        assert_eq!(parse("a.test", "http://evil.test/"), Err(InvalidTarget::Path));
        assert_eq!(parse("a.test/v1", "/x"), Err(InvalidTarget::Host(InvalidHost::Character)));
        assert_eq!(parse("", "/x"), Err(InvalidTarget::Host(InvalidHost::Empty)));
    }

    #[test]
    fn methods() {
        assert_eq!("POST".parse(), Ok(Method::Post));
        for text in ["CONNECT", "TRACE", "PRI", "FOO BAR", "post", "Get", "", "GET "] {
            assert_eq!(text.parse::<Method>(), Err(InvalidTarget::Method), "{text:?}");
        }
    }
}
