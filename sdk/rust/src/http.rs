//! Requests to the provider, over the contract's `upstream`.
//!
//! What the policy does not grant ends in [`Error::Denied`]; redirects come back as they are; keys are attached by the host.

use std::time::Duration;

use crate::bindings::imports::hauski::adapter::upstream;
use crate::{Error, Json};

/// As much of an error's body is read: 64 KiB.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// From this size on a part of a body is not moved until all of it is there: a whole one that doubles takes three times its size.
const BLOCK: usize = 64 * 1024;

/// A request that is being put together.
#[derive(Debug, Clone)]
pub struct Request {
    inner: upstream::Request,
}

impl Request {
    /// A request with any method, in capitals, to an absolute URL.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        let (method, url) = (method.into(), url.into());
        Self { inner: upstream::Request { method, url, headers: vec![], body: vec![], timeouts: None } }
    }

    /// A `GET` request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header field. Those of the connection and those with keys are the host's.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.inner.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.inner.body = bytes.into();
        self
    }

    /// Sets the body to JSON text, and `content-type`.
    #[must_use]
    pub fn json(self, text: impl Into<Json>) -> Self {
        self.header("content-type", "application/json").body(text.into())
    }

    /// Shortens the time for the connection.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.timeouts().connect_ms = Some(millis(limit));
        self
    }

    /// Shortens the time from the request to the answer's head.
    #[must_use]
    pub fn first_byte_timeout(mut self, limit: Duration) -> Self {
        self.timeouts().first_byte_ms = Some(millis(limit));
        self
    }

    /// Shortens the time between two pieces of the answer.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.timeouts().idle_ms = Some(millis(limit));
        self
    }

    /// Sends the request and waits for the answer's head.
    ///
    /// # Errors
    /// If the policy denies it, or there is no answer.
    pub fn send(&self) -> Result<Response, Error> {
        upstream::send(&self.inner).map(|inner| Response { inner })
    }

    fn timeouts(&mut self) -> &mut upstream::Timeouts {
        self.inner.timeouts.get_or_insert(upstream::Timeouts { connect_ms: None, first_byte_ms: None, idle_ms: None })
    }
}

fn millis(limit: Duration) -> u32 {
    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX)
}

/// An answer whose body is still to be read. Dropping it ends the request.
#[derive(Debug)]
pub struct Response {
    inner: upstream::Response,
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.inner.status()
    }

    /// The first value of a header field, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.inner.header(name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
    }

    /// All header fields, names in lower case.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.inner.headers()
    }

    /// The media type of `content-type` in lower case, without parameters; empty if there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        essence(&self.header("content-type").unwrap_or_default())
    }

    /// Waits for a piece of the body; `None` is the end of a complete body.
    ///
    /// # Errors
    /// If the body breaks off, takes too long or grows too large.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        self.inner.read()
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn bytes(self) -> Result<Vec<u8>, Error> {
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        while let Some(piece) = self.read()? {
            match blocks.last_mut() {
                Some(last) if last.len() < BLOCK => last.extend_from_slice(&piece),
                _ => blocks.push(piece),
            }
        }
        Ok(if blocks.len() > 1 { blocks.concat() } else { blocks.pop().unwrap_or_default() })
    }

    /// The whole body as text.
    ///
    /// # Errors
    /// As for [`read`](Self::read), and `upstream` if it is not UTF-8.
    pub fn text(self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?).map_err(|_| Error::upstream(502, "the provider's answer is not UTF-8", false))
    }

    /// The answer, if its status is 2xx.
    ///
    /// # Errors
    /// What [`into_error`](Self::into_error) makes of it, otherwise.
    pub fn success(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status()) { Ok(self) } else { Err(self.into_error()) }
    }

    /// The error that an answer with another status than 2xx is, with what the provider says of it.
    #[must_use]
    pub fn into_error(self) -> Error {
        Error::from_answer(self.status(), self.header("retry-after"), &self.error_body())
    }

    /// What is to be read of an error's body: as much as came, and nothing of one that is larger than 64 KiB.
    ///
    /// For providers whose errors have another form: brought into OpenAI's, they are for [`Error::from_answer`].
    #[must_use]
    pub fn error_body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Ok(Some(piece)) = self.read() {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ERROR_BODY {
                body.clear();
                break;
            }
        }
        body
    }
}

/// A media type for comparison and for messages: lower case, no parameters, nothing odd.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let odd = |b: u8| !(b.is_ascii_alphanumeric() || b"/+-._".contains(&b));
    if essence.len() > 100 || essence.bytes().any(odd) { "an unreadable content type".into() } else { essence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let request =
            Request::post("http://a/b").header("x-a", "1").json("{}").idle_timeout(Duration::from_secs(2)).inner;
        assert_eq!(
            (request.method.as_str(), request.url.as_str(), request.body.as_slice()),
            ("POST", "http://a/b", &b"{}"[..])
        );
        assert_eq!(
            request.headers,
            [("x-a".into(), b"1".to_vec()), ("content-type".into(), b"application/json".to_vec())]
        );
        assert_eq!(
            request.timeouts,
            Some(upstream::Timeouts { connect_ms: None, first_byte_ms: None, idle_ms: Some(2000) })
        );
        assert_eq!(millis(Duration::MAX), u32::MAX);
    }

    #[test]
    fn media_types() {
        assert_eq!(essence("Application/JSON; charset=utf-8"), "application/json");
        assert_eq!(essence(""), "");
        assert_eq!(essence("text/<b>"), "an unreadable content type");
    }
}
