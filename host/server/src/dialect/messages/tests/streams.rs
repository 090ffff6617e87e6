//! What chunks become.

use super::events;
use serde_json::Value;

fn chunk(delta: &str, finish: &str) -> String {
    let choice = format!(r#"{{"index":0,"delta":{{{delta}}},"finish_reason":{finish}}}"#);
    format!(r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"big","choices":[{choice}]}}"#)
}

fn call(index: usize, members: &str) -> String {
    format!(r#""tool_calls":[{{"index":{index},{members}}}]"#)
}

/// An event in short: `+0 text`, `0 hello`, `-0`.
fn short((name, data): &(String, Value)) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let index = &data["index"];
    match &**name {
        "content_block_start" => {
            let block = &data["content_block"];
            match block["type"].as_str().unwrap() {
                "tool_use" => format!("+{index} {} {} {}", text(&block["id"]), text(&block["name"]), block["input"]),
                "thinking" => format!("+{index} thinking{}{}", text(&block["thinking"]), text(&block["signature"])),
                "text" => format!("+{index} text{}", text(&block["text"])),
                other => panic!("{other}"),
            }
        }
        "content_block_delta" => {
            let delta = &data["delta"];
            let field = match delta["type"].as_str().unwrap() {
                "text_delta" => "text",
                "thinking_delta" => "thinking",
                "input_json_delta" => "partial_json",
                other => panic!("{other}"),
            };
            format!("{index} {}", text(&delta[field]))
        }
        "content_block_stop" => format!("-{index}"),
        "message_delta" => format!("{} {}", text(&data["delta"]["stop_reason"]), data["usage"]["output_tokens"]),
        _ => name.clone(),
    }
}

/// Checks the events between the message's begin and end, and why it ended.
#[track_caller]
fn check(deltas: &[(&str, &str)], expected: &[&str]) {
    let chunks: Vec<_> = deltas.iter().map(|(delta, finish)| chunk(delta, finish)).collect();
    let (events, error) = events("", &chunks.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(error.is_none(), "{error:?}");
    let found: Vec<_> = events.iter().map(short).collect();
    assert_eq!((found.first().unwrap().as_str(), found.last().unwrap().as_str()), ("message_start", "message_stop"));
    assert_eq!(found[1..found.len() - 1], *expected);
}

/// Checks that the stream breaks the contract.
#[track_caller]
fn check_broken(chunks: &[&str], message: &str) {
    let (events, error) = events("", chunks);
    let error = error.unwrap();
    assert_eq!(error.code, "adapter_broke_contract");
    assert!(error.message.contains(message), "{error:?}");
    assert!(events.iter().all(|(name, _)| name != "message_stop"), "half an answer looks whole");
}

const NONE: &str = "null";
const STOP: &str = r#""stop""#;
const CALLS: &str = r#""tool_calls""#;

#[test]
fn thoughts_that_are_not_wanted() {
    let omitted = r#","thinking":{"type":"adaptive","display":"omitted"}"#;
    let chunks = [chunk(r#""reasoning_content":"t""#, NONE), chunk(r#""content":"a""#, STOP)];
    let (events, error) = events(omitted, &chunks.each_ref().map(String::as_str));
    assert!(error.is_none(), "{error:?}");
    let found: Vec<_> = events.iter().map(short).collect();
    assert_eq!(found, ["message_start", "+0 text", "0 a", "-0", "end_turn 0", "message_stop"]);
}

#[test]
fn text() {
    check(
        &[
            (r#""role":"assistant","content":"""#, NONE),
            (r#""content":"a""#, NONE),
            (r#""content":"\n\"b""#, NONE),
            ("", STOP),
        ],
        &["+0 text", "0 a", "0 \n\"b", "-0", "end_turn 0"],
    );
    check(&[(r#""content":"a""#, r#""length""#)], &["+0 text", "0 a", "-0", "max_tokens 0"]);
    check(&[(r#""content":null"#, STOP)], &["end_turn 0"]);
    check(&[("", STOP), (r#""content":"""#, NONE)], &["end_turn 0"]);
    check(&[(r#""refusal":"no""#, NONE), (r#""content":null"#, STOP)], &["+0 text", "0 no", "-0", "refusal 0"]);
}

#[test]
fn thoughts() {
    check(
        &[
            (r#""reasoning_content":"t""#, NONE),
            (r#""reasoning":"u""#, NONE),
            (r#""reasoning_content":"","content":"a""#, NONE),
            (r#""reasoning":"v""#, STOP),
        ],
        &["+0 thinking", "0 t", "0 u", "-0", "+1 text", "1 a", "-1", "+2 thinking", "2 v", "-2", "end_turn 0"],
    );
    check(
        &[(r#""content":"a","reasoning_content":"t","reasoning":"t""#, STOP)],
        &["+0 thinking", "0 t", "-0", "+1 text", "1 a", "-1", "end_turn 0"],
    );
}

#[test]
fn one_call() {
    let first = call(0, r#""id":"c1","type":"function","function":{"name":"f","arguments":""}"#);
    let piece = |text: &str| call(0, &format!(r#""function":{{"arguments":{text}}}"#));
    check(
        &[
            (r#""content":"a""#, NONE),
            (&first, NONE),
            (&piece(r#""{\"a\": 1""#), NONE),
            (&piece(r#""e400}""#), NONE),
            ("", CALLS),
        ],
        &["+0 text", "0 a", "-0", "+1 c1 f {}", r#"1 {"a": 1"#, "1 e400}", "-1", "tool_use 0"],
    );
    check(&[(&first, STOP)], &["+0 c1 f {}", "-0", "tool_use 0"]);
    check(
        &[(r#""function_call":{"name":"f","arguments":"{}"}"#, STOP)],
        &["+0 toolu_1_0 f {}", "0 {}", "-0", "tool_use 0"],
    );
    let cut = r#""length""#;
    check(&[(&first, NONE), (&piece(r#""{""#), cut)], &["+0 c1 f {}", "0 {", "-0", "max_tokens 0"]);
}

#[test]
fn calls_that_come_mixed() {
    let piece = |index, text: &str| call(index, &format!(r#""id":"","function":{{"name":null,"arguments":"{text}"}}"#));
    let both = concat!(
        r#""tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"1"}},{"index":1,"id":"c2","#,
        r#""function":{"name":"g"}}]"#
    );
    check(
        &[
            (both, NONE),
            (&piece(1, "a"), NONE),
            (&piece(0, "2"), NONE),
            (r#""content":"x""#, NONE),
            (&piece(1, "b"), NONE),
            (&call(2, r#""function":{"name":"h","arguments":"z"}"#), NONE),
            (r#""content":"y""#, NONE),
            (&piece(0, "3"), CALLS),
        ],
        &[
            "+0 c1 f {}",
            "0 1",
            "0 2",
            "0 3",
            "-0",
            "+1 c2 g {}",
            "1 a",
            "1 b",
            "-1",
            "+2 text",
            "2 x",
            "-2",
            "+3 toolu_1_3 h {}",
            "3 z",
            "-3",
            "+4 text",
            "4 y",
            "-4",
            "tool_use 0",
        ],
    );
}

/// Some servers say what was used, or nothing at all, in chunks without choices.
#[test]
fn chunks_without_choices_say_nothing() {
    let text = chunk(r#""content":"a""#, STOP);
    let usage = r#"{"usage":{"prompt_tokens":3.0,"completion_tokens":"5"}}"#;
    let (events, error) = events("", &[&text, r#"{"choices":null}"#, r#"{"type":"ping"}"#, usage]);
    assert!(error.is_none(), "{error:?}");
    let found: Vec<_> = events.iter().map(short).collect();
    assert_eq!(found, ["message_start", "+0 text", "0 a", "-0", "end_turn 5", "message_stop"]);
}

#[test]
fn text_in_parts() {
    let parts = r#""content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]}]"#;
    check(
        &[(parts, NONE), (r#""content":[{"type":"text","text":"a"}]"#, STOP)],
        &["+0 thinking", "0 t", "-0", "+1 text", "1 a", "-1", "end_turn 0"],
    );
}

#[test]
fn calls_without_ids_of_their_own() {
    let whole =
        |name: &str, id: &str| call(0, &format!(r#""id":"{id}","function":{{"name":"{name}","arguments":"{{}}"}}"#));
    check(
        &[(&whole("f", ""), NONE), (&whole("g", ""), NONE), (&whole("g", ""), CALLS)],
        &[
            "+0 toolu_1_0 f {}",
            "0 {}",
            "-0",
            "+1 toolu_1_1 g {}",
            "1 {}",
            "-1",
            "+2 toolu_1_2 g {}",
            "2 {}",
            "-2",
            "tool_use 0",
        ],
    );
}

#[test]
fn calls_told_apart_by_their_ids() {
    let whole = |id: &str| call(0, &format!(r#""id":"{id}","function":{{"name":"f","arguments":"{{}}"}}"#));
    check(
        &[(&whole("c1"), NONE), (&whole("c2"), CALLS)],
        &["+0 c1 f {}", "0 {}", "-0", "+1 c2 f {}", "1 {}", "-1", "tool_use 0"],
    );
    let nameless = call(0, r#""function":{"arguments":"1"}"#);
    check(
        &[(&whole("c1"), NONE), (&whole("c2"), NONE), (&nameless, CALLS)],
        &["+0 c1 f {}", "0 {}", "-0", "+1 c2 f {}", "1 {}", "1 1", "-1", "tool_use 0"],
    );
    let other_id = call(0, r#""id":"c9","function":{"arguments":"1"}"#);
    let repeated = call(0, r#""id":"c1","function":{"name":"f","arguments":"2"}"#);
    let without_number = r#""tool_calls":[{"function":{"arguments":"3"}}]"#;
    check(
        &[(&whole("c1"), NONE), (&other_id, NONE), (&repeated, NONE), (without_number, CALLS)],
        &["+0 c1 f {}", "0 {}", "0 1", "0 2", "0 3", "-0", "tool_use 0"],
    );
}

#[test]
fn pieces_keep_their_bytes() {
    let mut text = String::new();
    let mut answer = super::answer("");
    for piece in [r#""\ud83d""#, r#""\ude00 \u0041\/""#] {
        answer.chunk(&chunk(&format!(r#""content":{piece}"#), NONE), &mut text).unwrap();
        answer
            .chunk(&chunk(&call(0, &format!(r#""function":{{"name":"f","arguments":{piece}}}"#)), NONE), &mut text)
            .unwrap();
        assert!(text.contains(&format!(r#""partial_json":{piece}"#)), "{text}");
    }
    assert!(text.contains(r#""text":"\ud83d""#), "{text}");
}

#[test]
fn begin_and_end() {
    let first = chunk(r#""content":"a""#, NONE);
    let stop = r#"{"choices":[{"delta":{},"finish_reason":"stop","stop_reason":"b"}]}"#;
    let tokens = r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}"#;
    let usage = format!(r#"{{"choices":[],"usage":{tokens}}}"#);
    let empty = r#"{"id":"","model":"","choices":[]}"#;
    let (events, error) = events(r#","stop_sequences":["b"],"stream":true"#, &[empty, &first, stop, &usage]);
    assert!(error.is_none());
    let start = serde_json::json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "big", "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
        },
    });
    assert_eq!(events[0].1["message"], start);
    let end = serde_json::json!({
        "type": "message_delta", "delta": { "stop_reason": "stop_sequence", "stop_sequence": "b" },
        "usage": {
            "input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2, "output_tokens": 4,
        },
    });
    assert_eq!(events[events.len() - 2].1, end);
}

#[test]
fn what_is_no_whole_answer() {
    let text = chunk(r#""content":"a""#, NONE);
    check_broken(&[], "finish_reason");
    check_broken(&[&text], "finish_reason");
    check_broken(&[&text, r#"{"choices":[],"usage":{"prompt_tokens":1}}"#], "finish_reason");
    check_broken(&[&text, r#"{"error":{"message":"x"}}"#], "finish_reason");
    check_broken(&[&text, &chunk("", r#""error""#)], "no good end");
    check_broken(&[&chunk(r#""content":{}"#, NONE)], "`content`");
    check_broken(&[&chunk(&call(0, r#""id":"c1""#), NONE)], "without a name");
}

#[test]
fn no_more_is_kept_than_can_be() {
    let begin =
        chunk(r#""tool_calls":[{"index":0,"function":{"name":"f"}},{"index":1,"function":{"name":"f"}}]"#, NONE);
    let piece = chunk(&call(1, &format!(r#""function":{{"arguments":"{}"}}"#, "x".repeat(1 << 20))), NONE);
    let mut chunks = vec![begin.as_str()];
    chunks.extend([piece.as_str(); 17]);
    check_broken(&chunks, "more calls");
    let calls: Vec<_> = (0..1100).map(|at| chunk(&call(at, r#""function":{"name":"f"}"#), NONE)).collect();
    check_broken(&calls.iter().map(String::as_str).collect::<Vec<_>>(), "more calls");
}
