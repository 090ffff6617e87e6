//! An HTTP client that hides nothing: one connection a request, whole answers or their pieces as they come.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A client of one address.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub SocketAddr);

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub text: String,
    /// Whether the body came to its proper end.
    pub complete: bool,
}

impl Answer {
    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The `error.code` of an error in OpenAI's form.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The text of a chat completion.
    #[must_use]
    pub fn content(&self) -> String {
        self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// The `data` of each event of a stream.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        let lines = self.text.split("\n\n").filter(|event| !event.is_empty());
        lines.map(|event| event.strip_prefix("data: ").unwrap_or(event).to_owned()).collect()
    }
}

impl Client {
    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// If there is no answer.
    #[expect(clippy::panic, reason = "a test without its answer has failed")]
    pub async fn send(self, request: Request<Bytes>) -> Answer {
        let response = self.open(request).await.unwrap_or_else(|error| panic!("no answer: {error}"));
        let (head, mut body) = response.into_parts();
        let (mut bytes, mut complete) = (Vec::new(), true);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(_) => complete = false,
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: head.status, headers: head.headers, text, complete }
    }

    /// Sends a request; the body of the answer is left to the caller.
    ///
    /// # Errors
    /// If there is no answer.
    #[expect(clippy::disallowed_methods, reason = "the client's side of the tests")]
    pub async fn open(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<http::Response<Incoming>, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(self.0).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        if !request.headers().contains_key(http::header::HOST) {
            request.headers_mut().insert(http::header::HOST, self.0.to_string().try_into()?);
        }
        Ok(sender.send_request(request.map(Full::new)).await?)
    }

    /// Sends bytes as they are, and reads until the gateway closes, or is silent for a second.
    ///
    /// # Panics
    /// If there is no connection.
    #[expect(clippy::disallowed_methods, clippy::expect_used, reason = "the client's side of the tests")]
    pub async fn raw(self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.0).await.expect("a connection to the gateway");
        // It may have answered and closed before it has read everything.
        let _ = stream.write_all(bytes.as_ref()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends bytes as they are; what becomes of the connection is left to the caller. Its receive buffer is small, so that a
    /// client that does not read is noticed soon.
    ///
    /// # Panics
    /// If there is no connection.
    #[expect(clippy::disallowed_methods, clippy::expect_used, reason = "the client's side of the tests")]
    pub async fn begin(self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let socket = if self.0.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.expect("a socket");
        socket.set_recv_buffer_size(16 << 10).expect("a small buffer");
        let mut stream = socket.connect(self.0).await.expect("a connection to the gateway");
        stream.write_all(bytes.as_ref()).await.expect("the request's way to the gateway");
        stream
    }

    /// Begins a chat with `model` and leaves the rest to the caller, as [`Client::begin`] does.
    pub async fn begin_chat(self, model: &str, message: &str, stream: bool) -> TcpStream {
        let (body, path) = (chat(model, message, stream), "/v1/chat/completions");
        let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", self.0, body.len());
        self.begin(head + &body).await
    }

    /// The lines of `/metrics` that begin with `start`.
    pub async fn metrics(self, start: &str) -> Vec<String> {
        let text = self.get("/metrics").await.text;
        text.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
    }

    /// Waits until `/metrics` has this line.
    ///
    /// # Panics
    /// If it has not within `patience`.
    #[expect(clippy::panic, reason = "a test that waits in vain has failed")]
    pub async fn until_metric(self, line: &str, patience: Duration) {
        let begin = Instant::now();
        let name = line.split([' ', '{']).next().unwrap_or(line);
        loop {
            let seen = self.metrics(name).await;
            if seen.iter().any(|one| one == line) {
                return;
            }
            if begin.elapsed() > patience {
                panic!("no `{line}` within {patience:?}: {seen:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `GET path`.
    pub async fn get(self, path: &str) -> Answer {
        self.send(request(Method::GET, path, Bytes::new())).await
    }

    /// `POST path` with a body.
    pub async fn post(self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request(Method::POST, path, body.into())).await
    }

    /// Asks `model` with one user message.
    pub async fn chat(self, model: &str, message: &str) -> Answer {
        self.post("/v1/chat/completions", chat(model, message, false)).await
    }

    /// Asks `model` with one user message for a stream.
    pub async fn stream(self, model: &str, message: &str) -> Answer {
        self.post("/v1/chat/completions", chat(model, message, true)).await
    }
}

/// A request without more than it needs.
///
/// # Panics
/// If `path` is no path.
#[expect(clippy::panic, reason = "a test with a malformed path is wrong")]
pub(crate) fn request(method: Method, path: &str, body: Bytes) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(path).body(body);
    request.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A chat request's body.
pub(crate) fn chat(model: &str, message: &str, stream: bool) -> String {
    serde_json::json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": message }] })
        .to_string()
}
