//! Adapter for servers that speak the OpenAI API: llama.cpp, vLLM, LM Studio, OpenAI itself, and many more.
//!
//! In: a request, which goes to the provider as it is. Out: the provider's answer as it is, once it is sure that it is one: an
//! error page, an error in good clothes or half a stream never pass for an answer.

mod answer;
mod chunks;

use std::collections::BTreeMap;

use hauski_adapter_sdk::http::{Request, Response};
use hauski_adapter_sdk::{
    Adapter, Chat, ChatRequest, Chunks, Description, EmbeddingRequest, Embeddings, Error, Json, Object, settings,
    translated,
};

struct OpenAiCompatible;

hauski_adapter_sdk::export!(OpenAiCompatible: chat, embeddings);

impl Adapter for OpenAiCompatible {
    fn describe() -> Description {
        Description::new("openai-compatible", env!("CARGO_PKG_VERSION"), "any server that speaks the OpenAI API")
            .required("base_url", "where the API is, with its version, such as `http://127.0.0.1:8000/v1`")
            .optional(
                "headers",
                "object of further header fields for each request; no keys, those belong in `routing.yaml`",
            )
            .optional(
                "leave_out",
                "array of fields that the server refuses, such as `reasoning_effort`; it never gets them",
            )
    }

    fn models() -> Result<Vec<Json>, Error> {
        let (list, media_type) = whole(to_provider("GET", "/models", "application/json")?.send()?)?;
        answer::entries(&list, &media_type)
    }
}

impl Chat for OpenAiCompatible {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        let post = to_provider("POST", "/chat/completions", "application/json")?;
        let (body, media_type) = whole(post.json(known(request.into_json())?).send()?)?;
        answer::completion(body, &media_type)
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let post = to_provider("POST", "/chat/completions", "text/event-stream")?;
        let reader = chunks::Reader::new(&request);
        let response = post.json(known(request.into_json())?).send()?.success()?;
        match response.media_type().as_str() {
            "text/event-stream" => Ok(translated(response, reader)),
            "application/json" => Err(answer::instead_of_stream(&response.text()?)),
            other => Err(answer::instead_of("an event stream", other)),
        }
    }
}

impl Embeddings for OpenAiCompatible {
    fn embed(request: EmbeddingRequest) -> Result<Json, Error> {
        let post = to_provider("POST", "/embeddings", "application/json")?;
        let (body, media_type) = whole(post.json(known(request.into_json())?).send()?)?;
        answer::embeddings(body, &media_type)
    }
}

/// The request without the fields that the operator says the server refuses. As a rule there are none, and it stays as it is.
fn known(request: Json) -> Result<Json, Error> {
    let leave_out: Vec<String> = settings::get("leave_out")?.unwrap_or_default();
    if leave_out.is_empty() {
        return Ok(request);
    }
    let mut object = Object::parse(&request).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    for field in &leave_out {
        object.remove(field);
    }
    Ok(object.into_json())
}

/// A request to `path` below the configured URL.
fn to_provider(method: &str, path: &str, accept: &str) -> Result<Request, Error> {
    let base: String = settings::required("base_url")?;
    let request = Request::new(method, format!("{}{path}", base.trim_end_matches('/'))).header("accept", accept);
    let headers: BTreeMap<String, String> = settings::get("headers")?.unwrap_or_default();
    Ok(headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
}

/// The body of an answer that is whole, and its media type.
fn whole(response: Response) -> Result<(String, String), Error> {
    let response = response.success()?;
    let media_type = response.media_type();
    if media_type == "text/html" {
        return Err(answer::instead_of("JSON", &media_type));
    }
    Ok((response.text()?, media_type))
}
