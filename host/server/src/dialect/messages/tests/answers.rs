//! What whole answers become.

use super::answer;

const STOPS: &str = r####","stop_sequences":["\u0023##","b","77"]"####;

fn completion(message: &str, choice: &str, more: &str) -> String {
    let choice = format!(r#"{{"index":0,"message":{{"role":"assistant",{message}}},"finish_reason":{choice}}}"#);
    format!(r#"{{"id":"chatcmpl-1","object":"chat.completion","model":"big","choices":[{choice}]{more}}}"#)
}

/// Checks content and reason of what a message becomes.
#[track_caller]
fn check(message: &str, choice: &str, content: &str, reason: &str) {
    let found = answer(STOPS).whole(completion(message, choice, "")).unwrap();
    let usage = r#"{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}"#;
    let head = r#""id":"msg_1","type":"message","role":"assistant","model":"big""#;
    let expected = format!(r#"{{{head},"content":{content},"stop_reason":{reason},"usage":{usage}}}"#);
    assert_eq!(found, expected);
}

#[track_caller]
fn check_broken(completion: &str, message: &str) {
    let error = answer("").whole(completion.into()).unwrap_err();
    assert_eq!(error.code, "adapter_broke_contract");
    assert!(error.message.contains(message), "{error:?}");
}

const END: &str = r#""end_turn","stop_sequence":null"#;

#[test]
fn contents() {
    check(r#""content":"a\/\ud83d""#, r#""stop""#, r#"[{"type":"text","text":"a\/\ud83d"}]"#, END);
    check(r#""content":null"#, r#""stop""#, "[]", END);
    check(r#""content":"","tool_calls":[],"reasoning":"""#, r#""stop""#, "[]", END);
    let thought = r#"{"type":"thinking","thinking":"t","signature":""}"#;
    let both = format!(r#"[{thought},{{"type":"text","text":"a"}}]"#);
    check(r#""content":"a","reasoning_content":"t""#, r#""stop""#, &both, END);
    check(r#""content":"a","reasoning":"t","reasoning_content":null"#, r#""stop""#, &both, END);
    check(r#""content":"a","reasoning":"t","reasoning_content":"t""#, r#""stop""#, &both, END);
    let parts = r#"[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"a"}]"#;
    check(&format!(r#""content":{parts}"#), r#""stop""#, &both, END);
    check(r#""content":"a","reasoning":{"x":1}"#, r#""eos""#, r#"[{"type":"text","text":"a"}]"#, END);
    let refused = r#""refusal","stop_sequence":null"#;
    check(r#""content":null,"refusal":"no""#, r#""stop""#, r#"[{"type":"text","text":"no"}]"#, refused);
}

#[test]
fn thoughts_that_are_not_wanted() {
    let omitted = r#","thinking":{"type":"adaptive","display":"omitted"}"#;
    let whole = answer(omitted).whole(completion(r#""content":"a","reasoning":"t""#, r#""stop""#, "")).unwrap();
    assert!(whole.contains(r#""content":[{"type":"text","text":"a"}]"#), "{whole}");
}

#[test]
fn calls() {
    let called = r#""tool_use","stop_sequence":null"#;
    let call = |members: &str| format!(r#""content":null,"tool_calls":[{{{members}}}]"#);
    let block = |id: &str, input: &str| format!(r#"[{{"type":"tool_use","id":"{id}","name":"f","input":{input}}}]"#);
    let with = |arguments: &str| {
        call(&format!(r#""id":"c1","type":"function","function":{{"name":"f","arguments":{arguments}}}"#))
    };
    let bytes = r#"{"b": 1e400, "a":"\u0062", "b":18446744073709551616}"#;
    check(&with(&serde_json::json!(bytes).to_string()), r#""tool_calls""#, &block("c1", bytes), called);
    check(&with(r#""""#), r#""tool_calls""#, &block("c1", "{}"), called);
    check(&with(r#"" {} \n""#), r#""tool_calls""#, &block("c1", "{}"), called);
    check(&with(r#"" ""#), r#""stop""#, &block("c1", "{}"), called);
    check(&with("null"), r#""length""#, &block("c1", "{}"), r#""max_tokens","stop_sequence":null"#);
    check(&call(r#""id":null,"function":{"name":"f"}"#), r#""tool_calls""#, &block("toolu_1_0", "{}"), called);
    check(&with(r#"{"b":1e400}"#), r#""tool_calls""#, &block("c1", r#"{"b":1e400}"#), called);
    let cut = r#""content":"a","tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"a\": \"lo"}}]"#;
    check(cut, r#""length""#, r#"[{"type":"text","text":"a"}]"#, r#""max_tokens","stop_sequence":null"#);
    let older = r#""content":null,"function_call":{"name":"f","arguments":"{}"}"#;
    check(older, r#""function_call""#, &block("toolu_1_0", "{}"), called);
    for arguments in [r#""{""#, r#""[]""#, r#""1""#, r#""{} {}""#, r#""\ud83d""#, r#""null""#] {
        check_broken(&completion(&with(arguments), r#""tool_calls""#, ""), "");
    }
    check_broken(
        &completion(&call(r#""id":"c","function":{"arguments":"{}"}"#), r#""tool_calls""#, ""),
        "without a name",
    );
}

#[test]
fn reasons() {
    let text = r#"[{"type":"text","text":"a"}]"#;
    let check = |choice: &str, reason: &str| check(r#""content":"a""#, choice, text, reason);
    let null = |reason: &str| format!(r#""{reason}","stop_sequence":null"#);
    check(r#""stop""#, &null("end_turn"));
    check(r#""length""#, &null("max_tokens"));
    check(r#""tool_calls""#, &null("tool_use"));
    check(r#""function_call""#, &null("tool_use"));
    check(r#""content_filter""#, &null("refusal"));
    check(r####""stop","stop_reason":"###""####, r####""stop_sequence","stop_sequence":"###""####);
    check(r#""stop","matched_stop":"b""#, r#""stop_sequence","stop_sequence":"b""#);
    check(r#""stop","stop_reason":128009,"matched_stop":null"#, &null("end_turn"));
    check(r#""stop","stop_reason":"another""#, &null("end_turn"));
    check(r#""stop","stop_reason":1771"#, &null("end_turn"));
    check(r#""length","stop_reason":"b""#, &null("max_tokens"));
}

#[test]
fn usage() {
    let check = |usage: &str, expected: &str| {
        let found = answer("").whole(completion(r#""content":null"#, r#""stop""#, usage)).unwrap();
        assert!(found.ends_with(&format!(r#""usage":{{{expected}}}}}"#)), "{found}");
    };
    check(
        concat!(
            r#","usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,"#,
            r#""prompt_tokens_details":{"cached_tokens":4}}"#
        ),
        r#""input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3"#,
    );
    check(
        r#","usage":{"prompt_tokens":1,"completion_tokens":null,"prompt_tokens_details":{"cached_tokens":4}}"#,
        r#""input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":0"#,
    );
    check(
        r#","usage":null"#,
        r#""input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0"#,
    );
}

#[test]
fn names() {
    let choices = r#""choices":[{"message":{},"finish_reason":"stop"}]"#;
    let check = |head: &str, expected: &str| {
        let found = answer("").whole(format!(r#"{{{head}{choices}}}"#)).unwrap();
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!(
            (found["id"].as_str(), found["model"].as_str()),
            expected.split_once(' ').map(|(a, b)| (Some(a), Some(b))).unwrap()
        );
    };
    check(r#""id":"x","model":"big","#, "msg_x big");
    check(r#""id":"\u0061\"","model":"","#, "msg_a\" m");
    check("", "msg_unknown m");
}

#[test]
fn names_that_are_not_unique() {
    for (said, expected) in
        [("chatcmpl-A1", "msg_own"), ("", "msg_own"), ("msg_0123456789abcdefghij", "msg_0123456789abcdefghij")]
    {
        let mut answer = answer("");
        answer.named("own");
        let text = r#""choices":[{"message":{"content":"a"},"delta":{},"finish_reason":"stop"}]"#;
        let text = format!(r#"{{"id":"{said}",{text}}}"#);
        assert!(answer.whole(text.clone()).unwrap().contains(&format!(r#""id":"{expected}""#)), "{said}");
        let mut events = String::new();
        answer.chunk(&text, &mut events).unwrap();
        assert!(events.contains(&format!(r#""id":"{expected}""#)), "{said}");
    }
}

#[test]
fn what_is_no_answer() {
    // What an answer says may be a prompt, and this is logged.
    for quoting in [
        r#"{"choices":"canary"}"#.to_owned(),
        completion(r#""content":"a""#, r#""canary""#, ""),
        completion(r#""tool_calls":[{"function":{"name":"canary","arguments":"canary"}}]"#, r#""stop""#, ""),
    ] {
        let error = answer("").whole(quoting).unwrap_err();
        assert!(!error.message.contains("canary"), "{error:?}");
    }
    check_broken("[]", "no chat completion");
    check_broken(r#"{"id":"x"}"#, "no choice");
    check_broken(r#"{"choices":[]}"#, "no choice");
    check_broken(r#"{"choices":[{"finish_reason":"stop"}]}"#, "no message");
    check_broken(&completion(r#""content":"a""#, "null", ""), "finish_reason");
    check_broken(&completion(r#""content":"a""#, r#""error""#, ""), "no good end");
    check_broken(&completion(r#""content":{}"#, r#""stop""#, ""), "`content`");
    check_broken(&completion(r#""content":"a","content":"b""#, r#""stop""#, ""), "a field is missing");
}
