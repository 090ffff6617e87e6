//! Tables of chat requests, and what becomes of them.

use super::*;

/// What becomes of a request with these members behind model and messages: what follows `messages`.
#[track_caller]
fn check(members: &str, expected: &str) {
    let head =
        r#"{"model":"claude","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]"#;
    let text = format!(r#"{{"model":"claude","messages":[{{"role":"user","content":"hi"}}]{members}}}"#);
    let got = body(&ChatRequest::new(&*text), 8192, false).unwrap();
    let expected = match expected.strip_prefix(r#","max_tokens":"#) {
        // It stands before the messages.
        Some(max_tokens) => head.replace("8192", max_tokens),
        None => format!("{head}{expected}"),
    };
    assert_eq!(got, format!("{expected}}}"), "{text}");
}

/// The field that a request with these members is refused for.
#[track_caller]
fn refused(members: &str, field: &str) {
    let text = format!(r#"{{"model":"claude","messages":[]{members}}}"#);
    match body(&ChatRequest::new(&*text), 1, false) {
        Err(Error::InvalidRequest(message)) => {
            assert!(message.starts_with(&format!("`{field}` ")), "{members}: {message}");
        }
        other => panic!("{members}: {other:?}"),
    }
}

/// What becomes of these messages: `system`, if there is one, and `messages`.
#[track_caller]
fn check_messages(messages: &str, expected: &str) {
    let got = body(&ChatRequest::new(format!(r#"{{"model":"m","messages":[{messages}]}}"#)), 1, false).unwrap();
    assert_eq!(got, format!(r#"{{"model":"m","max_tokens":1,{expected}}}"#), "{messages}");
}

#[track_caller]
fn refused_messages(messages: &str, field: &str) {
    let text = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
    match body(&ChatRequest::new(&*text), 1, false) {
        Err(Error::InvalidRequest(message)) => {
            assert!(message.starts_with(&format!("`{field}` ")), "{messages}: {message}");
        }
        other => panic!("{messages}: {other:?}"),
    }
}

/// The block that a part of the user's is.
#[track_caller]
fn check_part(part: &str, block: &str) {
    let message = |part: &str| format!(r#"{{"role":"user","content":[{part}]}}"#);
    check_messages(&message(part), &format!(r#""messages":[{}]"#, message(block)));
}

#[test]
fn numbers_and_names() {
    check("", "");
    check(r#","max_tokens":7"#, r#","max_tokens":7"#);
    check(r#","max_tokens":7,"max_completion_tokens":8.0"#, r#","max_tokens":8.0"#);
    check(r#","max_tokens":null"#, "");
    check(r#","temperature":0.70,"top_p":1e0"#, r#","temperature":0.70,"top_p":1e0"#);
    check(r#","temperature":null,"top_p":null"#, "");
    check(r#","stop":"\u00e9""#, r#","stop_sequences":["\u00e9"]"#);
    check(r#","stop":["a", "b"]"#, r#","stop_sequences":["a","b"]"#);
    check(r#","stop":[]"#, "");
    check(r#","stop":null"#, "");
    check(r#","user":"u""#, r#","metadata":{"user_id":"u"}"#);
    check(r#","user":"u","safety_identifier":"s""#, r#","metadata":{"user_id":"s"}"#);
    check(r#","user":"""#, "");
    check(r#","service_tier":"auto""#, r#","service_tier":"auto""#);
    check(r#","service_tier":"default""#, r#","service_tier":"standard_only""#);
    check(r#","reasoning_effort":"xhigh""#, r#","output_config":{"effort":"xhigh"}"#);
    check(r#","reasoning_effort":"none""#, r#","thinking":{"type":"disabled"}"#);
    check(r#","stream":true,"stream_options":{"include_usage":true},"prompt_cache_key":"k""#, "");
    let streamed = body(&ChatRequest::new(r#"{"model":"m","messages":[]}"#), 1, true);
    assert_eq!(streamed.unwrap(), r#"{"model":"m","max_tokens":1,"messages":[],"stream":true}"#);
}

#[test]
fn what_asks_for_nothing_passes() {
    check(
        r#","n":1,"logprobs":false,"top_logprobs":0,"logit_bias":{ },"seed":null,"presence_penalty":0.0,"frequency_penalty":0,"modalities":["text"],"audio":null,"prediction":null,"verbosity":"medium","web_search_options":null,"store":false,"functions":[],"function_call":null,"parallel_tool_calls":true,"tools":[],"tool_choice":"auto","response_format":{"type":"text"},"reasoning_effort":null,"service_tier":null"#,
        "",
    );
}

#[test]
fn what_chat_does_not_know_is_passed_on() {
    check(
        r#","top_k":5,"thinking":{"type":"enabled", "budget_tokens":1024},"new":[1e400],"nothing":null,"metadata":{"user_id":"u"}"#,
        r#","top_k":5,"thinking":{"type":"enabled", "budget_tokens":1024},"new":[1e400],"metadata":{"user_id":"u"}"#,
    );
}

#[test]
fn what_can_not_be_said() {
    for (members, field) in [
        (r#","n":2"#, "n"),
        (r#","logprobs":true"#, "logprobs"),
        (r#","top_logprobs":3"#, "top_logprobs"),
        (r#","logit_bias":{"5":1}"#, "logit_bias"),
        (r#","seed":0"#, "seed"),
        (r#","presence_penalty":0.1"#, "presence_penalty"),
        (r#","frequency_penalty":-1"#, "frequency_penalty"),
        (r#","modalities":["text","audio"]"#, "modalities"),
        (r#","audio":{"voice":"x"}"#, "audio"),
        (r#","prediction":{"type":"content"}"#, "prediction"),
        (r#","verbosity":"low""#, "verbosity"),
        (r#","web_search_options":{}"#, "web_search_options"),
        (r#","store":true"#, "store"),
        (r#","functions":[{}]"#, "functions"),
        (r#","function_call":"auto""#, "function_call"),
        (r#","stop":7"#, "stop"),
        (r#","stop":[7]"#, "stop"),
        (r#","user":7"#, "user"),
        (r#","reasoning_effort":"minimal""#, "reasoning_effort"),
        (r#","service_tier":"flex""#, "service_tier"),
        (r#","parallel_tool_calls":"no""#, "parallel_tool_calls"),
        (r#","response_format":{"type":"json_object"}"#, "response_format.type"),
        (r#","response_format":{"type":"json_schema"}"#, "response_format.json_schema"),
        (
            r#","response_format":{"type":"json_schema","json_schema":{"name":"n"}}"#,
            "response_format.json_schema.schema",
        ),
        (
            r#","response_format":{"type":"json_schema","json_schema":{"schema":{},"x":1}}"#,
            "response_format.json_schema.x",
        ),
        (r#","tools":{}"#, "tools"),
        (r#","tools":[{"type":"custom","custom":{"name":"f"}}]"#, "tools[0].type"),
        (r#","tools":[{"type":"web_search_20250305","name":"web_search"}]"#, "tools[0].type"),
        (r#","tools":[{"type":"function"}]"#, "tools[0].function"),
        (r#","tools":[{"type":"function","function":{}}]"#, "tools[0].function.name"),
        (r#","tools":[{"type":"function","function":{"name":"f","parameters":[]}}]"#, "tools[0].function.parameters"),
        (r#","tool_choice":"any""#, "tool_choice"),
        (r#","tool_choice":{"type":"allowed_tools"}"#, "tool_choice.type"),
        (r#","tool_choice":{"type":"function"}"#, "tool_choice.function"),
        (r#","user":"u","metadata":{"a":"b"}"#, "metadata"),
        (r#","stop":"x","stop_sequences":["y"]"#, "stop_sequences"),
        (r#","reasoning_effort":"low","output_config":{}"#, "output_config"),
        (r#","reasoning_effort":"none","thinking":{"type":"enabled"}"#, "thinking"),
    ] {
        refused(members, field);
    }
    refused_messages(r#"{"role":"system","content":"a"}],"system":"b","x":["#, "system");
    for bad in ["[]", "7", "{"] {
        assert!(matches!(body(&ChatRequest::new(bad), 1, false), Err(Error::InvalidRequest(_))), "{bad}");
    }
}

#[test]
fn schemas_of_answers_keep_their_bytes() {
    let format = |schema: &str| format!(r#","output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#);
    for (given, expected) in [
        (r#""name":"n","strict":true,"schema":{ "z":1.0,"a":1e400}"#, r#"{ "z":1.0,"a":1e400}"#),
        (r#""schema":{ "z":1.0},"description":"d\u00e9""#, r#"{"description":"d\u00e9","z":1.0}"#),
        (r#""schema":{ },"description":"d""#, r#"{"description":"d"}"#),
        (r#""schema":{"description":"own"},"description":"d""#, r#"{"description":"own"}"#),
    ] {
        check(&format!(r#","response_format":{{"type":"json_schema","json_schema":{{{given}}}}}"#), &format(expected));
    }
}

#[test]
fn tools_and_their_choice() {
    const TOOLS: &str = r#","tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{ "z":1.0,"a":{}},"strict":true,"x":1},"cache_control":{"type":"ephemeral"}},{"type":"function","function":{"name":"g","strict":false}}]"#;
    const THEIRS: &str = r#","tools":[{"name":"f","description":"d","input_schema":{ "z":1.0,"a":{}},"strict":true,"x":1,"cache_control":{"type":"ephemeral"}},{"name":"g","input_schema":{"type":"object","properties":{}}}]"#;
    for (choice, expected) in [
        ("", ""),
        (r#","tool_choice":"auto""#, r#"{"type":"auto"}"#),
        (r#","tool_choice":"none""#, r#"{"type":"none"}"#),
        (r#","tool_choice":"required""#, r#"{"type":"any"}"#),
        (r#","tool_choice":{"type":"function","function":{"name":"g"}}"#, r#"{"type":"tool","name":"g"}"#),
        (r#","parallel_tool_calls":true"#, ""),
        (r#","parallel_tool_calls":false"#, r#"{"type":"auto","disable_parallel_tool_use":true}"#),
        (r#","parallel_tool_calls":false,"tool_choice":"none""#, r#"{"type":"none"}"#),
        (
            r#","parallel_tool_calls":false,"tool_choice":"required""#,
            r#"{"type":"any","disable_parallel_tool_use":true}"#,
        ),
        (
            r#","parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"g"}}"#,
            r#"{"type":"tool","name":"g","disable_parallel_tool_use":true}"#,
        ),
    ] {
        let expected = if expected.is_empty() { String::new() } else { format!(r#","tool_choice":{expected}"#) };
        check(&format!("{TOOLS}{choice}"), &format!("{THEIRS}{expected}"));
    }
    check(r#","parallel_tool_calls":false,"tool_choice":"none""#, "");
    check(r#","tool_choice":"required""#, r#","tool_choice":{"type":"any"}"#);
}

#[test]
fn turns() {
    check_messages(
        r#"{"role":"system","content":"s\u00e9"},{"role":"user","content":"a"},{"role":"developer","content":[{"type":"text","text":"d"}]}"#,
        r#""system":[{"type":"text","text":"s\u00e9"},{"type":"text","text":"d"}],"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]"#,
    );
    check_messages(
        r#"{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"},{"role":"assistant","content":"d","refusal":null,"annotations":[],"prefix":false,"audio":null,"function_call":null,"tool_calls":[]}"#,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}]"#,
    );
    check_messages(
        r#"{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"refusal","refusal":"b"}],"refusal":"c","reasoning_content":"no","reasoning":"no"}"#,
        r#""messages":[{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"text","text":"c"}]}]"#,
    );
    check_messages(r#"{"role":"user","content":" \n"}"#, r#""messages":[{"role":"user","content":[]}]"#);
}

#[test]
fn calls_and_results() {
    check_messages(
        r#"{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","index":0,"function":{"name":"f","arguments":" {\"z\": 1.0, \"a\":[1e400,\"\\u00e9\"]}\n"}},{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},{"role":"tool","tool_call_id":"c1","name":"f","content":"r\n"},{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},{"role":"user","content":"u"},{"role":"tool","tool_call_id":"c3","content":""}"#,
        r#""messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{"z": 1.0, "a":[1e400,"\u00e9"]}},{"type":"tool_use","id":"c2","name":"g","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"r\n"}]},{"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"x"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}]},{"type":"text","text":"u"},{"type":"tool_result","tool_use_id":"c3"}]}]"#,
    );
}

#[test]
fn parts() {
    check_part(
        r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#,
        r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#,
    );
    for (url, source) in [
        ("https://a/b.png?c=d,e", r#"{"type":"url","url":"https://a/b.png?c=d,e"}"#),
        ("HTTP://a", r#"{"type":"url","url":"HTTP://a"}"#),
        ("data:image/png;base64,iVBO/+==", r#"{"type":"base64","media_type":"image/png","data":"iVBO/+=="}"#),
        (r"data:image\/jpeg;base64,a\/b", r#"{"type":"base64","media_type":"image/jpeg","data":"a/b"}"#),
        ("DATA:image/webp;q=\\\"1\\\";BASE64,AA", r#"{"type":"base64","media_type":"image/webp","data":"AA"}"#),
    ] {
        let block = format!(r#"{{"type":"image","source":{source}}}"#);
        check_part(&format!(r#"{{"type":"image_url","image_url":{{"url":"{url}","detail":"high"}}}}"#), &block);
        check_part(&format!(r#"{{"type":"image_url","image_url":"{url}"}}"#), &block);
    }
    check_part(
        r#"{"type":"image_url","image_url":"https://a","cache_control":{}}"#,
        r#"{"type":"image","source":{"type":"url","url":"https://a"},"cache_control":{}}"#,
    );
    let source = r#"{"type":"base64","media_type":"application/pdf","data":"JVBE"}"#;
    check_part(
        r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"},"cache_control":{}}"#,
        &format!(r#"{{"type":"document","source":{source},"title":"a.pdf","cache_control":{{}}}}"#),
    );
    check_part(
        r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE"}}"#,
        &format!(r#"{{"type":"document","source":{source}}}"#),
    );
}

#[test]
fn parts_that_can_not_be_said() {
    for (part, field) in [
        (r#"{"type":"input_audio","input_audio":{}}"#, "type"),
        (r#"{"text":"a"}"#, "type"),
        (r#"{"type":"text"}"#, "text"),
        (r#"{"type":"text","text":7}"#, "text"),
        (r#"{"type":"image_url"}"#, "image_url"),
        (r#"{"type":"image_url","image_url":{"url":"ftp://a"}}"#, "image_url"),
        (r#"{"type":"image_url","image_url":{"url":"data:image/png,AA"}}"#, "image_url"),
        (r#"{"type":"image_url","image_url":{"url":"data:image/png;base64"}}"#, "image_url"),
        (r#"{"type":"image_url","image_url":{"url":"data:,;base64,A"}}"#, "image_url"),
        (r#"{"type":"image_url","image_url":{}}"#, "image_url.url"),
        (r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA","x":1}}"#, "image_url.x"),
        (r#"{"type":"file","file":{"file_id":"f"}}"#, "file.file_id"),
        (r#"{"type":"file","file":{"file_data":"JVBE"}}"#, "file.file_data"),
        (r#"{"type":"file","file":{"file_data":"data:text/plain;base64,AA"}}"#, "file.file_data"),
        (r#"{"type":"file"}"#, "file"),
    ] {
        let message = format!(r#"{{"role":"user","content":[{part}]}}"#);
        refused_messages(&message, &format!("messages[0].content[0].{field}"));
    }
    let file = ChatRequest::new(r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#);
    let told = body(&file, 1, false).unwrap_err().to_string();
    assert!(told.contains("send the file itself in `file_data`"), "{told}");
}

#[test]
fn messages_that_can_not_be_said() {
    for (message, field) in [
        ("7", ""),
        (r#"{"content":"a"}"#, ".role"),
        (r#"{"role":"robot","content":"a"}"#, ".role"),
        (r#"{"role":"function","name":"f","content":"a"}"#, ".role"),
        (r#"{"role":"user","content":7}"#, ".content"),
        (r#"{"role":"user","content":"a","name":"bob"}"#, ".name"),
        (r#"{"role":"system","content":[{"type":"image_url"}]}"#, ".content[0].type"),
        (r#"{"role":"assistant","content":[{"type":"file"}]}"#, ".content[0].type"),
        (r#"{"role":"assistant","audio":{"id":"a"}}"#, ".audio"),
        (r#"{"role":"assistant","function_call":{"name":"f"}}"#, ".function_call"),
        (r#"{"role":"tool","content":"a"}"#, ".tool_call_id"),
        (r#"{"role":"assistant","tool_calls":[{"id":"c","type":"custom"}]}"#, ".tool_calls[0].type"),
        (r#"{"role":"assistant","tool_calls":[{"id":"c"}]}"#, ".tool_calls[0].function"),
        (r#"{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}"#, ".tool_calls[0].id"),
        (r#"{"role":"assistant","tool_calls":[{"id":"c","function":{}}]}"#, ".tool_calls[0].function.name"),
        (
            r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"[]"}}]}"#,
            ".tool_calls[0].function.arguments",
        ),
        (
            r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a\":"}}]}"#,
            ".tool_calls[0].function.arguments",
        ),
    ] {
        refused_messages(message, &format!("messages[0]{field}"));
    }
}
