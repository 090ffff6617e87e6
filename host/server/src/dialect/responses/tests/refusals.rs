//! What is refused, and which field the error names.

use super::understand;

#[track_caller]
fn check(body: &str, code: &str, param: Option<&str>) {
    let Err(error) = understand(body) else { unreachable!("understood: {body}") };
    assert_eq!((error.status.as_u16(), error.code, error.param.as_deref()), (400, code, param), "{body}: {error:?}");
    if let Some(param) = param {
        assert!(error.message.contains(&format!("`{param}`")), "{}", error.message);
    }
}

/// A member of an otherwise good request that asks for what isn't done.
#[track_caller]
fn unsupported(member: &str, param: &str) {
    check(&format!(r#"{{"model":"m","input":"hi",{member}}}"#), "unsupported_parameter", Some(param));
}

#[track_caller]
fn wrong(member: &str, param: &str) {
    check(&format!(r#"{{"model":"m","input":"hi",{member}}}"#), "invalid_value", Some(param));
}

#[track_caller]
fn unsupported_item(item: &str, param: &str) {
    let body = format!(r#"{{"model":"m","input":[{{"role":"user","content":"hi"}},{item}]}}"#);
    check(&body, "unsupported_parameter", Some(param));
}

#[track_caller]
fn wrong_item(item: &str, param: &str) {
    let body = format!(r#"{{"model":"m","input":[{{"role":"user","content":"hi"}},{item}]}}"#);
    check(&body, "invalid_value", Some(param));
}

#[test]
fn what_is_no_request() {
    for body in ["[]", "1", "null", "\"a\"", r#"["m","hi"]"#] {
        check(body, "invalid_json", None);
    }
    check(r#"{"input":"hi"}"#, "invalid_value", Some("model"));
    check(r#"{"input":"hi","model":null}"#, "invalid_value", Some("model"));
    check(r#"{"input":"hi","model":1}"#, "invalid_value", Some("model"));
    check(r#"{"model":"m"}"#, "invalid_value", Some("input"));
    check(r#"{"model":"m","input":{}}"#, "invalid_value", Some("input"));
}

#[test]
fn fields() {
    for (member, param) in [
        (r#""store":true"#, "store"),
        (r#""store":"false""#, "store"),
        (r#""background":true"#, "background"),
        (r#""previous_response_id":"resp_1""#, "previous_response_id"),
        (r#""conversation":"conv_1""#, "conversation"),
        (r#""prompt":{"id":"p"}"#, "prompt"),
        (r#""truncation":"auto""#, "truncation"),
        (r#""context_management":[{"type":"compaction"}]"#, "context_management"),
        (r#""max_tool_calls":1"#, "max_tool_calls"),
        (r#""moderation":{}"#, "moderation"),
        (r#""n":2"#, "n"),
        (r#""messages":[]"#, "messages"),
        (r#""max_tokens":1"#, "max_tokens"),
        (r#""max_completion_tokens":1"#, "max_completion_tokens"),
        (r#""response_format":{}"#, "response_format"),
        (r#""verbosity":"low""#, "verbosity"),
        (r#""reasoning_effort":"low""#, "reasoning_effort"),
        (r#""logprobs":true"#, "logprobs"),
        (r#""functions":[]"#, "functions"),
        (r#""function_call":"auto""#, "function_call"),
        (r#""modalities":["audio"]"#, "modalities"),
        (r#""audio":{}"#, "audio"),
        (r#""include":["reasoning.encrypted_content","file_search_call.results"]"#, "include[1]"),
        (r#""stream_options":{"include_obfuscation":true}"#, "stream_options.include_obfuscation"),
        (r#""stream_options":{"include_usage":true}"#, "stream_options.include_usage"),
        (r#""reasoning":{"context":"none"}"#, "reasoning.context"),
        (r#""reasoning":{"mode":"pro"}"#, "reasoning.mode"),
        (r#""reasoning":{"x":1}"#, "reasoning.x"),
        (r#""text":{"x":1}"#, "text.x"),
        (r#""text":{"format":{"type":"grammar"}}"#, "text.format.type"),
        (r#""text":{"format":{"type":"text","x":1}}"#, "text.format.x"),
    ] {
        unsupported(member, param);
    }
    for (member, param) in [
        (r#""stream":1"#, "stream"),
        (r#""stream_options":1"#, "stream_options"),
        (r#""instructions":[]"#, "instructions"),
        (r#""text":"json""#, "text"),
        (r#""text":{"format":{"type":"json_schema","schema":{}}}"#, "text.format.name"),
        (r#""text":{"format":{"type":"json_schema","name":"n"}}"#, "text.format.schema"),
        (r#""text":{"format":{"type":"json_schema","name":"n","schema":true}}"#, "text.format.schema"),
        (r#""reasoning":"low""#, "reasoning"),
        (r#""reasoning":{"summary":"much"}"#, "reasoning.summary"),
        (r#""reasoning":{"generate_summary":1}"#, "reasoning.generate_summary"),
        (r#""include":"x""#, "include"),
    ] {
        wrong(member, param);
    }
}

#[test]
fn tools() {
    for (tool, param) in [
        (r#"{"type":"web_search"}"#, "tools[0].type"),
        (r#"{"type":"web_search","external_web_access":true}"#, "tools[0].type"),
        (r#"{"type":"namespace","name":"n","tools":[{"type":"custom","name":"f"}]}"#, "tools[0].tools[0].type"),
        (r#"{"type":"namespace","name":"n","x":1}"#, "tools[0].x"),
        (r#"{"name":"f"}"#, "tools[0].type"),
        (r#"{"type":"function","name":"f","async":true}"#, "tools[0].async"),
        (r#"{"type":"function","name":"f","defer_loading":true}"#, "tools[0].defer_loading"),
        (r#"{"type":"function","name":"f","allowed_callers":["programmatic"]}"#, "tools[0].allowed_callers"),
        (r#"{"type":"function","name":"f","output_schema":{}}"#, "tools[0].output_schema"),
        (r#"{"type":"custom","name":"f","format":{"type":"x"}}"#, "tools[0].format.type"),
    ] {
        unsupported(&format!(r#""tools":[{tool}]"#), param);
    }
    for (choice, param) in [
        (r#"{"type":"web_search_preview"}"#, "tool_choice.type"),
        (r#"{"type":"mcp","server_label":"s"}"#, "tool_choice.type"),
        (r#"{"type":"function","name":"f","x":1}"#, "tool_choice.x"),
        (r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp"}]}"#, "tool_choice.tools[0].type"),
    ] {
        unsupported(&format!(r#""tool_choice":{choice}"#), param);
    }
    wrong(r#""tools":{}"#, "tools");
    wrong(r#""tools":[1]"#, "tools[0]");
    wrong(r#""tools":[{"type":"namespace","name":"n","tools":[{"type":"function"}]}]"#, "tools[0].tools[0].name");
    wrong(r#""tools":[{"type":"namespace"}]"#, "tools[0].name");
    let twice = r#"{"type":"function","name":"f"}"#;
    wrong(
        &format!(r#""tools":[{{"type":"namespace","name":"n","tools":[{twice},{twice}]}}]"#),
        "tools[0].tools[1].name",
    );
    wrong(r#""tools":[{"type":"function","name":"a"},{"type":"function"}]"#, "tools[1].name");
    wrong(
        r#""tools":[{"type":"custom","name":"f","format":{"type":"grammar","syntax":"lark"}}]"#,
        "tools[0].format.definition",
    );
    wrong(r#""tool_choice":1"#, "tool_choice");
    wrong(r#""tool_choice":{"type":"function"}"#, "tool_choice.name");
    wrong(r#""tool_choice":{"type":"allowed_tools","tools":[]}"#, "tool_choice.mode");
}

#[test]
fn items() {
    for (item, param) in [
        (r#"{"type":"item_reference","id":"x"}"#, "input[1].type"),
        (r#"{"type":"web_search_call"}"#, "input[1].type"),
        (r#"{"role":"assistant","content":"a","tool_calls":[]}"#, "input[1].tool_calls"),
        (r#"{"role":"user","content":"a","reasoning_content":"t"}"#, "input[1].reasoning_content"),
        (r#"{"type":"reasoning","x":1}"#, "input[1].x"),
        (r#"{"type":"reasoning","content":[{"type":"x"}]}"#, "input[1].content[0].type"),
        (r#"{"type":"function_call","call_id":"c","name":"f","arguments":"","async":true}"#, "input[1].async"),
        (r#"{"type":"function_call","call_id":"c","name":"f","arguments":"","function":{}}"#, "input[1].function"),
        (
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":"","caller":{"type":"program"}}"#,
            "input[1].caller.type",
        ),
        (
            r#"{"type":"function_call_output","call_id":"c","output":[{"type":"output_text","text":"x"}]}"#,
            "input[1].output[0].type",
        ),
        (r#"{"type":"function_call_output","call_id":"c","output":"","role":"tool"}"#, "input[1].role"),
    ] {
        unsupported_item(item, param);
    }
    for (item, param) in [
        ("1", "input[1]"),
        ("{}", "input[1].role"),
        (r#"{"role":"tool","content":"a"}"#, "input[1].role"),
        (r#"{"role":"user"}"#, "input[1].content"),
        (r#"{"role":"user","content":1}"#, "input[1].content"),
        (r#"{"role":"user","content":["a"]}"#, "input[1].content[0]"),
        (r#"{"type":1,"role":"user","content":"a"}"#, "input[1].type"),
        (r#"{"type":"function_call","name":"f","arguments":""}"#, "input[1].call_id"),
        (r#"{"type":"function_call","call_id":"c","arguments":""}"#, "input[1].name"),
        (r#"{"type":"function_call","call_id":"c","name":"f","arguments":{}}"#, "input[1].arguments"),
        (r#"{"type":"custom_tool_call","call_id":"c","name":"f"}"#, "input[1].input"),
        (r#"{"type":"function_call_output","output":""}"#, "input[1].call_id"),
        (r#"{"type":"function_call_output","call_id":"c"}"#, "input[1].output"),
        (r#"{"type":"reasoning","summary":[{"type":"summary_text"}]}"#, "input[1].summary[0].text"),
    ] {
        wrong_item(item, param);
    }
}

#[test]
fn parts() {
    let part = |part: &str| format!(r#"{{"role":"user","content":[{{"type":"input_text","text":"a"}},{part}]}}"#);
    for (text, param) in [
        (r#"{"type":"input_audio"}"#, "input[1].content[1].type"),
        (r#"{"text":"a"}"#, "input[1].content[1].type"),
        (r#"{"type":"input_image","file_id":"f"}"#, "input[1].content[1].file_id"),
        (r#"{"type":"input_file","file_id":"f"}"#, "input[1].content[1].file_id"),
        (r#"{"type":"input_file","file_url":"f"}"#, "input[1].content[1].file_url"),
        (r#"{"type":"input_file","file_data":"f","detail":"high"}"#, "input[1].content[1].detail"),
        (r#"{"type":"input_file","file_data":"f","file":{}}"#, "input[1].content[1].file"),
    ] {
        unsupported_item(&part(text), param);
    }
    for (text, param) in [
        (r#"{"type":"input_text"}"#, "input[1].content[1].text"),
        (r#"{"type":"input_text","text":1}"#, "input[1].content[1].text"),
        (r#"{"type":"input_image"}"#, "input[1].content[1].image_url"),
        (r#"{"type":"input_image","image_url":{"url":"x"}}"#, "input[1].content[1].image_url"),
        (r#"{"type":"input_file"}"#, "input[1].content[1].file_data"),
        (r#"{"type":"refusal"}"#, "input[1].content[1].refusal"),
    ] {
        wrong_item(&part(text), param);
    }
}
