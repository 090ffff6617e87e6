//! What requests become.

use super::{HEAD, request, understand};

/// Checks what the members after `messages` become; what comes of the model and of no messages is left out of `expected`.
#[track_caller]
fn check(more: &str, expected: &str) {
    let head = r#""model":"m","messages":[],"max_tokens":9"#;
    assert_eq!(understand(&request("[]", more)).unwrap().chat, format!("{{{head}{expected}}}"), "{more}");
}

/// Checks what messages become.
#[track_caller]
fn check_messages(messages: &str, expected: &str) {
    let chat = understand(&request(messages, "")).unwrap().chat;
    assert_eq!(chat, format!(r#"{{"model":"m","messages":{expected},"max_tokens":9}}"#), "{messages}");
}

/// Checks what a user's content becomes.
#[track_caller]
fn check_content(content: &str, expected: &str) {
    check_messages(
        &format!(r#"[{{"role":"user","content":{content}}}]"#),
        &format!(r#"[{{"role":"user","content":{expected}}}]"#),
    );
}

/// Checks what the model's content becomes.
#[track_caller]
fn check_said(content: &str, expected: &str) {
    check_messages(
        &format!(r#"[{{"role":"assistant","content":{content}}}]"#),
        &format!(r#"[{{"role":"assistant",{expected}}}]"#),
    );
}

/// Checks what a tool's result becomes.
#[track_caller]
fn check_result(members: &str, expected: &str) {
    check_messages(
        &format!(r#"[{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t1"{members}}}]}}]"#),
        &format!(r#"[{{"role":"tool","tool_call_id":"t1","content":{expected}}}]"#),
    );
}

#[test]
fn whole_requests() {
    let body = r#" { "stream" : true, "temperature":1e400, "model":"a\u0062", "max_tokens" : 18446744073709551616,
        "x\u0079": {"b":1.0, "a":[ ]}, "messages":[ {"content":"h\u0069","role":"user"} ], "system":"be brief" } "#;
    let expected = concat!(
        r#"{"model":"a\u0062","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"h\u0069"}],"#,
        r#""max_tokens":18446744073709551616,"stream":true,"stream_options":{"include_usage":true},"#,
        r#""temperature":1e400,"x\u0079":{"b":1.0, "a":[ ]}}"#
    );
    assert_eq!(understand(body).unwrap().chat, expected);
}

#[test]
fn a_chat_request_comes_out() {
    let body = request(r#"[{"role":"user","content":"hi"}]"#, r#","stream":true,"system":[],"model\u0020":1"#);
    let chat = understand(&body).unwrap().chat;
    let chat = crate::chat_request::ChatRequest::parse(chat).unwrap();
    assert_eq!((chat.model.as_str(), chat.stream), ("m", true));
}

#[test]
fn fields() {
    check("", "");
    check(r#","temperature":0.10,"top_p":1.0,"top_k":40"#, r#","temperature":0.10,"top_p":1.0,"top_k":40"#);
    check(r#","temperature":null,"unknown":null"#, r#","temperature":null,"unknown":null"#);
    check(r#","stop_sequences":["a", "\u0062"]"#, r#","stop":["a", "\u0062"]"#);
    check(r#","stop_sequences":[ ]"#, "");
    check(r#","metadata":{"user_id":"u"}"#, r#","user":"u""#);
    let name = "ü".repeat(64);
    check(&format!(r#","metadata":{{"user_id":"{name}"}}"#), &format!(r#","user":"{name}""#));
    // SHA-256 of sixty-five `a`.
    let digest = "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0";
    check(&format!(r#","metadata":{{"user_id":"{}"}}"#, "a".repeat(65)), &format!(r#","user":"{digest}""#));
    check(r#","metadata":{"user_id":null}"#, "");
    check(r#","stream":false"#, "");
    check(r#","stream":null,"thinking":null,"tools":null,"tool_choice":null,"metadata":null,"system":null"#, "");
    check(r#","cache_control":{"type":"ephemeral"}"#, "");
    check(r#","service_tier":"auto""#, "");
    check(r#","service_tier":"standard_only""#, "");
    check(r#","container":null,"mcp_servers":null,"context_management":null,"service_tier":null"#, "");
    check(r#","mcp_servers":[],"speed":"standard","n":1,"stop":null"#, "");
    check(r#","reasoning_effort":"low""#, r#","reasoning_effort":"low""#);
}

#[test]
fn thinking() {
    let effort = |word: &str| format!(r#","reasoning_effort":"{word}""#);
    check(r#","thinking":{"type":"disabled"}"#, "");
    check(r#","thinking":{"type":"adaptive"}"#, "");
    check(r#","thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"}"#, &effort("max"));
    check(r#","output_config":{"effort":"h\u0069gh"},"reasoning_effort":null"#, &effort(r"h\u0069gh"));
    check(r#","thinking":{"type":"disabled"},"output_config":{"effort":"high"}"#, "");
    for (tokens, word) in [
        ("1024", "low"),
        ("4095", "low"),
        ("4096", "medium"),
        ("16383", "medium"),
        ("16384", "high"),
        ("18446744073709551615", "high"),
    ] {
        check(&format!(r#","thinking":{{"type":"enabled","budget_tokens":{tokens}}}"#), &effort(word));
    }
    let both = r#","thinking":{"type":"enabled","budget_tokens":1024},"output_config":{"effort":"high"}"#;
    check(both, &effort("high"));
    check(r#","thinking":{"type":"adaptive"},"reasoning_effort":"minimal""#, &effort("minimal"));
}

#[test]
fn what_is_to_be_forgotten_is_nothing() {
    check(r#","context_management":{}"#, "");
    check(r#","context_management":{"edits":[]}"#, "");
    check(r#","context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#, "");
}

#[test]
fn formats() {
    let format = r#"{"type":"json_schema","schema":{"z":1e400,"a":1}}"#;
    let expected = concat!(
        r#","response_format":{"type":"json_schema","json_schema":"#,
        r#"{"name":"answer","strict":true,"schema":{"z":1e400,"a":1}}}"#
    );
    check(&format!(r#","output_config":{{"format":{format}}}"#), expected);
    check(&format!(r#","output_format":{format},"output_config":{{"format":null,"effort":null}}"#), expected);
    check(r#","output_config":{}"#, "");
}

#[test]
fn tools() {
    let tool = |members: &str| format!(r#","tools":[{{{members}}}]"#);
    let function = |members: &str| format!(r#","tools":[{{"type":"function","function":{{{members}}}}}]"#);
    let schema = r#"{"type":"object","x":1e400}"#;
    check(
        &tool(&format!(r#""name":"f","input_schema":{schema}"#)),
        &function(&format!(r#""name":"f","parameters":{schema}"#)),
    );
    let hints = r#""cache_control":{"type":"ephemeral"},"eager_input_streaming":true,"defer_loading":false"#;
    check(
        &tool(&format!(
            r#""input_schema":{schema},"type":"custom","description":"d","strict":true,{hints},"name":"f""#
        )),
        &function(&format!(r#""name":"f","description":"d","parameters":{schema},"strict":true"#)),
    );
    check(r#","tools":[]"#, "");
}

#[test]
fn choices_of_tools() {
    check(r#","tool_choice":{"type":"auto"}"#, r#","tool_choice":"auto""#);
    check(r#","tool_choice":{"type":"any"}"#, r#","tool_choice":"required""#);
    check(r#","tool_choice":{"type":"none"}"#, r#","tool_choice":"none""#);
    check(
        r#","tool_choice":{"type":"tool","name":"f"}"#,
        r#","tool_choice":{"type":"function","function":{"name":"f"}}"#,
    );
    check(
        r#","tool_choice":{"type":"any","disable_parallel_tool_use":true}"#,
        r#","tool_choice":"required","parallel_tool_calls":false"#,
    );
    check(r#","tool_choice":{"type":"auto","disable_parallel_tool_use":false}"#, r#","tool_choice":"auto""#);
}

#[test]
fn system() {
    let check = |system: &str, expected: &str| {
        let body = format!(r#"{{{HEAD},"system":{system},"messages":[]}}"#);
        let expected = format!(r#"[{{"role":"system","content":{expected}}}]"#);
        let chat = understand(&body).unwrap().chat;
        assert_eq!(chat, format!(r#"{{"model":"m","messages":{expected},"max_tokens":9}}"#), "{system}");
    };
    check(r#""s\n""#, r#""s\n""#);
    check(r#"[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}]"#, r#""s""#);
    check(r#"[{"type":"text","text":"a"},{"text":"b","type":"text"}]"#, r#""a\n\nb""#);
    // Many models take it nowhere but first.
    check_messages(
        r#"[{"role":"user","content":"a"},{"role":"system","content":[{"type":"text","text":"b"}]}]"#,
        r#"[{"role":"system","content":"b"},{"role":"user","content":"a"}]"#,
    );
    let body = format!(
        r#"{{{HEAD},"system":"s","messages":[{{"role":"user","content":"a"}},{{"role":"system","content":"b"}}]}}"#
    );
    let both = r#"{"role":"system","content":"s\n\nb"}"#;
    assert!(understand(&body).unwrap().chat.contains(&format!(r#""messages":[{both},{{"role":"user""#)));
}

#[test]
fn content() {
    check_content(r#""a\/b""#, r#""a\/b""#);
    check_content("[]", r#""""#);
    check_content(r#"[{"type":"text","text":"a","citations":null}]"#, r#""a""#);
    check_content(r#"[{"type":"text","text":"a","citations":[]},{"type":"text","text":"\ud83d"}]"#, r#""a\n\n\ud83d""#);
    check_content(
        r#"[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO\/A=="},"cache_control":{}}]"#,
        r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO\/A=="}}]"#,
    );
    check_content(
        r#"[{"type":"image","source":{"type":"url","url":"https://a/b.png"}}]"#,
        r#"[{"type":"image_url","image_url":{"url":"https://a/b.png"}}]"#,
    );
    check_content(r#"[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]"#, r#""d""#);
    check_content(
        concat!(
            r#"[{"type":"document","title":"t","context":"c","citations":{"enabled":false},"source":{"type":"text","#,
            r#""media_type":"text/plain","data":"d"}}]"#
        ),
        r#""t\n\nc\n\nd""#,
    );
    check_content(
        r#"[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}]"#,
        r#"[{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,JVBE"}}]"#,
    );
    check_content(
        concat!(
            r#"[{"type":"document","title":"t","context":"c","source":{"type":"base64","media_type":"application/pdf","#,
            r#""data":"JVBE"}}]"#
        ),
        concat!(
            r#"[{"type":"text","text":"c"},{"type":"file","file":{"filename":"t","#,
            r#""file_data":"data:application/pdf;base64,JVBE"}}]"#
        ),
    );
}

#[test]
fn said() {
    check_said(r#""a""#, r#""content":"a""#);
    check_said("[]", r#""content":"""#);
    check_said(
        concat!(
            r#"[{"type":"thinking","thinking":"a\n","signature":"s"},{"type":"thinking","thinking":"b","signature":""},"#,
            r#"{"type":"text","text":"c"}]"#
        ),
        r#""content":"c","reasoning_content":"a\nb""#,
    );
    check_said(r#"[{"type":"redacted_thinking","data":"x"},{"type":"text","text":"c"}]"#, r#""content":"c""#);
    check_said(
        r#"[{"type":"tool_use","id":"t1","name":"f","input":{"b": 1e400, "a":"\u0062"},"caller":{"type":"direct"}}]"#,
        concat!(
            r#""content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"f","#,
            r#""arguments":"{\"b\": 1e400, \"a\":\"\\u0062\"}"}}]"#
        ),
    );
    check_said(
        concat!(
            r#"[{"type":"text","text":"a"},{"type":"tool_use","id":"t1","name":"f","input":{}},{"type":"tool_use","#,
            r#""id":"t2","name":"g","input":{ }}]"#
        ),
        concat!(
            r#""content":"a","tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{}"}},"#,
            r#"{"id":"t2","type":"function","function":{"name":"g","arguments":"{ }"}}]"#
        ),
    );
}

#[test]
fn results_of_tools() {
    check_result("", r#""""#);
    check_result(r#","content":"r""#, r#""r""#);
    check_result(r#","content":[],"is_error":false"#, r#""""#);
    check_result(r#","content":[{"type":"text","text":"r"}],"cache_control":{}"#, r#""r""#);
    check_result(r#","is_error":true"#, r#""Error""#);
    check_result(r#","content":"r\n","is_error":true"#, r#""Error: r\n""#);
    check_result(
        r#","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"is_error":true"#,
        r#""Error: a\n\nb""#,
    );
}

/// Chat has no place for images in a tool's message.
#[test]
fn what_tools_show_comes_next() {
    let image = r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}"#;
    let shown = r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#;
    let result =
        |id: &str, given: &str| format!(r#"{{"type":"tool_result","tool_use_id":"{id}","content":[{given}]}}"#);
    let text = r#"{"type":"text","text":"r"}"#;
    let pdf = r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}"#;
    let file = r#"{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,JVBE"}}"#;
    check_messages(
        &format!(
            r#"[{{"role":"user","content":[{},{},{text}]}}]"#,
            result("t1", image),
            result("t2", &format!("{pdf},{text},{image}"))
        ),
        &format!(
            concat!(
                r#"[{{"role":"tool","tool_call_id":"t1","content":"It follows in the next message."}},"#,
                r#"{{"role":"tool","tool_call_id":"t2","content":"r"}},{{"role":"user","content":["#,
                r#"{{"type":"text","text":"What the tool call t1 gave:"}},{shown},"#,
                r#"{{"type":"text","text":"What the tool call t2 gave:"}},{file},{shown},{text}]}}]"#
            ),
            shown = shown,
            file = file,
            text = text
        ),
    );
}

#[test]
fn results_come_before_the_rest() {
    check_messages(
        concat!(
            r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"tool_result","tool_use_id":"t2","#,
            r#""content":"r2"},{"type":"tool_result","tool_use_id":"t1","content":"r1"},{"type":"text","text":"b"}]}]"#
        ),
        concat!(
            r#"[{"role":"tool","tool_call_id":"t2","content":"r2"},{"role":"tool","tool_call_id":"t1","content":"r1"},"#,
            r#"{"role":"user","content":"a\n\nb"}]"#
        ),
    );
}
