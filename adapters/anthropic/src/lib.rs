//! Adapter for Anthropic's Messages API.
//!
//! In: chat requests in OpenAI's dialect. Out: what `POST /v1/messages` answers to the same, said in that dialect, whole or piece by
//! piece. `README.md` says what has no counterpart on the other side and what becomes of it.

mod answer;
mod content;
mod errors;
mod json;
mod models;
mod request;
mod stream;
mod tools;
mod turns;
mod usage;

use std::collections::BTreeMap;

use hauski_adapter_sdk::http::Request;
use hauski_adapter_sdk::{Adapter, Chat, ChatRequest, Chunks, Description, Error, Json, settings, translated};

/// The base URL of models whose `config` sets none.
const BASE_URL: &str = "https://api.anthropic.com/v1";
/// The version of the API, and the field that says it.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");
/// The most tokens of an answer, where neither the request nor the model's `config` says it: the API wants a number.
const MAX_TOKENS: u64 = 8192;

struct Anthropic;

hauski_adapter_sdk::export!(Anthropic: chat);

impl Adapter for Anthropic {
    fn describe() -> Description {
        Description::new("anthropic", env!("CARGO_PKG_VERSION"), "Anthropic's Messages API")
            .host("https://api.anthropic.com/v1/")
            .default("base_url", BASE_URL, "where the API is, with its version")
            .default("max_tokens", MAX_TOKENS, "the most tokens of an answer, for requests that set none")
            .optional(
                "headers",
                "object of further header fields for each request; no keys, those belong in `routing.yaml`",
            )
    }

    fn models() -> Result<Vec<Json>, Error> {
        let response = errors::success(to_provider("GET", "/models?limit=1000", "application/json")?.send()?)?;
        models::entries(&response.text()?)
    }
}

impl Chat for Anthropic {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        let body = request::body(&request, max_tokens()?, false)?;
        let post = to_provider("POST", "/messages", "application/json")?;
        let response = errors::success(post.json(body).send()?)?;
        let media_type = response.media_type();
        answer::completion(&response.text()?, &media_type)
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let body = request::body(&request, max_tokens()?, true)?;
        let post = to_provider("POST", "/messages", "text/event-stream")?;
        let response = errors::success(post.json(body).send()?)?;
        match response.media_type().as_str() {
            "text/event-stream" => Ok(translated(response, stream::Stream::default())),
            "application/json" => {
                Err(errors::error_told_by(&response.text()?).unwrap_or_else(|| not_a_stream("application/json")))
            }
            other => Err(not_a_stream(other)),
        }
    }
}

fn not_a_stream(media_type: &str) -> Error {
    errors::instead_of("an event stream", media_type)
}

fn max_tokens() -> Result<u64, Error> {
    settings::required("max_tokens")
}

/// A request to `path` below the configured URL.
fn to_provider(method: &str, path: &str, accept: &str) -> Result<Request, Error> {
    let base: String = settings::required("base_url")?;
    let request = Request::new(method, format!("{}{path}", base.trim_end_matches('/'))).header("accept", accept);
    let headers: BTreeMap<String, String> = settings::get("headers")?.unwrap_or_default();
    let (name, version) = VERSION;
    let request = match headers.keys().any(|given| given.eq_ignore_ascii_case(name)) {
        true => request,
        false => request.header(name, version),
    };
    Ok(headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
}
