//! `routing.yaml`: what is granted by which text, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use hauski_policy::{Grant, Method, Network, Routing, Scheme, SecretPart};

const AFTER: &str = "\nrouting:\n  prefer_local: true\n  cloud_fallback: { enabled: false }\n";

/// A whole file with these entries.
fn file(entries: &str) -> String {
    format!("egress:\n  default: deny\n  allow:\n{entries}{AFTER}")
}

#[track_caller]
fn parse(text: &str) -> Routing {
    Routing::parse("routing.yaml", text.as_bytes()).unwrap().value
}

#[track_caller]
fn only(entry: &str) -> Grant {
    let routing = parse(&file(&format!("    - {entry}")));
    assert_eq!(routing.egress.grants.len(), 1);
    (*routing.egress.grants[0]).clone()
}

/// The codes of the errors of a file with this entry.
#[track_caller]
fn check(entry: &str, expected: &[&str]) {
    let codes: Vec<_> = match Routing::parse("routing.yaml", file(&format!("    - {entry}")).as_bytes()) {
        Ok(_) => vec![],
        Err(found) => found.iter().filter(|d| d.severity.as_str() == "error").map(|d| d.code).collect(),
    };
    assert_eq!(codes, expected, "{entry}");
}

/// The codes of the warnings of a file with this entry.
#[track_caller]
fn check_warnings(entry: &str, expected: &[&str]) {
    let parsed = Routing::parse("routing.yaml", file(&format!("    - {entry}")).as_bytes()).unwrap();
    assert_eq!(parsed.warnings.iter().map(|d| d.code).collect::<Vec<_>>(), expected, "{entry}");
    assert_eq!((parsed.warnings.errors(), parsed.warnings.warnings()), (0, expected.len()));
}

#[test]
fn the_original_form() {
    let text = "egress:\n  default: deny\n  allow:\n    - https://api.matrix.example\n\
                routing:\n  prefer_local: true\n  cloud_fallback:\n    enabled: false\n";
    let routing = parse(text);
    let grant = &routing.egress.grants[0];
    assert_eq!((grant.to_string().as_str(), grant.line), ("https://api.matrix.example/", 4));
    assert_eq!((grant.network, grant.port, grant.short), (Network::Public, 443, true));
    assert_eq!(grant.methods, Method::ALL);
    assert!(grant.adapters.is_none() && grant.secret.is_none() && grant.expires.is_none());
    assert!(routing.prefer_local && !routing.cloud_fallback);
}

#[test]
fn the_long_form() {
    let digest = "ab".repeat(32);
    let grant = only(&format!(
        "{{ url: \"http://127.0.0.1:11434/api/\", adapters: [ollama, x@sha256:{digest}], methods: [POST, GET], network: loopback, \
         secret: {{ header: X-Api-Key, value: \"a ${{env:KEY_1}}${{file:/run/secrets/b}} c\" }}, expires: 2027-01-31 }}"
    ));
    assert_eq!((grant.scheme, grant.port, grant.path.as_str()), (Scheme::Http, 11434, "/api/"));
    assert_eq!(grant.methods, [Method::Post, Method::Get]);
    assert_eq!((grant.network, grant.short, grant.line), (Network::Loopback, false, 4));
    let adapters = grant.adapters.unwrap();
    assert_eq!((adapters[0].id.as_str(), adapters[0].digest), ("ollama", None));
    assert_eq!(adapters[1].digest.unwrap().to_string(), format!("sha256:{digest}"));
    let secret = grant.secret.unwrap();
    assert_eq!(&*secret.header, "x-api-key");
    let (env, file) = (SecretPart::Env("KEY_1".into()), SecretPart::File("/run/secrets/b".into()));
    assert_eq!(secret.parts, [SecretPart::Text("a ".into()), env, file, SecretPart::Text(" c".into())]);
    assert_eq!(grant.expires.unwrap().to_string(), "2027-01-31");
}

#[test]
fn networks() {
    for (entry, network) in [
        ("https://api.test", Network::Public),
        ("http://localhost:1", Network::Loopback),
        ("http://a.localhost", Network::Loopback),
        ("http://127.0.0.1", Network::Loopback),
        ("http://[::1]", Network::Loopback),
        ("http://10.0.0.1", Network::Private),
        ("http://[fd00::1]", Network::Private),
        ("https://1.1.1.1", Network::Public),
        ("{ url: https://gpu.test, network: private }", Network::Private),
        ("{ url: http://gpu.test, network: loopback }", Network::Loopback),
        ("{ url: http://10.0.0.1, network: private }", Network::Private),
    ] {
        assert_eq!(only(entry).network, network, "{entry}");
    }
    check("{ url: http://127.0.0.1, network: private }", &["network-contradiction"]);
    check("{ url: http://localhost, network: public }", &["network-contradiction"]);
    check("{ url: https://1.1.1.1, network: private }", &["network-contradiction"]);
    check("{ url: https://a.test, local: true }", &["local-contradiction"]);
    check("{ url: https://1.1.1.1, local: true }", &["local-contradiction"]);
    check("{ url: https://a.test, local: yes }", &["wrong-type"]);
    for host in
        ["169.254.169.254", "100.100.100.200", "[64:ff9b::1]", "224.0.0.1", "0.0.0.0", "metadata.google.internal"]
    {
        check(&format!("http://{host}"), &["address-not-grantable"]);
        check(&format!("{{ url: 'http://{host}', network: private }}"), &["address-not-grantable"]);
    }
}

#[test]
fn urls() {
    for (entry, shown) in [
        ("HTTPS://API.Allowed.TEST", "https://api.allowed.test/"),
        ("https://api.allowed.test:443/v1", "https://api.allowed.test/v1"),
        ("https://api.allowed.test:8443/v1/", "https://api.allowed.test:8443/v1/"),
        ("https://*.allowed.test", "https://*.allowed.test/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("https://a.test/v1/%C3%A4", "https://a.test/v1/%C3%A4"),
    ] {
        assert_eq!(only(entry).to_string(), shown, "{entry}");
    }
    for (url, code) in [
        ("\"\"", "scheme-missing"),
        ("\"*\"", "scheme-missing"),
        ("//a.test", "scheme-missing"),
        ("api.test:443", "scheme-missing"),
        ("https:a.test", "scheme-missing"),
        ("file:///etc/passwd", "scheme-unsupported"),
        ("ws://a.test", "scheme-unsupported"),
        ("://a.test", "scheme-unsupported"),
        ("https://", "host-invalid"),
        ("https:///v1", "host-invalid"),
        ("https://a_b.test", "host-invalid"),
        ("https://a..test", "host-invalid"),
        ("https://2130706433", "host-invalid"),
        ("https://[fe80::1%25eth0]", "host-invalid"),
        ("\"https://a.test \"", "host-invalid"),
        ("\"https://a\\\\b.test/\"", "path-invalid"),
        ("https://*.a.*.test", "wildcard-invalid"),
        ("https://*.*.allowed.test", "wildcard-invalid"),
        ("https://a*.allowed.test", "wildcard-invalid"),
        ("https://*.allowed.test.", "wildcard-invalid"),
        ("https://*.[::1]", "wildcard-invalid"),
        ("https://*.co.uk", "wildcard-invalid"),
        ("https://*.GitHub.io/v1", "wildcard-invalid"),
        ("https://*.amazonaws.com", "wildcard-invalid"),
        ("\"https://a.test:\"", "port-invalid"),
        ("https://a.test:0", "port-invalid"),
        ("https://a.test:99999", "port-invalid"),
        ("https://a.test:1:2", "port-invalid"),
        ("https://a@b@c.test", "userinfo"),
        ("https://a.test/v1/*", ""),
        ("https://a.test/v1/%2f", "path-invalid"),
        ("https://a.test/a b", "path-invalid"),
        ("https://a.test?x", "query"),
        ("\"https://a.test#x\"", "fragment"),
    ] {
        // An asterisk in a path is a character as any other.
        let expected = if code.is_empty() { vec![] } else { vec![code] };
        check(url, &expected);
        let quoted = if url.starts_with('"') { url.to_owned() } else { format!("'{url}'") };
        check(&format!("{{ url: {quoted} }}"), &expected);
    }
}

/// An entry without its secret may be what is left of one that had it.
#[test]
fn a_secret_that_was_commented_out_is_not_shown() {
    let entry = "    - { url: https://a.test/, methods: [GTE] } # secret: { header: x-key, value: sk-12345678 }";
    let shown = Routing::parse("routing.yaml", file(entry).as_bytes()).unwrap_err().render(false);
    assert!(shown.contains("[GTE] } ***\n") && !shown.contains("sk-1"), "{shown}");
    let shown =
        Routing::parse("routing.yaml", file("    - nothing # of interest").as_bytes()).unwrap_err().render(false);
    assert!(shown.contains("# of interest"), "{shown}");
}

#[test]
fn secrets() {
    let entry = |url: &str, header: &str, value: &str| {
        format!("{{ url: '{url}', adapters: [a], methods: [GET], secret: {{ header: {header}, value: {value} }} }}")
    };
    for value in ["\"Bearer ${env:A}\"", "\"${file:/run/s}\"", "'${env:_a1}'", "\"$5 ${env:A} {}\""] {
        check(&entry("https://a.test", "authorization", value), &[]);
    }
    for (value, code) in [
        ("sk-live-1", "secret-literal"),
        ("\"\"", "secret-literal"),
        ("\"${env:A\"", "secret-reference"),
        ("\"${env:}\"", "secret-reference"),
        ("\"${env:1A}\"", "secret-reference"),
        ("\"${env:A-B}\"", "secret-reference"),
        ("\"${A}\"", "secret-reference"),
        ("\"${ENV:A}\"", "secret-reference"),
        ("\"${file:}\"", "secret-reference"),
        ("\"${file:a}\"", "secret-reference"),
        ("\"${file:/a/../b}\"", "secret-reference"),
        ("\"${env:${env:A}}\"", "secret-reference"),
        ("\"${env:A}\\r\\nx: y\"", "secret-character"),
        ("\"${env:A} ä\"", "secret-character"),
        ("\"${env:A} \"", "secret-character"),
    ] {
        check(&entry("https://a.test", "authorization", value), &[code]);
    }
    for header in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "proxy-authorization",
        "\"a b\"",
        "\"\"",
        "\"a:b\"",
        "ä",
    ] {
        check(&entry("https://a.test", header, "\"${env:A}\""), &["header-invalid"]);
    }
    check(&entry("http://a.test", "x", "\"${env:A}\""), &["secret-in-clear"]);
    check(&entry("http://10.0.0.1", "x", "\"${env:A}\""), &["secret-in-clear"]);
    check(&entry("http://127.0.0.1", "x", "\"${env:A}\""), &[]);
    check(&entry("https://*.a.test", "x", "\"${env:A}\""), &["secret-for-wildcard"]);
    check("{ url: https://a.test, secret: { header: x, value: \"${env:A}\" } }", &["secret-for-every-adapter"]);
}

#[test]
fn what_is_wide() {
    check_warnings("https://a.test/v1/", &["wide-adapters"]);
    check_warnings("https://*.a.test/v1/", &["wide-host", "wide-adapters"]);
    check_warnings("{ url: https://a.test/v1/ }", &["wide-adapters", "wide-methods"]);
    check_warnings("{ url: https://a.test/v1/, adapters: [a] }", &["wide-methods"]);
    check_warnings("{ url: https://a.test/v1/, adapters: [a], methods: [GET] }", &[]);
}

#[test]
fn duplicates() {
    check("https://a.test\n    - https://A.test:443/", &["duplicate-entry"]);
    check("https://a.test\n    - { url: https://a.test }", &["duplicate-entry"]);
    check("https://a.test\n    - https://a.test/v1", &[]);
    check("https://a.test\n    - { url: https://a.test, methods: [GET] }", &[]);
    check(
        "{ url: https://a.test, adapters: [a, b] }\n    - { url: https://a.test, adapters: [b, a] }",
        &["duplicate-entry"],
    );
    check("{ url: https://a.test, adapters: [a, a] }", &["duplicate-item"]);
}

#[test]
fn days() {
    for day in
        ["2027-02-30", "2027-1-1", "31.01.2027", "2027-01-31T00:00", "tomorrow", "\"+002027-01-31\"", "20270131x"]
    {
        check(&format!("{{ url: https://a.test, expires: {day} }}"), &["date-invalid"]);
    }
    check("{ url: https://a.test, expires: 20270131 }", &["wrong-type"]);
}

/// What a policy says is the same after it was shown and read again; secrets keep their references and lose their text.
#[test]
fn shown_and_read_again() {
    let text = file(
        "    - https://api.matrix.example\n    - url: https://api.test/v1/\n      adapters: [a]\n      methods: [POST]\n      \
         secret: { header: authorization, value: \"Bearer sk-1234 ${env:KEY}\" }\n      expires: 2027-01-31\n",
    );
    let shown = serde_json::to_string_pretty(&parse(&text)).unwrap();
    insta::assert_snapshot!("shown", shown);
    assert_eq!(serde_json::to_string_pretty(&parse(&shown)).unwrap(), shown);
}

/// A file that is cut off is refused or grants what the whole grants, never more and never anything else.
#[test]
fn f06_truncated_at_every_byte() {
    let entries = "    - https://api.matrix.example\n    - url: https://api.test/v1/\n      adapters: [a]\n      methods: [POST]\n      \
                   network: public\n      secret: { header: authorization, value: \"Bearer ${env:KEY}\" }\n      expires: 2027-01-31\n";
    let flow = "egress: {default: deny, allow: [\"https://a.test\", {url: \"https://b.test\", adapters: [b]}]}\n\
                routing: {prefer_local: true, cloud_fallback: {enabled: false}}\n";
    let shipped = include_str!("../../../policies/routing.yaml");
    let routes = file("    - https://a.test\n").replace("  cloud_fallback", &format!("{ROUTES}  cloud_fallback"));
    for whole in [&file(entries), flow, shipped, &routes] {
        let granted = serde_json::to_string(&parse(whole)).unwrap();
        let last = whole.trim_end().rfind("enabled").unwrap();
        for end in 0..whole.len() {
            match Routing::parse("routing.yaml", &whole.as_bytes()[..end]) {
                Ok(parsed) => {
                    assert_eq!(serde_json::to_string(&parsed.value).unwrap(), granted, "cut at {end}");
                    assert!(end > last, "cut at {end}");
                }
                Err(found) => assert!(found.errors() > 0 && !found.to_string().is_empty(), "cut at {end}"),
            }
        }
    }
}

const ROUTES: &str = "  routes:\n    - model: chat\n      candidates:\n        - { model: llama3, weight: 3 }\n        - model: gpt\n          \
                      weight: 10\n          order: 2\n        - { model: llama4, canary_percent: 5 }\n    - model: b\n      candidates:\n        \
                      - model: gpt\n          order: 20\n";

/// The codes of what is found in a file with these routes.
#[track_caller]
fn check_routes(routes: &str, expected: &[&str]) {
    let text = file(" []").replace("  cloud_fallback", &format!("  routes: {routes}\n  cloud_fallback"));
    let found = Routing::parse("routing.yaml", text.replace("allow:\n", "allow:").as_bytes());
    let found = found.map_or_else(|errors| errors, |parsed| parsed.warnings);
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), expected, "{routes}");
}

#[test]
fn routes() {
    let text = file("    - https://a.test\n").replace("  cloud_fallback", &format!("{ROUTES}  cloud_fallback"));
    let routing = parse(&text);
    let chat = routing.route("chat").unwrap();
    let values: Vec<_> =
        chat.candidates.iter().map(|one| (&*one.model, one.weight, one.order, one.canary_percent, one.line)).collect();
    assert_eq!(values, [("llama3", 3, 1, None, 11), ("gpt", 10, 2, None, 12), ("llama4", 1, 1, Some(5), 15)]);
    assert_eq!((routing.routes.len(), routing.route("llama3")), (2, None));
    let shown = serde_json::to_string_pretty(&routing).unwrap();
    insta::assert_snapshot!("routes_shown", shown);
    assert_eq!(serde_json::to_string_pretty(&parse(&shown)).unwrap(), shown);
    assert!(parse(&file("    - https://a.test")).routes.is_empty());
}

#[test]
fn routes_that_are_refused() {
    let with = |candidates: &str| format!("[{{ model: chat, candidates: [{candidates}] }}]");
    check_routes("[]", &[]);
    check_routes("{}", &["wrong-type"]);
    check_routes("", &["missing-value"]);
    check_routes("[{ model: chat }]", &["missing-key"]);
    check_routes("[{ candidates: [{ model: a }] }]", &["missing-key"]);
    check_routes("[{ model: \"a b\", candidates: [{ model: a }] }]", &["model-id-invalid"]);
    check_routes("[{ model: a, candidates: [{ model: a }] }, { model: b, candidates: [{ model: a }] }]", &[]);
    check_routes(
        "[{ model: a, candidates: [{ model: a }] }, { model: a, candidates: [{ model: b }] }]",
        &["duplicate-route"],
    );
    for (candidates, expected) in [
        ("", &["empty-list"][..]),
        ("a", &["wrong-type"]),
        ("{ model: a, wieght: 1 }", &["unknown-key"]),
        ("{ model: a }, { model: b }, { model: a, order: 2 }", &["duplicate-candidate"]),
        ("{ model: a, weight: 0 }", &["out-of-range"]),
        ("{ model: a, weight: 1001 }", &["out-of-range"]),
        ("{ model: a, order: 0 }", &["out-of-range"]),
        ("{ model: a, order: 101 }", &["out-of-range"]),
        ("{ model: a, weight: 1000, order: 100 }", &[]),
        ("{ model: a }, { model: b, canary_percent: 101 }", &["out-of-range"]),
        ("{ model: a }, { model: b, canary_percent: 0.5 }", &["out-of-range"]),
        ("{ model: a }, { model: b, canary_percent: 1, weight: 1 }", &["canary-contradiction"]),
        ("{ model: a }, { model: b, canary_percent: 1, order: 1 }", &["canary-contradiction"]),
        ("{ model: b, canary_percent: 5 }", &["only-canaries"]),
        ("{ model: a }, { model: b, canary_percent: 60 }, { model: c, canary_percent: 40 }", &[]),
        ("{ model: a }, { model: b, canary_percent: 60 }, { model: c, canary_percent: 41 }", &["canary-sum"]),
        ("{ model: a }, { model: b, canary_percent: 0 }", &[]),
    ] {
        check_routes(&with(candidates), expected);
    }
}

/// A cut within routes that stand last could take the order from a candidate; so they are better not last.
#[test]
fn routes_that_stand_last_are_warned_of() {
    let found = Routing::parse("routing.yaml", format!("{}{ROUTES}", file("    - https://a.test")).as_bytes());
    assert!(found.unwrap().warnings.iter().any(|d| d.code == "routes-last"));
    assert!(parse(&format!("{}  routes: []\n", file("    - https://a.test"))).routes.is_empty());
}

/// Were `egress` last, a cut could take the adapters from an entry; so it is refused there.
#[test]
fn egress_stands_first() {
    let text = "routing:\n  prefer_local: true\n  cloud_fallback: { enabled: false }\n\
                egress:\n  default: deny\n  allow:\n    - url: https://a.test\n      adapters: [a]\n      methods: [GET]\n";
    let found = Routing::parse("routing.yaml", text.as_bytes()).unwrap_err();
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), ["egress-last"]);
}

#[test]
fn what_counts_as_local() {
    assert!(only("{ url: http://10.0.0.1, local: true }").local);
    assert!(only("{ url: https://a.test, network: private, local: true }").local);
    assert!(!only("{ url: https://a.test, network: private, local: false }").local);
    assert!(!only("{ url: https://a.test, network: private }").local);
    // It is without a word.
    assert!(!only("{ url: http://127.0.0.1, local: true }").local);

    let with = |switch: &str| file("    - https://a.test").replace("\nrouting", &format!("\n{switch}routing"));
    assert!(!parse(&with("")).egress.local_only);
    assert!(!parse(&with("  local_only: false\n")).egress.local_only);
    assert!(parse(&with("  local_only: true\n")).egress.local_only);
    let broken = Routing::parse("routing.yaml", with("  local_only: on\n").as_bytes()).unwrap_err();
    assert_eq!(
        broken.iter().filter(|d| d.severity.as_str() == "error").map(|d| d.code).collect::<Vec<_>>(),
        ["wrong-type"]
    );
}
