//! Errors, in OpenAI's form and in Anthropic's.

use super::values;
use utoipa::ToSchema;

/// An error in OpenAI's form.
#[derive(ToSchema)]
pub(in super::super) struct ApiErrorBody {
    error: ApiErrorDetails,
}

/// What went wrong. A provider's own words may lack all but the message.
#[derive(ToSchema)]
struct ApiErrorDetails {
    /// For people.
    message: String,
    /// Whose matter it is, such as `invalid_request_error`, `upstream_error` or `gateway_error`.
    r#type: Option<String>,
    /// The field that is wrong, such as `messages[0].content`.
    param: Option<String>,
    /// What went wrong, for programs.
    code: Option<serde_json::Value>,
}

/// An error in Anthropic's form.
#[derive(ToSchema)]
pub(in super::super) struct MessagesErrorBody {
    #[schema(schema_with = values::error)]
    r#type: String,
    error: MessagesErrorDetails,
    /// The request's id, which the log has too.
    request_id: String,
}

/// What went wrong.
#[derive(ToSchema)]
struct MessagesErrorDetails {
    /// What kind of error it is, such as `invalid_request_error`.
    r#type: String,
    /// For people; names the field that is wrong.
    message: String,
}
