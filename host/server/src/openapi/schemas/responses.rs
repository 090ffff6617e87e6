//! A request for a response.

use super::items::Item;
use super::tools::{Choice, Tool};
use super::values::{self, Nothing};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A request for a response. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct ResponseRequest {
    /// The public name of a model or a route; `GET /v1/models` lists them.
    model: String,
    input: Input,
    instructions: Option<String>,
    /// Whether the answer is to come piece by piece.
    stream: Option<bool>,
    stream_options: Option<ResponseStreamOptions>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<Choice>,
    text: Option<Text>,
    reasoning: Option<Reasoning>,
    include: Option<Vec<Included>>,
    /// The client's own notes; nobody gets them.
    client_metadata: Option<Value>,
    #[schema(schema_with = values::no)]
    store: Option<Value>,
    #[schema(schema_with = values::no)]
    background: Option<Value>,
    #[schema(schema_with = values::nothing)]
    previous_response_id: Option<Value>,
    #[schema(schema_with = values::nothing)]
    conversation: Option<Value>,
    #[schema(schema_with = values::nothing)]
    prompt: Option<Value>,
    #[schema(schema_with = values::not_truncated)]
    truncation: Option<Value>,
    #[schema(schema_with = values::no_list)]
    context_management: Option<Value>,
    #[schema(schema_with = values::nothing)]
    max_tool_calls: Option<Value>,
    #[schema(schema_with = values::no)]
    moderation: Option<Value>,
    #[schema(schema_with = values::nothing)]
    n: Option<Value>,
    #[schema(schema_with = values::nothing)]
    messages: Option<Value>,
    #[schema(schema_with = values::nothing)]
    max_tokens: Option<Value>,
    #[schema(schema_with = values::nothing)]
    max_completion_tokens: Option<Value>,
    #[schema(schema_with = values::nothing)]
    response_format: Option<Value>,
    #[schema(schema_with = values::nothing)]
    verbosity: Option<Value>,
    #[schema(schema_with = values::nothing)]
    reasoning_effort: Option<Value>,
    #[schema(schema_with = values::no)]
    logprobs: Option<Value>,
    #[schema(schema_with = values::nothing)]
    functions: Option<Value>,
    #[schema(schema_with = values::nothing)]
    function_call: Option<Value>,
    #[schema(schema_with = values::only_text)]
    modalities: Option<Value>,
    #[schema(schema_with = values::nothing)]
    audio: Option<Value>,
}

/// A text, or items.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseInput)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Item>),
}

/// What comes with a stream: usage always does.
#[derive(Serialize, ToSchema)]
struct ResponseStreamOptions {
    #[schema(schema_with = values::no)]
    include_obfuscation: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// The answer's form.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseText)]
struct Text {
    format: Option<Format>,
    verbosity: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseFormat)]
#[serde(untagged)]
enum Format {
    Text(PlainFormat),
    Object(ObjectFormat),
    Schema(SchemaFormat),
}

/// Text.
#[derive(Serialize, ToSchema)]
struct PlainFormat {
    #[schema(schema_with = values::text)]
    r#type: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A JSON object.
#[derive(Serialize, ToSchema)]
struct ObjectFormat {
    #[schema(schema_with = values::json_object)]
    r#type: String,
}

/// JSON that follows a schema.
#[derive(Serialize, ToSchema)]
struct SchemaFormat {
    #[schema(schema_with = values::json_schema)]
    r#type: String,
    name: String,
    #[schema(schema_with = values::any_object)]
    schema: Value,
}

/// How much the model reasons.
#[derive(Serialize, ToSchema)]
struct Reasoning {
    effort: Option<Value>,
    /// The model's thoughts are told as a summary, as they are.
    #[schema(schema_with = values::summary)]
    summary: Option<Value>,
    #[schema(schema_with = values::summary)]
    generate_summary: Option<Value>,
    #[schema(schema_with = values::all_turns)]
    context: Option<Value>,
    #[schema(schema_with = values::standard)]
    mode: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// What is included.
#[derive(Serialize, ToSchema)]
enum Included {
    #[serde(rename = "message.output_text.logprobs")]
    Logprobs,
    #[serde(rename = "reasoning.encrypted_content")]
    EncryptedContent,
}
