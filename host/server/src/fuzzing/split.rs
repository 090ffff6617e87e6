//! A chunk that says its text in two halves: an answer is the same however its provider cuts it.

use serde_json::{Map, Value, json};

/// Returns `chunk` as it is written anew, and two chunks that together say the same.
pub(super) fn halves(chunk: &str, at: usize) -> Option<(String, [String; 2])> {
    let chunk: Value = serde_json::from_str(chunk).ok()?;
    let choices = chunk.get("choices")?.as_array()?;
    let is_first = |choice: &Value| choice.get("index").is_none_or(|index| index.is_null() || *index == json!(0));
    let place = choices.iter().position(is_first)?;
    let choice = choices[place].as_object()?;
    let delta = choice.get("delta")?.as_object()?;
    let content = delta.get("content")?.as_str()?;
    let (begin, rest) = content.split_at(content.floor_char_boundary(at % (content.len() + 1)));
    if begin.is_empty() || rest.is_empty() {
        return None;
    }
    let but = |of: &Map<String, Value>, names: &[&str]| -> Map<String, Value> {
        of.iter().filter(|(name, _)| !names.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let only = |of: &Map<String, Value>, names: &[&str]| -> Map<String, Value> {
        of.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    // Thoughts come before the text, all else behind it.
    let thoughts = ["role", "reasoning_content", "reasoning"];
    let (mut first, mut second) = (only(delta, &thoughts), but(delta, &thoughts));
    first.insert("content".to_owned(), begin.into());
    second.insert("content".to_owned(), rest.into());
    let mut choice_of_first = only(choice, &["index"]);
    choice_of_first.insert("delta".to_owned(), first.into());
    let mut head = only(chunk.as_object()?, &["id", "created", "model", "object", "system_fingerprint"]);
    head.insert("choices".to_owned(), json!([choice_of_first]));
    let mut whole = chunk.clone();
    whole["choices"][place]["delta"] = second.into();
    Some((chunk.to_string(), [Value::from(head).to_string(), whole.to_string()]))
}
