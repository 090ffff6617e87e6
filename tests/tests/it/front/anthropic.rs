//! Row 12: the adapter `anthropic` against scripted providers.

mod back;

use super::ground::{CHAT, ask};
use super::stage::{Framing, Play, Stage, broken, chunks, payloads};
use hauski_tests::{Builder, TestHost, Upstream};
use serde_json::{Value, json};
use std::time::Duration;

const JSON: &str = "content-type: application/json\r\nconnection: close\r\n";
const USAGE: &str = r#""stream":true,"stream_options":{"include_usage":true},"#;

/// A gateway that may reach this provider by the adapter `anthropic`, with a key.
fn gateway(upstream: &Upstream) -> Builder {
    let url = upstream.url("/v1");
    TestHost::builder()
        .adapter("anthropic")
        .env("ANTHROPIC_API_KEY", "sk-ant-0123456789")
        .grant_as_written(&format!(
            "{{ url: \"{url}/\", adapters: [anthropic], methods: [GET, POST], secret: {{ header: x-api-key, value: \
             \"${{env:ANTHROPIC_API_KEY}}\" }} }}"
        ))
        .model(&format!("{{ id: m0, adapter: anthropic, upstream: claude, config: {{ base_url: \"{url}\" }} }}"))
}

/// The stage's gateway with this adapter in the place of its own.
async fn stage(plays: Vec<Play>) -> Stage {
    Stage::with(plays, |builder| builder.adapter_as("anthropic", "openai-compatible")).await
}

/// A provider that answers with this, again and again.
fn answers(status: &'static str, fields: &'static str, body: impl Into<String>) -> Upstream {
    let body = body.into();
    Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.answer(status, &format!("{JSON}{fields}"), &body)
    })
}

fn message(content: &Value, stop_reason: &str, stop_sequence: Option<&str>) -> Value {
    json!({
        "id": "msg_01", "type": "message", "role": "assistant", "model": "claude", "content": content,
        "stop_reason": stop_reason, "stop_sequence": stop_sequence,
        "usage": {
            "input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 7,
            "service_tier": "standard",
        },
    })
}

/// A stream with all kinds of blocks, as Anthropic sends it.
fn motley() -> String {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"grüße 😀"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a\u00e9"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"z\": 1.0, \"a"}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\": \"data: [DONE]\"}"}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"g","input":{}}}"#,
        r#"{"type":"content_block_stop","index":3}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":null,"stop_sequence":null},"usage":{"output_tokens":5}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":7}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    stream(&events)
}

fn stream(events: &[&str]) -> String {
    let name = |event: &str| event.split('"').nth(3).unwrap_or_default().to_owned();
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event))).collect()
}

/// What becomes of that stream: its deltas and ends, and the usage.
const EXPECTED: [&str; 9] = [
    r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}"#,
    r#"{"index":0,"delta":{"reasoning_content":"grüße 😀"},"finish_reason":null}"#,
    r#"{"index":0,"delta":{"content":"a\u00e9"},"finish_reason":null}"#,
    r#"{"index":0,"delta":{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}"#,
    r#"{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"z\": 1.0, \"a"}}]},"finish_reason":null}"#,
    r#"{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\": \"data: [DONE]\"}"}}]},"finish_reason":null}"#,
    r#"{"index":0,"delta":{"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"g","arguments":""}}]},"finish_reason":null}"#,
    r#"{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"finish_reason":null}"#,
    r#"{"index":0,"delta":{},"finish_reason":"tool_calls"}"#,
];
const TOKENS: &str = r#""usage":{"prompt_tokens":14,"completion_tokens":7,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4}}}"#;

/// What chunks tell beside id, time and model, which all of them have in common.
#[track_caller]
fn told(chunks: &[String]) -> Vec<&str> {
    let head = |chunk: &str| chunk.split_once(r#","choices":["#).map(|(head, _)| head.to_owned());
    let first = head(&chunks[0]).unwrap();
    assert!(first.starts_with(r#"{"id":"chatcmpl-01","object":"chat.completion.chunk","created":1"#), "{first}");
    assert!(first.ends_with(r#""model":"claude""#), "{first}");
    let rest = |chunk: &'_ String| {
        assert_eq!(head(chunk).as_deref(), Some(&*first));
        first.len() + r#","choices":["#.len()
    };
    chunks.iter().map(|chunk| chunk[rest(chunk)..].trim_end_matches("]}")).collect()
}

#[tokio::test]
async fn r12_a_request_for_chat_becomes_one_for_a_message() {
    let upstream =
        answers("200 OK", "", message(&json!([{ "type": "text", "text": "hi" }]), "end_turn", None).to_string());
    let host = gateway(&upstream).start().await;
    let request = r#"{"model":"m0","messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"z\": 1.0, \"a\":1e400}"}}]},{"role":"tool","tool_call_id":"toolu_1","content":"r"},{"role":"user","content":"b"}],"tools":[{"type":"function","function":{"name":"f","parameters":{ "z":1.0, "maximum":1e400}}}],"stop":"x","top_k":5}"#;
    let answer = host.client().post(CHAT, request).await;
    assert_eq!((answer.status.as_u16(), answer.content().as_str()), (200, "hi"), "{}", answer.text);
    let sent = upstream.requests().pop().unwrap();
    let (head, sent) = sent.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/messages HTTP/1.1\r\n"), "{head}");
    for field in ["anthropic-version: 2023-06-01", "x-api-key: sk-ant-0123456789", "content-type: application/json"] {
        assert!(head.lines().any(|line| line.eq_ignore_ascii_case(field)), "{field}: {head}");
    }
    assert_eq!(
        sent,
        r#"{"model":"claude","max_tokens":8192,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"z": 1.0, "a":1e400}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"r"}]},{"type":"text","text":"b"}]}],"stop_sequences":["x"],"tools":[{"name":"f","input_schema":{ "z":1.0, "maximum":1e400}}],"top_k":5}"#
    );
}

#[tokio::test]
async fn r12_settings_of_the_model() {
    let upstream = answers("200 OK", "", message(&json!([]), "end_turn", None).to_string());
    let config = format!(
        "{{ base_url: \"{}/\", max_tokens: 77, headers: {{ anthropic-beta: b1, Anthropic-Version: \"2030-01-01\" }} }}",
        upstream.url("/v1")
    );
    let host = gateway(&upstream).model(&format!("{{ id: m1, adapter: anthropic, config: {config} }}")).start().await;
    let answer = host.client().post(CHAT, ask("m1", false)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let sent = upstream.requests().pop().unwrap().to_ascii_lowercase();
    assert!(
        sent.contains("\r\nanthropic-beta: b1\r\n") && sent.contains("\r\nanthropic-version: 2030-01-01\r\n"),
        "{sent}"
    );
    assert!(!sent.contains("2023-06-01") && sent.contains(r#""max_tokens":77,"#), "{sent}");
}

#[tokio::test]
async fn r12_what_can_not_be_said_is_refused_before_anything_is_sent() {
    let upstream = answers("200 OK", "", "{}");
    let host = gateway(&upstream).start().await;
    for (member, field) in
        [(r#""n":2"#, "`n`"), (r#""seed":1"#, "`seed`"), (r#""tools":[{"type":"x"}]"#, "`tools[0].type`")]
    {
        for stream in [false, true] {
            let request = ask("m0", stream).replacen('{', &format!("{{{member},"), 1);
            let answer = host.client().post(CHAT, request).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_request"), "{}", answer.text);
            assert!(answer.text.contains(field), "{}", answer.text);
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn r12_a_message_becomes_a_completion() {
    let body = r#"{"id":"msg_01","type":"message","role":"assistant","model":"claude","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"a\u00e9"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"z": 1.0, "a":1e400}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":4,"output_tokens":7}}"#;
    let upstream = answers("200 OK", "", body);
    let answer = gateway(&upstream).start().await.client().post(CHAT, ask("m0", false)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let text = answer.text.replacen(&format!(r#""created":{},"#, answer.json()["created"]), "", 1);
    assert_eq!(
        text,
        r#"{"id":"chatcmpl-01","object":"chat.completion","model":"claude","choices":[{"index":0,"message":{"role":"assistant","content":"a\u00e9","reasoning_content":"hm","tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"z\": 1.0, \"a\":1e400}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":114,"completion_tokens":7,"total_tokens":121,"prompt_tokens_details":{"cached_tokens":4}}}"#
    );
}

#[tokio::test]
async fn r12_stop_reasons() {
    for (theirs, ours) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "length"),
    ] {
        let whole = answers("200 OK", "", message(&json!([]), theirs, None).to_string());
        let answer = gateway(&whole).start().await.client().post(CHAT, ask("m0", false)).await;
        assert_eq!(answer.json()["choices"][0]["finish_reason"], ours, "{theirs}: {}", answer.text);
        let streamed =
            Upstream::events(motley().replace(r#""stop_reason":"tool_use""#, &format!(r#""stop_reason":"{theirs}""#)));
        let answer = gateway(&streamed).start().await.client().post(CHAT, ask("m0", true)).await;
        assert!(
            chunks(&answer).last().unwrap().contains(&format!(r#""finish_reason":"{ours}"}}"#)),
            "{theirs}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn r12_the_same_chunks_wherever_a_stream_is_cut() {
    let stream = motley();
    let bytes = stream.as_bytes();
    let cut = |at: usize| Play::new(Framing::Chunked, [&bytes[..at], &bytes[at..]]).slowly(Duration::from_millis(1));
    let mut plays: Vec<_> = (1..bytes.len()).map(cut).collect();
    plays.extend((1..=16).map(|size| Play::new(Framing::Chunked, bytes.chunks(size))));
    for (at, answer) in stage(plays).await.streams().await.iter().enumerate() {
        assert_eq!(told(&chunks(answer)), EXPECTED, "cut at {}", at + 1);
    }
}

#[tokio::test]
async fn r12_usage_is_cumulative_and_told_to_those_who_ask() {
    let stage = stage(vec![Play::whole(motley())]).await;
    let answer = stage.ask(0, USAGE).await;
    let chunks = chunks(&answer);
    let (usage, rest) = chunks.split_last().unwrap();
    assert_eq!(told(rest), EXPECTED);
    assert!(usage.ends_with(&format!(r#""choices":[],{TOKENS}"#)), "{usage}");
    assert!(!stage.ask(0, r#""stream":true,"#).await.text.contains("usage"));
}

#[tokio::test]
async fn r12_a_stream_that_breaks_off_never_looks_whole() {
    let stream = motley();
    let cut = |at: usize| Play::new(Framing::Chunked, [&stream.as_bytes()[..at]]);
    // As far as the end's own event, whose last bytes may lack.
    let ends = stream.len() - "\n\n".len() - r#"{"type":"message_stop"}"#.len();
    let plays: Vec<_> = (0..=ends).step_by(7).map(cut).collect();
    for (at, answer) in stage(plays).await.streams().await.iter().enumerate() {
        let chunks = broken(answer);
        assert_eq!(chunks.is_empty(), answer.status != 200);
        let told = if chunks.is_empty() { Vec::new() } else { told(&chunks) };
        assert_eq!(told, EXPECTED[..told.len()], "cut at {}", at * 7);
        assert!(told.len() < EXPECTED.len(), "an end that is none, cut at {}: {}", at * 7, answer.text);
    }
}

const FULL: &str =
    r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
const OURS: &str = r#"{"error":{"type":"overloaded_error","message":"Overloaded","param":null,"code":"overloaded_error"},"request_id":"req_1"}"#;

#[tokio::test]
async fn r12_an_overload_in_the_midst_of_a_stream() {
    let begun = motley().split_inclusive("\n\n").take(8).collect::<String>();
    let upstream = Upstream::events(format!("{begun}{}{}", stream(&[FULL]), "event: message_stop\ndata: {}\n\n"));
    let answer = gateway(&upstream).start().await.client().post(CHAT, ask("m0", true)).await;
    assert_eq!(told(&broken(&answer)), EXPECTED[..3]);
    assert_eq!(payloads(&answer.text).pop().as_deref(), Some(OURS), "{}", answer.text);
    assert_eq!(upstream.connections(), 1, "what has begun is not asked for again");
}

/// Nothing was said yet, so that it is the answer's status, and another try's turn.
#[tokio::test]
async fn r12_an_overload_before_the_first_word() {
    let begun = motley().split_inclusive("\n\n").take(3).collect::<String>();
    let upstream = Upstream::events(format!("{begun}{}", stream(&[FULL])));
    let answer = gateway(&upstream).start().await.client().post(CHAT, ask("m0", true)).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (502, OURS));
}

#[tokio::test]
async fn r12_errors_before_the_answer() {
    for (status, kind, expected, code, tries) in [
        ("400 Bad Request", "invalid_request_error", 400, "invalid_request_error", 1),
        ("401 Unauthorized", "authentication_error", 502, "upstream_unauthorized", 1),
        ("403 Forbidden", "permission_error", 502, "upstream_unauthorized", 1),
        ("404 Not Found", "not_found_error", 404, "model_not_found", 1),
        ("413 Content Too Large", "request_too_large", 413, "request_too_large", 1),
        ("429 Too Many Requests", "rate_limit_error", 429, "rate_limit_error", 1),
        // Tried once more, if it did not ask for more time than is waited.
        ("500 Internal Server Error", "api_error", 502, "api_error", 1),
        ("529 Overloaded", "overloaded_error", 502, "overloaded_error", 1),
    ] {
        for stream in [false, true] {
            let body =
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"model: no"}},"request_id":"req_1"}}"#);
            let upstream = answers(status, "retry-after: 70\r\n", body);
            let answer = gateway(&upstream).start().await.client().post(CHAT, ask("m0", stream)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (expected, code), "{status}: {}", answer.text);
            let asks_for_time = ["429", "500", "529"].contains(&&status[..3]);
            assert_eq!(answer.headers.contains_key("retry-after"), asks_for_time, "{status}");
            assert_eq!(upstream.connections(), tries, "{status}");
        }
    }
}

/// Servers that speak Anthropic's API and are not Anthropic's own.
#[tokio::test]
async fn r12_what_others_leave_out_is_left_out() {
    let bare = |event: &str| {
        event.replace(r#""content":[],"#, "").replace(r#""model":"claude","#, "").replace(r#""id":"msg_01","#, "")
    };
    let zeros = r#""usage":{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":7}"#;
    let stream = bare(&motley()).replace(r#""usage":{"output_tokens":7}"#, zeros);
    assert!(stream.contains(zeros) && !stream.contains("claude"));
    let lost = motley().replace(
        r#"event: content_block_start
data: {"type":"content_block_start","index":2"#,
        r#"event: new
data: {"type":"new","index":2"#,
    );
    let stage = stage(vec![Play::whole(stream), Play::whole(lost)]).await;
    let answer = stage.ask(0, USAGE).await;
    let got = chunks(&answer);
    assert!(got.len() == EXPECTED.len() + 1 && got[EXPECTED.len()].ends_with(TOKENS), "{}", answer.text);
    let answer = stage.ask(1, USAGE).await;
    assert_eq!(told(&broken(&answer)), EXPECTED[..3], "an input without its call");
}

#[tokio::test]
async fn r12_an_answer_that_is_none_is_not_quoted() {
    for body in [
        r#"{"id":"msg_01","model":"claude","content":"a secret","stop_reason":"end_turn"}"#,
        r#"{"id":"msg_01","model":"claude","content":["a secret"],"stop_reason":"end_turn"}"#,
    ] {
        let answer = gateway(&answers("200 OK", "", body)).start().await.client().post(CHAT, ask("m0", false)).await;
        assert!(answer.status == 502 && answer.text.contains("no message"), "{}", answer.text);
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
}

#[tokio::test]
async fn r12_answers_that_are_none() {
    for (head, body) in [
        ("text/html", "<html>hello</html>"),
        ("application/json", r#"{"id":"#),
        ("application/json", r#"{"choices":[]}"#),
        ("application/json", FULL),
        ("application/json", r#"{"success":false,"errors":[{"code":7003,"message":"no"}]}"#),
    ] {
        for stream in [false, true] {
            let upstream = Upstream::start(move |conversation| {
                conversation.request()?;
                conversation.answer("200 OK", &format!("content-type: {head}\r\nconnection: close\r\n"), body)
            });
            let answer = gateway(&upstream).start().await.client().post(CHAT, ask("m0", stream)).await;
            assert!(answer.status == 502 && answer.json()["error"]["message"].is_string(), "{body}: {}", answer.text);
            assert!(!body.contains("7003") || answer.text.contains("502: no\""), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn r12_the_list_of_models_is_the_probe() {
    let list = r#"{"data":[{"type":"model","id":"claude","created_at":"2025-02-19T00:00:00Z"}],"has_more":false}"#;
    let upstream = answers("200 OK", "", list);
    let host = gateway(&upstream).limit("probe_seconds", 1).start().await;
    host.client().until_metric(r#"hauski_probes_total{model="m0",result="well"} 1"#, Duration::from_secs(10)).await;
    let sent = upstream.requests().pop().unwrap();
    assert!(sent.starts_with("GET /v1/models?limit=1000 HTTP/1.1\r\n") && sent.contains("2023-06-01"), "{sent}");
}
