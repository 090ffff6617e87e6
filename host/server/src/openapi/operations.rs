//! The operations: what is at each path, and all that can come of it.
//!
//! `test:the_document_has_the_routes` compares them with the router's.

use super::respond::{ASKING, EVERYWHERE, Form, OPEN, answer, either, errors, reference, said};
use super::schemas::answers::{
    AdapterList, ChatCompletion, ChatEvent, Completion, Embeddings, Message, MessageEvent, MessagesModel,
    MessagesModelList, Model, ModelList, Ready, Response, ResponseEvent, TokenCount,
};
use super::schemas::chat::{ChatCompletionRequest, CompletionRequest, EmbeddingRequest};
use super::schemas::messages::{MessagesCountRequest, MessagesRequest};
use super::schemas::responses::ResponseRequest;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{self, ContentBuilder, HttpMethod, RefOr, Required, Schema};

/// The tag of what shows the configuration.
pub(super) const ON_REQUEST: &str = "on request";

type Entry = (HttpMethod, &'static str, Operation);

/// All of them, in the document's order.
pub(super) fn operations() -> Vec<Entry> {
    vec![
        chat(),
        completions(),
        responses(),
        messages(),
        count_tokens(),
        embeddings(),
        list(),
        one(),
        root(),
        get("/health", "operation", "Whether the process runs.", &[("text/plain", text("ok"))]).open(),
        ready(),
        get(
            "/metrics",
            "operation",
            "Metrics for Prometheus.",
            &[("text/plain", text("Its text form, version 0.0.4."))],
        )
        .with(|operation| errors(operation, Form::OpenAi, &[("500", "The metrics can't be written down.")])),
        get("/openapi.json", "operation", "This document.", &[("application/json", object("OpenAPI 3.1."))]).closed(),
        shown("/config/routing", "`routing.yaml` as it holds. Secrets are shown by reference only."),
        shown("/config/limits", "`limits.yaml` as it holds."),
        shown("/config/models", "`models.yml` as it holds."),
        get(
            "/adapters",
            ON_REQUEST,
            "What each file of the adapters folder is, imports, and may reach.",
            &[("application/json", reference::<AdapterList>())],
        )
        .with(absent),
    ]
}

fn chat() -> Entry {
    let answer =
        "The completion; with `stream`, its chunks as events, then `[DONE]`. An error is an event with `error`.";
    let answer = said::<ChatCompletion>(answer, Some(reference::<ChatEvent>()));
    asks::<ChatCompletionRequest>("/v1/chat/completions", "Asks a model, by chat completions.", answer, Form::OpenAi)
}

fn completions() -> Entry {
    let answer =
        "The completion; with `stream`, its pieces as events, then `[DONE]`. An error is an event with `error`.";
    let answer = said::<Completion>(answer, Some(reference::<ChatEvent>()));
    asks::<CompletionRequest>("/v1/completions", "Asks a model, by OpenAI's older completions.", answer, Form::OpenAi)
}

fn responses() -> Entry {
    let answer = "The response; with `stream`, events up to `response.completed`, `response.incomplete` or `error`.";
    let answer = said::<Response>(answer, Some(reference::<ResponseEvent>()));
    let summary = "Asks a model, by OpenAI's responses; nothing is stored.";
    asks::<ResponseRequest>("/v1/responses", summary, answer, Form::OpenAi)
}

fn messages() -> Entry {
    let answer = "The message; with `stream`, events up to `message_stop`.";
    let answer = said::<Message>(answer, Some(reference::<MessageEvent>()));
    asks::<MessagesRequest>("/v1/messages", "Asks a model, by Anthropic's messages.", answer, Form::Anthropic)
}

fn count_tokens() -> Entry {
    let answer =
        answer("An estimate, which no model was asked for.", &[("application/json", reference::<TokenCount>())]);
    let summary = "How many tokens a message would take, as far as that can be told without its model.";
    let path = "/v1/messages/count_tokens";
    asks::<MessagesCountRequest>(path, summary, answer.build(), Form::Anthropic)
}

fn embeddings() -> Entry {
    let answer = said::<Embeddings>("One embedding for each input.", None);
    asks::<EmbeddingRequest>("/v1/embeddings", "The embeddings of texts.", answer, Form::OpenAi)
}

fn list() -> Entry {
    let bodies = [("application/json", either::<ModelList, MessagesModelList>())];
    let Draft(path, operation) = get("/v1/models", "models", "The models and routes that can be asked.", &bodies);
    Draft(path, errors(operation.parameter(version()), Form::Either, EVERYWHERE)).end()
}

fn one() -> Entry {
    let bodies = [("application/json", either::<Model, MessagesModel>())];
    let Draft(path, operation) = get("/v1/models/{id}", "models", "One of them.", &bodies);
    let operation = errors(operation.parameter(id()).parameter(version()), Form::Either, EVERYWHERE);
    Draft(path, errors(operation, Form::Either, &[("404", "There is no such model.")])).end()
}

fn root() -> Entry {
    let pointers = object("The paths of what there is, by name; `version` where there are no keys, or with one.");
    let bodies = [("application/json", pointers), ("text/html", text("The same, for clients that accept pages."))];
    get("/", "operation", "Where to find what the gateway offers.", &bodies).open()
}

fn ready() -> Entry {
    let body = reference::<Ready>();
    let not =
        answer("No model can be asked, or the ledger takes no records.", &[("application/json", body.clone())]).build();
    let bodies = [("application/json", body)];
    let Draft(path, operation) = get("/ready", "operation", "Whether a model can be asked.", &bodies);
    Draft(path, errors(operation, Form::OpenAi, OPEN).response("503", not)).end()
}

/// What shows settings.
fn shown(path: &'static str, summary: &str) -> Entry {
    get(
        path,
        ON_REQUEST,
        summary,
        &[("application/json", object("Each file of policies has a JSON Schema of its own."))],
    )
    .with(absent)
}

fn absent(operation: OperationBuilder) -> OperationBuilder {
    errors(operation, Form::OpenAi, &[("404", "The operator does not show the configuration.")])
}

/// An operation that asks a model.
fn asks<T: ToSchema>(path: &'static str, summary: &str, answer: openapi::Response, form: Form) -> Entry {
    let operation = OperationBuilder::new()
        .tag("models")
        .operation_id(Some(id_of("post", path)))
        .summary(Some(summary))
        .parameters(Some([locality(), route_key(), request_id()]))
        .request_body(Some(body::<T>()))
        .response("200", answer);
    let operation = errors(errors(operation, form, EVERYWHERE), form, ASKING);
    (HttpMethod::Post, path, operation.build())
}

/// An operation that is being described.
struct Draft(&'static str, OperationBuilder);

/// An operation that shows something, with one of these bodies.
fn get(path: &'static str, tag: &str, summary: &str, bodies: &[(&str, RefOr<Schema>)]) -> Draft {
    let operation = OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(id_of("get", path)))
        .summary(Some(summary))
        .parameter(request_id())
        .response("200", answer(summary, bodies).build());
    Draft(path, operation)
}

impl Draft {
    /// It may need a key.
    fn closed(self) -> Entry {
        self.with(|operation| operation)
    }

    /// It may need a key, and has what `more` adds.
    fn with(self, more: impl FnOnce(OperationBuilder) -> OperationBuilder) -> Entry {
        let Self(path, operation) = self;
        Self(path, more(errors(operation, Form::OpenAi, EVERYWHERE))).end()
    }

    /// It needs no key.
    fn open(self) -> Entry {
        let Self(path, operation) = self;
        Self(path, errors(operation, Form::OpenAi, OPEN)).end()
    }

    fn end(self) -> Entry {
        (HttpMethod::Get, self.0, self.1.build())
    }
}

/// Such as `get_v1_models_id`.
fn id_of(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    [method].into_iter().chain(words).collect::<Vec<_>>().join("_")
}

fn body<T: ToSchema>() -> RequestBody {
    let content = ContentBuilder::new().schema(Some(reference::<T>())).build();
    RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build()
}

fn locality() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([json!("local-only")]));
    header("x-hauski-locality", "Holds the request to what is local, whatever adapter answers it.", schema)
}

fn route_key() -> Parameter {
    let pattern = "^[!-~]([ -~]{0,254}[!-~])?$";
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    header("x-hauski-route-key", "Requests to a route with the same key go to the same of its models.", schema)
}

fn request_id() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    header(
        "x-request-id",
        "The request's id, if it is plain and of up to 64 characters; else the gateway makes one.",
        schema,
    )
}

fn version() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    header("anthropic-version", "Whatever it says, the answer has Anthropic's form.", schema)
}

fn id() -> Parameter {
    ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The model's name, which may hold slashes, as they are or as `%2F`."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1))))
        .build()
}

fn header(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn text(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).into()
}

fn object(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Object).description(Some(description)).into()
}
