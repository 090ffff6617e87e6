//! Tools and how they are to be chosen.
//!
//! In go `tools`, `tool_choice` and `parallel_tool_calls` of a chat request; out come Anthropic's `tools` and `tool_choice`.

use hauski_adapter_sdk::Error;
use serde::Serialize;

use crate::json::{At, Members, Raw, constant, decoded, is_string};

/// The schema of a function without `parameters`.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// A tool. The schema's bytes are the client's.
#[derive(Debug, Serialize)]
pub(crate) struct Tool<'a> {
    name: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Raw<'a>>,
    input_schema: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    /// What chat doesn't know, such as `cache_control`.
    #[serde(flatten)]
    more: Members<'a>,
}

/// How tools are to be chosen.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Choice<'a> {
    None,
    Auto {
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    Any {
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    Tool {
        name: Raw<'a>,
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// `tools` of a request.
pub(crate) fn tools<'a>(request: &Members<'a>) -> Result<Vec<Tool<'a>>, Error> {
    let at = At::Body.member("tools");
    let tools = request.items("tools", &At::Body)?.into_iter().enumerate();
    tools.map(|(index, one)| tool(one, &at.item(index))).collect()
}

fn tool<'a>(tool: Raw<'a>, at: &At<'_>) -> Result<Tool<'a>, Error> {
    let tool = Members::of(tool.get(), at)?;
    if tool.text("type", at)? != "function" {
        return Err(at.member("type").refused("give a tool of the type `function`"));
    }
    let function = tool.object("function", at)?;
    let at = at.member("function");
    let function = function.ok_or_else(|| at.wrong("an object"))?;
    let schema = function.get("parameters").unwrap_or_else(|| constant(NO_PARAMETERS));
    if !schema.get().starts_with('{') {
        return Err(at.member("parameters").wrong("a JSON Schema, which is an object"));
    }
    Ok(Tool {
        name: function.required("name", &at)?,
        description: function.string("description", &at)?,
        input_schema: schema,
        // Not to be strict is what holds without a word.
        strict: function.flag("strict", &at)?.filter(|strict| *strict),
        more: function.others(&["name", "description", "parameters", "strict"]).and(tool.others(&["type", "function"])),
    })
}

/// How a request wants its tools chosen. Without tools there is nothing to choose, which is what most clients' defaults say.
pub(crate) fn choice<'a>(request: &Members<'a>, tools: &[Tool<'_>]) -> Result<Option<Choice<'a>>, Error> {
    let at = At::Body.member("tool_choice");
    let disable_parallel_tool_use = request.flag("parallel_tool_calls", &At::Body)? == Some(false);
    let choice = match request.get("tool_choice") {
        None => None,
        Some(choice) if is_string(choice) => Some(match &*decoded(choice, &at)? {
            "none" => Choice::None,
            "auto" => Choice::Auto { disable_parallel_tool_use },
            "required" => Choice::Any { disable_parallel_tool_use },
            _ => return Err(at.wrong("`none`, `auto`, `required` or an object with a function")),
        }),
        Some(choice) => {
            let choice = Members::of(choice.get(), &at)?;
            if choice.text("type", &at)? != "function" {
                return Err(at.member("type").refused("name one function, or say `auto` or `required`"));
            }
            choice.only(&["type", "function"], &at)?;
            let function = choice.object("function", &at)?.ok_or_else(|| at.member("function").wrong("an object"))?;
            let at = at.member("function");
            function.only(&["name"], &at)?;
            Some(Choice::Tool { name: function.required("name", &at)?, disable_parallel_tool_use })
        }
    };
    Ok(match choice {
        Some(Choice::None | Choice::Auto { .. }) | None if tools.is_empty() => None,
        None => disable_parallel_tool_use.then_some(Choice::Auto { disable_parallel_tool_use }),
        choice => choice,
    })
}
