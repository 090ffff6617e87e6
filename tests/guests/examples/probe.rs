//! Sends what the last user message says, by `upstream`, and answers with what came back.
//!
//! In: `{"method","url","headers":[[name,value],..],"body","repeat","connect_ms","first_byte_ms","idle_ms","fields","pad"}`, all but
//! `url` optional; `fields` is how many more fields to send, `pad` how long the value of another one is.
//! Out: a completion whose content is `{"ok":{"status","headers","body"}}`, or `{"err":"denied"}` and the like with `message`, and
//! `status` and `body` if the answer broke off in its body; with `repeat` an array of them. A stream has each piece of the
//! body as a chunk, and its errors are the contract's.

use std::time::Duration;

use hauski_adapter_sdk::http::{Request, Response};
use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json};
use serde::Deserialize;
use serde_json::{Value, json};

hauski_test_guests::guest!(Probe, "sends what it is told");

#[derive(Deserialize)]
struct Order {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    repeat: Option<usize>,
    connect_ms: Option<u64>,
    first_byte_ms: Option<u64>,
    idle_ms: Option<u64>,
    #[serde(default)]
    fields: usize,
    pad: Option<usize>,
}

impl Chat for Probe {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        let order = order(&request)?;
        let sent = order.request();
        let content = match order.repeat {
            Some(times) => (0..times).map(|_| exchange(&sent)).collect(),
            None => exchange(&sent),
        };
        Ok(Answer::new(request.model()?).completion(&content.to_string(), None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let response = order(&request)?.request().send()?;
        Ok(Pieces { answer: Answer::new(request.model()?), response })
    }
}

struct Pieces {
    answer: Answer,
    response: Response,
}

impl Chunks for Pieces {
    fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        let piece = self.response.read()?;
        Ok(piece.map(|piece| vec![self.answer.text(&String::from_utf8_lossy(&piece))]))
    }
}

impl Order {
    fn request(&self) -> Request {
        let mut request = Request::new(self.method.as_deref().unwrap_or("GET"), &self.url).body(self.body.as_bytes());
        for (name, value) in &self.headers {
            request = request.header(name, value.as_bytes());
        }
        for n in 0..self.fields {
            request = request.header(format!("x-{n}"), "");
        }
        if let Some(length) = self.pad {
            request = request.header("x-pad", vec![b'x'; length]);
        }
        if let Some(limit) = self.connect_ms {
            request = request.connect_timeout(Duration::from_millis(limit));
        }
        if let Some(limit) = self.first_byte_ms {
            request = request.first_byte_timeout(Duration::from_millis(limit));
        }
        if let Some(limit) = self.idle_ms {
            request = request.idle_timeout(Duration::from_millis(limit));
        }
        request
    }
}

fn order(request: &ChatRequest) -> Result<Order, Error> {
    let messages = request.messages()?;
    let last = messages.last().ok_or_else(|| Error::InvalidRequest("`messages` is empty".into()))?;
    serde_json::from_str(&last.text()?).map_err(|error| Error::InvalidRequest(error.to_string()))
}

fn exchange(request: &Request) -> Value {
    let response = match request.send() {
        Ok(response) => response,
        Err(error) => return failure(&error),
    };
    let (status, mut body) = (response.status(), Vec::new());
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    loop {
        match response.read() {
            Ok(Some(piece)) => body.extend(piece),
            Ok(None) => {
                let headers: Vec<_> =
                    response.headers().into_iter().map(|(name, value)| (name, text(&value))).collect();
                return json!({"ok": {"status": status, "headers": headers, "body": text(&body)}});
            }
            Err(error) => {
                let mut failure = failure(&error);
                failure["status"] = status.into();
                failure["body"] = text(&body).into();
                return failure;
            }
        }
    }
}

fn failure(error: &Error) -> Value {
    let (case, message) = match error {
        Error::InvalidRequest(message) => ("invalid-request", message.as_str()),
        Error::ModelNotFound(message) => ("model-not-found", message.as_str()),
        Error::Unauthorized(message) => ("unauthorized", message.as_str()),
        Error::RateLimited(limit) => ("rate-limited", limit.message.as_str()),
        Error::Upstream(failure) => ("upstream", failure.message.as_str()),
        Error::Unreachable(message) => ("unreachable", message.as_str()),
        Error::Timeout(message) => ("timeout", message.as_str()),
        Error::Denied => ("denied", ""),
        Error::Internal(message) => ("internal", message.as_str()),
    };
    json!({"err": case, "message": message})
}
