//! A, D and E: where a component would go. Over `wasi:http` the parts of a URL come apart, and each can be left out.

use super::{WAYS, denied, ground, lines, reaches, refused};
use serde_json::json;

#[tokio::test]
async fn a06_the_scheme_is_the_one_that_would_be_used() {
    let (host, upstream) = ground().await;
    let (authority, address) = (upstream.address().to_string(), upstream.address());
    for way in WAYS {
        denied(&host, &upstream, way, json!({ "url": format!("https://{address}/v1/x") }), "scheme-not-granted").await;
    }
    // Left out, it is `https`, as the standard says; and so it is judged.
    let order = json!({ "url": null, "authority": authority, "path": "/v1/x" });
    denied(&host, &upstream, "probe-wasi-http", order, "scheme-not-granted").await;
    denied(&host, &upstream, "probe", json!({ "url": format!("{authority}/v1/x") }), "invalid-scheme").await;
    denied(&host, &upstream, "probe", json!({ "url": format!("//{authority}/v1/x") }), "invalid-scheme").await;
}

#[tokio::test]
async fn a07_other_schemes() {
    let (host, upstream) = ground().await;
    let address = upstream.address();
    for scheme in ["ws", "file", "gopher", "ftp", "h2c", "unix", "httpx"] {
        denied(&host, &upstream, "probe", json!({ "url": format!("{scheme}://{address}/v1/x") }), "invalid-scheme")
            .await;
        // Not even asked for: the standard's own table has no such scheme.
        refused(&host, &upstream, "probe-wasi-http", json!({ "scheme": scheme })).await;
    }
    // The one spelling of a scheme that the standard has is its own; in a URL, capitals are the same.
    for scheme in ["HTTP", "Http", "http"] {
        reaches(&host, &upstream, "probe", json!({ "url": format!("{scheme}://{address}/v1/x") })).await;
    }
    for scheme in ["HTTP", "Https"] {
        refused(&host, &upstream, "probe-wasi-http", json!({ "scheme": scheme })).await;
    }
    reaches(&host, &upstream, "probe-wasi-http", json!({ "scheme": "http" })).await;
}

#[tokio::test]
async fn a13_no_authority_is_not_the_inbound_requests() {
    let (host, upstream) = ground().await;
    for order in [
        json!({ "url": null, "scheme": "http", "path": "/v1/x" }),
        json!({ "url": null, "scheme": "http", "authority": "", "path": "/v1/x" }),
        json!({ "url": null, "path": "/v1/x" }),
        json!({ "url": null, "path": upstream.url("/v1/x") }),
        json!({ "url": null }),
    ] {
        refused(&host, &upstream, "probe-wasi-http", order).await;
    }
    for (url, reason) in [("http:///v1/x", "invalid-host"), ("/v1/x", "invalid-scheme"), ("", "invalid-scheme")] {
        denied(&host, &upstream, "probe", json!({ "url": url }), reason).await;
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a21_authorities_that_the_standard_lets_through() {
    let (host, upstream) = ground().await;
    let (address, port) = (upstream.address(), upstream.address().port());
    for (authority, reason) in [
        (format!("{address}@evil.test"), "invalid-userinfo"),
        (format!("user:pass@{address}"), "invalid-userinfo"),
        ("127.0.0.1:".into(), "invalid-port"),
        ("127.0.0.1:0".into(), "invalid-port"),
        ("127.0.0.1:65536".into(), "invalid-port"),
        ("127.0.0.1:99999".into(), "invalid-port"),
        (format!("127.0.0.1:0{port}"), "invalid-port"),
        (format!("127.0.0.1.:{port}"), "invalid-host"),
        (format!("127.1:{port}"), "invalid-host"),
        (format!("2130706433:{port}"), "invalid-host"),
        (format!("api_x.test:{port}"), "invalid-host"),
        (format!("localhost:{port}"), "host-not-granted"),
        (format!("127.0.0.2:{port}"), "host-not-granted"),
        ("127.0.0.1".into(), "port-not-granted"),
    ] {
        for (way, order) in [
            ("probe", json!({ "url": format!("http://{authority}/v1/x") })),
            ("probe-wasi-http", json!({ "authority": authority })),
        ] {
            let got = super::send(&host, way, super::filled(&upstream, order.clone())).await;
            // What the standard's parser refuses as well never becomes a request.
            if got["err"] == "denied" {
                denied(&host, &upstream, way, order, reason).await;
            } else {
                assert!(way != "probe" && got["err"].is_string(), "{way} {authority}: {got}");
            }
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn d03_methods_in_every_guise() {
    let (host, upstream) = ground().await;
    for method in ["CONNECT", "TRACE", "PRI", "BREW", "PROPFIND", "post", "Post"] {
        for way in WAYS {
            denied(&host, &upstream, way, json!({ "method": method }), "invalid-method").await;
        }
        let order = json!({ "method": format!("other:{method}") });
        denied(&host, &upstream, "probe-wasi-http", order, "invalid-method").await;
    }
    for method in ["FOO BAR", "POST\r\nx: y", "POST /v1/x HTTP/1.1\r\nhost: evil", "", "PÖST", "POST "] {
        denied(&host, &upstream, "probe", json!({ "method": method }), "invalid-method").await;
        refused(&host, &upstream, "probe-wasi-http", json!({ "method": format!("other:{method}") })).await;
    }
    // By another name it is still the same method.
    reaches(&host, &upstream, "probe-wasi-http", json!({ "method": "other:POST" })).await;
    denied(&host, &upstream, "probe-wasi-http", json!({ "method": "other:GET" }), "method-not-granted").await;
}

#[tokio::test]
async fn e05_targets_in_other_forms() {
    let (host, upstream) = ground().await;
    for path in [
        upstream.url("/v1/x").as_str(),
        "http://evil.test/v1/x",
        "*",
        "v1/x",
        "//evil.test/v1/x",
        "/v1//x",
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/..;/admin",
        "",
        "?x",
        "@evil.test/v1/x",
        ":80/v1/x",
        "\\v1\\x",
        "/v1\\x",
        "/v1/x y",
        "/v1/x\r\nhost: evil.test",
    ] {
        refused(&host, &upstream, "probe-wasi-http", json!({ "path": path })).await;
        refused(&host, &upstream, "probe", json!({ "url": format!("http://{}{path}", upstream.address()) })).await;
    }
    assert_eq!(upstream.connections(), 0);
    assert!(lines("probe-wasi-http", "invalid-path") > 0);
    // The standard's implementation would cut a fragment off before the guard sees it.
    for path in ["/v1/x#f", "/v1/x#", "/v1/x?y#z", "#", "/v1/#/../x"] {
        refused(&host, &upstream, "probe-wasi-http", json!({ "path": path })).await;
        let url = format!("{}{path}", upstream.url(""));
        refused(&host, &upstream, "probe", json!({ "url": url })).await;
    }
    assert_eq!(upstream.connections(), 0);
    reaches(&host, &upstream, "probe-wasi-http", json!({ "path": "/v1/x?y" })).await;
}
