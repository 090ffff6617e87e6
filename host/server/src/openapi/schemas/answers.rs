//! Answers: what they always have.

use super::values;
use serde_json::Value;
use utoipa::ToSchema;

/// A chat completion, as the provider gives it.
#[derive(ToSchema)]
pub(in super::super) struct ChatCompletion {
    id: String,
    #[schema(schema_with = values::chat_completion)]
    object: String,
    created: i64,
    model: String,
    choices: Vec<ChatChoice>,
}

/// One answer.
#[derive(ToSchema)]
struct ChatChoice {
    index: u64,
    #[schema(schema_with = values::any_object)]
    message: Value,
    #[schema(required)]
    finish_reason: Option<String>,
}

/// A completion.
#[derive(ToSchema)]
pub(in super::super) struct Completion {
    id: String,
    #[schema(schema_with = values::text_completion)]
    object: String,
    created: i64,
    model: String,
    choices: Vec<TextChoice>,
}

/// One answer.
#[derive(ToSchema)]
struct TextChoice {
    index: u64,
    text: String,
    #[schema(required)]
    finish_reason: Option<String>,
}

/// Embeddings, as the provider gives them.
#[derive(ToSchema)]
pub(in super::super) struct Embeddings {
    #[schema(schema_with = values::list)]
    object: String,
    model: String,
    /// One for each input, in order.
    #[schema(value_type = Vec<Object>)]
    data: Vec<Value>,
}

/// A response.
#[derive(ToSchema)]
pub(in super::super) struct Response {
    id: String,
    #[schema(schema_with = values::response)]
    object: String,
    created_at: i64,
    /// `completed` or `incomplete`.
    status: String,
    model: String,
    /// Messages, reasoning and calls of tools.
    #[schema(value_type = Vec<Object>)]
    output: Vec<Value>,
    /// Always: nothing is stored.
    store: bool,
}

/// A message.
#[derive(ToSchema)]
pub(in super::super) struct Message {
    id: String,
    #[schema(schema_with = values::message)]
    r#type: String,
    #[schema(schema_with = values::assistant)]
    role: String,
    model: String,
    /// Blocks of text, thinking and calls of tools.
    #[schema(value_type = Vec<Object>)]
    content: Vec<Value>,
    #[schema(required)]
    stop_reason: Option<String>,
    #[schema(required)]
    stop_sequence: Option<String>,
    usage: MessageUsage,
}

/// How many tokens a request would take.
#[derive(ToSchema)]
pub(in super::super) struct TokenCount {
    input_tokens: u64,
}

/// How many tokens it took.
#[derive(ToSchema)]
struct MessageUsage {
    input_tokens: u64,
    output_tokens: u64,
}

/// Each event of a stream: OpenAPI 3.1 has no word for all of them.
#[derive(ToSchema)]
#[schema(as = Event)]
pub(in super::super) struct ChatEvent {
    /// JSON, or `[DONE]`.
    data: String,
}

/// Each event of a response's stream.
#[derive(ToSchema)]
pub(in super::super) struct ResponseEvent {
    /// Such as `response.created`; `error`, and then `response.failed`, if the answer breaks off.
    event: String,
    /// JSON.
    data: String,
}

/// Each event of a message's stream.
#[derive(ToSchema)]
pub(in super::super) struct MessageEvent {
    /// `error` if the answer breaks off.
    #[schema(schema_with = values::message_events)]
    event: String,
    /// JSON.
    data: String,
}

/// Models and routes.
#[derive(ToSchema)]
pub(in super::super) struct ModelList {
    #[schema(schema_with = values::list)]
    object: String,
    data: Vec<Model>,
}

/// A model, or a route over several.
#[derive(ToSchema)]
pub(in super::super) struct Model {
    /// What requests name it by.
    id: String,
    #[schema(schema_with = values::model)]
    object: String,
    created: i64,
    /// The adapter; `hauski` for a route.
    owned_by: String,
    hauski: ModelDetails,
}

/// Models and routes, in Anthropic's form. All of them: what is asked of pages has no effect.
#[derive(ToSchema)]
pub(in super::super) struct MessagesModelList {
    data: Vec<MessagesModel>,
    #[schema(schema_with = values::not)]
    has_more: bool,
    #[schema(required)]
    first_id: Option<String>,
    #[schema(required)]
    last_id: Option<String>,
}

/// A model, or a route over several, in Anthropic's form.
#[derive(ToSchema)]
pub(in super::super) struct MessagesModel {
    #[schema(schema_with = values::model)]
    r#type: String,
    /// What requests name it by.
    id: String,
    display_name: String,
    /// RFC 3339.
    created_at: String,
    hauski: ModelDetails,
}

/// What answers.
#[derive(ToSchema)]
struct ModelDetails {
    /// Whether what it is sent can leave this machine.
    #[schema(schema_with = values::locality)]
    locality: String,
    /// What it can be asked for, such as `chat`.
    serves: Vec<String>,
    /// A model's adapter.
    adapter: Option<String>,
    /// The digest of the adapter's bytes.
    digest: Option<String>,
    /// A route's models.
    route: Option<Vec<String>>,
}

/// Whether a model can be asked. Beyond this machine, those without a key are told the word only.
#[derive(ToSchema)]
pub(in super::super) struct Ready {
    /// `ready`, or why not.
    status: String,
    /// How many models and routes can be asked.
    models: Option<u64>,
    adapters: Option<ReadyAdapters>,
    policy: Option<ReadyPolicy>,
    /// `null` if the ledger is off.
    ledger: Option<ReadyLedger>,
}

/// The state of the ledger.
#[derive(ToSchema)]
struct ReadyLedger {
    /// Whether it takes records. If not, no request to a provider is let out.
    up: bool,
    /// Whether its files are still those that were written.
    intact: bool,
}

/// How many adapters there are.
#[derive(ToSchema)]
struct ReadyAdapters {
    loaded: u64,
    refused: u64,
}

/// Which policy holds.
#[derive(ToSchema)]
struct ReadyPolicy {
    /// Counts from 1.
    generation: u64,
    /// When it was loaded, in seconds of Unix time.
    loaded: u64,
    #[schema(required)]
    stale: Option<Stale>,
}

/// That the files say something else than what holds.
#[derive(ToSchema)]
struct Stale {
    /// In seconds of Unix time.
    since: u64,
    problem: String,
}

/// The adapters folder.
#[derive(ToSchema)]
pub(in super::super) struct AdapterList {
    #[schema(value_type = Vec<Object>)]
    adapters: Vec<Value>,
    /// Files that could not be loaded, with their reasons.
    #[schema(value_type = Vec<Object>)]
    refused: Vec<Value>,
    /// Why the folder can't be read, where that is so.
    stale: Option<String>,
}
