//! Values that schemas are made of: constants, and what asks for nothing.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// One of these values.
fn one_of<const N: usize>(values: [Value; N]) -> Object {
    let refused = values.contains(&Value::Null).then_some("Anything else is not supported.");
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).enum_values(Some(values)).description(refused).build()
}

/// Functions that give the schema of one of some values, for `schema_with`.
macro_rules! values {
    ($($(#[$doc:meta])* $name:ident: $($value:tt),+;)*) => {
        $($(#[$doc])* pub(super) fn $name() -> Object { one_of([$(json!($value)),+]) })*
    };
}

values! {
    /// A field that can't be honoured.
    nothing: null;
    no: null, false;
    not: false;
    no_list: null, [];
    empty_text: null, "";
    one: null, 1;
    none_or_one: null, 0, 1;
    auto: null, "auto";
    standard: null, "standard";
    usual_service: null, "auto", "standard_only";
    disabled: "disabled";
    adaptive: "adaptive";
    enabled: "enabled";
    display: null, "summarized", "omitted";
    clear_thinking: "clear_thinking_20251015";
    all: "all";
    not_truncated: null, "disabled";
    namespace: "namespace";
    web_search: "web_search";
    all_turns: null, "auto", "all_turns";
    summary: null, "auto", "concise", "detailed";
    only_text: null, ["text"];
    only_direct: null, [], ["direct"];
    plain_text: null, "text/plain";
    role: "user", "assistant", "system", "developer";
    user: "user";
    system: "system";
    assistant: "assistant";
    allowed_tools: "allowed_tools";
    base64: "base64";
    custom: "custom";
    custom_or_nothing: null, "custom";
    custom_tool_call: "custom_tool_call";
    direct: "direct";
    document: "document";
    function: "function";
    function_call: "function_call";
    tool_output: "function_call_output", "custom_tool_call_output";
    function_or_custom: "function", "custom";
    grammar: "grammar";
    how_to_choose: "auto", "any", "none";
    image: "image";
    input_file: "input_file";
    input_image: "input_image";
    input_text: "input_text";
    json_object: "json_object";
    json_schema: "json_schema";
    a_message: null, "", "message";
    output_text: "input_text", "output_text";
    reasoning: "reasoning";
    reasoning_text: "reasoning_text";
    refusal: "refusal";
    summary_text: "summary_text";
    text: "text";
    thinking: "thinking";
    tool: "tool";
    tool_result: "tool_result";
    tool_use: "tool_use";
    url: "url";
    error: "error";
    message: "message";
    response: "response";
    list: "list";
    model: "model";
    chat_completion: "chat.completion";
    text_completion: "text_completion";
    message_events: "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop", "error";
    locality: "local", "cloud";
}

/// What is refused if it asks for anything: there is nowhere to put it.
#[derive(Serialize)]
pub(super) struct Nothing;

impl PartialSchema for Nothing {
    fn schema() -> RefOr<Schema> {
        no().into()
    }
}

impl ToSchema for Nothing {}

/// A whole number, however large.
pub(super) fn whole_number() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build()
}

/// An object of any kind, such as a JSON Schema.
pub(super) fn any_object() -> Object {
    ObjectBuilder::new().schema_type(Type::Object).build()
}
