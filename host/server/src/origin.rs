//! Who may call: a web page on a foreign origin may not, nor one that a DNS name was rebound for (the `Host` and `Origin` fields).
//!
//! A name can be made to point anywhere, an IP literal can't; so `Host` has to be an IP literal or `localhost`.

use crate::error::ApiError;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use std::net::{IpAddr, Ipv6Addr};

/// Refuses requests whose `Host` or `Origin` is foreign, before any handler.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    match judge(request.headers(), request.uri().host()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn judge(headers: &HeaderMap, target_host: Option<&str>) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok()).ok_or_else(|| foreign("no `Host` field"))?;
    if hosts.next().is_some() || !is_near(host) || target_host.is_some_and(|host| !is_near(host)) {
        return Err(foreign("a foreign `Host` field: call the gateway by its IP address or as `localhost`"));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let near = ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme).is_some_and(is_near));
        if !near {
            return Err(foreign("a foreign `Origin` field: web pages of other origins may not use this gateway"));
        }
    }
    Ok(())
}

fn foreign(what: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "invalid_request_error", "foreign_origin", format!("the request has {what}"))
}

/// Whether `host[:port]` is `localhost` or an IP literal.
fn is_near(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => {
            let port = if rest.is_empty() { Some("0") } else { rest.strip_prefix(':') };
            return v6.parse::<Ipv6Addr>().is_ok() && port.is_some_and(is_port);
        }
        None => authority.split_once(':').unwrap_or((authority, "0")),
    };
    (host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()) && is_port(port)
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
        let verdict = judge(&headers, None).map_err(|error| error.status.as_u16());
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
        assert!(
            judge(&HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]), Some("evil.test")).is_err()
        );
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
    }
}
