//! Whole answers: completions in, responses out.

use super::answer;
use crate::error::ApiError;
use serde_json::{Value, json};

/// The response for a completion with this choice and these members besides.
fn whole(choice: &str, more: &str) -> Result<String, ApiError> {
    let completion = format!(
        r#"{{"id":"chatcmpl-a.1","object":"chat.completion","created":7,"model":"p","choices":[{choice}]{more}}}"#
    );
    answer("").whole(completion)
}

/// What a message becomes, items' names left out.
#[track_caller]
fn check(message: &str, finish: &str, status: &str, output: Value) {
    let text = whole(&format!(r#"{{"index":0,"message":{message},"finish_reason":"{finish}"}}"#), "").unwrap();
    let mut response: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(response["status"], status, "{message}");
    for item in response["output"].as_array_mut().unwrap() {
        item.as_object_mut().unwrap().remove("id");
    }
    assert_eq!(response["output"], output, "{message}");
}

fn text(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

fn message(content: Value, status: &str) -> Value {
    json!({ "type": "message", "role": "assistant", "content": content, "status": status })
}

#[test]
fn messages() {
    check(
        r#"{"role":"assistant","content":"hi"}"#,
        "stop",
        "completed",
        json!([message(json!([text("hi")]), "completed")]),
    );
    check(r#"{"content":"hi"}"#, "length", "incomplete", json!([message(json!([text("hi")]), "incomplete")]));
    check(r#"{"content":null}"#, "stop", "completed", json!([message(json!([text("")]), "completed")]));
    check(
        r#"{"content":null,"refusal":"no"}"#,
        "stop",
        "completed",
        json!([message(json!([{ "type": "refusal", "refusal": "no" }]), "completed")]),
    );
    check(
        r#"{"content":"a","refusal":"no"}"#,
        "stop",
        "completed",
        json!([message(json!([text("a"), { "type": "refusal", "refusal": "no" }]), "completed")]),
    );
    let cited = json!({ "type": "url_citation", "start_index": 0, "end_index": 1, "title": "t", "url": "u" });
    check(
        r#"{"content":"a","annotations":[{"type":"url_citation","url_citation":{"type":"url_citation","start_index":0,"end_index":1,"title":"t","url":"u"}},{"type":"x"}]}"#,
        "stop",
        "completed",
        json!([message(
            json!([{ "type": "output_text", "annotations": [cited], "logprobs": [], "text": "a" }]),
            "completed"
        )]),
    );
}

#[test]
fn reasoning_and_calls() {
    let thinks = |status: &str| {
        let content = json!([{ "type": "reasoning_text", "text": "t" }]);
        json!({ "type": "reasoning", "summary": [], "content": content, "status": status })
    };
    let call = |id: &str, status: &str| json!({ "type": "function_call", "call_id": id, "name": "f", "arguments": "{\"a\": 1}", "status": status });
    for name in ["reasoning_content", "reasoning"] {
        check(
            &format!(r#"{{"content":"a","{name}":"t"}}"#),
            "stop",
            "completed",
            json!([thinks("completed"), message(json!([text("a")]), "completed")]),
        );
    }
    check(r#"{"content":"","reasoning_content":"t"}"#, "length", "incomplete", json!([thinks("incomplete")]));
    check(
        r#"{"content":"a","reasoning":{"no":"text"}}"#,
        "stop",
        "completed",
        json!([message(json!([text("a")]), "completed")]),
    );
    check(
        r#"{"content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}},
            {"id":"c2","index":0,"function":{"name":"f","arguments":"{\"a\": 1}"}}]}"#,
        "tool_calls",
        "completed",
        json!([call("c1", "completed"), call("c2", "completed")]),
    );
    check(
        r#"{"content":"a","tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"a\": 1}"}}]}"#,
        "length",
        "incomplete",
        json!([message(json!([text("a")]), "completed"), call("c1", "incomplete")]),
    );
    check(
        r#"{"tool_calls":[{"id":"c1","type":"custom","custom":{"name":"g","input":"x"}},{"function":{"name":"f"}}]}"#,
        "tool_calls",
        "completed",
        json!([
            { "type": "custom_tool_call", "call_id": "c1", "name": "g", "input": "x", "status": "completed" },
            { "type": "function_call", "call_id": "call_a1_1", "name": "f", "arguments": "{}", "status": "completed" },
        ]),
    );
}

#[test]
fn a_response_says_all_that_clients_require() {
    let choice = r#"{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}"#;
    let response: Value = serde_json::from_str(&whole(choice, "").unwrap()).unwrap();
    let expected = json!({
        "id": "resp_a1", "object": "response", "created_at": 7, "status": "completed", "error": null,
        "incomplete_details": null, "model": "p", "usage": null, "service_tier": null, "instructions": null,
        "output": [{
            "id": "msg_a1_0", "type": "message", "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "annotations": [], "logprobs": [], "text": "hi" }],
        }],
        "tools": [], "tool_choice": "auto", "parallel_tool_calls": true, "text": { "format": { "type": "text" } },
        "reasoning": { "effort": null, "summary": null }, "top_logprobs": 0, "max_output_tokens": null,
        "temperature": null, "top_p": null, "metadata": {}, "user": null, "safety_identifier": null,
        "prompt_cache_key": null, "background": false, "max_tool_calls": null, "previous_response_id": null,
        "store": false, "truncation": "disabled",
    });
    assert_eq!(response, expected);
}

#[test]
fn a_response_repeats_its_request() {
    let members = concat!(
        r#","instructions":"be nice","temperature":1e400,"top_p":0.10,"metadata":{"b":"1"},"user":"u","max_output_tokens":5,"#,
        "\"tools\":[ {\"type\":\"function\",\r\n\"name\":\"f\",\"parameters\":{\"z\":1e400}} ],\"tool_choice\":\"none\",",
        r#""parallel_tool_calls":false,"reasoning":{"effort":"low"},"top_logprobs":2,"service_tier":"flex","#,
        r#""text":{"verbosity":"low","format":{"type":"json_object"}}"#,
    );
    let completion =
        r#"{"id":"","model":"","choices":[{"message":{"content":"hi"},"finish_reason":"content_filter"}]}"#;
    let text = answer(members).whole(completion.to_owned()).unwrap();
    assert!(!text.contains(['\n', '\r']));
    for part in [
        r#""id":"resp_0""#,
        r#""created_at":0"#,
        r#""model":"m""#,
        r#""status":"incomplete""#,
        r#""incomplete_details":{"reason":"content_filter"}"#,
        r#""instructions":"be nice""#,
        r#""temperature":1e400,"top_p":0.10,"metadata":{"b":"1"},"user":"u""#,
        r#""max_output_tokens":5"#,
        r#""tools":[ {"type":"function","name":"f","parameters":{"z":1e400}} ],"tool_choice":"none","parallel_tool_calls":false"#,
        r#""reasoning":{"effort":"low","summary":null}"#,
        r#""top_logprobs":2"#,
        r#""service_tier":"flex""#,
        r#""text":{"format":{"type":"json_object"},"verbosity":"low"}"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_was_used() {
    let choice = r#"{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}"#;
    let used = |usage: &str| {
        let more = format!(r#","service_tier":"default","usage":{usage}"#);
        let response: Value = serde_json::from_str(&whole(choice, &more).unwrap()).unwrap();
        assert_eq!(response["service_tier"], "default");
        response["usage"].to_string()
    };
    assert_eq!(used("null"), "null");
    assert_eq!(
        used(
            r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":3}}"#
        ),
        r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":14}"#
    );
    assert_eq!(
        used(
            r#"{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":1}}"#
        ),
        r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":1},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":14}"#
    );
}

#[test]
fn texts_and_arguments_keep_their_bytes() {
    let choice = r#"{"index":0,"message":{"content":"\u0061\ud83d\ude00\/","tool_calls":[{"id":"c\u0031","function":{"name":"f","arguments":"{\"z\": 1e400,\n\"a\":\u0031}"}}]},"finish_reason":"stop",
        "logprobs":{"content":[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[{"token":"\u00e9","logprob":-1e400,"bytes":null}]}],"refusal":null}}"#;
    let text = whole(choice, "").unwrap();
    for part in [
        r#""text":"\u0061\ud83d\ude00\/""#,
        r#""logprobs":[{"token":"a","bytes":[97],"logprob":-0.10,"top_logprobs":[{"token":"\u00e9","bytes":[195,169],"logprob":-1e400}]}]"#,
        r#""call_id":"c\u0031","name":"f","arguments":"{\"z\": 1e400,\n\"a\":\u0031}""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn only_the_first_choice_is_read() {
    let choices = r#"{"index":1,"message":{"content":"no"},"finish_reason":"stop"},{"index":0,"message":{"content":"yes"},"finish_reason":"stop"}"#;
    let response: Value = serde_json::from_str(&whole(choices, "").unwrap()).unwrap();
    assert_eq!(response["output"][0]["content"][0]["text"], "yes");
}

#[test]
fn other_forms_of_text_and_arguments() {
    let content = r#"[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"a"}]"#;
    let call = r#"{"function":{"name":"f","arguments":{"a":1e400}}}"#;
    let choice = format!(r#"{{"message":{{"content":{content},"tool_calls":[{call}]}},"finish_reason":"eos"}}"#);
    let response: Value = serde_json::from_str(&whole(&choice, "").unwrap()).unwrap();
    let output = &response["output"];
    assert_eq!((&output[0]["content"][0]["text"], &output[1]["content"][0]["text"]), (&"t".into(), &"a".into()));
    assert_eq!(output[2]["arguments"], r#"{"a":1e400}"#);
}

#[test]
fn what_is_no_completion() {
    for completion in [
        "",
        "{}",
        "[]",
        "null",
        r#"["a",1,"m","default",[{"message":{"content":"hi"},"finish_reason":"stop"}],null]"#,
        r#"{"choices":[]}"#,
        r#"{"choices":[{"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"message":"hi","finish_reason":"stop"}]}"#,
        r#"{"choices":[{"message":{"content":"hi"}}]}"#,
        r#"{"choices":[{"message":{"content":"hi"},"finish_reason":null}]}"#,
        r#"{"choices":[{"message":{"content":["hi"]},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"message":{"tool_calls":[{"id":"c"}]},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"hi"}]}"#,
    ] {
        let error = answer("").whole(completion.to_owned()).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code), (502, "adapter_broke_contract"), "{completion}");
        assert!(!error.message.contains("hi"), "no error quotes an answer: {}", error.message);
    }
}
