//! Tools, and which of them the model may or has to call.
//!
//! In go `tools` and `tool_choice`; out come those of chat completions, where a function is an object of its own.

use crate::error::ApiError;
use crate::json::{Node, Object, array};

/// What the tools that a model can be given are called here.
const KINDS: &str = "write a tool of type `function` or `custom`";

/// Takes `tools`; none if there are none, because providers refuse an empty array.
///
/// # Errors
/// If a tool is not one that the client runs itself.
pub(super) fn tools(top: &mut Node) -> Result<Option<String>, ApiError> {
    let mut tools = Vec::new();
    for mut tool in top.objects("tools")?.unwrap_or_default() {
        tools.push(match &*tool.kind()? {
            "function" => function(tool)?,
            "custom" => custom(tool)?,
            _ => return Err(tool.unsupported("type", KINDS)),
        });
    }
    Ok((!tools.is_empty()).then(|| array(&tools)))
}

fn function(mut tool: Node) -> Result<String, ApiError> {
    only_direct(&mut tool)?;
    tool.refuse("output_schema", &[], "chat completions have no counterpart; leave it out")?;
    let function = Object::new()
        .put("name", tool.needed("name")?)
        .maybe("description", tool.string("description")?)
        .maybe("parameters", tool.take("parameters"))
        .maybe("strict", tool.take("strict"));
    Ok(kind("function", function.pass(&tool.rest(&[])?)))
}

fn custom(mut tool: Node) -> Result<String, ApiError> {
    only_direct(&mut tool)?;
    let format = tool.object("format")?.map(format).transpose()?;
    let custom = Object::new()
        .put("name", tool.needed("name")?)
        .maybe("description", tool.string("description")?)
        .maybe("format", format.as_deref());
    Ok(kind("custom", custom.pass(&tool.rest(&[])?)))
}

fn format(mut format: Node) -> Result<String, ApiError> {
    match &*format.kind()? {
        "text" => {
            format.nothing_else()?;
            Ok(Object::new().text("type", "text").end())
        }
        "grammar" => {
            let (syntax, definition) = (format.needed("syntax")?, format.needed("definition")?);
            let grammar = Object::new().put("syntax", syntax).put("definition", definition);
            Ok(kind("grammar", grammar.pass(&format.rest(&[])?)))
        }
        _ => Err(format.unsupported("type", "write `text` or `grammar`")),
    }
}

/// Refuses what only a provider that runs the tools can do.
fn only_direct(tool: &mut Node) -> Result<(), ApiError> {
    tool.refuse("async", &["false"], "chat completions wait for their tools; leave it out")?;
    tool.refuse("defer_loading", &["false"], "there is no search for tools; leave it out")?;
    tool.refuse("allowed_callers", &[r#"["direct"]"#, "[]"], "only the model calls tools; leave it out")
}

/// Takes `tool_choice`.
///
/// # Errors
/// If it means a tool that the client does not run itself.
pub(super) fn choice(top: &mut Node) -> Result<Option<String>, ApiError> {
    let Some(value) = top.take("tool_choice") else { return Ok(None) };
    if value.starts_with('"') {
        return Ok(Some(value.to_owned()));
    }
    let mut choice = Node::new(value, top.path("tool_choice"))?;
    let name = choice.kind()?;
    if name != "allowed_tools" {
        return named(&name, choice).map(Some);
    }
    let mode = choice.needed("mode")?;
    let mut tools = Vec::new();
    for mut tool in choice.objects("tools")?.unwrap_or_default() {
        tools.push(named(&tool.kind()?, tool)?);
    }
    choice.nothing_else()?;
    Ok(Some(kind("allowed_tools", Object::new().put("mode", mode).put("tools", &array(&tools)))))
}

/// A tool that is meant by its name.
fn named(name: &str, mut tool: Node) -> Result<String, ApiError> {
    if !["function", "custom"].contains(&name) {
        return Err(tool.unsupported("type", KINDS));
    }
    let named = Object::new().put("name", tool.needed("name")?);
    tool.nothing_else()?;
    Ok(kind(name, named))
}

/// Chat's form of a choice between kinds: the type, and an object by its name.
fn kind(name: &str, what: Object) -> String {
    Object::new().text("type", name).put(name, &what.end()).end()
}
