//! What is refused, and the field that each refusal names.

use super::{request, understand};

/// Checks that `body` is refused with `code`, and where.
#[track_caller]
fn check(body: &str, code: &str, param: &str) {
    let error = understand(body).map(|understood| understood.chat).unwrap_err();
    let found = (error.status.as_u16(), error.code, error.param.as_deref());
    assert_eq!(found, (400, code, Some(param)), "{body}: {error:?}");
    // The only place that Anthropic's clients see.
    assert!(error.message.contains(param), "{error:?}");
}

#[track_caller]
fn unsupported(more: &str, param: &str) {
    check(&request("[]", more), "unsupported_parameter", param);
}

#[track_caller]
fn wrong(more: &str, param: &str) {
    check(&request("[]", more), "invalid_value", param);
}

/// Checks a block in the third message of the role `role`; `param` is where in the block it is.
#[track_caller]
fn block(role: &str, block: &str, code: &str, param: &str) {
    let first = r#"{"role":"user","content":"a"},{"role":"assistant","content":"b"}"#;
    let messages = format!(r#"[{first},{{"role":"{role}","content":[{{"type":"text","text":"c"}},{block}]}}]"#);
    check(&request(&messages, ""), code, &format!("messages[2].content[1]{param}"));
}

const UNSUPPORTED: &str = "unsupported_parameter";
const WRONG: &str = "invalid_value";

#[test]
fn bodies() {
    for body in ["[]", "1", r#""{}""#, "null", r#"["m",[],9]"#] {
        let error = understand(body).map(|understood| understood.chat).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), ("invalid_json", None), "{body}");
    }
    check(r#"{"max_tokens":9,"messages":[]}"#, WRONG, "model");
    check(r#"{"model":1,"max_tokens":9,"messages":[]}"#, WRONG, "model");
    check(r#"{"model":"m","messages":[]}"#, WRONG, "max_tokens");
    check(r#"{"model":"m","max_tokens":9}"#, WRONG, "messages");
    for tokens in ["null", "-1", "1.0", "1e3", r#""9""#, "[]", "true"] {
        check(&format!(r#"{{"model":"m","max_tokens":{tokens},"messages":[]}}"#), WRONG, "max_tokens");
    }
    for messages in ["null", "{}", r#""a""#] {
        check(&request(messages, ""), WRONG, "messages");
    }
}

#[test]
fn fields() {
    for (name, _) in super::super::request::REFUSED {
        unsupported(&format!(r#","{name}":{{"a":1}}"#), name);
    }
    unsupported(r#","mcp_servers":[{}]"#, "mcp_servers");
    unsupported(r#","speed":"fast""#, "speed");
    unsupported(r#","\u0073peed":"fast""#, "speed");
    unsupported(r#","n":2"#, "n");
    unsupported(r#","stop":"x""#, "stop");
    unsupported(r#","metadata":{"other":1}"#, "metadata.other");
    unsupported(r#","output_config":{"other":1}"#, "output_config.other");
    unsupported(r#","output_config":{"format":{"type":"xml"}}"#, "output_config.format.type");
    unsupported(r#","output_format":{"type":"json_schema","schema":{},"name":"n"}"#, "output_format.name");
    let format = r#"{"type":"json_schema","schema":{}}"#;
    unsupported(&format!(r#","output_format":{format},"output_config":{{"format":{format}}}"#), "output_format");
    wrong(r#","output_config":{"format":{"type":"json_schema"}}"#, "output_config.format.schema");
    wrong(r#","output_config":1"#, "output_config");
    wrong(r#","stream":"true""#, "stream");
    wrong(r#","service_tier":"flex""#, "service_tier");
    wrong(r#","metadata":"u""#, "metadata");
    wrong(r#","metadata":{"user_id":1}"#, "metadata.user_id");
    wrong(r#","stop_sequences":"a""#, "stop_sequences");
    wrong(r#","stop_sequences":["a",1]"#, "stop_sequences");
}

#[test]
fn thinking() {
    wrong(r#","thinking":true"#, "thinking");
    wrong(r#","thinking":{}"#, "thinking.type");
    wrong(r#","thinking":{"type":"much"}"#, "thinking.type");
    for budget in ["", r#","budget_tokens":null"#, r#","budget_tokens":"1024""#, r#","budget_tokens":-1"#] {
        wrong(&format!(r#","thinking":{{"type":"enabled"{budget}}}"#), "thinking.budget_tokens");
    }
    wrong(r#","thinking":{"type":"adaptive","display":"loud"}"#, "thinking.display");
    unsupported(r#","thinking":{"type":"adaptive","x":1}"#, "thinking.x");
    unsupported(r#","thinking":{"type":"disabled","budget_tokens":1024}"#, "thinking.budget_tokens");
    wrong(r#","output_config":{"effort":1}"#, "output_config.effort");
    unsupported(r#","output_config":{"effort":"low"},"reasoning_effort":"low""#, "output_config.effort");
    let budget = r#""thinking":{"type":"enabled","budget_tokens":1024}"#;
    unsupported(&format!(r#",{budget},"reasoning_effort":"low""#), "thinking.budget_tokens");
}

#[test]
fn what_is_to_be_forgotten() {
    wrong(r#","context_management":[]"#, "context_management");
    wrong(r#","context_management":{"edits":{}}"#, "context_management.edits");
    unsupported(r#","context_management":{"x":1}"#, "context_management.x");
    let edits = |edits: &str| format!(r#","context_management":{{"edits":[{edits}]}}"#);
    let keeps = r#"{"type":"clear_thinking_20251015","keep":"all"}"#;
    let uses = format!(r#"{keeps},{{"type":"clear_tool_uses_20250919"}}"#);
    unsupported(&edits(&uses), "context_management.edits[1].type");
    wrong(&edits("{}"), "context_management.edits[0].type");
    unsupported(&edits(r#"{"type":"clear_thinking_20251015"}"#), "context_management.edits[0].keep");
    let turns = r#"{"type":"clear_thinking_20251015","keep":{"type":"thinking_turns","value":1}}"#;
    unsupported(&edits(turns), "context_management.edits[0].keep");
    unsupported(&edits(r#"{"type":"clear_thinking_20251015","keep":"all","x":1}"#), "context_management.edits[0].x");
}

#[test]
fn tools() {
    let tool = r#"{"name":"f","input_schema":{}}"#;
    unsupported(&format!(r#","tools":[{tool},{{"type":"web_search_20250305","name":"web_search"}}]"#), "tools[1].type");
    unsupported(r#","tools":[{"name":"f","input_schema":{},"defer_loading":true}]"#, "tools[0].defer_loading");
    unsupported(r#","tools":[{"name":"f","input_schema":{},"input_examples":[{}]}]"#, "tools[0].input_examples");
    wrong(r#","tools":{}"#, "tools");
    wrong(r#","tools":[1]"#, "tools[0]");
    wrong(r#","tools":[{"name":"f"}]"#, "tools[0].input_schema");
    wrong(r#","tools":[{"name":"f","input_schema":true}]"#, "tools[0].input_schema");
    wrong(r#","tools":[{"input_schema":{}}]"#, "tools[0].name");
    wrong(r#","tools":[{"name":"f","input_schema":{},"description":1}]"#, "tools[0].description");
    wrong(r#","tool_choice":"auto""#, "tool_choice");
    wrong(r#","tool_choice":{"type":"some"}"#, "tool_choice.type");
    wrong(r#","tool_choice":{"type":"tool"}"#, "tool_choice.name");
    wrong(r#","tool_choice":{"type":"any","disable_parallel_tool_use":1}"#, "tool_choice.disable_parallel_tool_use");
    unsupported(r#","tool_choice":{"type":"any","x":1}"#, "tool_choice.x");
}

#[test]
fn turns() {
    let body = |message: &str| request(&format!("[{message}]"), "");
    check(&body("1"), WRONG, "messages[0]");
    check(&body(r#"{"role":"user"}"#), WRONG, "messages[0].content");
    check(&body(r#"{"role":"user","content":1}"#), WRONG, "messages[0].content");
    check(&body(r#"{"role":"user","content":{}}"#), WRONG, "messages[0].content");
    check(&body(r#"{"role":"user","content":[1]}"#), WRONG, "messages[0].content[0]");
    check(&body(r#"{"role":"user","content":[{}]}"#), WRONG, "messages[0].content[0].type");
    check(&body(r#"{"role":"tool","content":"a"}"#), WRONG, "messages[0].role");
    check(&body(r#"{"content":"a"}"#), WRONG, "messages[0].role");
    check(&body(r#"{"role":"user","content":"a","name":"n"}"#), UNSUPPORTED, "messages[0].name");
    let image = r#"{"type":"image","source":{"type":"url","url":"u"}}"#;
    check(&body(&format!(r#"{{"role":"system","content":[{image}]}}"#)), UNSUPPORTED, "messages[0].content[0].type");
    unsupported(&format!(r#","system":[{image}]"#), "system[0].type");
    wrong(r#","system":1"#, "system");
    wrong(r#","system":[{"type":"text"}]"#, "system[0].text");
}

#[test]
fn blocks() {
    block("user", r#"{"type":"text","text":1}"#, WRONG, ".text");
    block("user", r#"{"type":"text","text":"a","citations":[{}]}"#, UNSUPPORTED, ".citations");
    block("user", r#"{"type":"text","text":"a","x":1}"#, UNSUPPORTED, ".x");
    block("user", r#"{"type":"search_result"}"#, UNSUPPORTED, ".type");
    block("user", r#"{"type":"thinking","thinking":"a"}"#, UNSUPPORTED, ".type");
    block("user", r#"{"type":"image"}"#, WRONG, ".source");
    block("user", r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#, UNSUPPORTED, ".source.type");
    block("user", r#"{"type":"image","transformations":{},"source":{}}"#, UNSUPPORTED, ".transformations");
    for media_type in ["image", "text/html", "image/png;x", "image/p\\\"ng"] {
        let source = format!(r#"{{"type":"base64","media_type":"{media_type}","data":"a"}}"#);
        block("user", &format!(r#"{{"type":"image","source":{source}}}"#), WRONG, ".source.media_type");
    }
    block("user", r#"{"type":"image","source":{"type":"base64","media_type":"image/png"}}"#, WRONG, ".source.data");
    block("user", r#"{"type":"document","source":{"type":"url","url":"u"}}"#, UNSUPPORTED, ".source.type");
    let html = r#"{"type":"text","media_type":"text/html","data":"d"}"#;
    block("user", &format!(r#"{{"type":"document","source":{html}}}"#), WRONG, ".source.media_type");
    let more = r#"{"type":"text","media_type":"text/plain","data":"d","x":1}"#;
    block("user", &format!(r#"{{"type":"document","source":{more}}}"#), UNSUPPORTED, ".source.x");
    block("user", r#"{"type":"document","source":{"type":"content"}}"#, UNSUPPORTED, ".source.type");
    block("user", r#"{"type":"document","title":1,"source":{}}"#, WRONG, ".title");
    block("user", r#"{"type":"document","citations":{"enabled":true}}"#, UNSUPPORTED, ".citations.enabled");
    block("assistant", r#"{"type":"redacted_thinking"}"#, WRONG, ".data");
    block("assistant", r#"{"type":"server_tool_use"}"#, UNSUPPORTED, ".type");
    block("assistant", r#"{"type":"image","source":{"type":"url","url":"u"}}"#, UNSUPPORTED, ".type");
    block("assistant", r#"{"type":"thinking","thinking":1}"#, WRONG, ".thinking");
    block("assistant", r#"{"type":"tool_use","id":"t","name":"f","input":[]}"#, WRONG, ".input");
    block("assistant", r#"{"type":"tool_use","id":"t","name":"f","input":"{}"}"#, WRONG, ".input");
    block("assistant", r#"{"type":"tool_use","name":"f","input":{}}"#, WRONG, ".id");
    block("assistant", r#"{"type":"tool_use","id":"t","input":{}}"#, WRONG, ".name");
    let called = r#"{"type":"tool_use","id":"t","name":"f","input":{},"caller":{"type":"code_execution_20250825"}}"#;
    block("assistant", called, UNSUPPORTED, ".caller.type");
    block("user", r#"{"type":"tool_result"}"#, WRONG, ".tool_use_id");
    block("user", r#"{"type":"tool_result","tool_use_id":"t","is_error":1}"#, WRONG, ".is_error");
    let result = |given: &str| format!(r#"{{"type":"tool_result","tool_use_id":"t","content":[{given}]}}"#);
    block("user", &result(r#"{"type":"tool_reference","tool_name":"f"}"#), UNSUPPORTED, ".content[0].type");
    block("user", &result(r#"{"type":"image","source":{"type":"file"}}"#), UNSUPPORTED, ".content[0].source.type");
}
