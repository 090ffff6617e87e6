//! The adapter `openai-compatible` against scripted providers: what goes through unchanged, and what becomes of their errors.

use hauski_tests::{TestHost, Upstream};
use http::StatusCode;

const PATH: &str = "/v1/chat/completions";

async fn gateway(upstream: &Upstream) -> TestHost {
    TestHost::builder()
        .adapter("openai-compatible")
        .grant(&format!("{{ url: \"{}\", adapters: [openai-compatible], methods: [POST] }}", upstream.url("/v1/")))
        .model(&format!(
            "{{ id: m, adapter: openai-compatible, upstream: theirs, config: {{ base_url: \"{}\" }} }}",
            upstream.url("/v1")
        ))
        .start()
        .await
}

#[tokio::test]
async fn requests_and_answers_go_through_byte_for_byte() {
    let answer = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1.0}"}}]},"finish_reason":"tool_calls","logprobs":null}],"new_field":{"n":1e400,"big":18446744073709551615,"one":1.0},"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0}}}"#;
    let upstream = Upstream::json(answer);
    let host = gateway(&upstream).await;
    let request = r#"{ "model": "m", "messages": [{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}], "tools":[{"type":"function","function":{"name":"f","parameters":{"z":1,"a":2.0}}}], "response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"maximum":1e400}}}, "unknown":[1.0, 9007199254740993] }"#;
    let got = host.client().post(PATH, request).await;
    assert_eq!((got.status, got.text.as_str()), (StatusCode::OK, answer));
    let sent = upstream.requests().pop().unwrap();
    assert!(sent.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{sent}");
    assert_eq!(sent.split_once("\r\n\r\n").unwrap().1, request.replace("\"m\"", "\"theirs\""));
}

#[tokio::test]
async fn what_the_server_refuses_is_left_out_where_the_operator_says_so() {
    let upstream = Upstream::json("{}");
    let url = upstream.url("/v1");
    let host = TestHost::builder()
        .adapter("openai-compatible")
        .grant(&format!("{{ url: \"{url}/\", adapters: [openai-compatible], methods: [POST] }}"))
        .model(&format!(
            "{{ id: m, adapter: openai-compatible, config: {{ base_url: \"{url}\", leave_out: [x, reasoning_effort] }} }}"
        ))
        .start()
        .await;
    for stream in [false, true] {
        let rest = format!(r#""stream":{stream},"messages":[{{"x":1}}],"y":[1.0, 1e400]"#);
        let body = format!(r#"{{"model":"m","reasoning_effort":"high",{rest},"\u0078":2}}"#);
        host.client().post(PATH, body).await;
        let sent = upstream.requests().pop().unwrap();
        assert_eq!(sent.split_once("\r\n\r\n").unwrap().1, format!(r#"{{"model":"m",{rest}}}"#));
    }
}

#[tokio::test]
async fn what_the_client_sends_besides_stays_here() {
    let upstream = Upstream::json("{}");
    let host = gateway(&upstream).await;
    let request = http::Request::post(PATH).header("authorization", "Bearer client-key").header("cookie", "a=b");
    let body = r#"{"model":"m","messages":[],"base_url":"http://evil.test","api_key":"k"}"#;
    host.client().send(request.body(body.into()).unwrap()).await;
    let sent = upstream.requests().pop().unwrap();
    assert!(!sent.contains("client-key") && !sent.contains("cookie"), "{sent}");
    assert!(sent.contains(&format!("host: {}", upstream.address())), "the body chooses no host: {sent}");
}

#[tokio::test]
async fn streams_go_through_chunk_by_chunk() {
    let chunks = [
        r#"{"id":"a","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":null,"x":1.0},"finish_reason":null}]}"#,
        r#"{"id":"a","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"data: [DONE]"}}]},"finish_reason":null}]}"#,
        r#"{"id":"a","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"id":"a","object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":3}}"#,
    ];
    let stream: String = chunks.iter().map(|chunk| format!(": ping\r\ndata: {chunk}\r\n\r\n")).collect();
    let upstream = Upstream::events(format!("{stream}data: [DONE]\n\nafter"));
    let host = gateway(&upstream).await;
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    let got = host.client().post(PATH, body).await;
    assert_eq!((got.status, got.complete), (StatusCode::OK, true), "{}", got.text);
    let mut expected: Vec<String> = chunks.map(str::to_owned).into();
    expected.push("[DONE]".to_owned());
    assert_eq!(got.events(), expected);
}

#[tokio::test]
async fn a_stream_that_breaks_off_never_looks_whole() {
    let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ha\"},\"finish_reason\":null}]}\n\n";
    for rest in ["", "data: {\"error\":{\"message\":\"overloaded\"}}\n\n", "data: {\"choi"] {
        let upstream = Upstream::events(format!("{half}{rest}"));
        let got = gateway(&upstream).await.client().post(PATH, r#"{"model":"m","stream":true,"messages":[]}"#).await;
        assert_eq!((got.status, got.complete), (StatusCode::OK, false), "{rest}: {}", got.text);
        assert!(got.events().last().is_some_and(|last| last.starts_with("{\"error\":")), "{rest}: {}", got.text);
        assert!(!got.text.contains("[DONE]"));
    }
    let whole = half.replace("null", "\"stop\"");
    let got = gateway(&Upstream::events(whole))
        .await
        .client()
        .post(PATH, r#"{"model":"m","stream":true,"messages":[]}"#)
        .await;
    assert!(
        got.complete && got.text.ends_with("data: [DONE]\n\n"),
        "a clean close after the finish is an end: {}",
        got.text
    );
}

#[tokio::test]
async fn a_providers_errors_keep_their_meaning() {
    let body = r#"{"error":{"message":"theirs","type":"t","code":"c","extra":1}}"#;
    for (status, fields, expected, code, tries) in [
        ("400 Bad Request", "", 400, "c", 1),
        ("422 Unprocessable", "", 422, "c", 1),
        ("429 Too Many Requests", "", 429, "c", 1),
        ("429 Too Many Requests", "retry-after: 70\r\n", 429, "c", 1),
        ("429 Too Many Requests", "retry-after: Fri, 21 Oct 2146 07:28:00 GMT\r\n", 429, "c", 1),
        ("429 Too Many Requests", "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n", 429, "c", 2),
        ("500 Internal Server Error", "", 502, "c", 2),
        ("503 Service Unavailable", "", 502, "c", 2),
        ("401 Unauthorized", "", 502, "upstream_unauthorized", 1),
        ("307 Temporary Redirect", "location: http://evil.test/\r\n", 502, "c", 1),
    ] {
        for stream in [false, true] {
            let upstream = Upstream::start(move |conversation| {
                conversation.request()?;
                conversation.answer(
                    status,
                    &format!("content-type: application/json\r\nconnection: close\r\n{fields}"),
                    body,
                )
            });
            let request = format!(r#"{{"model":"m","stream":{stream},"messages":[]}}"#);
            let got = gateway(&upstream).await.client().post(PATH, request).await;
            assert_eq!((got.status.as_u16(), got.code().as_str()), (expected, code), "{status}: {}", got.text);
            let retry = got.headers.get("retry-after").map(|value| value.to_str().unwrap());
            assert_eq!(retry, fields.strip_prefix("retry-after: ").map(str::trim_end), "{status}");
            assert_eq!(upstream.connections(), tries, "{status} {fields}");
        }
    }
}

#[tokio::test]
async fn a_providers_errors_keep_their_numbers() {
    let body = r#"{"error":{"message":"m","n":1e400,"big":123456789012345678901234567890}}"#;
    for (status, expected) in
        [("400 Bad Request", 400), ("429 Too Many Requests", 429), ("500 Internal Server Error", 502)]
    {
        for stream in [false, true] {
            let upstream = Upstream::start(move |conversation| {
                conversation.request()?;
                conversation.answer(status, "content-type: application/json\r\nconnection: close\r\n", body)
            });
            let request = format!(r#"{{"model":"m","stream":{stream},"messages":[]}}"#);
            let got = gateway(&upstream).await.client().post(PATH, request).await;
            assert_eq!((got.status.as_u16(), got.text.as_str()), (expected, body), "{status} {stream}");
            assert_eq!(got.headers["content-type"], "application/json");
        }
    }
}

/// Errors that come with a good status in a stream, each in a provider's own form, most with `[DONE]` after it.
const ERRORS: [(&str, u16, &str); 6] = [
    (
        "error: {\"code\":400,\"message\":\"boom\",\"type\":\"exceed_context_size_error\"}\n\ndata: [DONE]\n\n",
        400,
        "exceed_context_size_error",
    ),
    ("data: {\"text\":\"**boom**\",\"error_code\":50001}\n\ndata: [DONE]\n\n", 502, "upstream_error"),
    (
        "data: {\"object\":\"error\",\"message\":\"boom\",\"type\":\"t\",\"param\":null,\"code\":422}\n\ndata: [DONE]\n\n",
        422,
        "upstream_error",
    ),
    (
        "data: [{\"error\":{\"code\":400,\"message\":\"boom\",\"status\":\"INVALID_ARGUMENT\"}}]\n\n",
        400,
        "INVALID_ARGUMENT",
    ),
    (
        "data: [{\"error\":{\"code\":404,\"message\":\"boom: models/x is not found\",\"status\":\"NOT_FOUND\"}}]\n\n",
        404,
        "model_not_found",
    ),
    (
        "data: {\"success\":false,\"errors\":[{\"code\":7003,\"message\":\"boom\"}]}\n\ndata: [DONE]\n\n",
        502,
        "upstream_error",
    ),
];

#[tokio::test]
async fn errors_in_a_stream_are_understood_before_the_first_chunk_and_after_it() {
    let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ha\"},\"finish_reason\":null}]}\n\n";
    for (error, status, word) in ERRORS {
        let ask = async |stream: String| {
            gateway(&Upstream::events(stream))
                .await
                .client()
                .post(PATH, r#"{"model":"m","stream":true,"messages":[]}"#)
                .await
        };
        let got = ask(error.to_owned()).await;
        assert_eq!(got.status.as_u16(), status, "{error}: {}", got.text);
        assert!(got.text.contains("boom") && got.text.contains(word), "{error}: {}", got.text);
        let got = ask(format!("{half}{error}")).await;
        assert_eq!((got.status, got.complete), (StatusCode::OK, false), "{error}: {}", got.text);
        let last = got.events().pop().unwrap();
        assert!(
            last.starts_with("{\"error\":") && last.contains("boom") && last.contains(word),
            "{error}: {}",
            got.text
        );
    }
}

/// What a provider says of a refusal, in forms of its own, reaches the client; what happened is said once.
#[tokio::test]
async fn a_providers_words_reach_the_client() {
    for (status, body, words) in [
        ("400 Bad Request", r#"[{"error":{"code":400,"message":"words","status":"INVALID_ARGUMENT"}}]"#, "words"),
        (
            "400 Bad Request",
            r#"{"success":false,"errors":[{"code":5007,"message":"words"}],"messages":[],"result":{}}"#,
            "the provider answered 400: words",
        ),
        (
            "422 Unprocessable",
            r#"{"detail":[{"loc":["body","messages"],"msg":"words","type":"missing"}]}"#,
            "the provider answered 422: `body.messages`: words",
        ),
        (
            "422 Unprocessable",
            r#"{"object":"error","message":{"detail":[{"msg":"words"}]}}"#,
            "the provider answered 422: words",
        ),
        ("400 Bad Request", r#"{"message":"words"}"#, "the provider answered 400: words"),
        ("400 Bad Request", "<html>", "the provider answered 400: no reason was given"),
        ("401 Unauthorized", r#"{"detail":"key"}"#, "the provider refused the credentials: status 401"),
    ] {
        for stream in [false, true] {
            let upstream = Upstream::start(move |conversation| {
                conversation.request()?;
                conversation.answer(status, "content-type: application/json\r\nconnection: close\r\n", body)
            });
            let request = format!(r#"{{"model":"m","stream":{stream},"messages":[]}}"#);
            let got = gateway(&upstream).await.client().post(PATH, request).await;
            let expected = if status.starts_with("401") { "502" } else { &status[..3] };
            assert_eq!(got.status.as_str(), expected, "{body}: {}", got.text);
            assert_eq!(got.json()["error"]["message"], words, "{body}");
        }
    }
}

#[tokio::test]
async fn vectors_that_are_none() {
    for (body, words) in [
        ("{}", "no `data`"),
        (r#"{"data":null}"#, "no `data`"),
        (r#"{"success":false,"errors":[{"code":7003,"message":"boom"}]}"#, "boom"),
    ] {
        let upstream = Upstream::json(body);
        let got = gateway(&upstream).await.client().post("/v1/embeddings", r#"{"model":"m","input":"a"}"#).await;
        assert!(got.status == 502 && got.text.contains(words), "{body}: {} {}", got.status, got.text);
        assert_eq!(got.code(), "upstream_error", "it is not the adapter that broke its contract: {}", got.text);
    }
}

#[tokio::test]
async fn answers_that_are_none() {
    for (head, body) in [
        ("200 OK\r\ncontent-type: text/html", "<html>hello</html>"),
        ("200 OK\r\ncontent-type: application/json", "{\"choices\":["),
        ("200 OK\r\ncontent-type: application/json", r#"{"error":{"message":"no"}}"#),
        ("200 OK\r\ncontent-type: application/json", r#"[{"error":{"message":"no"}}]"#),
        ("200 OK\r\ncontent-type: application/json", r#"{"success":false,"errors":[{"code":7003,"message":"no"}]}"#),
        ("200 OK\r\ncontent-type: application/json", r#"{"object":"error","message":"no"}"#),
    ] {
        for stream in [false, true] {
            let upstream = Upstream::start(move |conversation| {
                conversation.request()?;
                conversation.answer(head, "connection: close\r\n", body)
            });
            let request = format!(r#"{{"model":"m","stream":{stream},"messages":[]}}"#);
            let got = gateway(&upstream).await.client().post(PATH, request).await;
            assert_eq!(got.status.as_u16(), 502, "{head} {stream}: {}", got.text);
            let words = got.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(!body.contains("\"no\"") || words.ends_with("no"), "{}", got.text);
        }
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_an_error() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"choices\":[]}",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"cho\r\n",
        "HTTP/1.1 200 OK\r\ncontent-ty",
        "",
    ] {
        let upstream = Upstream::start(move |conversation| {
            conversation.request()?;
            conversation.write(head)
        });
        let got = gateway(&upstream).await.client().post(PATH, r#"{"model":"m","messages":[]}"#).await;
        assert_eq!((got.status.as_u16(), got.code().as_str()), (502, "upstream_unreachable"), "{head}: {}", got.text);
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there() {
    let upstream = Upstream::json("{}");
    let host = gateway(&upstream).await;
    drop(upstream);
    let got = host.client().post(PATH, r#"{"model":"m","messages":[]}"#).await;
    assert_eq!((got.status.as_u16(), got.code().as_str()), (502, "upstream_unreachable"), "{}", got.text);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_at_the_limit() {
    let upstream = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")?;
        loop {
            conversation.write([b' '; 65_536])?;
        }
    });
    let got = gateway(&upstream).await.client().post(PATH, r#"{"model":"m","messages":[]}"#).await;
    assert_eq!(got.status.as_u16(), 502, "{}", got.text);
    assert!(got.text.contains("larger than 4194304 bytes"), "{}", got.text);
}

#[tokio::test]
async fn streams_never_mix() {
    let upstream = Upstream::start(|conversation| {
        let request = conversation.request()?;
        let name = request.rsplit_once("user-").map_or("", |(_, rest)| rest.split('"').next().unwrap_or("")).to_owned();
        conversation.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
        for at in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(2));
            conversation.write(format!("data: {{\"choices\":[],\"name\":\"{name}\",\"at\":{at}}}\n\n"))?;
        }
        conversation.write("data: [DONE]\n\n")
    });
    let host = gateway(&upstream).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..24 {
        let client = host.client();
        tasks.spawn(async move {
            let body = format!(r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"user-{n}"}}]}}"#);
            (n, client.post(PATH, body).await)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (n, got) = done.unwrap();
        let expected: Vec<String> = (0..20).map(|at| format!(r#"{{"choices":[],"name":"{n}","at":{at}}}"#)).collect();
        assert_eq!(got.events()[..20], expected, "{}", got.text);
    }
}
