//! Anthropic's dialect on both sides: what a client says comes through chat and out again as it was.

use super::{JSON, gateway, message, motley};
use crate::front::ground::EVENTS;
use hauski_tests::{Answer, Upstream};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";

/// A name as Anthropic makes them; shorter ones are not unique.
const ID: &str = "msg_01XFDUDYJgAACzvnptvVoYEL";

/// What a client of Anthropic's asks, in the forms that come out again behind the gateway.
fn request(stream: bool) -> Value {
    let mut request = json!({
        "model": "m0", "max_tokens": 50,
        "system": [{ "type": "text", "text": "s" }],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "a" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBO/w==" } },
                { "type": "document", "title": "t.pdf", "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBE" } },
            ] },
            { "role": "assistant", "content": [
                { "type": "text", "text": "b" },
                { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "z": 1.5 } },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": "r" }] },
                { "type": "text", "text": "c" },
            ] },
        ],
        "stop_sequences": ["#"], "metadata": { "user_id": "u" }, "temperature": 0.5, "top_p": 0.9, "top_k": 5,
        "tools": [{ "name": "f", "description": "d", "input_schema": { "type": "object" }, "strict": true }],
        "tool_choice": { "type": "any", "disable_parallel_tool_use": true },
        "output_config": { "format": { "type": "json_schema", "schema": { "type": "object" } } },
    });
    if stream {
        request["stream"] = json!(true);
    }
    request
}

/// The message that the events of a stream are, put together as Anthropic's clients do it.
#[track_caller]
fn assembled(answer: &Answer) -> Value {
    let mut message = Value::Null;
    let mut inputs = vec![String::new(); 8];
    for event in answer.text.split("\n\n").filter(|event| !event.is_empty()) {
        let data: Value = serde_json::from_str(event.split_once("\ndata: ").unwrap().1).unwrap();
        let at = data["index"].as_u64().unwrap_or_default() as usize;
        match data["type"].as_str().unwrap() {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => message["content"].as_array_mut().unwrap().push(data["content_block"].clone()),
            "content_block_delta" => {
                for field in ["text", "thinking"] {
                    if let Some(piece) = data["delta"][field].as_str() {
                        let so_far = message["content"][at][field].as_str().unwrap().to_owned();
                        message["content"][at][field] = json!(so_far + piece);
                    }
                }
                inputs[at] += data["delta"]["partial_json"].as_str().unwrap_or_default();
            }
            "content_block_stop" if !inputs[at].is_empty() => {
                message["content"][at]["input"] = serde_json::from_str(&inputs[at]).unwrap();
            }
            "message_delta" => {
                for (name, value) in data["delta"].as_object().unwrap() {
                    message[name] = value.clone();
                }
                message["usage"] = data["usage"].clone();
            }
            "content_block_stop" | "message_stop" => {}
            other => panic!("{other}: {}", answer.text),
        }
    }
    message
}

/// What Anthropic says to a client of its own comes through chat and back as it was, but for seals that nobody can make.
#[tokio::test]
async fn r12_a_message_through_chat_and_back() {
    let content = json!([
        { "type": "thinking", "thinking": "grüße 😀", "signature": "" },
        { "type": "text", "text": "aé" },
        { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "z": 1.0, "a": "data: [DONE]" } },
        { "type": "tool_use", "id": "toolu_2", "name": "g", "input": {} },
    ]);
    for stop in
        [("tool_use", None), ("max_tokens", None), ("refusal", None), ("stop_sequence", Some("#")), ("end_turn", None)]
    {
        let mut expected = message(&content, stop.0, stop.1);
        expected["id"] = json!(ID);
        expected["usage"].as_object_mut().unwrap().remove("service_tier");
        let mut streamed = motley()
            .replace("msg_01", ID)
            .replace(r#""stop_reason":"tool_use""#, &format!(r#""stop_reason":"{}""#, stop.0));
        if let Some(sequence) = stop.1 {
            let from = r#""stop_reason":"stop_sequence","stop_sequence":"#;
            streamed = streamed.replace(&format!("{from}null"), &format!("{from}\"{sequence}\""));
        }
        if stop.0 == "end_turn" {
            // Providers of chat say `stop` after calls, too, so that the front says what a call means.
            expected["stop_reason"] = json!("tool_use");
        }
        let whole = message(&content, stop.0, stop.1).to_string().replace("msg_01", ID);
        let upstream = Upstream::start(move |conversation| {
            let request = conversation.request()?;
            if request.contains(r#""stream":true"#) {
                return conversation.write(format!("{EVENTS}{streamed}"));
            }
            conversation.answer("200 OK", JSON, &whole)
        });
        let host = gateway(&upstream).start().await;
        for stream in [false, true] {
            let answer = host.client().post(MESSAGES, request(stream).to_string()).await;
            assert!(answer.status == 200 && answer.complete, "{}", answer.text);
            let got = if stream { assembled(&answer) } else { answer.json() };
            assert_eq!(got, expected, "{stop:?} {stream}");
            let sent = upstream.requests().pop().unwrap();
            let sent: Value = serde_json::from_str(sent.split_once("\r\n\r\n").unwrap().1).unwrap();
            let mut asked = request(stream);
            asked["model"] = json!("claude");
            assert_eq!(sent, asked);
        }
    }
}
