//! Tools and how they are to be chosen.
//!
//! In go `tools` and `tool_choice` of a request for a message; out come those of a chat request.

use super::json::{At, Members, Object, items, list, quoted};
use crate::error::ApiError;

/// How tools are to be chosen.
pub(super) struct Choice {
    /// `tool_choice` of the chat request.
    pub(super) choice: String,
    /// Whether several tools may be called at once.
    pub(super) parallel: bool,
}

/// `tools` of the chat request; none if there are none, because OpenAI's API refuses an empty list.
pub(super) fn tools(tools: &str, at: &At<'_>) -> Result<Option<String>, ApiError> {
    let tools = items(tools, at, "an array of tools")?;
    let tools: Vec<_> =
        tools.into_iter().enumerate().map(|(index, one)| tool(one, &at.item(index))).collect::<Result<_, _>>()?;
    Ok((!tools.is_empty()).then(|| list(&tools)))
}

fn tool(tool: &str, at: &At<'_>) -> Result<String, ApiError> {
    let tool = Members::at(tool, at)?;
    if tool.get("type").is_some() && tool.kind(at)? != "custom" {
        let instead = "only Anthropic's own service runs it; give a tool with a `name` and an `input_schema`";
        return Err(at.member("type").unsupported(instead));
    }
    // Caching, and in how fine pieces the input comes, are hints to Anthropic that change no answer.
    let hints = ["cache_control", "eager_input_streaming"];
    tool.only(&["type", "name", "description", "input_schema", "strict", hints[0], hints[1]], at)?;
    let schema = tool.get("input_schema").filter(|schema| schema.starts_with('{'));
    let schema = schema.ok_or_else(|| at.member("input_schema").wrong("a JSON Schema, which is an object"))?;
    let function = Object::new()
        .raw("name", tool.string("name", at)?)
        .maybe("description", tool.get("description").map(|_| tool.string("description", at)).transpose()?)
        .raw("parameters", schema)
        .maybe("strict", tool.get("strict"));
    Ok(function_of(&function.end()))
}

/// `tool_choice` of the chat request.
pub(super) fn choice(choice: &str, at: &At<'_>) -> Result<Choice, ApiError> {
    let choice = Members::at(choice, at)?;
    let chosen = match &*choice.kind(at)? {
        "auto" => quoted("auto"),
        "any" => quoted("required"),
        "none" => quoted("none"),
        "tool" => function_of(&Object::new().raw("name", choice.string("name", at)?).end()),
        _ => return Err(at.member("type").wrong("`auto`, `any`, `tool` or `none`")),
    };
    choice.only(&["type", "name", "disable_parallel_tool_use"], at)?;
    Ok(Choice { choice: chosen, parallel: !choice.flag("disable_parallel_tool_use", at)? })
}

fn function_of(function: &str) -> String {
    Object::new().raw("type", &quoted("function")).raw("function", function).end()
}
