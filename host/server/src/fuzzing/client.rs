//! A client that reads events naively and puts the answer together from their pieces.

use super::convert::{Dialect, Streamed};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// An event: its name, which may be empty, and its data.
pub(super) type Event<'a> = (&'a str, String);

/// Reads events, each of which has to be whole.
pub(super) fn events(text: &str) -> Vec<Event<'_>> {
    assert!(text.is_empty() || text.ends_with("\n\n"), "half an event: {text:?}");
    assert!(!text.contains('\r'), "{text:?}");
    let mut events = Vec::new();
    for event in text.split_terminator("\n\n") {
        let (mut name, mut data) = ("", Vec::new());
        for line in event.split('\n') {
            match line.split_once(": ") {
                Some(("event", value)) => name = value,
                Some(("data", value)) => data.push(value),
                _ => panic!("{line:?} is no field: {text:?}"),
            }
        }
        events.push((name, data.join("\n")));
    }
    events
}

/// Reads a stream to its end: its data is JSON, and it looks like a whole answer only if it is one.
pub(super) fn read(dialect: Dialect, streamed: &Streamed) -> Option<Value> {
    let events = events(&streamed.events);
    for (at, (_, data)) in events.iter().enumerate() {
        let is_end = data == "[DONE]";
        assert!(is_end || serde_json::from_str::<IgnoredAny>(data).is_ok(), "{data:?} is no JSON");
        assert!(!is_end || at + 1 == events.len(), "events follow the end: {:?}", streamed.events);
    }
    let Some((name, data)) = events.last() else { panic!("an answer without events") };
    let ends = match dialect {
        Dialect::Chat | Dialect::Completions => data == "[DONE]",
        Dialect::Messages => *name == "message_stop",
        Dialect::Responses => matches!(*name, "response.completed" | "response.incomplete"),
    };
    assert_eq!(ends, streamed.error.is_none(), "{:?}", streamed.events);
    // What `serde_json` reads no value of, such as 1e400 and half surrogate pairs, is passed on.
    let values: Option<Vec<(&str, Value)>> = events
        .iter()
        .filter(|(_, data)| data != "[DONE]")
        .map(|(name, data)| Some((*name, serde_json::from_str(data).ok()?)))
        .collect();
    let values = values?;
    let answer = match dialect {
        Dialect::Chat => return None,
        Dialect::Completions => completion(&values),
        Dialect::Messages => message(&values),
        Dialect::Responses => response(&values),
    };
    streamed.error.is_none().then_some(answer)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// Appends a text to a member.
fn append(to: &mut Value, piece: &Value) {
    let whole = format!("{}{}", to.as_str().unwrap_or_default(), text(piece));
    *to = whole.into();
}

fn completion(events: &[(&str, Value)]) -> Value {
    let (mut choices, mut usage) = (Map::new(), Value::Null);
    for (_, event) in events {
        if event.get("error").is_some() {
            break;
        }
        for choice in event["choices"].as_array().unwrap_or_else(|| panic!("{event}")) {
            let told = choices.entry(choice["index"].to_string()).or_insert_with(|| json!({}));
            append(&mut told["text"], &choice["text"]);
            if !choice["finish_reason"].is_null() {
                told["finish_reason"] = choice["finish_reason"].clone();
            }
        }
        if event.get("usage").is_some_and(|usage| !usage.is_null()) {
            usage = event["usage"].clone();
        }
    }
    json!({ "choices": choices, "usage": usage })
}

/// Puts a message together. Its blocks come one after the other, each is open while it grows, and none stays open.
fn message(events: &[(&str, Value)]) -> Value {
    let (mut message, mut blocks, mut open) = (Value::Null, Vec::new(), false);
    for (at, (name, event)) in events.iter().enumerate() {
        assert_eq!(text(&event["type"]), *name, "{event}");
        assert_eq!(at == 0, *name == "message_start" || message.is_null(), "{event}");
        let is_of_block = name.starts_with("content_block_");
        assert!(!is_of_block || event["index"] == blocks.len() - usize::from(open), "{event}");
        match *name {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert!(!std::mem::replace(&mut open, true), "{event}");
                let mut block = event["content_block"].clone();
                if block["type"] == "tool_use" {
                    assert_eq!(block["input"], json!({}));
                    block["input"] = "".into();
                }
                blocks.push(block);
            }
            "content_block_delta" => {
                assert!(open, "{event}");
                let (Some(block), delta) = (blocks.last_mut(), &event["delta"]) else { panic!("{event}") };
                match text(&delta["type"]) {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "input_json_delta" => append(&mut block["input"], &delta["partial_json"]),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => assert!(std::mem::take(&mut open), "{event}"),
            "message_delta" => {
                assert!(!open, "{event}");
                for member in ["stop_reason", "stop_sequence"] {
                    message[member] = event["delta"][member].clone();
                }
                message["usage"] = event["usage"].clone();
            }
            "message_stop" | "error" => assert_eq!(at + 1, events.len(), "{event}"),
            _ => panic!("{event}"),
        }
    }
    if !message.is_null() {
        message["content"] = blocks.into();
    }
    message
}

/// Returns the response of the last event, whose output is what the pieces before make together.
fn response(events: &[(&str, Value)]) -> Value {
    let (mut pieces, mut last) = (Map::new(), Value::Null);
    for (number, (name, event)) in (0..).zip(events) {
        assert_eq!((text(&event["type"]), &event["sequence_number"]), (*name, &Value::from(number)), "{event}");
        if let Some(kind) = name.strip_prefix("response.").and_then(|name| name.strip_suffix(".delta")) {
            let place = ["output_index", "content_index", "summary_index"].map(|name| event[name].to_string());
            append(pieces.entry(format!("{kind} {}", place.join(" "))).or_insert("".into()), &event["delta"]);
        }
        if let Some(response) = event.get("response") {
            last = response.clone();
        }
    }
    for (at, item) in last["output"].as_array().into_iter().flatten().enumerate() {
        let kind = text(&item["type"]);
        let said = |kind: &str, place: String| match pieces.get(&format!("{kind} {at} {place}")) {
            Some(said) => said.clone(),
            None => "".into(),
        };
        match kind {
            "function_call" => {
                assert_eq!(item["arguments"], said("function_call_arguments", "null null".to_owned()));
            }
            "custom_tool_call" => assert_eq!(item["input"], said("custom_tool_call_input", "null null".to_owned())),
            _ => {
                for (name, of_summary) in [("content", false), ("summary", true)] {
                    for (at, part) in item.get(name).and_then(Value::as_array).into_iter().flatten().enumerate() {
                        let place = if of_summary { format!("null {at}") } else { format!("{at} null") };
                        let (kind, member) = match text(&part["type"]) {
                            "output_text" => ("output_text", "text"),
                            "refusal" => ("refusal", "refusal"),
                            "reasoning_text" => ("reasoning_text", "text"),
                            "summary_text" => ("reasoning_summary_text", "text"),
                            other => panic!("{other}"),
                        };
                        assert_eq!(part[member], said(kind, place), "{item}");
                    }
                }
            }
        }
    }
    last
}
