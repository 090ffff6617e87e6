//! Streams: chunks in, events out, in the order that clients put responses together from.

use super::client::{assembled, told};
use super::{answer, chunk, stream};
use crate::dialect::responses::understand;
use serde_json::{Value, json};

/// What some deltas become, and that clients can put it together.
#[track_caller]
fn check(deltas: &[&str], finish: &str, expected: &[&str]) -> Value {
    let text = stream("", deltas, finish).unwrap();
    let told = told(&text);
    assert_eq!(told[..2], ["created in_progress", "in_progress in_progress"]);
    assert_eq!(told[2..], *expected);
    assembled(&text)
}

#[test]
fn text() {
    let response = check(
        &[r#"{"role":"assistant","content":""}"#, r#"{"content":"h"}"#, r#"{"content":"i","refusal":null}"#],
        "stop",
        &[
            "output_item.added 0 message in_progress",
            "content_part.added 0 0 output_text",
            "output_text.delta 0 0 h",
            "output_text.delta 0 0 i",
            "output_text.done 0 0 hi",
            "content_part.done 0 0 output_text",
            "output_item.done 0 message completed",
            "completed completed",
        ],
    );
    assert_eq!((&response["id"], &response["output"][0]["id"]), (&json!("resp_a1"), &json!("msg_a1_0")));
    assert_eq!((&response["created_at"], &response["model"]), (&json!(7), &json!("p")));
}

#[test]
fn an_answer_that_says_nothing_is_an_empty_message() {
    check(
        &[r#"{"role":"assistant"}"#],
        "stop",
        &[
            "output_item.added 0 message in_progress",
            "content_part.added 0 0 output_text",
            "output_text.done 0 0 ",
            "content_part.done 0 0 output_text",
            "output_item.done 0 message completed",
            "completed completed",
        ],
    );
}

#[test]
fn what_is_cut_off_is_incomplete() {
    for (finish, reason) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        let response = check(
            &[r#"{"reasoning_content":"t"}"#, r#"{"content":"h"}"#],
            finish,
            &[
                "output_item.added 0 reasoning in_progress",
                "content_part.added 0 0 reasoning_text",
                "reasoning_text.delta 0 0 t",
                "reasoning_text.done 0 0 t",
                "content_part.done 0 0 reasoning_text",
                "output_item.done 0 reasoning completed",
                "output_item.added 1 message in_progress",
                "content_part.added 1 0 output_text",
                "output_text.delta 1 0 h",
                "output_text.done 1 0 h",
                "content_part.done 1 0 output_text",
                "output_item.done 1 message incomplete",
                "incomplete incomplete",
            ],
        );
        assert_eq!(response["incomplete_details"], json!({ "reason": reason }));
    }
}

#[test]
fn only_the_last_item_is_cut_off() {
    let deltas = [
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"f","arguments":"{"}}]}"#,
    ];
    let response = assembled(&stream("", &deltas, "length").unwrap());
    assert_eq!(
        (&response["output"][0]["status"], &response["output"][1]["status"]),
        (&json!("completed"), &json!("incomplete"))
    );
}

#[test]
fn tool_calls_may_interleave() {
    check(
        &[
            r#"{"content":"a"}"#,
            r#"{"tool_calls":[{"index":0,"id":"c0","type":"function","function":{"name":"f","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"c1","function":{"name":"g"}},{"index":0,"function":{"arguments":"{\"a\""}}]}"#,
            r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}},{"index":0,"id":"c0","function":{"name":"f","arguments":":1}"}}]}"#,
            r#"{"content":"b"}"#,
        ],
        "tool_calls",
        &[
            "output_item.added 0 message in_progress",
            "content_part.added 0 0 output_text",
            "output_text.delta 0 0 a",
            "output_text.done 0 0 a",
            "content_part.done 0 0 output_text",
            "output_item.done 0 message completed",
            "output_item.added 1 function_call in_progress",
            "output_item.added 2 function_call in_progress",
            "function_call_arguments.delta 1 {\"a\"",
            "function_call_arguments.delta 2 {}",
            "function_call_arguments.delta 1 :1}",
            "output_item.added 3 message in_progress",
            "content_part.added 3 0 output_text",
            "output_text.delta 3 0 b",
            "function_call_arguments.done 1 {\"a\":1}",
            "output_item.done 1 function_call completed",
            "function_call_arguments.done 2 {}",
            "output_item.done 2 function_call completed",
            "output_text.done 3 0 b",
            "content_part.done 3 0 output_text",
            "output_item.done 3 message completed",
            "completed completed",
        ],
    );
}

#[test]
fn calls_wait_for_their_names() {
    let response = check(
        &[
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"","arguments":"}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"other","function":{"name":"f"}}]}"#,
        ],
        "tool_calls",
        &[
            "output_item.added 0 function_call in_progress",
            "function_call_arguments.delta 0 {}",
            "function_call_arguments.done 0 {}",
            "output_item.done 0 function_call completed",
            "completed completed",
        ],
    );
    let call = json!({ "id": "fc_a1_0", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed" });
    assert_eq!(response["output"], json!([call]));
}

#[test]
fn calls_without_numbers_are_told_apart_by_their_ids() {
    let deltas = [
        r#"{"tool_calls":[{"id":"c0","function":{"name":"f","arguments":"0"}}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"1"}}]}"#,
        r#"{"tool_calls":[{"id":"c1","function":{"name":"g","arguments":"2"}}]}"#,
    ];
    let response = assembled(&stream("", &deltas, "tool_calls").unwrap());
    let calls: Vec<_> = response["output"].as_array().unwrap().iter().map(|call| &call["arguments"]).collect();
    assert_eq!(calls, ["01", "2"]);
}

#[test]
fn custom_tools_get_plain_text() {
    check(
        &[
            r#"{"tool_calls":[{"index":0,"id":"c","type":"custom","custom":{"name":"g","input":"x"}}]}"#,
            r#"{"tool_calls":[{"index":0,"custom":{"input":"y"}}]}"#,
        ],
        "tool_calls",
        &[
            "output_item.added 0 custom_tool_call in_progress",
            "custom_tool_call_input.delta 0 x",
            "custom_tool_call_input.delta 0 y",
            "custom_tool_call_input.done 0 xy",
            "output_item.done 0 custom_tool_call completed",
            "completed completed",
        ],
    );
}

#[test]
fn a_refusal_is_a_part_of_the_message() {
    check(
        &[r#"{"content":"a"}"#, r#"{"refusal":"n"}"#, r#"{"refusal":"o"}"#],
        "stop",
        &[
            "output_item.added 0 message in_progress",
            "content_part.added 0 0 output_text",
            "output_text.delta 0 0 a",
            "output_text.done 0 0 a",
            "content_part.done 0 0 output_text",
            "content_part.added 0 1 refusal",
            "refusal.delta 0 1 n",
            "refusal.delta 0 1 o",
            "refusal.done 0 1 no",
            "content_part.done 0 1 refusal",
            "output_item.done 0 message completed",
            "completed completed",
        ],
    );
}

#[test]
fn likelihoods_sources_and_usage() {
    let mut answer = answer("");
    let mut text = String::new();
    let token =
        |token: &str| format!("{{\"token\":\"{token}\",\n\"logprob\":-0.10,\"bytes\":[\n97],\"top_logprobs\":[]}}");
    let cited = "{\"type\":\"url_citation\",\"url_citation\":{\"type\":\"url_citation\",\"url\":\"u\",\"x\":[\r\n1]}}";
    for choice in [
        format!(r#"{{"index":0,"delta":{{"content":"a"}},"logprobs":{{"content":[{}]}}}}"#, token("a")),
        format!(
            r#"{{"index":0,"delta":{{"content":"b","annotations":[{cited}]}},"logprobs":{{"content":[{}]}}}}"#,
            token("b")
        ),
        r#"{"index":0,"delta":{},"finish_reason":"stop"}"#.to_owned(),
    ] {
        answer.chunk(&chunk(&choice), &mut text).unwrap();
    }
    let last = chunk("").replace(
        r#""choices""#,
        "\"service_tier\":\"flex\",\"usage\":{\"prompt_tokens\":\n3,\"completion_tokens\":4},\"choices\"",
    );
    answer.chunk(&last, &mut text).unwrap();
    answer.end(&mut text).unwrap();
    let response = assembled(&text);
    let part = &response["output"][0]["content"][0];
    assert_eq!(part["logprobs"].as_array().unwrap().len(), 2);
    assert_eq!(part["annotations"], json!([{ "type": "url_citation", "url": "u", "x": [1] }]));
    assert!(text.contains(r#""logprob":-0.10"#));
    assert!(!text.contains(r#""type":"url_citation","type""#), "no name is there twice");
    assert_eq!((&response["usage"]["total_tokens"], &response["service_tier"]), (&json!(7), &json!("flex")));
}

#[test]
fn likelihoods_of_thoughts_are_not_those_of_the_text() {
    let mut answer = answer("");
    let mut text = String::new();
    let likely = |token: &str| format!(r#""logprobs":{{"content":[{{"token":"{token}","logprob":-1,"bytes":[]}}]}}"#);
    for (delta, token) in [
        (r#"{"reasoning":"t"}"#, "t"),
        (r#"{"content":"","reasoning":"u"}"#, "u"),
        (r#"{"content":"a"}"#, "a"),
        (r#"{"content":""}"#, "b"),
        (r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}"#, "c"),
        (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#, "d"),
    ] {
        answer.chunk(&chunk(&format!(r#"{{"delta":{delta},{}}}"#, likely(token))), &mut text).unwrap();
    }
    answer.chunk(&chunk(r#"{"delta":{},"finish_reason":"tool_calls"}"#), &mut text).unwrap();
    answer.end(&mut text).unwrap();
    let output = &assembled(&text)["output"];
    let kinds: Vec<_> = output.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    let tokens: Vec<_> =
        output[1]["content"][0]["logprobs"].as_array().unwrap().iter().map(|one| &one["token"]).collect();
    assert_eq!(tokens, ["a", "b"]);
}

#[test]
fn a_first_chunk_without_a_choice_names_nothing() {
    let mut answer = answer("");
    let mut text = String::new();
    answer.chunk(r#"{"id":"","model":"","choices":[],"prompt_filter_results":[]}"#, &mut text).unwrap();
    assert_eq!(text, "");
    answer
        .chunk(
            &chunk(r#"{"index":0,"delta":{"content":"a"},"message":{"content":"a"},"finish_reason":"stop"}"#),
            &mut text,
        )
        .unwrap();
    answer.chunk(&chunk(r#"{"index":1,"delta":{"content":"no"},"finish_reason":"length"}"#), &mut text).unwrap();
    answer.end(&mut text).unwrap();
    let response = assembled(&text);
    assert_eq!((&response["id"], &response["output"][0]["content"][0]["text"]), (&json!("resp_a1"), &json!("a")));
}

#[test]
fn requests_on_many_lines_are_repeated_on_one() {
    let body = "{\"model\":\"m\",\r\n\"input\":\"hi\",\"tools\":[\n{\"type\":\"function\",\r\"name\":\"f\"}\n]}";
    let mut answer = understand(body).unwrap().answer;
    let mut text = String::new();
    answer.chunk(&chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#), &mut text).unwrap();
    answer.end(&mut text).unwrap();
    assert_eq!(assembled(&text)["tools"], json!([{ "type": "function", "name": "f" }]));
}

/// Clients that ask for a summary read nothing else.
#[test]
fn thoughts_as_a_summary() {
    for summary in ["auto", "concise", "detailed"] {
        let more = format!(r#","reasoning":{{"summary":"{summary}"}}"#);
        let text = stream(&more, &[r#"{"reasoning_content":"t"}"#, r#"{"content":"a"}"#], "stop").unwrap();
        assert_eq!(
            told(&text)[2..8],
            [
                "output_item.added 0 reasoning in_progress",
                "reasoning_summary_part.added 0 summary_text",
                "reasoning_summary_text.delta 0 t",
                "reasoning_summary_text.done 0 t",
                "reasoning_summary_part.done 0 summary_text",
                "output_item.done 0 reasoning completed",
            ]
        );
        let last = super::client::events(&text).pop().unwrap().data;
        let reasoning = &last["response"]["output"][0];
        assert_eq!(reasoning["summary"], json!([{ "type": "summary_text", "text": "t" }]));
        assert_eq!((reasoning.get("content"), &last["response"]["reasoning"]["summary"]), (None, &json!(summary)));
    }
}

#[test]
fn calls_of_tools_in_a_namespace() {
    let more = r#","tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]"#;
    let call = |name: &str| {
        format!(r#"{{"tool_calls":[{{"index":0,"id":"c","function":{{"name":"{name}","arguments":"{{}}"}}}}]}}"#)
    };
    let calls = [
        ("n__f", json!("n"), "f"),
        (r"\u006e__\u0066", json!("n"), "f"),
        ("f", Value::Null, "f"),
        ("n__g", Value::Null, "n__g"),
    ];
    for (called, namespace, name) in calls {
        let text = stream(more, &[&call(called)], "tool_calls").unwrap();
        let last = super::client::events(&text).pop().unwrap().data;
        let call = &last["response"]["output"][0];
        assert_eq!((&call["namespace"], &call["name"]), (&namespace, &json!(name)), "{called}");
    }
}
