//! The turns of a conversation in Anthropic's words, and the blocks that they hold.

use super::values::{self, Nothing};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A turn.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Turn {
    User(UserTurn),
    Assistant(AssistantTurn),
    System(SystemTurn),
}

/// What the user says, and what tools gave.
#[derive(Serialize, ToSchema)]
pub(super) struct UserTurn {
    #[schema(schema_with = values::user)]
    role: String,
    content: UserContent,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A text, or blocks.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum UserContent {
    Text(String),
    Blocks(Vec<UserBlock>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum UserBlock {
    Text(Text),
    Image(Image),
    Document(Document),
    ToolResult(ToolResult),
}

/// What the model said before.
#[derive(Serialize, ToSchema)]
pub(super) struct AssistantTurn {
    #[schema(schema_with = values::assistant)]
    role: String,
    content: AssistantContent,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A text, or blocks.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum AssistantContent {
    Text(String),
    Blocks(Vec<AssistantBlock>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum AssistantBlock {
    Text(Text),
    Thinking(Thinking),
    ToolUse(ToolUse),
}

/// What the model is told.
#[derive(Serialize, ToSchema)]
pub(super) struct SystemTurn {
    #[schema(schema_with = values::system)]
    role: String,
    content: Texts,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A text, or blocks of text.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Texts {
    Text(String),
    Blocks(Vec<Text>),
}

/// A text.
#[derive(Serialize, ToSchema)]
#[schema(as = TextBlock)]
pub(super) struct Text {
    #[schema(schema_with = values::text)]
    r#type: String,
    text: String,
    #[schema(schema_with = values::no_list)]
    citations: Option<Value>,
    cache_control: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// An image.
#[derive(Serialize, ToSchema)]
#[schema(as = ImageBlock)]
struct Image {
    #[schema(schema_with = values::image)]
    r#type: String,
    source: ImageSource,
    cache_control: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum ImageSource {
    Base64(Base64Image),
    Url(UrlImage),
}

/// An image's bytes.
#[derive(Serialize, ToSchema)]
struct Base64Image {
    #[schema(schema_with = values::base64)]
    r#type: String,
    #[schema(pattern = "^image/[A-Za-z0-9/+.-]*$")]
    media_type: String,
    data: String,
    url: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// Where an image is; what the provider would have to fetch needs a grant.
#[derive(Serialize, ToSchema)]
struct UrlImage {
    #[schema(schema_with = values::url)]
    r#type: String,
    url: String,
    media_type: Option<Value>,
    data: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A document.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentBlock)]
struct Document {
    #[schema(schema_with = values::document)]
    r#type: String,
    source: DocumentSource,
    title: Option<String>,
    context: Option<String>,
    citations: Option<Citations>,
    cache_control: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// Not supported.
#[derive(Serialize, ToSchema)]
struct Citations {
    #[schema(schema_with = values::no)]
    enabled: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum DocumentSource {
    Text(TextDocument),
    Base64(Base64Document),
}

/// A document's text.
#[derive(Serialize, ToSchema)]
struct TextDocument {
    #[schema(schema_with = values::text)]
    r#type: String,
    #[schema(schema_with = values::plain_text)]
    media_type: Option<String>,
    data: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A document's bytes.
#[derive(Serialize, ToSchema)]
struct Base64Document {
    #[schema(schema_with = values::base64)]
    r#type: String,
    #[schema(pattern = "^application/pdf[A-Za-z0-9/+.-]*$")]
    media_type: String,
    data: String,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// What a tool gave.
#[derive(Serialize, ToSchema)]
#[schema(as = ToolResultBlock)]
struct ToolResult {
    #[schema(schema_with = values::tool_result)]
    r#type: String,
    tool_use_id: String,
    content: Option<ToolContent>,
    is_error: Option<bool>,
    cache_control: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A text, or blocks. What is no text is shown to the model as if the user showed it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum ToolContent {
    Text(String),
    Blocks(Vec<ToolBlock>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum ToolBlock {
    Text(Text),
    Image(Image),
    Document(Document),
}

/// What the model thought.
#[derive(Serialize, ToSchema)]
#[schema(as = ThinkingBlock)]
struct Thinking {
    #[schema(schema_with = values::thinking)]
    r#type: String,
    thinking: String,
    signature: Option<Value>,
    cache_control: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// A call of a tool.
#[derive(Serialize, ToSchema)]
#[schema(as = ToolUseBlock)]
struct ToolUse {
    #[schema(schema_with = values::tool_use)]
    r#type: String,
    id: String,
    name: String,
    #[schema(schema_with = values::any_object)]
    input: Value,
    caller: Option<Caller>,
    cache_control: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Nothing>,
}

/// Who calls.
#[derive(Serialize, ToSchema)]
struct Caller {
    #[schema(schema_with = values::direct)]
    r#type: String,
}
