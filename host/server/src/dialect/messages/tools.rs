//! Tools and how they are to be chosen.
//!
//! In go `tools` and `tool_choice` of a request for a message; out come those of a chat request.

use crate::error::ApiError;
use crate::json::{Node, Object, array, quoted};

/// How tools are to be chosen.
pub(super) struct Choice {
    /// `tool_choice` of the chat request.
    pub(super) choice: String,
    /// Whether several tools may be called at once.
    pub(super) parallel: bool,
}

/// Takes `tools`; none if there are none, because OpenAI's API refuses an empty list.
pub(super) fn tools(top: &mut Node) -> Result<Option<String>, ApiError> {
    let tools = top.objects("tools")?.unwrap_or_default();
    let tools: Vec<_> = tools.into_iter().map(tool).collect::<Result<_, _>>()?;
    Ok((!tools.is_empty()).then(|| array(&tools)))
}

fn tool(mut tool: Node) -> Result<String, ApiError> {
    if !matches!(&*tool.kind()?, "" | "custom") {
        let instead = "only Anthropic's own models know it; give a tool with a `name` and an `input_schema`";
        return Err(tool.unsupported("type", instead));
    }
    // Caching, and in how fine pieces the input comes, are hints to Anthropic that change no answer.
    for hint in ["cache_control", "eager_input_streaming"] {
        tool.take(hint);
    }
    let function = Object::new()
        .put("name", tool.needed("name")?)
        .maybe("description", tool.string("description")?)
        .put("parameters", tool.schema("input_schema")?)
        .maybe("strict", tool.take("strict"));
    tool.nothing_else()?;
    Ok(function_of(&function.end()))
}

/// Takes `tool_choice`.
pub(super) fn choice(top: &mut Node) -> Result<Option<Choice>, ApiError> {
    let Some(mut choice) = top.object("tool_choice")? else { return Ok(None) };
    let kind = choice.needed_kind()?;
    let name = choice.take("name");
    let chosen = match &*kind {
        "auto" => quoted("auto"),
        "any" => quoted("required"),
        "none" => quoted("none"),
        "tool" => match name.filter(|name| name.starts_with('"')) {
            Some(name) => function_of(&Object::new().put("name", name).end()),
            None => return Err(choice.wrong("name", "a string")),
        },
        _ => return Err(choice.wrong("type", "`auto`, `any`, `tool` or `none`")),
    };
    let parallel = !choice.flag("disable_parallel_tool_use")?;
    choice.nothing_else()?;
    Ok(Some(Choice { choice: chosen, parallel }))
}

fn function_of(function: &str) -> String {
    Object::new().text("type", "function").put("function", function).end()
}
