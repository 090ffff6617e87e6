//! A reply as server-sent events (WHATWG HTML, section 9.2), in the form of OpenAI's streams.
//!
//! Each chunk is an event, `[DONE]` the last one. What breaks in the middle is an error event and an aborted body: a client
//! never takes half an answer for a whole one. The next chunks are asked for when the last ones are written, so a slow reader
//! slows the provider.

use crate::error::ApiError;
use crate::observe::RequestId;
use axum::body::{Body, Bytes};
use futures_util::stream;
use hauski_runtime::Reply;
use serde::de::IgnoredAny;

/// What is left to be sent.
enum Rest {
    /// Events that are there, and the reply that gives more.
    Events(Bytes, Reply),
    /// Only a reply that gives more.
    More(Reply),
    /// The error event is out; the body has to be aborted.
    Abort,
}

/// A body that sends the events `first` and what follows them.
pub(crate) fn body(first: Option<Bytes>, reply: Reply, id: RequestId) -> Body {
    let rest = match first {
        Some(events) => Rest::Events(events, reply),
        None => Rest::More(reply),
    };
    Body::from_stream(stream::unfold(Some(rest), move |rest| step(rest, id.clone())))
}

async fn step(rest: Option<Rest>, id: RequestId) -> Option<(Result<Bytes, Aborted>, Option<Rest>)> {
    let mut reply = match rest? {
        Rest::Events(events, reply) => return Some((Ok(events), Some(Rest::More(reply)))),
        Rest::More(reply) => reply,
        Rest::Abort => {
            // Lets the error event reach the wire before the connection is torn down.
            tokio::task::yield_now().await;
            return Some((Err(Aborted), None));
        }
    };
    let next = match reply.next().await {
        Ok(chunks) => chunks.map(|chunks| events(&chunks)).transpose(),
        Err(error) => Err(error.into()),
    };
    Some(match next {
        Ok(Some(events)) => (Ok(events), Some(Rest::More(reply))),
        Ok(None) => (Ok(Bytes::from_static(b"data: [DONE]\n\n")), None),
        Err(error) => {
            let cause = error.cause();
            tracing::warn!(request_id = &*id.0, code = cause.code, cause = cause.message, "answer broke off");
            (Ok(Bytes::from(format!("data: {}\n\n", error.body()))), Some(Rest::Abort))
        }
    })
}

/// The events of some chunks. A chunk that is no JSON is the adapter's failure: it could be read as another event.
pub(crate) fn events(chunks: &[String]) -> Result<Bytes, ApiError> {
    let mut text = String::with_capacity(chunks.iter().map(|chunk| chunk.len() + 8).sum());
    for chunk in chunks {
        check_json(chunk)?;
        text.push_str("data: ");
        // JSON may hold line breaks between its tokens, events may not: each line is a `data` field of its own.
        for (at, line) in chunk.split(['\n', '\r']).enumerate() {
            text.push_str(if at == 0 { "" } else { "\ndata: " });
            text.push_str(line);
        }
        text.push_str("\n\n");
    }
    Ok(Bytes::from(text))
}

/// Checks that what an adapter gives out is JSON.
pub(crate) fn check_json(text: &str) -> Result<(), ApiError> {
    serde_json::from_str::<IgnoredAny>(text)
        .map(drop)
        .map_err(|error| ApiError::broke_contract(format!("the adapter's answer is no JSON: {error}")))
}

/// The body ends here without its end.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
struct Aborted;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_events() {
        let chunks = [r#"{"a":1}"#.to_owned(), "{\"b\":\r\n2}".to_owned()];
        assert_eq!(events(&chunks).unwrap(), "data: {\"a\":1}\n\ndata: {\"b\":\ndata: \ndata: 2}\n\n");
    }

    #[test]
    fn no_chunk_smuggles_an_event() {
        assert_eq!(events(&["{}\n\ndata: [DONE]".to_owned()]).unwrap_err().code, "adapter_broke_contract");
    }
}
