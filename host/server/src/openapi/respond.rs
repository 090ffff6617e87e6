//! Answers as the document has them: a status with its body's type and its headers.

use super::schemas::errors::{ApiErrorBody, MessagesErrorBody};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The headers that always come where an answer has them at all.
pub(super) const ALWAYS: [&str; 4] = ["x-request-id", "x-hauski-route", "allow", "www-authenticate"];

/// The form that an operation's errors have.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    OpenAi,
    Anthropic,
    /// Anthropic's for those who send `anthropic-version`, else OpenAI's.
    Either,
}

/// Everything that can come of asking a model, besides what [`EVERYWHERE`] says. `4XX` is the provider's.
pub(super) const ASKING: &[(&str, &str)] = &[
    ("400", "The request can't be understood, or asks for what is not done here: `param` names the field."),
    ("404", "There is no such model."),
    ("408", "The body did not come in time."),
    ("413", "The body is too large."),
    ("429", "The key, the adapter or the provider has as many requests as it takes."),
    ("4XX", "The provider refuses the request, in its own words and with its status."),
    ("500", "The gateway failed."),
    ("502", "The provider or its adapter failed, or the policy does not let the adapter reach it."),
    ("504", "The provider took too long."),
];

/// What can come of any path that may need a key.
pub(super) const EVERYWHERE: &[(&str, &str)] = &[
    ("400", "The request gives the length of its body more than once."),
    ("401", "The gateway asks for a key."),
    ("403", "A foreign page asks, or what is asked for is not for this key or not local."),
    ("405", "The path does not answer to this method."),
    ("429", "The key has sent as many requests as it may."),
    ("503", "The gateway can't answer now."),
];

/// What can come of a path that is open to everybody.
pub(super) const OPEN: &[(&str, &str)] = &[
    ("400", "The request gives the length of its body more than once."),
    ("403", "A foreign page asks, or the gateway is called by a foreign name."),
    ("405", "The path does not answer to this method."),
];

/// Adds errors to an operation.
pub(super) fn errors(mut operation: OperationBuilder, form: Form, errors: &[(&str, &str)]) -> OperationBuilder {
    for (status, description) in errors {
        operation = operation.response(*status, error(form, status, description));
    }
    operation
}

fn error(form: Form, status: &str, description: &str) -> Response {
    let body = match form {
        Form::OpenAi => reference::<ApiErrorBody>(),
        Form::Anthropic => reference::<MessagesErrorBody>(),
        Form::Either => either::<ApiErrorBody, MessagesErrorBody>(),
    };
    let answer = answer(description, &[("application/json", body)]);
    match status {
        "401" => answer.header("www-authenticate", header::<String>("How to show a key.")),
        "405" => answer.header("allow", header::<String>("The methods that the path answers to.")),
        "429" | "503" => answer.header("retry-after", header::<String>("When to try again: seconds, or a date.")),
        _ => answer,
    }
    .build()
}

/// An answer with one of these bodies.
pub(super) fn answer(description: &str, bodies: &[(&str, RefOr<Schema>)]) -> ResponseBuilder {
    let id =
        "The request's id, which the log has too: the client's own, if it sent a plain one of up to 64 characters.";
    let answer = ResponseBuilder::new().description(description).header("x-request-id", header::<String>(id));
    bodies.iter().fold(answer, |answer, (kind, schema)| {
        answer.content(*kind, ContentBuilder::new().schema(Some(schema.clone())).build())
    })
}

/// An answer of a model: whole, and where the client wants that and there are `events`, as these.
pub(super) fn said<T: ToSchema>(description: &str, events: Option<RefOr<Schema>>) -> Response {
    let mut bodies = vec![("application/json", reference::<T>())];
    bodies.extend(events.map(|events| ("text/event-stream", events)));
    let route = "Adapter, digest of its bytes, model, and whether the request stayed on this machine (`locality`).";
    answer(description, &bodies).header("x-hauski-route", header::<String>(route)).build()
}

fn header<T: PartialSchema>(description: &str) -> Header {
    HeaderBuilder::new().schema(T::schema()).description(Some(description)).build()
}

/// One of two schemas, or both: neither forbids what the other has.
pub(super) fn either<A: ToSchema, B: ToSchema>() -> RefOr<Schema> {
    AnyOfBuilder::new().item(reference::<A>()).item(reference::<B>()).into()
}

/// A schema by its name.
pub(super) fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}
