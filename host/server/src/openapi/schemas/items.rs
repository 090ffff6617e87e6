//! The items of a request for a response: messages, reasoning, calls and what they gave.

use super::values::{self, Nothing};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An item.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseItem)]
#[serde(untagged)]
pub(super) enum Item {
    Message(MessageItem),
    Reasoning(ReasoningItem),
    FunctionCall(FunctionCallItem),
    CustomToolCall(CustomToolCallItem),
    FunctionCallOutput(OutputItem),
}

/// What somebody says. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(super) struct MessageItem {
    #[schema(schema_with = values::a_message)]
    r#type: Option<String>,
    id: Option<String>,
    status: Option<String>,
    #[schema(schema_with = values::role)]
    role: String,
    content: ItemContent,
    phase: Option<String>,
    #[schema(schema_with = values::nothing)]
    tool_calls: Option<Value>,
    #[schema(schema_with = values::nothing)]
    tool_call_id: Option<Value>,
    #[schema(schema_with = values::nothing)]
    function_call: Option<Value>,
    #[schema(schema_with = values::nothing)]
    reasoning_content: Option<Value>,
    #[schema(schema_with = values::nothing)]
    reasoning: Option<Value>,
}

/// A text, or parts.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum ItemContent {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponsePart)]
#[serde(untagged)]
enum Part {
    Text(TextPart),
    Refusal(RefusalPart),
    Image(ImagePart),
    File(FilePart),
}

/// A text. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
struct TextPart {
    #[schema(schema_with = values::output_text)]
    r#type: String,
    text: String,
    annotations: Option<Value>,
    logprobs: Option<Value>,
    parsed: Option<Value>,
}

/// What the model refused with. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
struct RefusalPart {
    #[schema(schema_with = values::refusal)]
    r#type: String,
    refusal: String,
}

/// An image. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
struct ImagePart {
    #[schema(schema_with = values::input_image)]
    r#type: String,
    /// A `data:` URL; what the provider would have to fetch needs a grant.
    image_url: String,
    detail: Option<String>,
    #[schema(schema_with = values::nothing)]
    file_id: Option<Value>,
}

/// A file. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
struct FilePart {
    #[schema(schema_with = values::input_file)]
    r#type: String,
    file_data: String,
    filename: Option<String>,
    #[schema(schema_with = values::auto)]
    detail: Option<Value>,
    #[schema(schema_with = values::nothing)]
    file_id: Option<Value>,
    #[schema(schema_with = values::nothing)]
    file_url: Option<Value>,
    #[schema(schema_with = values::nothing)]
    file: Option<Value>,
}

/// What the model thought.
#[derive(Serialize, ToSchema)]
pub(super) struct ReasoningItem {
    #[schema(schema_with = values::reasoning)]
    r#type: String,
    id: Option<String>,
    status: Option<String>,
    summary: Option<Vec<SummaryPart>>,
    /// What the summary tells less of; if both are there, this counts.
    content: Option<Vec<ReasoningPart>>,
    /// Nobody here can read it.
    encrypted_content: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

#[derive(Serialize, ToSchema)]
struct SummaryPart {
    #[schema(schema_with = values::summary_text)]
    r#type: String,
    text: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

#[derive(Serialize, ToSchema)]
struct ReasoningPart {
    #[schema(schema_with = values::reasoning_text)]
    r#type: String,
    text: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A call of a function. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(super) struct FunctionCallItem {
    #[schema(schema_with = values::function_call)]
    r#type: String,
    id: Option<String>,
    status: Option<String>,
    call_id: String,
    name: String,
    /// JSON as text.
    arguments: String,
    parsed_arguments: Option<Value>,
    caller: Option<ItemCaller>,
    namespace: Option<String>,
    #[schema(schema_with = values::no)]
    r#async: Option<Value>,
    #[schema(schema_with = values::nothing)]
    function: Option<Value>,
}

/// A call of a tool that takes a text. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(super) struct CustomToolCallItem {
    #[schema(schema_with = values::custom_tool_call)]
    r#type: String,
    id: Option<String>,
    status: Option<String>,
    call_id: String,
    name: String,
    input: String,
    caller: Option<ItemCaller>,
    namespace: Option<String>,
    #[schema(schema_with = values::no)]
    r#async: Option<Value>,
    #[schema(schema_with = values::nothing)]
    custom: Option<Value>,
}

/// What a tool gave. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(super) struct OutputItem {
    #[schema(schema_with = values::tool_output)]
    r#type: String,
    id: Option<String>,
    status: Option<String>,
    call_id: String,
    output: Output,
    caller: Option<ItemCaller>,
    namespace: Option<String>,
    #[schema(schema_with = values::no)]
    r#async: Option<Value>,
    #[schema(schema_with = values::nothing)]
    role: Option<Value>,
    #[schema(schema_with = values::nothing)]
    tool_call_id: Option<Value>,
    #[schema(schema_with = values::nothing)]
    content: Option<Value>,
}

/// A text, or parts.
#[derive(Serialize, ToSchema)]
#[schema(as = ToolOutput)]
#[serde(untagged)]
enum Output {
    Text(String),
    Parts(Vec<OutputPart>),
}

/// What is no text is shown to the model as if the user showed it.
#[derive(Serialize, ToSchema)]
#[schema(as = ToolOutputPart)]
#[serde(untagged)]
enum OutputPart {
    Text(OutputText),
    Image(ImagePart),
    File(Box<FilePart>),
}

/// A text. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
struct OutputText {
    #[schema(schema_with = values::input_text)]
    r#type: String,
    text: String,
}

/// Who calls.
#[derive(Serialize, ToSchema)]
struct ItemCaller {
    #[schema(schema_with = values::direct)]
    r#type: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}
