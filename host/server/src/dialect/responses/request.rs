//! The request: what the client asks in responses, put into a chat request.
//!
//! In goes the body; out come the chat request's text and what the answer repeats of the request. Fields that nobody here knows
//! are passed on as they came: they may be a provider's own.

use super::response::Echo;
use super::tools::Namespaces;
use super::{input, tools};
use crate::error::ApiError;
use crate::json::{Node, Object, array, decoded};

/// A request that is understood.
pub(super) struct Asked {
    pub(super) chat: String,
    pub(super) echo: Echo,
    /// Whether the model's thoughts are to be told as a summary.
    pub(super) summary: bool,
    pub(super) namespaces: Namespaces,
}

/// Fields that mean the same in both dialects, and what a response says of them if they are left out.
const SAME: [(&str, &str); 7] = [
    ("temperature", "null"),
    ("top_p", "null"),
    ("metadata", "{}"),
    ("user", "null"),
    ("safety_identifier", "null"),
    ("prompt_cache_key", "null"),
    ("service_tier", "null"),
];

/// Fields that can't be honoured: name, values that ask for nothing, and what to do instead.
const REFUSED: [(&str, &[&str], &str); 21] = [
    ("store", &["false"], "nothing is stored: set `store` to `false`, or leave it out"),
    ("background", &["false"], "answers are waited for; leave it out or write `false`"),
    ("previous_response_id", &[], "nothing is stored; send the former items in `input`"),
    ("conversation", &[], "nothing is stored; send the former items in `input`"),
    ("prompt", &[], "nothing is stored; write `instructions` and `input`"),
    ("truncation", &["\"disabled\""], "nothing is left out of the input; leave it out or write `disabled`"),
    ("context_management", &["[]"], "the input is sent as it is; leave it out"),
    ("max_tool_calls", &[], "there are no built-in tools; leave it out"),
    ("moderation", &["false"], "nothing is moderated here; leave it out"),
    ("n", &[], "a response has one answer; leave it out"),
    ("messages", &[], "write `input`"),
    ("max_tokens", &[], "write `max_output_tokens`"),
    ("max_completion_tokens", &[], "write `max_output_tokens`"),
    ("response_format", &[], "write `text.format`"),
    ("verbosity", &[], "write `text.verbosity`"),
    ("reasoning_effort", &[], "write `reasoning.effort`"),
    ("logprobs", &["false"], "write `top_logprobs`, or `message.output_text.logprobs` in `include`"),
    ("functions", &[], "write `tools`"),
    ("function_call", &[], "write `tool_choice`"),
    ("modalities", &[r#"["text"]"#], "answers are text; leave it out"),
    ("audio", &[], "answers are text; leave it out"),
];

/// Reads a body.
///
/// # Errors
/// If it is no request for a response, or asks for what chat completions can't do.
pub(super) fn read(body: &str) -> Result<Asked, ApiError> {
    let mut top = Node::body(body)?;
    for (name, harmless, instead) in REFUSED {
        top.refuse(name, harmless, instead)?;
    }
    let model = top
        .string("model")?
        .ok_or_else(|| ApiError::wrong("model", "a string with the model's name; `GET /v1/models` lists them"))?;
    let instructions = top.string("instructions")?;
    let messages = array(&input::messages(instructions, &mut top)?);
    let mut chat = Object::new().put("model", model).put("messages", &messages);
    let mut echo = Object::new().put("instructions", instructions.unwrap_or("null"));
    if streams(&mut top)? {
        // The last event tells what was used.
        chat = chat.put("stream", "true").put("stream_options", r#"{"include_usage":true}"#);
    }
    let (namespaces, summary);
    (chat, echo, namespaces) = tooling(&mut top, chat, echo)?;
    (chat, echo) = text(&mut top, chat, echo)?;
    (chat, echo, summary) = reasoning(&mut top, chat, echo)?;
    // The client's own notes, of sessions and machines: nobody else's.
    top.take("client_metadata");
    (chat, echo) = logprobs(&mut top, chat, echo)?;
    let limit = top.take("max_output_tokens");
    chat = chat.maybe("max_completion_tokens", limit);
    echo = echo.put("max_output_tokens", limit.unwrap_or("null"));
    let mut service_tier = None;
    for (name, without) in SAME {
        let value = top.take(name);
        chat = chat.maybe(name, value);
        if name == "service_tier" {
            service_tier = value.map(str::to_owned);
        } else {
            echo = echo.put(name, value.unwrap_or(without));
        }
    }
    let chat = chat.pass(&top.rest(&[])?).end();
    let members = echo.splice(ALWAYS).members();
    Ok(Asked { chat, echo: Echo { model: model.to_owned(), members, service_tier }, summary, namespaces })
}

/// What all responses say of requests, because anything else is refused.
const ALWAYS: &str =
    r#""background":false,"max_tool_calls":null,"previous_response_id":null,"store":false,"truncation":"disabled""#;

/// Takes `stream` and `stream_options`.
fn streams(top: &mut Node) -> Result<bool, ApiError> {
    let stream = top.flag("stream")?;
    if let Some(mut options) = top.object("stream_options")? {
        options.refuse("include_obfuscation", &["false"], "nothing is padded; leave it out or write `false`")?;
        options.nothing_else()?;
    }
    Ok(stream)
}

/// Takes `tools` and what is said about them.
fn tooling(top: &mut Node, mut chat: Object, echo: Object) -> Result<(Object, Object, Namespaces), ApiError> {
    let echo = echo
        .put("tools", top.peek("tools").unwrap_or("[]"))
        .put("tool_choice", top.peek("tool_choice").unwrap_or("\"auto\""))
        .put("parallel_tool_calls", top.peek("parallel_tool_calls").unwrap_or("true"));
    let ((tools, namespaces), choice) = (tools::tools(top)?, tools::choice(top)?);
    let parallel = top.take("parallel_tool_calls");
    // Without tools these mean nothing, and providers refuse them.
    let idle = tools.is_none();
    chat = chat.maybe("tools", tools.as_deref());
    if !(idle && matches!(choice.as_deref(), Some("\"auto\"" | "\"none\""))) {
        chat = chat.maybe("tool_choice", choice.as_deref());
    }
    Ok((chat.maybe("parallel_tool_calls", parallel.filter(|_| !idle)), echo, namespaces))
}

/// Takes `text`: the answer's form, and how long-winded it is.
fn text(top: &mut Node, mut chat: Object, echo: Object) -> Result<(Object, Object), ApiError> {
    let Some(mut text) = top.object("text")? else { return Ok((chat, echo.put("text", TEXT))) };
    let verbosity = text.string("verbosity")?;
    let as_it_is = text.peek("format");
    if let Some(format) = text.object("format")? {
        chat = chat.maybe("response_format", response_format(format)?.as_deref());
    }
    text.nothing_else()?;
    let says = Object::new().put("format", as_it_is.unwrap_or(PLAIN)).maybe("verbosity", verbosity).end();
    Ok((chat.maybe("verbosity", verbosity), echo.put("text", &says)))
}

const PLAIN: &str = r#"{"type":"text"}"#;
const TEXT: &str = r#"{"format":{"type":"text"}}"#;

/// Chat's form of `text.format`; none for plain text, which is what comes unasked.
fn response_format(mut format: Node) -> Result<Option<String>, ApiError> {
    let kind = format.kind()?;
    let object = Object::new().text("type", &kind);
    match &*kind {
        "text" => format.nothing_else().map(|()| None),
        "json_object" => Ok(Some(object.pass(&format.rest(&[])?).end())),
        "json_schema" => {
            let name = format.needed("name")?;
            if !format.peek("schema").is_some_and(|schema| schema.starts_with('{')) {
                return Err(format.wrong("schema", "a JSON Schema, which is an object"));
            }
            let schema = Object::new().put("name", name).pass(&format.rest(&[])?).end();
            Ok(Some(object.put("json_schema", &schema).end()))
        }
        _ => Err(format.unsupported("type", "write `text`, `json_object` or `json_schema`")),
    }
}

/// Takes `reasoning`. A summary is told by what the model thinks, as it is: clients that ask for one read nothing else.
fn reasoning(top: &mut Node, chat: Object, echo: Object) -> Result<(Object, Object, bool), ApiError> {
    let (mut effort, mut summary) = (None, None);
    if let Some(mut reasoning) = top.object("reasoning")? {
        effort = reasoning.take("effort");
        for name in ["summary", "generate_summary"] {
            let asked = reasoning.take(name);
            if asked.is_some_and(|asked| !SUMMARIES.contains(&asked)) {
                return Err(reasoning.wrong(name, "`auto`, `concise` or `detailed`"));
            }
            summary = summary.or(asked);
        }
        let all = ["\"auto\"", "\"all_turns\""];
        reasoning.refuse("context", &all, "all of `input` is sent; leave it out or write `all_turns`")?;
        reasoning.refuse(
            "mode",
            &["\"standard\""],
            "chat completions have one mode; leave it out or write `standard`",
        )?;
        reasoning.nothing_else()?;
    }
    let says = Object::new().put("effort", effort.unwrap_or("null")).put("summary", summary.unwrap_or("null")).end();
    Ok((chat.maybe("reasoning_effort", effort), echo.put("reasoning", &says), summary.is_some()))
}

/// How long a summary can be asked to be.
const SUMMARIES: [&str; 3] = ["\"auto\"", "\"concise\"", "\"detailed\""];

/// Takes `top_logprobs` and `include`, both of which ask for how likely the words were.
fn logprobs(top: &mut Node, chat: Object, echo: Object) -> Result<(Object, Object), ApiError> {
    let top_logprobs = top.take("top_logprobs").filter(|count| *count != "0");
    let mut wanted = top_logprobs.is_some();
    for (entry, at) in top.list("include")?.unwrap_or_default() {
        match decoded(entry).as_ref() {
            "message.output_text.logprobs" => wanted = true,
            // Agents ask for it in each request: it is included where reasoning is encrypted, and here none is.
            "reasoning.encrypted_content" => {}
            _ => {
                let message =
                    format!("`{at}` is not supported here: only `message.output_text.logprobs` can be included");
                return Err(ApiError::unsupported(at, message));
            }
        }
    }
    let chat = chat.maybe("logprobs", wanted.then_some("true")).maybe("top_logprobs", top_logprobs);
    Ok((chat, echo.put("top_logprobs", top_logprobs.unwrap_or("0"))))
}
