//! Tables: what a request becomes, what is refused and where, what an answer and a stream become.

use super::understand;
use crate::dialect::Answer;
use crate::error::ApiError;

fn answer(more: &str) -> Box<dyn Answer> {
    understand(&format!(r#"{{"model":"m","prompt":"p"{more}}}"#)).unwrap().answer
}

#[track_caller]
fn check(more: &str, expected: &str) {
    let chat = understand(&format!(r#"{{"model":"m"{more}}}"#)).unwrap().chat;
    let messages = r#"[{"role":"user","content":"p\n"}]"#;
    assert_eq!(chat, format!(r#"{{"model":"m","messages":{messages}{expected}}}"#), "{more}");
    crate::chat_request::ChatRequest::parse(chat).unwrap();
}

#[test]
fn requests() {
    check(r#","prompt":"p\n""#, "");
    check(r#","prompt":[ "p\n" ]"#, "");
    check(r#","prompt":"p\n","suffix":null,"echo":false,"best_of":1,"logprobs":null"#, "");
    check(r#","suffix":"","echo":null,"best_of":0,"prompt":"p\n","messages":null"#, "");
    let kept = concat!(
        r#","max_tokens":18446744073709551616,"temperature":1e400,"top_p":1.0,"n":2,"stop":["a", "b"],"seed":-0,"#,
        r#""presence_penalty":0.10,"frequency_penalty":0,"logit_bias":{"b":1,"a":2},"user":"u\u0041","x\u0079":null,"#,
        r#""stream":true,"stream_options":{"include_usage":true}"#
    );
    check(&format!(r#","prompt":"p\n"{kept}"#), kept);
}

#[test]
fn refusals() {
    let check = |members: &str, code: &str, param: Option<&str>| {
        let error = understand(members).map(|understood| understood.chat).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (code, param), "{members}");
    };
    let unsupported = |more: &str, param: &str| {
        let body = format!(r#"{{"model":"m"{more}}}"#);
        check(&body, "unsupported_parameter", Some(param));
    };
    unsupported(r#","prompt":["a","b"]"#, "prompt");
    unsupported(r#","prompt":[1,2]"#, "prompt");
    for (prompt, instead) in [(r#"["a","b"]"#, "a request for each prompt"), ("[[1]]", "as text")] {
        let error = understand(&format!(r#"{{"model":"m","prompt":{prompt}}}"#)).map(|understood| understood.chat);
        let error = error.unwrap_err();
        assert!(error.message.contains(instead), "{error:?}");
    }
    unsupported(r#","prompt":[[1],[2]]"#, "prompt");
    unsupported(r#","prompt":"a","suffix":"b""#, "suffix");
    unsupported(r#","prompt":"a","echo":true"#, "echo");
    unsupported(r#","prompt":"a","best_of":2"#, "best_of");
    unsupported(r#","prompt":"a","logprobs":0"#, "logprobs");
    unsupported(r#","prompt":"a","logprobs":5"#, "logprobs");
    unsupported(r#","prompt":"a","messages":[]"#, "messages");
    let wrong = |body: &str, param: &str| check(body, "invalid_value", Some(param));
    wrong(r#"{"model":"m"}"#, "prompt");
    wrong(r#"{"model":"m","prompt":null}"#, "prompt");
    wrong(r#"{"model":"m","prompt":[]}"#, "prompt");
    wrong(r#"{"model":"m","prompt":1}"#, "prompt");
    wrong(r#"{"prompt":"a"}"#, "model");
    wrong(r#"{"model":1,"prompt":"a"}"#, "model");
    wrong(r#"{"model":"m","prompt":"a","stream":1}"#, "stream");
    wrong(r#"{"model":"m","prompt":"a","stream":true,"stream_options":1}"#, "stream_options");
    for body in ["[]", "null", r#"["m","p"]"#] {
        check(body, "invalid_json", None);
    }
}

const HEAD: &str = r#""id":"chatcmpl-1","created":17,"model":"big","system_fingerprint":"f""#;
const SAID: &str = r#""id":"cmpl-1","object":"text_completion","created":17,"model":"big","system_fingerprint":"f""#;

#[test]
fn whole_answers() {
    let check = |completion: &str, expected: &str| {
        assert_eq!(answer("").whole(completion.into()).unwrap(), expected);
    };
    let two = concat!(
        r#""choices":[{"index":1,"message":{"content":"a\/","reasoning":"t"},"finish_reason":"stop","logprobs":{}},"#,
        r#"{"index":0,"message":{"content":null},"finish_reason":"length"}],"usage":{"x": 1e400}"#
    );
    let both = concat!(
        r#""choices":[{"text":"a\/","index":1,"logprobs":null,"finish_reason":"stop"},"#,
        r#"{"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"x": 1e400}"#
    );
    check(&format!("{{{HEAD},{two}}}"), &format!("{{{SAID},{both}}}"));
    check(
        r#"{"choices":[{"message":{"refusal":"no"},"finish_reason":"stop"}],"usage":null}"#,
        concat!(
            r#"{"id":"cmpl-unknown","object":"text_completion","created":0,"model":"m","#,
            r#""choices":[{"text":"no","index":0,"logprobs":null,"finish_reason":"stop"}]}"#
        ),
    );
    for broken in [
        "[]",
        r#"{"choices":[]}"#,
        r#"{"choices":[{"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"message":{"content":"a"},"finish_reason":null}]}"#,
        r#"{"choices":[{"message":{"content":{}},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}"#,
        r#"{"choices":[{"message":{"content":null,"tool_calls":[{}]},"finish_reason":"tool_calls"}]}"#,
    ] {
        assert_eq!(answer("").whole(broken.into()).unwrap_err().code, "adapter_broke_contract", "{broken}");
    }
}

fn chunk(index: u64, content: &str, finish: &str, usage: &str) -> String {
    let choice = format!(r#"{{"index":{index},"delta":{{"content":{content}}},"finish_reason":{finish}}}"#);
    format!(r#"{{{HEAD},"choices":[{choice}]{usage}}}"#)
}

/// A chunk as it is said to the client.
fn told(index: u64, text: &str, finish: &str, usage: &str) -> String {
    let choice = format!(r#"{{"text":{text},"index":{index},"logprobs":null,"finish_reason":{finish}}}"#);
    format!("data: {{{SAID},\"choices\":[{choice}]{usage}}}\n\n")
}

/// What these chunks become, and why they break off.
fn stream(more: &str, chunks: &[&str]) -> (String, Option<ApiError>) {
    let (mut answer, mut events) = (answer(more), String::new());
    let told = chunks.iter().try_for_each(|chunk| answer.chunk(chunk, &mut events));
    let error = told.and_then(|()| answer.end(&mut events)).err();
    (events, error)
}

#[test]
fn streams() {
    let (role, text) = (chunk(0, r#""""#, "null", ""), chunk(0, r#""a\/""#, "null", r#","usage":{"x":0}"#));
    let stop = chunk(0, "null", r#""stop""#, r#","usage":{"x":1}"#);
    let usage = format!("{{{HEAD},\"choices\":[],\"usage\":{{\"x\":\n1e400}}}}");
    let done = "data: [DONE]\n\n";
    let plain = [told(0, r#""a\/""#, "null", ""), told(0, r#""""#, r#""stop""#, "")].concat();
    let nulls =
        [told(0, r#""a\/""#, "null", r#","usage":null"#), told(0, r#""""#, r#""stop""#, r#","usage":null"#)].concat();
    let last = |usage: &str| format!("data: {{{SAID},\"choices\":[],\"usage\":{usage}}}\n\n");
    let check = |more: &str, chunks: &[&str], expected: &str| {
        let (events, error) = stream(more, chunks);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(events, format!("{expected}{done}"), "{more}");
    };
    let asked = r#","stream":true,"stream_options":{"include_usage":true}"#;
    check("", &[&role, &text, &stop, &usage], &plain);
    check(r#","stream":true,"stream_options":{"include_usage":false}"#, &[&role, &text, &stop, &usage], &plain);
    check(asked, &[&role, &text, &stop, &usage], &format!("{nulls}{}", last("{\"x\":\ndata: 1e400}")));
    check(asked, &[&text, &stop], &format!("{nulls}{}", last(r#"{"x":1}"#)));
    let without = [chunk(0, r#""a\/""#, "null", ""), chunk(0, "null", r#""stop""#, r#","usage":null"#)];
    check(asked, &[&without[0], &without[1]], &nulls);
    let two =
        [chunk(1, r#""b""#, "null", ""), chunk(0, r#""a""#, r#""stop""#, ""), chunk(1, r#""c""#, r#""length""#, "")];
    let both =
        [told(1, r#""b""#, "null", ""), told(0, r#""a""#, r#""stop""#, ""), told(1, r#""c""#, r#""length""#, "")];
    check("", &[&two[0], &two[1], &two[2]], &both.concat());
}

#[test]
fn streams_that_break_off() {
    let text = chunk(0, r#""a""#, "null", "");
    let stop = chunk(1, "null", r#""stop""#, "");
    for chunks in [
        &[][..],
        &[text.as_str()],
        &[&text, &stop],
        &[&text, r#"{"choices":[],"usage":{}}"#],
        &[&text, r#"{"error":{}}"#],
        &[r#"{"choices":[{"delta":{"tool_calls":[{}]},"finish_reason":null}]}"#],
    ] {
        let (events, error) = stream("", chunks);
        assert_eq!(error.unwrap().code, "adapter_broke_contract", "{chunks:?}");
        assert!(!events.contains("[DONE]"), "{chunks:?}");
    }
    let mut events = String::new();
    let error = ApiError::broke_contract("x");
    answer("").broken(&error, &mut events);
    assert_eq!(events, format!("data: {}\n\n", error.body()));
}
