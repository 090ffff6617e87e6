//! A client that reads events and puts responses together, as OpenAI's own do.

use serde_json::{Value, json};

/// An event, taken apart.
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Value,
}

/// Reads events as a client does.
#[track_caller]
pub(super) fn events(text: &str) -> Vec<Event> {
    let read = |event: &str| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        assert!(!data.contains(['\n', '\r']), "one line each: {data:?}");
        let data: Value = serde_json::from_str(data).unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        assert_eq!(data["type"], *name);
        Event { name, data }
    };
    assert!(text.is_empty() || text.ends_with("\n\n"));
    text.split_terminator("\n\n").map(read).collect()
}

/// Each event on a line: its name without `response.`, the item and the part it is about, and what it says.
pub(super) fn told(text: &str) -> Vec<String> {
    let line = |event: Event| {
        let mut line = event.name.trim_start_matches("response.").to_owned();
        for place in ["output_index", "content_index"] {
            if event.data.get(place).is_some() {
                line += &format!(" {}", event.data[place]);
            }
        }
        let said = ["delta", "text", "refusal", "arguments", "input"].iter().find_map(|name| event.data.get(name));
        let of = event.data["item"]["type"].as_str().or(event.data["part"]["type"].as_str());
        let status = event.data["item"]["status"].as_str().or(event.data["response"]["status"].as_str());
        for word in [said.and_then(Value::as_str), of, status].into_iter().flatten() {
            line += &format!(" {word}");
        }
        line
    };
    events(text).into_iter().map(line).collect()
}

/// Puts a response's output together as clients do: only from the events of its parts.
#[track_caller]
pub(super) fn assembled(text: &str) -> Value {
    let mut output: Vec<Value> = Vec::new();
    let mut done: Vec<Value> = Vec::new();
    for (number, event) in events(text).into_iter().enumerate() {
        let data = event.data;
        assert_eq!(data["sequence_number"], number, "numbers count up");
        let at = || data["output_index"].as_u64().unwrap() as usize;
        let part = || data["content_index"].as_u64().unwrap() as usize;
        if let Some(id) = data.get("item_id") {
            assert_eq!(*id, output[at()]["id"], "{data}");
        }
        let add = |to: &mut Value| *to = json!(to.as_str().unwrap().to_owned() + data["delta"].as_str().unwrap());
        match &*event.name {
            "response.output_item.added" => {
                assert_eq!((at(), &data["item"]["status"]), (output.len(), &json!("in_progress")));
                output.push(data["item"].clone());
            }
            "response.content_part.added" => {
                let content = output[at()]["content"].as_array_mut().unwrap();
                assert_eq!(part(), content.len());
                content.push(data["part"].clone());
            }
            "response.output_text.delta" => {
                let grown = &mut output[at()]["content"][part()];
                add(&mut grown["text"]);
                grown["logprobs"].as_array_mut().unwrap().extend(data["logprobs"].as_array().unwrap().clone());
            }
            "response.output_text.annotation.added" => {
                output[at()]["content"][part()]["annotations"].as_array_mut().unwrap().push(data["annotation"].clone());
            }
            "response.reasoning_text.delta" => add(&mut output[at()]["content"][part()]["text"]),
            "response.refusal.delta" => add(&mut output[at()]["content"][part()]["refusal"]),
            "response.function_call_arguments.delta" => add(&mut output[at()]["arguments"]),
            "response.custom_tool_call_input.delta" => add(&mut output[at()]["input"]),
            "response.output_text.done" | "response.reasoning_text.done" => {
                assert_eq!(data["text"], output[at()]["content"][part()]["text"]);
                assert_eq!(data.get("logprobs"), output[at()]["content"][part()].get("logprobs"));
            }
            "response.refusal.done" => assert_eq!(data["refusal"], output[at()]["content"][part()]["refusal"]),
            "response.function_call_arguments.done" => {
                assert_eq!((&data["arguments"], &data["name"]), (&output[at()]["arguments"], &output[at()]["name"]));
            }
            "response.custom_tool_call_input.done" => assert_eq!(data["input"], output[at()]["input"]),
            "response.content_part.done" => assert_eq!(data["part"], output[at()]["content"][part()]),
            "response.output_item.done" => {
                output[at()]["status"] = data["item"]["status"].clone();
                assert_eq!(data["item"], output[at()]);
                done.push(data["item"]["id"].clone());
            }
            "response.created" | "response.in_progress" => assert_eq!(data["response"]["output"], json!([])),
            "response.completed" | "response.incomplete" => {
                assert_eq!(data["response"]["output"], json!(output));
                assert_eq!(done.len(), output.len(), "each item is closed once");
                return data["response"].clone();
            }
            name => unreachable!("{name}"),
        }
    }
    unreachable!("no end")
}
