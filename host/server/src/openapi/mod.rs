//! What the gateway says of itself to tools: its document in OpenAPI 3.1.
//!
//! In goes nothing; out comes JSON, made once: paths and statuses (`operations.rs`), and schemas of what is read and answered. The
//! schemas are types that nobody makes values of: requests are read where they are handled, and what stands here is compared with
//! that by `tests/clients/python/test_openapi.py`.

mod operations;
mod respond;
mod schemas;

use operations::{ON_REQUEST, operations};
use schemas::schemas;
use serde_json::{Value, json};
use std::sync::LazyLock;
use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, Info, License, OpenApi, OpenApiBuilder, PathItem, SecurityRequirement, Server,
};

const DESCRIPTION: &str = "\
A local-first gateway for language models. Errors have OpenAI's form, those of `/v1/messages` Anthropic's, and name the field that \
is wrong in `param`. What a request holds beyond the fields named here is passed on to the model's provider as it came, except \
where a schema says that there can be nothing else. Bodies are read as JSON in UTF-8 whatever their `Content-Type` says. What is \
at a path answers other methods with 405, and says in `Allow` which it knows; there is nothing at other paths (404).";

/// The document as JSON.
pub(crate) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut document = serde_json::to_value(described()).unwrap_or_default();
        name_request(&mut document);
        demand_headers(&mut document);
        document.to_string()
    });
    &DOCUMENT
}

fn described() -> OpenApi {
    let mut info = Info::new("HausKI", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let mut paths = PathsBuilder::new();
    for (method, path, operation) in operations() {
        paths = paths.path(path, PathItem::new(method, operation));
    }
    let tag = |(name, description): (&str, &str)| TagBuilder::new().name(name).description(Some(description)).build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas())
        .security_scheme("bearer", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()))
        .security_scheme("x-api-key", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key"))));
    // Where the operator asks for no keys, there is none to show.
    let keys = [SecurityRequirement::default(), requires("bearer"), requires("x-api-key")];
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .tags(Some(TAGS.map(tag)))
        .security(Some(keys))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

const TAGS: [(&str, &str); 3] = [
    ("models", "What asks a model, and which there are."),
    ("operation", "For those who run the gateway."),
    (
        ON_REQUEST,
        "Answers only with `HAUSKI_EXPOSE_CONFIG=true` and on loopback; else there is nothing at these paths.",
    ),
];

fn requires(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, [""; 0])
}

/// All that Anthropic's clients are answered has the request's id under the name where they look for it as well. Where others are
/// answered too, it does not always come.
fn name_request(document: &mut Value) {
    for (at, always) in [
        ("~1v1~1messages/post", true),
        ("~1v1~1messages~1count_tokens/post", true),
        ("~1v1~1models/get", false),
        ("~1v1~1models~1{id}/get", false),
    ] {
        let answers = document.pointer_mut(&format!("/paths/{at}/responses")).and_then(Value::as_object_mut);
        for answer in answers.into_iter().flat_map(|answers| answers.values_mut()) {
            let headers = &mut answer["headers"];
            headers["request-id"] = headers["x-request-id"].clone();
            headers["request-id"]["required"] = json!(always);
        }
    }
}

/// Says of headers that they always come; `utoipa` has no field for it.
fn demand_headers(document: &mut Value) {
    match document {
        Value::Object(members) => {
            if let Some(Value::Object(headers)) = members.get_mut("headers") {
                for (_, header) in headers.iter_mut().filter(|(name, _)| respond::ALWAYS.contains(&name.as_str())) {
                    header["required"] = json!(true);
                }
            }
            members.values_mut().for_each(demand_headers);
        }
        Value::Array(items) => items.iter_mut().for_each(demand_headers),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
