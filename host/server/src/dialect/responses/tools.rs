//! Tools, and which of them the model may or has to call.
//!
//! In go `tools` and `tool_choice`; out come those of chat completions, where a function is an object of its own. Tools in a namespace
//! are called by both names there, and when the model calls one, by its own again.

use crate::error::ApiError;
use crate::json::{Node, Object, array, decoded, inner};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the tools that a model can be given are called here.
const KINDS: &str = "write a tool of type `function` or `custom`";

/// The tools that stand in a namespace: by the name that chat calls them, decoded, namespace and name as JSON.
pub(super) type Namespaces = BTreeMap<String, (String, String)>;

/// Takes `tools`; none if there are none, because providers refuse an empty array.
///
/// # Errors
/// If a tool is not one that the client runs itself.
pub(super) fn tools(top: &mut Node) -> Result<(Option<String>, Namespaces), ApiError> {
    let (mut tools, mut namespaces) = (Vec::new(), Namespaces::new());
    for mut tool in top.objects("tools")?.unwrap_or_default() {
        match &*tool.kind()? {
            "function" => tools.push(function(tool, None)?),
            "custom" => tools.push(custom(tool)?),
            "namespace" => namespace(tool, &mut tools, &mut namespaces)?,
            // It may not search the web, and there is nothing else here to search.
            "web_search" if tool.peek("external_web_access") == Some("false") => {}
            "web_search" => {
                let instead = "nothing here searches the web; leave it out (in Codex: `web_search = \"disabled\"`)";
                return Err(tool.unsupported("type", instead));
            }
            _ => return Err(tool.unsupported("type", KINDS)),
        }
    }
    Ok(((!tools.is_empty()).then(|| array(&tools)), namespaces))
}

/// The tools of a namespace. What it says of itself is said of the first of them.
fn namespace(mut space: Node, tools: &mut Vec<String>, namespaces: &mut Namespaces) -> Result<(), ApiError> {
    let (of, mut description) = (space.needed("name")?, space.string("description")?);
    for mut tool in space.objects("tools")?.unwrap_or_default() {
        if tool.kind()? != "function" {
            return Err(tool.unsupported("type", "write a tool of type `function`"));
        }
        let Some(name) = tool.peek("name").filter(|name| name.starts_with('"')) else {
            return Err(tool.wrong("name", "a string, and is missing"));
        };
        let flat = flat(Some(of), name).into_owned();
        if namespaces.insert(decoded(&flat).into_owned(), (of.to_owned(), name.to_owned())).is_some() {
            return Err(tool.wrong("name", "another one than that of a tool before it"));
        }
        tools.push(function(tool, Some((&flat, description.take())))?);
    }
    space.nothing_else()
}

/// What chat calls a tool: its name, behind that of its namespace if it has one. All are JSON strings.
pub(super) fn flat<'a>(namespace: Option<&str>, name: &'a str) -> Cow<'a, str> {
    match namespace {
        None => Cow::Borrowed(name),
        Some(namespace) => {
            let flat = format!("{}__{}", inner(namespace), inner(name));
            if flat.len() <= LONGEST {
                return Cow::Owned(format!("\"{flat}\""));
            }
            let digest = Sha256::digest(flat.as_bytes());
            let plain = |letter: &char| letter.is_ascii_alphanumeric() || "_-".contains(*letter);
            let begin: String = flat.chars().filter(plain).take(LONGEST - 9).collect();
            Cow::Owned(format!("\"{begin}_{:08x}\"", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])))
        }
    }
}

/// The longest name of a tool that OpenAI's API takes.
const LONGEST: usize = 64;

/// A function; one of a namespace has another name, and what is said of the namespace in front of its description.
fn function(mut tool: Node, of: Option<(&str, Option<&str>)>) -> Result<String, ApiError> {
    only_direct(&mut tool)?;
    tool.refuse("output_schema", &[], "chat completions have no counterpart; leave it out")?;
    let (name, description) = (tool.needed("name")?, tool.string("description")?);
    let (name, before) = of.map_or((name, None), |(flat, before)| (flat, before));
    let both = before.map(|before| format!("\"{}\\n\\n{}\"", inner(before), description.map_or("", inner)));
    let function = Object::new()
        .put("name", name)
        .maybe("description", both.as_deref().or(description))
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
    let namespace = tool.string("namespace")?;
    let named = Object::new().put("name", &flat(namespace, tool.needed("name")?));
    tool.nothing_else()?;
    Ok(kind(name, named))
}

/// Chat's form of a choice between kinds: the type, and an object by its name.
fn kind(name: &str, what: Object) -> String {
    Object::new().text("type", name).put(name, &what.end()).end()
}
