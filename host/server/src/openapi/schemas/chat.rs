//! Requests for chat completions, for completions, and for embeddings.

use super::values;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

/// A request for a chat completion. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct ChatCompletionRequest {
    /// The public name of a model or a route; `GET /v1/models` lists them.
    model: String,
    /// The conversation. The provider judges each message; what it would have to fetch, such as images, needs a grant.
    messages: Vec<Value>,
    /// Whether the answer is to come piece by piece.
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    /// How many answers there are to be.
    n: Option<Value>,
    /// Keeps a client at one of a route's models, if `x-hauski-route-key` does not.
    prompt_cache_key: Option<Value>,
    /// The same, if `prompt_cache_key` does not.
    safety_identifier: Option<Value>,
    /// The same, if neither does.
    user: Option<Value>,
}

/// What comes with a stream.
#[derive(Serialize, ToSchema)]
struct StreamOptions {
    /// Whether a last chunk is to say how many tokens it took.
    include_usage: Option<bool>,
    /// Whether each chunk is to say how many it took so far.
    continuous_usage_stats: Option<bool>,
}

/// A request for a completion; it becomes a chat request with one message. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct CompletionRequest {
    /// The public name of a model or a route; `GET /v1/models` lists them.
    model: String,
    /// One text.
    #[schema(schema_with = one_text)]
    prompt: Value,
    /// Whether the answer is to come piece by piece.
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[schema(schema_with = values::empty_text)]
    suffix: Option<Value>,
    #[schema(schema_with = values::no)]
    echo: Option<Value>,
    #[schema(schema_with = values::none_or_one)]
    best_of: Option<Value>,
    #[schema(schema_with = values::nothing)]
    logprobs: Option<Value>,
    #[schema(schema_with = values::nothing)]
    messages: Option<Value>,
}

/// A text, or an array of one.
fn one_text() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let texts = ArrayBuilder::new().items(text()).min_items(Some(1)).max_items(Some(1));
    OneOfBuilder::new().item(text()).item(texts).into()
}

/// A request for embeddings. All other fields reach the provider as they came.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct EmbeddingRequest {
    /// The public name of a model or a route; `GET /v1/models` lists them.
    model: String,
    input: EmbeddingInput,
    /// Keeps a client at one of a route's models, if `x-hauski-route-key` does not.
    user: Option<Value>,
}

/// A text, or an array of texts or tokens, which the provider judges.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum EmbeddingInput {
    Text(String),
    Several(Vec<Value>),
}
