//! What the front's tests stand on: a gateway with `openai-compatible`, and providers that do what a test says.

use hauski_tests::{Builder, Conversation, TestHost, Upstream};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) const CHAT: &str = "/v1/chat/completions";
/// A whole answer.
pub(crate) const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"theirs","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
/// The head of an answer in pieces that ends with the connection.
pub(crate) const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// A gateway that may reach these providers, each as a model `m0`, `m1`, and so on, asked for as `theirs`.
pub(crate) fn gateway(upstreams: &[&Upstream]) -> Builder {
    let mut builder = TestHost::builder().adapter("openai-compatible");
    for (at, upstream) in upstreams.iter().enumerate() {
        let url = upstream.url("/v1");
        builder = builder
            .grant_as_written(&format!("{{ url: \"{url}/\", adapters: [openai-compatible], methods: [GET, POST] }}"))
            .model(&format!(
                "{{ id: m{at}, adapter: openai-compatible, upstream: theirs, config: {{ base_url: \"{url}\" }} }}"
            ));
    }
    builder
}

/// The route `chat` over these candidates.
pub(crate) fn route(builder: Builder, candidates: &str) -> Builder {
    builder.routes(&format!("[{{ model: chat, candidates: [{candidates}] }}]"))
}

/// A request for `model` with one word.
pub(crate) fn ask(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#)
}

/// A provider that plays these scripts in turn, one a connection, and the last one again and again.
pub(crate) fn scripts(scripts: Vec<fn(&mut Conversation) -> io::Result<()>>) -> Upstream {
    let next = AtomicUsize::new(0);
    Upstream::start(move |conversation| {
        let at = next.fetch_add(1, Ordering::SeqCst).min(scripts.len() - 1);
        scripts[at](conversation)
    })
}

/// Answers one request, and closes.
pub(crate) fn good(conversation: &mut Conversation) -> io::Result<()> {
    conversation.request()?;
    conversation.answer("200 OK", "content-type: application/json\r\nconnection: close\r\n", ANSWER)
}

/// Answers one request for a stream, and closes.
pub(crate) fn good_stream(conversation: &mut Conversation) -> io::Result<()> {
    conversation.request()?;
    conversation.write(format!("{EVENTS}{}", events()))
}

/// A whole stream.
pub(crate) fn events() -> String {
    let chunk =
        |rest: &str| format!("data: {{\"id\":\"x\",\"created\":1,\"model\":\"theirs\",\"choices\":[{rest}]}}\n\n");
    [
        chunk(r#"{"index":0,"delta":{"role":"assistant","content":"hel"},"finish_reason":null}"#),
        chunk(r#"{"index":0,"delta":{"content":"lo"},"finish_reason":null}"#),
        chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

/// Refuses for a moment.
pub(crate) fn unavailable(conversation: &mut Conversation) -> io::Result<()> {
    conversation.request()?;
    let body = r#"{"error":{"message":"overloaded","type":"server_error","code":null}}"#;
    conversation.answer("503 Service Unavailable", "content-type: application/json\r\nconnection: close\r\n", body)
}

/// Reads the request, and closes without a word.
pub(crate) fn reset(conversation: &mut Conversation) -> io::Result<()> {
    conversation.request().map(drop)
}
