//! The front's main path: clients ask, the echo adapter answers, and what is wrong is said.

use hauski_tests::{Log, TestHost};
use http::{Method, Request, StatusCode};
use serde_json::Value;

async fn echo() -> TestHost {
    TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }").start().await
}

#[tokio::test]
async fn a_whole_answer() {
    let host = echo().await;
    let answer = host.client().chat("echo", "hello there").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json");
    let json = answer.json();
    assert_eq!((json["object"].as_str(), json["model"].as_str()), (Some("chat.completion"), Some("echo")));
    assert_eq!(answer.content(), "hello there");
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
    let route = answer.headers["x-hauski-route"].to_str().unwrap();
    assert!(
        route.starts_with("adapter=\"echo\", digest=\"sha256:") && route.ends_with("\", locality=local"),
        "{route}"
    );
}

#[tokio::test]
async fn an_answer_in_pieces() {
    let host = echo().await;
    let answer = host.client().stream("echo", "one two three").await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert!(answer.complete);
    let mut events = answer.events();
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "one two three");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["object"] == "chat.completion.chunk"));
}

#[tokio::test]
async fn the_providers_name_reaches_the_adapter() {
    let host =
        TestHost::builder().adapter("echo").model("{ id: public, adapter: echo, upstream: theirs }").start().await;
    assert_eq!(host.client().chat("public", "x").await.json()["model"], "theirs");
    assert_eq!(host.client().chat("theirs", "x").await.code(), "model_not_found");
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let host = TestHost::builder()
        .adapter("echo")
        .model("{ id: echo, adapter: echo }")
        .model("{ id: weights, path: /tmp/demo.gguf }")
        .model("{ id: lost, adapter: nowhere }")
        .start()
        .await;
    let client = host.client();
    let post = async |body: &'static [u8]| client.post("/v1/chat/completions", body).await;
    for (body, status, code, param) in [
        (&b"{"[..], 400, "invalid_json", None),
        (b"", 400, "invalid_json", None),
        (b"\xff\xfe", 400, "invalid_utf8", None),
        (br#"{"model":7,"messages":[]}"#, 400, "invalid_value", Some("model")),
        (br#"{"messages":[]}"#, 400, "invalid_value", Some("model")),
        (br#"{"model":"echo","messages":{}}"#, 400, "invalid_value", Some("messages")),
        (br#"{"model":"echo","messages":[],"stream":"yes"}"#, 400, "invalid_value", Some("stream")),
        (br#"{"model":"echo","messages":[]}"#, 400, "invalid_request", None),
        (br#"{"model":"none","messages":[]}"#, 404, "model_not_found", Some("model")),
        (br#"{"model":"weights","messages":[]}"#, 404, "model_not_found", Some("model")),
        (br#"{"model":"lost","messages":[]}"#, 503, "adapter_unavailable", None),
    ] {
        let answer = post(body).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status.as_u16(), error["code"].as_str()), (status, Some(code)), "{}", answer.text);
        assert_eq!(error["param"].as_str(), param, "{}", answer.text);
        assert!(error["message"].as_str().is_some_and(|m| m.len() > 10) && error["type"].is_string());
    }
    assert!(
        post(br#"{"model":"lost","messages":[]}"#)
            .await
            .text
            .contains("there is no `nowhere.wasm` in the adapters folder")
    );
}

#[tokio::test]
async fn bodies_are_bounded() {
    let host = echo().await;
    let body = |length: usize| {
        let frame = r#"{"model":"echo","messages":[{"role":"user","content":""}]}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(length - frame.len())))
    };
    let limit = 1 << 20;
    assert_eq!(host.client().post("/v1/chat/completions", body(limit)).await.status, StatusCode::OK);
    let over = host.client().post("/v1/chat/completions", body(limit + 1)).await;
    assert_eq!((over.status, over.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"));
}

#[tokio::test]
async fn bodies_without_a_length_are_bounded_as_well() {
    let host = echo().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let answer = host.client().raw(format!("{head}{}", chunk.repeat(17))).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("request_too_large"), "{answer}");
    let answer = host.client().raw(format!("{head}{chunk}0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("invalid_json"), "{answer}");
}

#[tokio::test]
async fn messages_that_two_parsers_could_read_differently() {
    let host = echo().await;
    let body = r#"{"model":"echo","messages":[{"role":"user","content":"x"}]}"#;
    let (length, shorter) = (body.len(), body.len() - 1);
    for fields in [
        format!("content-length: {length}\r\ncontent-length: {shorter}"),
        format!("content-length: {length}, {shorter}"),
        format!("content-length: +{length}"),
        "transfer-encoding: chunked, identity".to_owned(),
    ] {
        let answer = host
            .client()
            .raw(format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n\r\n{body}"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1").count() == 1, "{fields}: {answer}");
    }
}

#[tokio::test]
async fn paths_and_methods() {
    let host = echo().await;
    assert_eq!(host.client().get("/nothing").await.code(), "not_found");
    let answer = host.client().get("/v1/chat/completions").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn request_ids_come_back_and_are_logged() {
    let host = echo().await;
    let send = async |id: &str| {
        let request = Request::builder().method(Method::GET).uri("/health").header("x-request-id", id);
        let answer = host.client().send(request.body(bytes::Bytes::new()).unwrap()).await;
        (answer.text.clone(), answer.headers["x-request-id"].to_str().unwrap().to_owned())
    };
    assert_eq!(send("my-id.1_x").await, ("ok".to_owned(), "my-id.1_x".to_owned()));
    for odd in ["", "a b", "a\"b", &"x".repeat(65)] {
        assert_ne!(send(odd).await.1, odd);
    }
    let lines = Log::lines_with("id=\"my-id.1_x\"");
    assert!(lines.iter().any(|line| line.contains("path=\"/health\" status=200")), "{lines:?}");
}

#[tokio::test]
async fn prompts_are_in_no_log_line() {
    let host = echo().await;
    let secret = "only-this-prompt-says-4711";
    host.client().chat("echo", secret).await;
    host.client().stream("echo", secret).await;
    host.client().post("/v1/chat/completions", format!("{{\"model\":\"{secret}\"")).await;
    assert_eq!(Log::lines_with(secret), Vec::<String>::new());
}
