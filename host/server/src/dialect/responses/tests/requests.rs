//! What becomes of a request: members in front, members behind, byte by byte.

use super::understand;

/// `members` of a request whose input is `"hi"`, and the members of the chat request after its messages.
#[track_caller]
fn check(members: &str, expected: &str) {
    let chat = understand(&format!(r#"{{"model":"m","input":"hi"{members}}}"#)).unwrap().chat;
    assert_eq!(
        chat,
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{expected}}}"#),
        "{members}"
    );
}

/// `input`, and the chat messages.
#[track_caller]
fn check_input(input: &str, messages: &str) {
    let chat = understand(&format!(r#"{{"model":"m","input":{input}}}"#)).unwrap().chat;
    assert_eq!(chat, format!(r#"{{"model":"m","messages":{messages}}}"#), "{input}");
}

#[test]
fn fields() {
    check("", "");
    check(r#","temperature":1e400,"top_p":0.10"#, r#","temperature":1e400,"top_p":0.10"#);
    check(r#","metadata":{"b":"1","a":"2"},"user":"u""#, r#","metadata":{"b":"1","a":"2"},"user":"u""#);
    check(
        r#","safety_identifier":"s","prompt_cache_key":"k","service_tier":"flex""#,
        r#","safety_identifier":"s","prompt_cache_key":"k","service_tier":"flex""#,
    );
    check(r#","max_output_tokens":18446744073709551616"#, r#","max_completion_tokens":18446744073709551616"#);
    check(r#","stream":true"#, r#","stream":true,"stream_options":{"include_usage":true}"#);
    check(
        r#","stream":true,"stream_options":{"include_obfuscation":false}"#,
        r#","stream":true,"stream_options":{"include_usage":true}"#,
    );
    check(r#","stream":false,"stream_options":null"#, "");
    check(r#","top_logprobs":3"#, r#","logprobs":true,"top_logprobs":3"#);
    check(r#","top_logprobs":0"#, "");
    check(r#","include":[]"#, "");
    check(r#","include":["message.output_text.logprobs"]"#, r#","logprobs":true"#);
    check(r#","reasoning":{"effort":"low","summary":null}"#, r#","reasoning_effort":"low""#);
    check(r#","reasoning":{"effort":"low","summary":"auto"}"#, r#","reasoning_effort":"low""#);
    check(r#","include":["reasoning.encrypted_content"]"#, "");
    check(r#","reasoning":{"effort":null,"context":"auto","mode":"standard"}"#, "");
}

#[test]
fn what_asks_for_nothing_is_left_out() {
    check(
        r#","store":false,"background":false,"previous_response_id":null,"conversation":null,"prompt":null,"truncation":"disabled""#,
        "",
    );
    check(
        r#","max_tool_calls":null,"context_management":[],"temperature":null,"tools":[],"tool_choice":"auto","text":null"#,
        "",
    );
    check(r#","parallel_tool_calls":true,"reasoning":null,"metadata":null,"stream":null,"include":null,"n":null"#, "");
}

#[test]
fn what_nobody_knows_is_passed_on() {
    check(
        r#","seed":18446744073709551616,"x\u0061":{"z": [1e400 ],"a":"\ud800"},"nothing":null"#,
        r#","seed":18446744073709551616,"x\u0061":{"z": [1e400 ],"a":"\ud800"},"nothing":null"#,
    );
}

#[test]
fn the_model_stays_as_it_is() {
    let chat = understand(r#"{"input":"hi","m\u006fdel":"a\u0062"}"#).unwrap().chat;
    assert_eq!(chat, r#"{"model":"a\u0062","messages":[{"role":"user","content":"hi"}]}"#);
}

#[test]
fn instructions_come_first() {
    let chat = understand(r#"{"model":"m","input":[],"instructions":"be\u0020nice"}"#).unwrap().chat;
    assert_eq!(chat, r#"{"model":"m","messages":[{"role":"system","content":"be\u0020nice"}]}"#);
}

#[test]
fn tools() {
    let tool = |tool: &str, chat: &str| check(&format!(r#","tools":[{tool}]"#), &format!(r#","tools":[{chat}]"#));
    tool(
        r#"{"type":"function","name":"f","description":"d","parameters":{"z":1e400, "a":18446744073709551616},"strict":true}"#,
        r#"{"type":"function","function":{"name":"f","description":"d","parameters":{"z":1e400, "a":18446744073709551616},"strict":true}}"#,
    );
    tool(
        r#"{"type":"function","name":"f","parameters":null,"strict":null,"async":false,"defer_loading":false,"x":1}"#,
        r#"{"type":"function","function":{"name":"f","x":1}}"#,
    );
    tool(
        r#"{"type":"custom","name":"c","description":"d"}"#,
        r#"{"type":"custom","custom":{"name":"c","description":"d"}}"#,
    );
    tool(
        r#"{"type":"custom","name":"c","format":{"type":"text"}}"#,
        r#"{"type":"custom","custom":{"name":"c","format":{"type":"text"}}}"#,
    );
    tool(
        r#"{"type":"custom","name":"c","format":{"type":"grammar","syntax":"lark","definition":"x"}}"#,
        r#"{"type":"custom","custom":{"name":"c","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"x"}}}}"#,
    );
}

#[test]
fn tool_choice() {
    let choice = |choice: &str, chat: &str| {
        let tools = r#","tools":[{"type":"function","name":"f"}]"#;
        let behind = r#","tools":[{"type":"function","function":{"name":"f"}}]"#;
        check(&format!(r#"{tools},"tool_choice":{choice}"#), &format!(r#"{behind},"tool_choice":{chat}"#));
    };
    choice(r#""auto""#, r#""auto""#);
    choice(r#""required""#, r#""required""#);
    choice(r#"{"type":"function","name":"f"}"#, r#"{"type":"function","function":{"name":"f"}}"#);
    choice(r#"{"type":"custom","name":"f"}"#, r#"{"type":"custom","custom":{"name":"f"}}"#);
    choice(
        r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}"#,
        r#"{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
    );
    check(
        r#","parallel_tool_calls":false,"tools":[{"type":"function","name":"f"}]"#,
        r#","tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false"#,
    );
    check(r#","tool_choice":"required","parallel_tool_calls":false"#, r#","tool_choice":"required""#);
}

#[test]
fn the_form_of_the_text() {
    check(r#","text":{"format":{"type":"text"},"verbosity":"low"}"#, r#","verbosity":"low""#);
    check(r#","text":{"format":{"type":"json_object"}}"#, r#","response_format":{"type":"json_object"}"#);
    check(
        r#","text":{"format":{"type":"json_schema","name":"n","schema":{"z":1e400, "a":1},"strict":true,"description":"d"}}"#,
        r#","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"z":1e400, "a":1},"strict":true,"description":"d"}}"#,
    );
}

#[test]
fn messages() {
    check_input("\"h\\u0069\"", r#"[{"role":"user","content":"h\u0069"}]"#);
    check_input(
        r#"[{"role":"system","content":"a"},{"type":"message","role":"developer","content":"b","status":"completed","id":"x"},
            {"role":"user","content":"c","name":"u"},{"role":"assistant","content":"d","phase":null},{"role":"assistant","content":"e"}]"#,
        r#"[{"role":"system","content":"a\n\nb"},{"role":"user","content":"c","name":"u"},{"role":"assistant","content":"d"},{"role":"assistant","content":"e"}]"#,
    );
    // What is only text is a string.
    check_input(
        r#"[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},{"role":"user","content":[]}]"#,
        r#"[{"role":"user","content":"a\n\nb"},{"role":"user","content":""}]"#,
    );
    check_input(
        r#"[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:x","detail":"low","file_id":null},
            {"type":"input_image","image_url":"http://x"},{"type":"input_file","file_data":"data:y","filename":"f","detail":"auto"}]}]"#,
        r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:x","detail":"low"}},{"type":"image_url","image_url":{"url":"http://x"}},{"type":"file","file":{"file_data":"data:y","filename":"f"}}]}]"#,
    );
    check_input(
        r#"[{"role":"user","content":[{"type":"input_text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}}]}]"#,
        r#"[{"role":"user","content":[{"type":"text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}}]}]"#,
    );
    check_input(
        r#"[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[],"parsed":{"a":1}}]},
            {"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]"#,
        r#"[{"role":"assistant","content":"a"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]"#,
    );
}

#[test]
fn calls_and_what_they_gave() {
    const CALL: &str = r#"{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"a\": 1}","status":"completed","parsed_arguments":{"a":1},"caller":{"type":"direct"}}"#;
    const OTHER: &str = r#"{"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"}"#;
    const BEHIND: &str = r#"{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}"#;
    const BEHIND_OTHER: &str = r#"{"id":"c2","type":"custom","custom":{"name":"g","input":"x"}}"#;
    const GAVE: &str = r#"{"type":"function_call_output","call_id":"c1","output":"1","status":"completed"}"#;
    const TOOL: &str = r#"{"role":"tool","tool_call_id":"c1","content":"1"}"#;
    check_input(
        &format!(
            r#"[{CALL},{OTHER},{GAVE},{{"type":"custom_tool_call_output","call_id":"c2","output":[{{"type":"input_text","text":"2"}}]}}]"#
        ),
        &format!(
            r#"[{{"role":"assistant","content":null,"tool_calls":[{BEHIND},{BEHIND_OTHER}]}},{TOOL},{{"role":"tool","tool_call_id":"c2","content":"2"}}]"#
        ),
    );
    // Each round of calls is a message of its own.
    check_input(
        &format!("[{CALL},{GAVE},{OTHER}]"),
        &format!(
            r#"[{{"role":"assistant","content":null,"tool_calls":[{BEHIND}]}},{TOOL},{{"role":"assistant","content":null,"tool_calls":[{BEHIND_OTHER}]}}]"#
        ),
    );
    let says = |text: &str| format!(r#"{{"role":"assistant","content":"{text}"}}"#);
    check_input(
        &format!("[{},{CALL},{GAVE}]", says("a")),
        &format!(r#"[{{"role":"assistant","content":"a","tool_calls":[{BEHIND}]}},{TOOL}]"#),
    );
    // What is said between and after calls stays before the outputs.
    check_input(
        &format!("[{},{CALL},{},{OTHER},{GAVE}]", says("a"), says("b")),
        &format!(r#"[{{"role":"assistant","content":"a\n\nb","tool_calls":[{BEHIND},{BEHIND_OTHER}]}},{TOOL}]"#),
    );
    // Members of a message's own never meet those of another.
    check_input(
        &format!(
            r#"[{{"role":"assistant","content":"a","x":1}},{CALL},{{"role":"assistant","content":"b","x":2}},{}]"#,
            says("c")
        ),
        &format!(
            r#"[{{"role":"assistant","content":"a","tool_calls":[{BEHIND}],"x":1}},{{"role":"assistant","content":"b","x":2}},{}]"#,
            says("c")
        ),
    );
    check_input(
        r#"[{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]}]"#,
        r#"[{"role":"tool","tool_call_id":"c","content":"a\n\nb"}]"#,
    );
}

/// Many models take what the system says nowhere but first, and know no developer.
#[test]
fn what_the_system_says_comes_first() {
    let user = r#"{"role":"user","content":"u"}"#;
    check_input(
        &format!(r#"[{user},{{"role":"developer","content":"d"}},{user}]"#),
        &format!(r#"[{{"role":"system","content":"d"}},{user},{user}]"#),
    );
    check_input(
        &format!(r#"[{user},{{"role":"system","content":"s","name":"n"}}]"#),
        &format!(r#"[{user},{{"role":"system","content":"s","name":"n"}}]"#),
    );
}

#[test]
fn what_only_the_client_can_use_stays_here() {
    check(r#","client_metadata":{"session":"s"}"#, "");
    check_input(
        r#"[{"type":"reasoning","summary":[],"encrypted_content":"x"},{"role":"assistant","content":"a","phase":"commentary"}]"#,
        r#"[{"role":"assistant","content":"a"}]"#,
    );
}

#[test]
fn namespaces() {
    let tools = r#","tools":[{"type":"namespace","name":"n","description":"N","tools":[{"type":"function","name":"f","description":"F","parameters":{}},{"type":"function","name":"g"}]},{"type":"web_search","external_web_access":false}]"#;
    check(
        tools,
        concat!(
            r#","tools":[{"type":"function","function":{"name":"n__f","description":"N\n\nF","parameters":{}}},"#,
            r#"{"type":"function","function":{"name":"n__g"}}]"#
        ),
    );
    check(r#","tools":[{"type":"web_search","external_web_access":false}]"#, "");
    check_input(
        r#"[{"type":"function_call","call_id":"c","namespace":"n","name":"f","arguments":"{}"}]"#,
        r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"n__f","arguments":"{}"}}]}]"#,
    );
    check(
        r#","tool_choice":{"type":"function","namespace":"n","name":"f"}"#,
        r#","tool_choice":{"type":"function","function":{"name":"n__f"}}"#,
    );
}

/// OpenAI takes names of up to 64 characters.
#[test]
fn long_names_of_tools_in_a_namespace() {
    let named = |name: &str| {
        let tools = format!(r#"{{"type":"namespace","name":"n","tools":[{{"type":"function","name":"{name}"}}]}}"#);
        let chat = understand(&format!(r#"{{"model":"m","input":[],"tools":[{tools}]}}"#)).unwrap().chat;
        let chat: serde_json::Value = serde_json::from_str(&chat).unwrap();
        chat["tools"][0]["function"]["name"].as_str().unwrap().to_owned()
    };
    let fits = "x".repeat(61);
    assert_eq!(named(&fits), format!("n__{fits}"));
    let (one, other) = (named(&(fits.clone() + "1")), named(&(fits.clone() + "2")));
    assert!(one.len() == 64 && other.len() == 64 && one != other, "{one} {other}");
    assert_eq!(named(&r"\u00e9".repeat(30)).len(), 64);
}

/// Chat has no place for images in a tool's message.
#[test]
fn what_tools_show_comes_next() {
    let gave =
        |id: &str, parts: &str| format!(r#"{{"type":"function_call_output","call_id":"{id}","output":[{parts}]}}"#);
    let tool = |id: &str, content: &str| format!(r#"{{"role":"tool","tool_call_id":"{id}","content":{content}}}"#);
    let image = r#"{"type":"input_image","image_url":"data:x"}"#;
    let file = r#"{"type":"input_file","file_data":"data:y"}"#;
    let shown = r#"{"type":"image_url","image_url":{"url":"data:x"}}"#;
    let shown_file = r#"{"type":"file","file":{"file_data":"data:y"}}"#;
    let from = |id: &str| format!(r#"{{"type":"text","text":"What the tool call {id} gave:"}}"#);
    let text = r#"{"type":"input_text","text":"t","x":1}"#;
    let follows = r#""It follows in the next message.""#;
    let user = r#"{"role":"user","content":"u"}"#;
    check_input(
        &format!("[{},{},{user}]", gave("c1", image), gave("c2", &format!("{text},{file}"))),
        &format!(
            r#"[{},{},{{"role":"user","content":[{},{shown},{},{shown_file}]}},{user}]"#,
            tool("c1", follows),
            tool("c2", r#"[{"type":"text","text":"t","x":1}]"#),
            from("c1"),
            from("c2"),
        ),
    );
    check_input(
        &format!("[{}]", gave("c1", image)),
        &format!(r#"[{},{{"role":"user","content":[{},{shown}]}}]"#, tool("c1", follows), from("c1")),
    );
}

#[test]
fn reasoning() {
    const CALL: &str = r#"{"type":"function_call","call_id":"c","name":"f","arguments":""}"#;
    const BEHIND: &str = r#"{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let thinks = |text: &str| {
        format!(
            r#"{{"type":"reasoning","id":"rs_1","summary":[],"content":[{{"type":"reasoning_text","text":"{text}"}}]}}"#
        )
    };
    check_input(
        &format!(r#"[{},{{"role":"assistant","content":"a"}}]"#, thinks("t\\u0061")),
        r#"[{"role":"assistant","content":"a","reasoning_content":"t\u0061"}]"#,
    );
    check_input(
        &format!(r#"[{},{{"role":"assistant","content":"a","x":1}}]"#, thinks("t")),
        r#"[{"role":"assistant","content":"a","reasoning_content":"t","x":1}]"#,
    );
    check_input(
        &format!(r#"[{},{CALL},{},{CALL}]"#, thinks("t"), thinks("u")),
        &format!(
            r#"[{{"role":"assistant","content":null,"reasoning_content":"t\n\nu","tool_calls":[{BEHIND},{BEHIND}]}}]"#
        ),
    );
    // Thoughts after an answer are those of the next one.
    check_input(
        &format!(r#"[{{"role":"assistant","content":"a"}},{},{CALL}]"#, thinks("t")),
        &format!(
            r#"[{{"role":"assistant","content":"a"}},{{"role":"assistant","content":null,"reasoning_content":"t","tool_calls":[{BEHIND}]}}]"#
        ),
    );
    check_input(
        r#"[{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":null}]"#,
        r#"[{"role":"assistant","content":"","reasoning_content":"s"}]"#,
    );
    check_input(r#"[{"type":"reasoning","id":"r","summary":[]}]"#, "[]");
}
