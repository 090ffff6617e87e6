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
    context_management: Option<ContextManagement>,
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

/// A request for a message that is only to be counted. What else it may have is as in `MessagesRequest`.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct MessagesCountRequest {
    /// The public name of a model or a route; `GET /v1/models` lists them.
    model: String,
    messages: Vec<Turn>,
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

/// Whether the model is to think. In a chat request `reasoning_effort` says how much, and `output_config.effort` is that word.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagesThinking)]
#[serde(untagged)]
enum Thinking {
    Disabled(ThinkingDisabled),
    Adaptive(ThinkingAdaptive),
    Enabled(ThinkingEnabled),
}

/// Says nothing of effort, `output_config.effort` included.
#[derive(Serialize, ToSchema)]
struct ThinkingDisabled {
    #[schema(schema_with = values::disabled)]
    r#type: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// The model decides how much.
#[derive(Serialize, ToSchema)]
struct ThinkingAdaptive {
    #[schema(schema_with = values::adaptive)]
    r#type: String,
    #[schema(schema_with = values::display)]
    display: Option<String>,
    #[schema(schema_with = values::no)]
    budget_tokens: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// Fewer than 4,096 tokens are `low` effort, fewer than 16,384 `medium`, more `high`, unless `output_config.effort` says it.
#[derive(Serialize, ToSchema)]
struct ThinkingEnabled {
    #[schema(schema_with = values::enabled)]
    r#type: String,
    #[schema(schema_with = values::whole_number)]
    budget_tokens: u64,
    #[schema(schema_with = values::display)]
    display: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// What is to be forgotten of the conversation: nothing.
#[derive(Serialize, ToSchema)]
struct ContextManagement {
    edits: Option<Vec<ContextEdit>>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// Keeps all thoughts.
#[derive(Serialize, ToSchema)]
struct ContextEdit {
    #[schema(schema_with = values::clear_thinking)]
    r#type: String,
    #[schema(schema_with = values::all)]
    keep: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// The answer's form, and how much effort it is worth.
#[derive(Serialize, ToSchema)]
struct OutputConfig {
    format: Option<OutputFormat>,
    /// Passed on as `reasoning_effort`, which says it if this does not; one of both.
    effort: Option<String>,
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
