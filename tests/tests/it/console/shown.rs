//! What is on the page, in which headers it comes, and what can't get onto it.

use super::{PATHS, gateway, get, open};
use crate::egress::send;
use hauski_tests::{TestHost, UNRELATED, Upstream};
use http::Method;
use serde_json::json;

/// A name of a file that would be markup, a line of a terminal and a text that turns round, if anybody let it.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{202e}\u{1b}[31m\"'.wasm";

#[tokio::test]
async fn the_page_is_whole_without_scripts() {
    let upstream = Upstream::json("{}");
    let grant = format!(
        "{{ url: \"{}\", adapters: [probe], methods: [GET, POST], secret: {{ header: x-key, value: \"${{env:KEY}}\" }} }}",
        upstream.url("/v1/")
    );
    let host =
        gateway().model("{ id: lost, adapter: nowhere }").grant(&grant).env("KEY", "s3cr3t-of-console").start().await;
    assert_eq!(host.client().chat("chat", "hello").await.status, 200);
    assert!(host.client().stream("chat", "hello").await.complete);
    assert_eq!(send(&host, "probe", json!({ "url": upstream.url("/v1/models") })).await["ok"]["status"], 200);
    assert_eq!(send(&host, "probe", json!({ "url": upstream.url("/v2/x"), "method": "PUT" })).await["err"], "denied");
    let page = get(&host, "/console", &[]).await;
    assert_eq!(
        (page.status.as_u16(), &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let advice = format!(
        "- {{ url: &#39;{}&#39;, adapters: [&#39;probe&#39;], models: [&#39;probe&#39;], methods: [PUT] }}",
        upstream.url("/v2/x")
    );
    for text in [
        "<th scope=\"row\">echo",
        "order 1, weight 7",
        "there is no `nowhere.wasm` in the adapters folder",
        "nothing outside",
        &format!("GET POST {}", upstream.url("/v1/")),
        "loopback, sets x-key from env:",
        "4 chat requests answered in the last ten minutes",
        "<h3>Time to first token</h3><p id=\"first-token-words\">1 streamed answer: p50 ",
        "the budget of 2.0 s for p95.",
        "<svg role=\"img\" aria-labelledby=\"first-token-words\"",
        "<h3>Added latency</h3><p id=\"added-words\">4 answers: p50 ",
        "the budget of 10 ms for p95.",
        "<svg role=\"img\" aria-labelledby=\"added-words\"",
        "Answers that come whole have no first token of their own",
        "<dt>First token, p95</dt>",
        "<dt>Added, p95</dt>",
        &advice,
        "<option value=\"chat\">chat</option>",
    ] {
        assert!(page.text.contains(text), "{text} is not in\n{}", page.text);
    }
    assert!(!page.text.contains("s3cr3t"));
    assert!(!page.text.contains("400 ms"), "the budget of the k6 gate judges nothing here");
}

#[tokio::test]
async fn its_headers_allow_nothing_but_its_own_files() {
    let host = gateway().start().await;
    for path in PATHS {
        let answer = open(&host, Method::GET, path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types console"
        );
        assert_eq!(
            (header("x-content-type-options"), header("referrer-policy")),
            ("nosniff".into(), "no-referrer".into())
        );
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert!(answer.headers().get("access-control-allow-origin").is_none(), "{path}");
    }
    let page = get(&host, "/console", &[]).await.text;
    // Nothing that the policy would have to forbid: no script, style or handler within, and no link elsewhere.
    for inline in ["<script>", "<style", " style=", " onclick=", " onload=", "javascript:", "http-equiv"] {
        assert!(!page.contains(inline), "{inline}");
    }
    for attribute in ["src=\"", "href=\""] {
        for target in page.split(attribute).skip(1) {
            assert!(target.starts_with("/console/") || target.starts_with('#'), "{attribute}{target:.40}");
        }
    }
}

#[tokio::test]
async fn it_only_shows() {
    let host = gateway().start().await;
    for path in PATHS {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let answer = open(&host, method.clone(), path, &[]).await;
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["allow"]),
                (405, &"GET,HEAD".parse().unwrap()),
                "{method} {path}"
            );
        }
    }
    for path in ["/console/", "/console/x", "/console/console.js/", "/console/../metrics"] {
        assert_eq!(open(&host, Method::GET, path, &[]).await.status(), 404, "{path}");
    }
    // It is for people: the API's document does not have it.
    assert!(!get(&host, "/openapi.json", &[]).await.text.contains("/console"));
}

#[tokio::test]
async fn what_others_choose_is_text() {
    let host = gateway().grant(UNRELATED).file(HOSTILE, b"no component").start().await;
    let urls = [
        "http://x.test/<script>alert(2)</script>",
        "http://x.test/\u{202e}\u{1b}[2J",
        "http://<b>/",
        "http://x.test/%3Cscript%3E",
        "http://xn--\"onclick=alert(3).test/",
        "javascript:alert(4)",
    ];
    for url in urls {
        assert_eq!(send(&host, "probe", json!({ "url": url, "method": "GET" })).await["err"], "denied", "{url}");
    }
    let method = "<i>\u{202e}";
    send(&host, "probe", json!({ "url": "http://x.test/", "method": method })).await;
    let mut viewer = super::Viewer::of(&host).await;
    viewer.until("record", "alert(4)").await;
    viewer.until("denials", "alert(4)").await;
    let page = get(&host, "/console", &[]).await.text;
    for (where_, shown) in [("page", &page), ("events", &viewer.text)] {
        for raw in ["<img", "<script>a", "<b>/", "<i>", "\u{202e}", "\u{1b}", "\"onclick"] {
            assert!(!shown.contains(raw), "{raw:?} in the {where_}");
        }
        assert!(shown.contains("&lt;img src=x onerror=alert(1)&gt;\\u{202e}\\u{1b}[31m"), "{where_}: {shown}");
        assert!(shown.contains("&lt;script&gt;alert(2)&lt;/script&gt;"), "{where_}");
        assert!(shown.contains("javascript:alert(4)"), "{where_}");
    }
}

/// Prompts, answers, keys of clients and providers: none of them is on the page or among its events.
#[tokio::test]
async fn no_prompt_and_no_secret_is_shown() {
    let words = "canary-of-console-zqx";
    let upstream = Upstream::json(format!(
        r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"{words}"}},"finish_reason":"{words}"}}]}}"#
    ));
    let failing = Upstream::start(move |conversation| {
        conversation.request()?;
        let body = format!(r#"{{"error":{{"message":"{words}","code":"{words}"}}}}"#);
        conversation.answer("500 No", "content-type: application/json\r\nconnection: close\r\n", &body)
    });
    let mut builder = TestHost::builder().adapter("openai-compatible").guest("quotes_prompt").ledger();
    for (id, upstream, path) in [("m", &upstream, "/v1"), ("failing", &failing, "/v1"), ("denied", &upstream, "/v2")] {
        let (base, granted) = (upstream.url(path), upstream.url("/v1/"));
        let secret = "{ header: authorization, value: \"Bearer ${env:KEY}\" }";
        if path == "/v1" {
            builder =
                builder.grant(&format!("{{ url: \"{granted}\", adapters: [openai-compatible], secret: {secret} }}"));
        }
        builder =
            builder.model(&format!("{{ id: {id}, adapter: openai-compatible, config: {{ base_url: \"{base}\" }} }}"));
    }
    let host = builder.env("KEY", &format!("{words}-key")).start().await;
    let mut viewer = super::Viewer::of(&host).await;
    let mut answered = 0;
    for model in ["m", "failing", "denied", "quotes-prompt", words] {
        answered += usize::from(host.client().chat(model, words).await.text.contains(words));
        host.client().stream(model, words).await;
    }
    assert!(answered >= 3, "the words were on their way");
    viewer.until("denials", "/v2/chat/completions").await;
    // What comes a second later is there as well.
    let _ = viewer.ends_within(std::time::Duration::from_millis(1_500)).await;
    let page = get(&host, "/console", &[]).await.text;
    assert!(viewer.text.matches("event: record").count() >= 6 && page.contains("/v2/chat/completions"));
    assert!(!page.contains("canary") && !viewer.text.contains("canary"), "{}", viewer.text);
}
