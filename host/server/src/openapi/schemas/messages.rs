//! A request for a message, in Anthropic's words.

use super::blocks::{Text, Turn};
use super::tools::{AnthropicChoice, AnthropicTool};
use super::values::{self, Nothing};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A request for a message. Fields that Anthropic's API does not know reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct MessagesRequest {
    /// The public name of a model or a route; `GET /v1/models` lists them.
    model: String,
    messages: Vec<Turn>,
    #[schema(schema_with = values::whole_number)]
    max_tokens: u64,
    system: Option<System>,
    /// Whether the answer is to come piece by piece.
    stream: Option<bool>,
    stop_sequences: Option<Vec<String>>,
    metadata: Option<Metadata>,
    tools: Option<Vec<AnthropicTool>>,
    tool_choice: Option<AnthropicChoice>,
    thinking: Option<Thinking>,
    output_config: Option<OutputConfig>,
    /// The older place of `output_config.format`; one of both.
    output_format: Option<OutputFormat>,
    #[schema(schema_with = values::usual_service)]
    service_tier: Option<Value>,
    /// A hint to Anthropic's own service, which changes no answer.
    cache_control: Option<Value>,
    #[schema(schema_with = values::nothing)]
    compaction: Option<Value>,
    #[schema(schema_with = values::nothing)]
    container: Option<Value>,
    #[schema(schema_with = values::nothing)]
    context_management: Option<Value>,
    #[schema(schema_with = values::nothing)]
    diagnostics: Option<Value>,
    #[schema(schema_with = values::nothing)]
    fallbacks: Option<Value>,
    #[schema(schema_with = values::nothing)]
    inference_geo: Option<Value>,
    #[schema(schema_with = values::no_list)]
    mcp_servers: Option<Value>,
    #[schema(schema_with = values::standard)]
    speed: Option<Value>,
    #[schema(schema_with = values::nothing)]
    thread: Option<Value>,
    #[schema(schema_with = values::nothing)]
    max_completion_tokens: Option<Value>,
    #[schema(schema_with = values::one)]
    n: Option<Value>,
    #[schema(schema_with = values::nothing)]
    parallel_tool_calls: Option<Value>,
    #[schema(schema_with = values::nothing)]
    response_format: Option<Value>,
    #[schema(schema_with = values::nothing)]
    stop: Option<Value>,
    #[schema(schema_with = values::nothing)]
    stream_options: Option<Value>,
    #[schema(schema_with = values::nothing)]
    user: Option<Value>,
}

/// What the model is told first.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum System {
    Text(String),
    Blocks(Vec<Text>),
}

/// Whose request it is.
#[derive(Serialize, ToSchema)]
struct Metadata {
    user_id: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// Whether the model is to think; `reasoning_effort`, which is passed on, says how much.
#[derive(Serialize, ToSchema)]
struct Thinking {
    #[schema(schema_with = values::disabled)]
    r#type: String,
}

/// The answer's form.
#[derive(Serialize, ToSchema)]
struct OutputConfig {
    format: Option<OutputFormat>,
    #[schema(schema_with = values::nothing)]
    effort: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A schema that the answer follows.
#[derive(Serialize, ToSchema)]
struct OutputFormat {
    #[schema(schema_with = values::json_schema)]
    r#type: String,
    #[schema(schema_with = values::any_object)]
    schema: Value,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}
