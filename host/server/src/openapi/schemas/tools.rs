//! Tools and how they are chosen, in both dialects that have words of their own for them.

use super::values::{self, Nothing};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A tool that the client runs.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagesTool)]
pub(super) struct AnthropicTool {
    #[schema(schema_with = values::custom_or_nothing)]
    r#type: Option<String>,
    name: String,
    description: Option<String>,
    #[schema(schema_with = values::any_object)]
    input_schema: Value,
    strict: Option<Value>,
    cache_control: Option<Value>,
    eager_input_streaming: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// How a tool is chosen.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagesToolChoice)]
#[serde(untagged)]
pub(super) enum AnthropicChoice {
    Any(AnyTool),
    This(ThisTool),
}

/// The model chooses.
#[derive(Serialize, ToSchema)]
pub(super) struct AnyTool {
    #[schema(schema_with = values::how_to_choose)]
    r#type: String,
    name: Option<Value>,
    disable_parallel_tool_use: Option<bool>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// The client chooses.
#[derive(Serialize, ToSchema)]
pub(super) struct ThisTool {
    #[schema(schema_with = values::tool)]
    r#type: String,
    name: String,
    disable_parallel_tool_use: Option<bool>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A tool that the client runs.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseTool)]
#[serde(untagged)]
pub(super) enum Tool {
    Function(FunctionTool),
    Custom(CustomTool),
    Namespace(NamespaceTool),
    WebSearch(WebSearchTool),
}

/// Tools that are called by both names, theirs and this one.
#[derive(Serialize, ToSchema)]
pub(super) struct NamespaceTool {
    #[schema(schema_with = values::namespace)]
    r#type: String,
    name: String,
    description: Option<String>,
    tools: Option<Vec<FunctionTool>>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A search that may not search the web: there is nothing else here to search, so it is left out.
#[derive(Serialize, ToSchema)]
pub(super) struct WebSearchTool {
    #[schema(schema_with = values::web_search)]
    r#type: String,
    #[schema(schema_with = values::not)]
    external_web_access: bool,
}

/// A tool that takes arguments. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(super) struct FunctionTool {
    #[schema(schema_with = values::function)]
    r#type: String,
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    strict: Option<Value>,
    #[schema(schema_with = values::nothing)]
    output_schema: Option<Value>,
    #[schema(schema_with = values::no)]
    r#async: Option<Value>,
    #[schema(schema_with = values::no)]
    defer_loading: Option<Value>,
    #[schema(schema_with = values::only_direct)]
    allowed_callers: Option<Value>,
}

/// A tool that takes a text. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(super) struct CustomTool {
    #[schema(schema_with = values::custom)]
    r#type: String,
    name: String,
    description: Option<String>,
    format: Option<CustomFormat>,
    #[schema(schema_with = values::no)]
    r#async: Option<Value>,
    #[schema(schema_with = values::no)]
    defer_loading: Option<Value>,
    #[schema(schema_with = values::only_direct)]
    allowed_callers: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum CustomFormat {
    Text(AnyText),
    Grammar(Grammar),
}

/// Any text.
#[derive(Serialize, ToSchema)]
struct AnyText {
    #[schema(schema_with = values::text)]
    r#type: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A text that follows a grammar.
#[derive(Serialize, ToSchema)]
struct Grammar {
    #[schema(schema_with = values::grammar)]
    r#type: String,
    syntax: String,
    definition: String,
}

/// How a tool is chosen: a word such as `auto`, or the tools by name.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseToolChoice)]
#[serde(untagged)]
pub(super) enum Choice {
    Word(String),
    Named(NamedTool),
    Allowed(AllowedTools),
}

/// One tool.
#[derive(Serialize, ToSchema)]
pub(super) struct NamedTool {
    #[schema(schema_with = values::function_or_custom)]
    r#type: String,
    name: String,
    namespace: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// Some tools.
#[derive(Serialize, ToSchema)]
pub(super) struct AllowedTools {
    #[schema(schema_with = values::allowed_tools)]
    r#type: String,
    mode: String,
    tools: Option<Vec<NamedTool>>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}
