//! Rows 24 to 27: what passes in neither direction, what a body can't choose, and what is refused before anyone is asked.

use super::ground::{ANSWER, CHAT, EVENTS, ask, events, gateway, good, scripts};
use hauski_tests::{Answer, Client, Log, TestHost, Upstream};
use http::Request;
use std::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn r24_fields_that_belong_to_one_side_stay_there() {
    let upstream = Upstream::start(|conversation| {
        conversation.request()?;
        let fields = "content-type: application/json\r\nset-cookie: theirs=1\r\nserver: theirs\r\nx-theirs: 1\r\n\
                      keep-alive: timeout=9\r\nproxy-authenticate: Basic\r\nwww-authenticate: Basic\r\n";
        conversation.answer("200 OK", fields, ANSWER)
    });
    let host = gateway(&[&upstream]).start().await;
    let request = Request::post(CHAT)
        .header("authorization", "Bearer of-the-client")
        .header("x-api-key", "of-the-client")
        .header("cookie", "of-the-client=1")
        .header("proxy-authorization", "Basic of-the-client")
        .header("connection", "close, x-hop")
        .header("x-hop", "of-the-client")
        .header("te", "trailers")
        .header("upgrade", "websocket")
        .header("x-forwarded-for", "10.0.0.1")
        .header("referer", "http://of-the-client")
        .header("user-agent", "of-the-client");
    let answer = host.client().send(request.body(ask("m0", false).into()).unwrap()).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let sent = upstream.requests().pop().unwrap();
    for field in ["of-the-client", "websocket", "trailers", "10.0.0.1"] {
        assert!(!sent.contains(field), "{field}: {sent}");
    }
    for field in ["set-cookie", "server", "x-theirs", "keep-alive", "proxy-authenticate", "www-authenticate"] {
        assert!(!answer.headers.contains_key(field), "{field}: {:?}", answer.headers);
    }
}

#[tokio::test]
async fn r25_a_body_chooses_no_host_and_no_key() {
    let (upstream, stranger) = (scripts(vec![good]), scripts(vec![good]));
    let host = gateway(&[&upstream]).start().await;
    for key in ["api_base", "base_url", "api_key", "custom_host", "endpoint", "url", "host", "proxy", "organization"] {
        let url = stranger.url("/v1");
        let body = format!(r#"{{"model":"m0","messages":[],"{key}":"{url}"}}"#);
        let answer = host.client().post(CHAT, body).await;
        assert_eq!(answer.status.as_u16(), 200, "{key}: {}", answer.text);
        let sent = upstream.requests().pop().unwrap();
        let head = sent.split("\r\n\r\n").next().unwrap();
        assert!(head.contains(&upstream.address().to_string()), "{key}: {head}");
        assert!(!head.contains(&stranger.address().to_string()) && !head.contains("authorization"), "{key}: {head}");
    }
    assert_eq!(stranger.connections(), 0);
}

#[tokio::test]
async fn r25_what_a_provider_would_fetch_has_to_be_granted() {
    let upstream = scripts(vec![good]);
    let grant = "{ url: \"https://images.test/ok/\", adapters: [openai-compatible], methods: [GET] }";
    let host = gateway(&[&upstream]).grant(grant).start().await;
    let part = |url: &str| format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
    let body = |parts: &str| format!(r#"{{"model":"m0","messages":[{{"role":"user","content":[{parts}]}}]}}"#);
    for url in ["data:image/png;base64,AAAA", "https://images.test/ok/a.png"] {
        let answer = host.client().post(CHAT, body(&part(url))).await;
        assert_eq!(answer.status.as_u16(), 200, "{url}: {}", answer.text);
    }
    let asked = upstream.requests().len();
    for url in [
        "https://images.test/other/a.png",
        "http://images.test/ok/a.png",
        "https://images.test/ok/../other/a.png",
        "https://evil.test/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "gopher://x",
        "//evil.test/a",
        "https:\\\\/\\\\/evil.test",
        "",
    ] {
        let answer = host.client().post(CHAT, body(&part(url))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "remote_url_denied"),
            "{url}: {}",
            answer.text
        );
        assert_eq!(answer.json()["error"]["param"], "messages[0].content[0].image_url");
    }
    // Written otherwise, in another dialect, or beside one that is allowed.
    let escaped = r#"{"type":"image_url","image\u005furl":{"\u0075rl":"https://evil.test"}}"#;
    let beside = format!("{},{}", part("https://images.test/ok/a.png"), part("https://evil.test"));
    for parts in [escaped, beside.as_str(), r#"7,{"image_url":"https://evil.test"}"#] {
        assert_eq!(host.client().post(CHAT, body(parts)).await.code(), "remote_url_denied", "{parts}");
    }
    let input = r#"{"model":"m0","input":[{"role":"user","content":[{"type":"input_image","image_url":"https://evil.test"}]}]}"#;
    assert_eq!(host.client().post("/v1/responses", input).await.code(), "remote_url_denied");
    let source = r#"{"type":"image","source":{"type":"url","url":"https://evil.test"}}"#;
    let message = format!(r#"{{"model":"m0","max_tokens":9,"messages":[{{"role":"user","content":[{source}]}}]}}"#);
    assert_eq!(host.client().post("/v1/messages", message).await.status.as_u16(), 400);
    assert_eq!(upstream.requests().len(), asked, "nobody is asked");
}

#[tokio::test]
async fn r26_bodies_are_bounded_to_the_byte() {
    let upstream = scripts(vec![good]);
    let host = gateway(&[&upstream]).start().await;
    let of = |length: usize| {
        let frame = ask("m0", false);
        frame.replace("hi", &"x".repeat(length + 2 - frame.len()))
    };
    let limit = 1 << 20;
    assert_eq!(host.client().post(CHAT, of(limit)).await.status.as_u16(), 200);
    assert_eq!(host.client().post(CHAT, of(limit + 1)).await.status.as_u16(), 413);
    // Nothing of it is read before it is refused.
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", limit + 1);
    assert!(host.client().raw(head).await.starts_with("HTTP/1.1 413 "));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn r26_bodies_share_a_bounded_memory() {
    let upstream = scripts(vec![good]);
    let host = gateway(&[&upstream]).start().await;
    let large = ask("m0", false).replace("hi", &"x".repeat((1 << 20) - 100));
    let (most, last) = large.split_at(large.len() - 1);
    // Seven of them take all of it that there is for large ones, of each all but the last byte.
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", large.len());
    let mut slow = Vec::new();
    for _ in 0..7 {
        slow.push(host.client().begin(head.clone() + most).await);
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let begin = std::time::Instant::now();
    let refused = host.client().post(CHAT, large.clone()).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "no_room"), "{}", refused.text);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(host.client().post(CHAT, ask("m0", false)).await.status.as_u16(), 200, "small ones pass");
    assert!(begin.elapsed() < std::time::Duration::from_secs(2), "nobody waits: {:?}", begin.elapsed());
    // Those that had their place have their answers, and give it back.
    for mut stream in slow {
        stream.write_all(last.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    assert_eq!(host.client().post(CHAT, large).await.status.as_u16(), 200);
}

async fn code(client: Client, body: impl Into<bytes::Bytes>) -> (u16, String) {
    let answer = client.post(CHAT, body).await;
    (answer.status.as_u16(), answer.code())
}

#[tokio::test]
async fn r26_what_two_parsers_could_read_differently_is_refused() {
    let upstream = scripts(vec![good]);
    let host = gateway(&[&upstream]).start().await;
    let with = |rest: &str| format!(r#"{{"model":"m0","messages":[]{rest}}}"#);
    let deep = |open: &str, close: &str| with(&format!(",\"x\":{}1{}", open.repeat(100_000), close.repeat(100_000)));
    for body in [
        with(r#","model":"m1""#),
        with(r#","\u006dodel":"m1""#),
        with(r#","a":{"b":1,"b":2}"#),
        with(r#","a":NaN"#),
        with(r#","a":-Infinity"#),
        with(r#","a":01"#),
        with(r#","a":"\x""#),
        with(r#","a":1,"#),
        with("") + "{}",
        deep("[", "]"),
        deep(r#"{"a":"#, "}"),
    ] {
        let got = code(host.client(), body.clone()).await;
        assert_eq!(got, (400, "invalid_json".to_owned()), "{:.80}", body);
    }
    assert_eq!(
        code(host.client(), b"{\"model\":\"m0\",\"messages\":[\"\xff\"]}".to_vec()).await,
        (400, "invalid_utf8".into())
    );
    for path in ["/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"] {
        let answer = host.client().post(path, with(r#","model":"m1""#)).await;
        assert_eq!(answer.status.as_u16(), 400, "{path}: {}", answer.text);
    }
    for fields in [
        "content-length: 11, 11",
        "content-length: 10\r\ncontent-length: 11",
        "content-length: 10\r\ntransfer-encoding: chunked\r\ncontent-length: 11",
    ] {
        let answer = host
            .client()
            .raw(format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n\r\n{{\"a\": 1234}}"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields}: {answer}");
    }
    // What agrees with itself, or is right in chunks, could still be cut elsewhere by others: what follows it is no request.
    let body = r#"{"model":"m0","messages":[]}"#;
    let length = format!("content-length: {}", body.len());
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let (sized, chunked) = ("content-length: 4", "transfer-encoding: chunked");
    for (fields, body) in [
        (format!("{length}\r\n{length}"), body),
        (format!("{chunked}\r\n{sized}"), &*chunks),
        (format!("{sized}\r\n{chunked}"), &*chunks),
    ] {
        let second = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let answer = host
            .client()
            .raw(format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n\r\n{body}{second}"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("ambiguous_length"), "{fields}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields}: {answer}");
    }
    assert_eq!(upstream.connections(), 0, "nobody is asked");
}

/// Every path that a prompt can take, each with the same words in it; gives the answers.
async fn everywhere(host: &TestHost, models: &[&str], words: &str) -> Vec<Answer> {
    let (client, mut seen) = (host.client(), Vec::new());
    let content = format!(r#""messages":[{{"role":"user","content":"{words}"}}]"#);
    for model in models.iter().copied().chain(["nobody", words]) {
        for stream in [false, true] {
            let chat = format!(r#"{{"model":"{model}","stream":{stream},"max_tokens":9,{content}}}"#);
            let prompt = format!(r#"{{"model":"{model}","stream":{stream},"prompt":"{words}"}}"#);
            let input = prompt.replace("prompt", "input");
            for (path, body) in PATHS.into_iter().zip([&chat, &chat, &prompt, &input, &input]) {
                seen.push(client.post(path, body.clone()).await);
            }
        }
    }
    for body in [
        format!(r#"{{"model":"m0","messages":"{words}"}}"#),
        format!(r#"{{"{words}":1,"{words}":2}}"#),
        format!(r#"{{"model":"m0","messages":[],"{words}":NaN}}"#),
        format!(r#"{{"model":"m0","messages":[{{"content":[{{"image_url":"http://{words}"}}]}}]}}"#),
        words.to_owned(),
    ] {
        for path in PATHS {
            seen.push(client.post(path, body.clone()).await);
        }
    }
    client.get(&format!("/v1/models/{words}")).await;
    client.get(&format!("/{words}?{words}")).await;
    client.post(&format!("{CHAT}?{words}"), words.to_owned()).await;
    seen
}

const PATHS: [&str; 5] = [CHAT, "/v1/messages", "/v1/completions", "/v1/responses", "/v1/embeddings"];

/// A provider whose answers have these choices, as a whole and in pieces.
fn odd(choices: String) -> Upstream {
    Upstream::start(move |conversation| {
        let request = conversation.request()?;
        let answer = format!(r#"{{"id":"x","created":1,"model":"theirs","choices":{choices}}}"#);
        if request.contains("\"stream\":true") {
            let chunk = answer.replace("\"message\"", "\"delta\"");
            return conversation.write(format!("{EVENTS}data: {chunk}\n\ndata: [DONE]\n\n"));
        }
        conversation.answer("200 OK", "content-type: application/json\r\nconnection: close\r\n", &answer)
    })
}

#[tokio::test]
async fn r27_prompts_and_secrets_are_in_no_log_line_no_metric_and_no_record() {
    let (words, secret) = ("canary-of-what-is-asked-zqxjkvp", "canary-of-the-secret-zqxjkvs");
    // Providers quote prompts in answers, in errors before the first byte, in errors in the middle, and where something else belongs.
    let whole = Upstream::json(ANSWER.replace("hello", words));
    let refusing = |status: &'static str| {
        Upstream::start(move |conversation| {
            conversation.request()?;
            let body = format!(r#"{{"error":{{"message":"what is {words}","code":"{words}","type":"{words}"}}}}"#);
            conversation.answer(status, "content-type: application/json\r\nconnection: close\r\n", &body)
        })
    };
    let (refusing, failing) = (refusing("422 No"), refusing("500 No"));
    let breaking = Upstream::start(move |conversation| {
        conversation.request()?;
        let begun = events().replace("hel", words);
        conversation.write(format!("{EVENTS}{}", begun.split_inclusive("\n\n").next().unwrap()))?;
        conversation.write(format!("data: {{\"error\":{{\"message\":\"{words}\"}}}}\n\n"))
    });
    let call = |arguments: &str| {
        format!(
            r#"{{"index":0,"id":"{words}","type":"function","function":{{"name":"{words}","arguments":{arguments}}}}}"#
        )
    };
    let ends =
        |message: &str, reason: &str| format!(r#"[{{"index":0,"message":{message},"finish_reason":"{reason}"}}]"#);
    let calls =
        |arguments: &str| ends(&format!(r#"{{"role":"assistant","tool_calls":[{}]}}"#, call(arguments)), "tool_calls");
    let said = format!(r#"{{"role":"assistant","content":"{words}"}}"#);
    let odd = [
        ends(&said, words),
        format!("\"{words}\""),
        calls(&format!(r#""{{\"{words}""#)),
        calls(&format!(r#"{{"{words}":1}}"#)),
        calls(&format!(r#""\"{words}\"""#)),
    ]
    .map(odd);
    // A provider that is sent the secret, and repeats it with the prompt.
    let keyed = Upstream::start(move |conversation| {
        loop {
            let request = conversation.request()?;
            let key = request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
            let body = format!(r#"{{"error":{{"message":"{words} {key}","code":"{key}"}}}}"#);
            conversation.answer("401 No", &format!("content-type: application/json\r\nx-key: {key}\r\n"), &body)?;
        }
    });
    let providers: Vec<_> = [&whole, &refusing, &failing, &breaking].into_iter().chain(&odd).collect();
    let url = keyed.url("/v1");
    let entry = "secret: { header: authorization, value: \"Bearer ${env:KEY}\" }";
    let mut builder = gateway(&providers)
        .grant(&format!("{{ url: \"{url}/\", adapters: [openai-compatible], methods: [POST], {entry} }}"))
        .env("KEY", secret)
        .model(&format!("{{ id: keyed, adapter: openai-compatible, config: {{ base_url: \"{url}\" }} }}"))
        .model("{ id: lost, adapter: nowhere }")
        .ledger();
    for guest in ["traps", "speaks_nonsense", "ends_badly"] {
        builder = builder.guest(guest);
    }
    let host = builder.start().await;
    let own: Vec<_> = (0..providers.len()).map(|at| format!("m{at}")).collect();
    let mut models: Vec<_> = own.iter().map(String::as_str).collect();
    models.extend(["keyed", "lost", "traps", "speaks-nonsense", "ends-badly"]);
    let seen = everywhere(&host, &models, words).await;
    let metrics = host.client().get("/metrics").await.text;
    let ledger = fs::File::open(host.folder().join("ledger/egress.jsonl")).unwrap();
    host.stop();
    // They were on their way, and that was noted.
    for provider in providers.iter().chain([&&keyed]) {
        let asked = provider.requests().iter().filter(|request| request.contains(words)).count();
        assert!(asked >= 10, "{asked} at {}", provider.url(""));
    }
    assert!(keyed.requests().iter().all(|request| request.contains(&format!("authorization: Bearer {secret}\r\n"))));
    assert!(seen.iter().filter(|answer| answer.text.contains(words)).count() >= 50);
    assert!(seen.iter().all(|answer| !answer.text.contains(secret)));
    for answer in &seen {
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(!Log::lines_with(&format!("request_id=\"{id}\"")).is_empty(), "{id}");
    }
    let ledger = std::io::read_to_string(ledger).unwrap();
    assert!(
        ledger.matches("\"verdict\":\"allowed\"").count() >= 90 && metrics.contains("hauski_egress_requests_total")
    );
    for part in ["zqxjkvp", "zqxjkvs"] {
        for text in [&metrics, &ledger, &Log::lines_with(part).join("\n")] {
            assert!(!text.contains(part), "{part}: {text:.2000}");
        }
    }
}
