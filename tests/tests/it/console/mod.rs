//! The console: what it shows, to whom, how it stays current, and that it is text whatever others put into it.

mod feed;
mod shown;
mod who;

use crate::egress::probes;
use bytes::Bytes;
use hauski_tests::{Answer, Builder, Client, TestHost};
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::timeout;

/// All that the console consists of.
const PATHS: [&str; 8] = [
    "/console",
    "/console/console.css",
    "/console/parts.css",
    "/console/console.js",
    "/console/morph.js",
    "/console/chat.js",
    "/console/icon.svg",
    "/console/events",
];
const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway with a model that answers, a route over it, and a probe that asks for what it is told to.
fn gateway() -> Builder {
    let routes = "[{ model: chat, candidates: [{ model: echo, weight: 7 }, { model: probe, order: 2 }] }]";
    probes().adapter("echo").model("{ id: echo, adapter: echo }").routes(routes).ledger()
}

/// A client of the host, which may be bound to all addresses.
fn client(host: &TestHost) -> Client {
    Client(([127, 0, 0, 1], host.address().port()).into())
}

/// Sends a request with these header fields, and reads the head of its answer.
async fn open(host: &TestHost, method: Method, path: &str, fields: &[(&str, &str)]) -> http::Response<Incoming> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    client(host).open(request.body(Bytes::new()).unwrap()).await.unwrap()
}

/// The same, with the whole of the answer.
async fn get(host: &TestHost, path: &str, fields: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    client(host).send(request.body(Bytes::new()).unwrap()).await
}

/// Somebody who looks at the console.
struct Viewer {
    body: Incoming,
    text: String,
}

impl Viewer {
    async fn of(host: &TestHost) -> Self {
        Self::with(host, "/console/events", &[]).await
    }

    async fn with(host: &TestHost, path: &str, fields: &[(&str, &str)]) -> Self {
        let response = open(host, Method::GET, path, fields).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// Reads on until an event of this name holds `text`; gives the event.
    async fn until(&mut self, name: &str, text: &str) -> String {
        let begin = format!("event: {name}\n");
        let read = async {
            loop {
                let whole = self.text.rfind("\n\n").map_or("", |end| &self.text[..end]);
                let found = whole.split("\n\n").find(|event| event.contains(&begin) && event.contains(text));
                if let Some(found) = found {
                    return found.to_owned();
                }
                if !self.more().await {
                    panic!("the stream has ended without `{text}` in `{name}`:\n{}", self.text);
                }
            }
        };
        let found = timeout(PATIENCE, read).await;
        found.unwrap_or_else(|_| panic!("no `{text}` in `{name}` in time"))
    }

    /// Reads what comes next; false at the end.
    async fn more(&mut self) -> bool {
        let Some(Ok(frame)) = self.body.frame().await else { return false };
        self.text.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        true
    }

    /// Whether the stream ends within `patience`.
    async fn ends_within(&mut self, patience: Duration) -> bool {
        timeout(patience, async { while self.more().await {} }).await.is_ok()
    }
}
