//! Tables of header names that an adapter may not send, or not beside an attached secret.
//!
//! A grant names method, scheme, host and path. Many servers, frameworks and proxies read one of them, or the sender's identity,
//! from a header as well. The tables hold such names of nginx, Apache, IIS, Envoy, common CDNs and clouds, Rails, Laravel,
//! Symfony, Spring, ASP.NET, Django, Express and Next.js. All names are lower case and have `-` for `_`: where headers become
//! variables, as in CGI, the two are one character.

use hauski_policy::CREDENTIAL_HEADERS;
use http::HeaderName;
use std::borrow::Cow;

/// Names that frame the message or belong to one connection (RFC 9110, section 7.6; RFC 9113, section 8.2.2).
const FRAMING: &[&str] =
    &["connection", "expect", "http2-settings", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Names that carry another method. The same names are read from the query by some frameworks: see [`crate::query`].
pub(crate) const METHODS: &[&str] = &[
    // Rails, Laravel, Symfony, CakePHP, Spring's `HiddenHttpMethodFilter`, WordPress: `_method`.
    "-method",
    // Salesforce: `_HttpMethod`.
    "-httpmethod",
    "http-method",
    "http-method-override",
    "method-override",
    "x-http-method",
    "x-http-method-override",
    "x-http-override",
    "x-http-verb",
    "x-http-verb-override",
    "x-method",
    "x-method-override",
    "x-request-method",
    "x-tunnel-method",
    "x-tunneled-method",
    "x-verb-override",
];

/// Names that carry another scheme, host, path or whole URL.
const DESTINATIONS: &[&str] = &[
    // The host. `host` itself is set by the gateway, from the grant.
    "host",
    "http-host",
    "x-backend-host",
    "x-backend-server",
    "x-host",
    "x-host-override",
    "x-http-host",
    "x-http-host-override",
    "x-proxy-host",
    // The path or URL: IIS, ASP.NET, Symfony, Zend, nginx and Envoy rules, Azure. The prefixes below hold the rest of them.
    "base-url",
    "http-url",
    "request-uri",
    "x-http-destinationurl",
    "x-http-path",
    "x-http-path-override",
    "x-http-url",
    "x-http-url-override",
    "x-ms-original-url",
    "x-path-override",
    "x-proxy-url",
    "x-request-uri",
    "x-uri-override",
    "x-url-override",
    "x-waws-unencoded-url",
    // The part of the path that the application is mounted at: WSGI, gunicorn, uWSGI, Rack.
    "path-info",
    "path-translated",
    "script-name",
    "x-path-info",
    "x-script-name",
    // Next.js routes by these.
    "x-matched-path",
    // Rack and nginx take file names from these (Rack::Sendfile).
    "x-accel-mapping",
    "x-accel-redirect",
    "x-sendfile",
    "x-sendfile-type",
    // The scheme.
    "front-end-https",
    "x-arr-ssl",
    "x-scheme",
    "x-url-scheme",
];

/// Names by which proxies say how the message travelled (RFC 7239; RFC 9110, section 7.6.3; RFC 8586).
const ROUTE: &[&str] = &[
    "cdn-loop",
    "forwarded",
    // CGI makes `HTTP_PROXY` of it (CVE-2016-5385).
    "proxy",
    "via",
];

/// Names by which proxies and CDNs say whose address the client has.
const CLIENTS: &[&str] = &[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-ip",
    "cluster-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "incap-client-ip",
    "real-ip",
    "remote-addr",
    "remote-host",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-host",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-custom-ip-authorization",
    "x-nf-client-connection-ip",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-host",
    "x-real-ip",
    "x-real-port",
    "x-remote-addr",
    "x-remote-host",
    "x-remote-ip",
    "x-sucuri-clientip",
    "x-true-ip",
    "x-vercel-proxied-for",
];

/// Beginnings of whole families of such names.
const PREFIXES: &[&str] = &[
    "proxy-",
    // `x-forwarded-*`, and its misspellings `x-forward-for` and `x-forwarder-for`, which some proxies read as well.
    "x-forward",
    // Envoy's own, such as `x-envoy-original-path`, and what it takes from trusted neighbors.
    "x-envoy-",
    "x-original-",
    "x-override-",
    "x-rewrite-",
    // Next.js: internal routing, and `x-middleware-subrequest`, which skips authorization (CVE-2025-29927).
    "x-invoke-",
    "x-middleware-",
];

/// Ends of whole families of such names.
const SUFFIXES: &[&str] = &[
    "-client-ip",
    "-forwarded-for",
    "-forwarded-host",
    // Of the method, the host, the path or the URL.
    "-override",
];

/// Names of identities that an authenticating proxy asserts. Beside an attached secret they are dropped, as credentials are
/// ([`CREDENTIAL_HEADERS`]): the request would be somebody else's, and its content would end in that account.
///
/// `openai-organization`, `openai-project` and `x-goog-user-project` are absent on purpose. They choose an account for billing
/// among those that the attached key may use anyway, carry no credential, and are an operator's setting in `models.yml`.
const IDENTITIES: &[&str] = &[
    "remote-user",
    "x-amzn-oidc-accesstoken",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-auth-request-access-token",
    "x-auth-request-email",
    "x-auth-request-user",
    "x-authenticated-user",
    "x-client-cert",
    "x-goog-authenticated-user-email",
    "x-goog-authenticated-user-id",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "x-remote-user",
    "x-ssl-client-cert",
    "x-webauth-user",
];

/// Names that ask for a part of the response, or for its difference to another one. Pieces of an echo are not recognized.
const PARTIAL: &[&str] = &[
    // Delta encoding (RFC 3229).
    "a-im",
    "if-range",
    "range",
    // Apache and others take it for `range`, for the sake of Netscape 3.
    "request-range",
    "x-range",
];

/// Names that ask for another coding of the response, in which an echo is not recognized.
const CODINGS: &[&str] = &["accept-charset", "accept-encoding"];

/// Returns whether an adapter may not set this header at all. `content-length` is exempt: it is compared with the body.
pub(super) fn is_forbidden(name: &HeaderName) -> bool {
    let spelled = name.as_str();
    let name = canonical(spelled);
    [FRAMING, METHODS, DESTINATIONS, ROUTE, CLIENTS].iter().any(|table| table.contains(&&*name))
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        || (name.starts_with("x-") && name.ends_with("-host"))
        || (name == "content-length" && spelled != name)
}

/// Returns whether this header says whose request it is.
pub(super) fn is_credential(name: &HeaderName) -> bool {
    let name = canonical(name.as_str());
    CREDENTIAL_HEADERS.contains(&&*name) || IDENTITIES.contains(&&*name)
}

/// Returns whether this header asks for a partial response.
pub(super) fn is_partial(name: &HeaderName) -> bool {
    PARTIAL.contains(&&*canonical(name.as_str()))
}

/// Returns whether this header asks for another coding of the response.
pub(super) fn is_coding(name: &HeaderName) -> bool {
    CODINGS.contains(&&*canonical(name.as_str()))
}

/// Returns whether two names are one where `_` is `-`.
pub(super) fn is_same(one: &HeaderName, other: &HeaderName) -> bool {
    canonical(one.as_str()) == canonical(other.as_str())
}

/// A name in lower case, with `-` for `_`.
fn canonical(name: &str) -> Cow<'_, str> {
    if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HeaderName {
        HeaderName::from_bytes(text.as_bytes()).unwrap()
    }

    /// Each spelling of a name: as it is, in capitals, and with `_`.
    fn spellings(text: &str) -> [HeaderName; 3] {
        [name(text), name(&text.to_uppercase()), name(&text.replace('-', "_"))]
    }

    #[test]
    fn tables_are_in_canonical_form() {
        let tables = [
            FRAMING,
            METHODS,
            DESTINATIONS,
            ROUTE,
            CLIENTS,
            PREFIXES,
            SUFFIXES,
            CREDENTIAL_HEADERS,
            IDENTITIES,
            PARTIAL,
            CODINGS,
        ];
        for text in tables.into_iter().flatten() {
            assert!(text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || b.is_ascii_lowercase()), "{text}");
            assert_eq!(tables.into_iter().flatten().filter(|other| *other == text).count(), 1, "{text}");
        }
    }

    #[test]
    fn names_that_frame_or_route_are_forbidden() {
        for text in "connection expect http2-settings keep-alive te trailer transfer-encoding upgrade host forwarded via \
                     proxy proxy-authorization proxy-connection proxy-authenticate proxy-host proxy-url cdn-loop \
                     x-forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-forwarded-prefix \
                     x-forwarded-server x-forwarded-user x-forward-for x-forward-host x-forwarder-for"
            .split_whitespace()
        {
            assert!(spellings(text).iter().all(is_forbidden), "{text}");
        }
    }

    #[test]
    fn names_that_undo_a_grant_are_forbidden() {
        for text in "-method -httpmethod http-method-override x-http-method x-http-method-override x-http-verb-override \
                     x-method x-method-override x-original-method x-tunneled-method x-verb-override \
                     x-host x-host-override x-http-host x-http-host-override x-original-host x-envoy-original-host \
                     x-http-path-override x-override-url x-override-path x-path-override x-original-path x-original-uri \
                     x-original-url x-rewrite-url x-rewrite-uri x-rewrite-path x-envoy-original-path x-ms-original-url \
                     x-http-destinationurl x-proxy-url base-url request-uri script-name path-info x-script-name \
                     x-accel-mapping x-sendfile-type x-middleware-rewrite x-middleware-subrequest x-invoke-path \
                     x-matched-path front-end-https x-url-scheme"
            .split_whitespace()
        {
            assert!(spellings(text).iter().all(is_forbidden), "{text}");
        }
    }

    #[test]
    fn names_that_name_the_client_are_forbidden() {
        for text in
            "x-real-ip true-client-ip x-client-ip client-ip x-cluster-client-ip cf-connecting-ip fastly-client-ip \
                     x-azure-clientip x-remote-addr remote-addr x-originating-ip x-envoy-external-address"
                .split_whitespace()
        {
            assert!(spellings(text).iter().all(is_forbidden), "{text}");
        }
    }

    /// L5, F13: a list of single names is never complete.
    #[test]
    fn families_of_names_are_forbidden() {
        for text in "x-upstream-host x-target-host x-app-request-host target-override x-path-prefix-override \
                     x-uri-override url-override x-edge-client-ip akamai-client-ip x-http-forwarded-for \
                     x-edge-forwarded-host"
            .split_whitespace()
        {
            assert!(spellings(text).iter().all(is_forbidden), "{text}");
        }
    }

    #[test]
    fn content_length_is_forbidden_in_other_spellings_alone() {
        assert!(!is_forbidden(&name("Content-Length")));
        assert!(is_forbidden(&name("content_length")) && is_forbidden(&name("Content_Length")));
    }

    #[test]
    fn other_names_are_free() {
        for text in "accept accept-language content-type content-encoding user-agent x-request-id idempotency-key \
                     anthropic-version anthropic-beta openai-beta openai-organization openai-project x-goog-user-project \
                     x-goog-api-client x-stainless-lang traceparent x-amz-date x-amz-content-sha256 x-amz-target origin \
                     referer x-forge x-originals xy-forwarded method x-proxies content-range x-a _x host-name x-hosted x-overrides x-client-ips"
            .split_whitespace()
        {
            for name in spellings(text) {
                let held = [is_forbidden(&name), is_credential(&name), is_partial(&name), is_coding(&name)];
                assert_eq!(held, [false; 4], "{text}");
            }
        }
    }

    #[test]
    fn credentials_are_known_in_each_spelling() {
        for text in
            "authorization cookie x-api-key api-key apikey x-goog-api-key x-auth-token private-token x-api-token \
                     x-access-token x-amz-security-token x-goog-iam-authorization-token ocp-apim-subscription-key \
                     xi-api-key signature dpop x-serverless-authorization x-remote-user"
                .split_whitespace()
        {
            assert!(spellings(text).iter().all(is_credential), "{text}");
            assert!(!spellings(text).iter().any(is_forbidden), "without a secret it is free: {text}");
        }
    }

    #[test]
    fn requests_for_parts_and_codings_are_known_in_each_spelling() {
        for text in ["range", "request-range", "if-range", "x-range", "a-im"] {
            assert!(spellings(text).iter().all(is_partial), "{text}");
        }
        for text in ["accept-encoding", "accept-charset"] {
            assert!(spellings(text).iter().all(is_coding), "{text}");
        }
    }

    #[test]
    fn same_names_differ_in_underscores_alone() {
        assert!(is_same(&name("x-a-b"), &name("X_A-b")) && !is_same(&name("x-a"), &name("x-ab")));
    }
}
