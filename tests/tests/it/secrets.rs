//! Attached secrets over the whole: keys as careless files and variables hold them, and requests that would evade redaction.

use crate::egress::{WAYS, probes, send};
use hauski_tests::{Conversation, Log, TestHost, Upstream};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

const KEY: &str = "sk-f1/4711+x";

/// Keys as `.env` files, mounted secrets and editors leave them.
const VALUES: [&str; 6] = [
    "sk-f1/4711+x ",
    " sk-f1/4711+x",
    "\tsk-f1/4711+x\t",
    "sk-f1/4711+x \r\n",
    "\u{feff}sk-f1/4711+x\n",
    "\n sk-f1/4711+x",
];

/// Whether `text` holds the key in a spelling that the redactor covers.
fn holds_key(text: &str) -> bool {
    ["sk-f1/4711", r"sk-f1\/4711", r"sk-f1\\/4711", "sk-f1%2F4711", "4711"].iter().any(|key| text.contains(key))
}

/// Repeats the key, trimmed as recipients do, in a header, a body or a stream. The status is the path's second segment.
fn echo(conversation: &mut Conversation) -> io::Result<()> {
    loop {
        let request = conversation.request()?;
        let status = request.split(['/', ' ']).nth(3).unwrap_or("200").to_owned();
        let field = request.lines().find_map(|line| line.strip_prefix("authorization:")).unwrap_or_default();
        let sent = field.trim();
        let key = sent.rsplit(' ').next().unwrap_or_default();
        let text = format!("{sent} {} {}", key.replace('/', r"\/"), key.replace('/', "%2F"));
        let stream = request.contains("\"stream\":true") || request.contains("x-stream: 1");
        let delta = json!({ "role": "assistant", "content": sent });
        let body = match (&*status, stream) {
            ("200", true) => {
                let choice = json!({ "index": 0, "delta": delta, "finish_reason": null });
                let end = json!({ "index": 0, "delta": {}, "finish_reason": "stop" });
                let chunk =
                    |choice: Value| json!({ "id": "1", "object": "chat.completion.chunk", "choices": [choice] });
                format!("data: {}\n\ndata: {}\n\ndata: [DONE]\n\n", chunk(choice), chunk(end))
            }
            ("200", false) => {
                let choice = json!({ "index": 0, "message": delta, "finish_reason": "stop" });
                json!({ "id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice] })
                    .to_string()
            }
            _ => format!(r#"{{"error":{{"message":"bad key {text}","code":"{sent}"}}}}"#),
        };
        let kind = if stream && status == "200" { "text/event-stream" } else { "application/json" };
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n", body.len());
        let _ = write!(head, "x-echo: {sent}\r\nlocation: /?key={}\r\n\r\n", key.replace('/', "%2F"));
        conversation.write(head)?;
        for piece in body.as_bytes().chunks(7) {
            conversation.write(piece)?;
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// A gateway with a grant for each value, by variable and by file, and each of two templates; and the paths of the grants.
async fn gateway(upstream: &Upstream, folder: &tempfile::TempDir) -> (TestHost, Vec<String>) {
    let (mut builder, mut paths) = (probes().adapter("openai-compatible").limit("retries", 0), Vec::new());
    for (n, value) in VALUES.iter().enumerate() {
        let file = folder.path().join(format!("key-{n}"));
        std::fs::write(&file, value).unwrap();
        for (kind, reference) in [("env", format!("env:F1_{n}")), ("file", format!("file:{}", file.display()))] {
            for (form, prefix) in [("plain", ""), ("bearer", "Bearer ")] {
                let path = format!("/{kind}-{form}-{n}");
                builder = builder.grant(&format!(
                    "{{ url: \"{}\", adapters: [probe, probe-wasi-http, openai-compatible], \
                     secret: {{ header: authorization, value: \"{prefix}${{{reference}}}\" }} }}",
                    upstream.url(&format!("{path}/"))
                ));
                for status in [200, 400, 500] {
                    let base = upstream.url(&format!("{path}/{status}"));
                    builder = builder.model(&format!(
                        "{{ id: \"{path}/{status}\", adapter: openai-compatible, config: {{ base_url: \"{base}\" }} }}"
                    ));
                }
                paths.push(path);
            }
        }
        builder = builder.env(&format!("F1_{n}"), value);
    }
    (builder.start().await, paths)
}

#[tokio::test]
async fn key_with_white_space_at_its_edges_is_trimmed_and_redacted() {
    let (upstream, folder) = (Upstream::start(echo), tempfile::tempdir().unwrap());
    let (host, paths) = gateway(&upstream, &folder).await;
    for path in &paths {
        let sent = if path.contains("bearer") { format!("Bearer {KEY}") } else { KEY.to_owned() };
        for status in [200, 400, 500] {
            for way in WAYS {
                let order = json!({ "method": "POST", "url": upstream.url(&format!("{path}/{status}/x")) });
                let seen = send(&host, way, order.clone()).await;
                assert_eq!(seen["ok"]["status"], status, "{way} {path}: {seen}");
                let text = seen.to_string();
                assert!(!holds_key(&text) && text.contains(&"*".repeat(sent.len())), "{way} {path} {status}: {text}");
                let request = upstream.requests().pop().unwrap();
                assert!(request.contains(&format!("\r\nauthorization: {sent}\r\n")), "{way} {path}: {request:?}");

                let streamed = json!({ "method": "POST", "url": order["url"], "headers": [["x-stream", "1"]] });
                let answer = host.client().stream(way, &streamed.to_string()).await;
                assert!(!holds_key(&answer.text) && answer.text.contains("***"), "{way} {path}: {}", answer.text);
            }
            let model = format!("{path}/{status}");
            for answer in [host.client().chat(&model, "hi").await, host.client().stream(&model, "hi").await] {
                assert!(!holds_key(&answer.text) && answer.text.contains("***"), "{model}: {}", answer.text);
                let fields = format!("{:?}", answer.headers);
                assert!(!holds_key(&fields), "{model}: {fields}");
            }
        }
    }
    assert_eq!(Log::lines_with(KEY), Vec::<String>::new());
    assert!(!holds_key(&host.client().get("/metrics").await.text));
}

/// A provider that counts, and a gateway whose probes may `POST` below `/v1/` with a secret and below `/open/` without.
async fn guarded() -> (TestHost, Upstream) {
    let upstream = Upstream::json("{}");
    let entry = |path: &str, secret: &str| {
        format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http], methods: [POST]{secret} }}", upstream.url(path))
    };
    let secret = ", secret: { header: authorization, value: \"Bearer ${env:F13_KEY}\" }";
    let host = probes().grant(&entry("/v1/", secret)).grant(&entry("/open/", "")).env("F13_KEY", "sk-f13-4711");
    (host.start().await, upstream)
}

fn order(upstream: &Upstream, path: &str, headers: Value) -> Value {
    json!({ "method": "POST", "url": upstream.url(path), "headers": headers })
}

#[tokio::test]
async fn requests_for_parts_are_refused_beside_a_secret() {
    let (host, upstream) = guarded().await;
    for way in WAYS {
        for name in ["range", "Request-Range", "request_range", "If-Range", "X-Range"] {
            let seen = send(&host, way, order(&upstream, "/v1/x", json!([[name, "bytes=0-5"]]))).await;
            assert!(seen["err"].is_string() && seen.get("ok").is_none(), "{way} {name}: {seen}");
        }
        assert!(upstream.requests().is_empty(), "{way}");
    }
    for way in WAYS {
        let seen = send(&host, way, order(&upstream, "/open/x", json!([["request-range", "bytes=0-5"]]))).await;
        assert_eq!(seen["ok"]["status"], 200, "{way}: {seen}");
    }
}

#[tokio::test]
async fn credentials_in_headers_are_dropped_beside_a_secret() {
    let (host, upstream) = guarded().await;
    let names = ["apikey", "Ocp-Apim-Subscription-Key", "private-token", "x_api_key", "X-Amz-Security-Token", "cookie"];
    let mut headers: Vec<_> = names.iter().map(|name| [*name, "of-the-adapter"]).collect();
    headers.extend([["openai-project", "proj"], ["accept_encoding", "gzip"]]);
    for way in WAYS {
        let seen = send(&host, way, order(&upstream, "/v1/x", json!(headers))).await;
        assert_eq!(seen["ok"]["status"], 200, "{way}: {seen}");
        let request = upstream.requests().pop().unwrap();
        assert!(!request.contains("of-the-adapter") && !request.contains("gzip"), "{way}: {request}");
        assert!(request.contains("\r\nauthorization: Bearer sk-f13-4711\r\n"), "{way}: {request}");
        assert!(request.contains("\r\nopenai-project: proj\r\n"), "{way}: {request}");
        send(&host, way, order(&upstream, "/open/x", json!(headers))).await;
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.matches("of-the-adapter").count(), names.len(), "{way}: {request}");
    }
}

#[tokio::test]
async fn credentials_and_methods_in_the_query_are_refused() {
    let (host, upstream) = guarded().await;
    for way in WAYS {
        for query in ["key=AIza", "a=b&api_key=x", "Access%5FToken=x", "_method=DELETE", "X-HTTP-Method-Override=PUT"] {
            let seen = send(&host, way, order(&upstream, &format!("/v1/x?{query}"), json!([]))).await;
            assert!(seen["err"].is_string() && seen.get("ok").is_none(), "{way} {query}: {seen}");
            if way == "probe" {
                assert_eq!(seen["err"], "invalid-request", "{query}: {seen}");
                assert!(seen["message"].as_str().unwrap().contains("query field"), "{query}: {seen}");
            }
        }
        let seen = send(&host, way, order(&upstream, "/open/x?_method=DELETE", json!([]))).await;
        assert!(seen.get("ok").is_none(), "{way}: {seen}");
        assert_eq!(upstream.connections(), 0, "{way}");
    }
    for way in WAYS {
        for path in ["/v1/x?alt=sse&max_tokens=5", "/open/x?key=of-the-adapter"] {
            let seen = send(&host, way, order(&upstream, path, json!([]))).await;
            assert_eq!(seen["ok"]["status"], 200, "{way} {path}: {seen}");
            assert!(upstream.requests().pop().unwrap().starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{way}");
        }
    }
}
