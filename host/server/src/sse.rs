//! A reply as server-sent events (WHATWG HTML, section 9.2), in whatever dialect the client speaks.
//!
//! What breaks in the middle is an error event and an aborted body: a client never takes half an answer for a whole one. The
//! next chunks are asked for when the last ones are written, so a slow reader slows the provider.

use crate::dialect::Answer;
use crate::error::ApiError;
use crate::json;
use crate::normalise::Normaliser;
use crate::observe::RequestId;
use crate::offload::run_sized;
use crate::tally::Tally;
use crate::work::visit;
use axum::body::{Body, Bytes};
use futures_util::stream;
use hauski_runtime::{Progress, Reply};
use std::time::Instant;
use tokio::sync::watch;

/// An answer that is on its way to its client.
pub(crate) struct Streaming {
    pub(crate) reply: Reply,
    pub(crate) normaliser: Normaliser,
    pub(crate) answer: Box<dyn Answer>,
    pub(crate) tally: Tally,
    pub(crate) id: RequestId,
    pub(crate) progress: Progress,
    /// Becomes true when the gateway stops and can't wait any longer.
    pub(crate) cut: watch::Receiver<bool>,
    /// When the events of the last chunks were there.
    pub(crate) last: Instant,
    /// How often there was something to send since others had their turn.
    pub(crate) turns: u32,
    /// Bytes of the request that the first events may repeat.
    pub(crate) unsaid: usize,
    /// Bytes of the request and of all chunks so far, which the last events may repeat.
    pub(crate) bytes: usize,
}

/// A stream whose provider and reader are quick never waits by itself. After so many pieces others have their turn.
const TURNS: u32 = 2;

impl Streaming {
    /// Makes the events of some chunks, and gives itself back.
    ///
    /// # Errors
    /// If one of them is not what the contract says.
    pub(crate) async fn events(mut self: Box<Self>, chunks: Vec<String>) -> (Box<Self>, Result<Bytes, ApiError>) {
        let bytes: usize = chunks.iter().map(String::len).sum();
        self.bytes += bytes;
        let bytes = bytes + std::mem::take(&mut self.unsaid);
        let make = move || {
            let events = self.make_events(chunks);
            (self, events)
        };
        run_sized(bytes, make).await
    }

    /// Makes the events that end the answer after this outcome, and gives itself back with them and the outcome that they tell.
    async fn finish(mut self: Box<Self>, outcome: Result<(), ApiError>) -> (Box<Self>, String, Result<(), ApiError>) {
        run_sized(self.bytes, move || {
            let mut events = String::new();
            let ended = outcome.and_then(|()| self.answer.end(&mut events));
            if let Err(error) = &ended {
                self.answer.broken(error, &mut events);
            }
            (self, events, ended)
        })
        .await
    }

    fn make_events(&mut self, chunks: Vec<String>) -> Result<Bytes, ApiError> {
        let mut events = String::with_capacity(chunks.iter().map(|chunk| chunk.len() + 64).sum());
        for chunk in chunks {
            if self.answer.reads_values() {
                json::check_answer(&chunk)?;
            }
            self.tally.note(&chunk);
            let chunk = self.normaliser.chunk(chunk)?;
            self.answer.chunk(&chunk, &mut events)?;
        }
        self.last = Instant::now();
        Ok(Bytes::from(events))
    }

    /// Waits for the next chunks, and gives itself back with their events; `None` is the end, whose events follow.
    async fn next(mut self: Box<Self>) -> (Box<Self>, Result<Option<Bytes>, ApiError>) {
        match self.next_chunks().await {
            Ok(Some(chunks)) => {
                self.tally.gap(self.last.elapsed());
                let (streaming, events) = self.events(chunks).await;
                (streaming, events.map(Some))
            }
            Ok(None) => (self, Ok(None)),
            Err(error) => (self, Err(error)),
        }
    }

    async fn next_chunks(&mut self) -> Result<Option<Vec<String>>, ApiError> {
        self.turns += 1;
        if self.turns > TURNS {
            self.turns = 0;
            tokio::task::yield_now().await;
        }
        tokio::select! {
            biased;
            chunks = self.reply.next() => {
                chunks.map_err(|error| ApiError::from(error).timed_out(self.progress.timed_out()))
            }
            _ = self.cut.wait_for(|cut| *cut) => Err(ApiError::shutting_down()),
        }
    }
}

/// What is left to be sent.
enum Rest {
    /// Events that are there, and what gives more.
    Events(Bytes, Box<Streaming>),
    /// Only what gives more.
    More(Box<Streaming>),
    /// The error event is out; the body has to be aborted.
    Abort,
}

/// A body that sends the events `first` and what follows them; without `first`, the answer has no chunks.
pub(crate) async fn body(first: Option<Bytes>, streaming: Box<Streaming>) -> Result<Body, ApiError> {
    let Some(first) = first else {
        let (mut streaming, events, ended) = streaming.finish(Ok(())).await;
        streaming.tally.end(&ended);
        return ended.map(|()| Body::from(events));
    };
    let rest = Some(Rest::Events(first, streaming));
    Ok(Body::from_stream(stream::unfold(rest, step)))
}

async fn step(rest: Option<Rest>) -> Option<(Result<Bytes, Aborted>, Option<Rest>)> {
    let mut streaming = match rest? {
        Rest::Events(events, streaming) if !events.is_empty() => {
            return Some((Ok(events), Some(Rest::More(streaming))));
        }
        Rest::Events(_, streaming) | Rest::More(streaming) => streaming,
        Rest::Abort => {
            // Lets the error event reach the wire before the connection is torn down.
            tokio::task::yield_now().await;
            return Some((Err(Aborted), None));
        }
    };
    let outcome = loop {
        let next;
        (streaming, next) = streaming.next().await;
        match next {
            // Some chunks give no events.
            Ok(Some(events)) if events.is_empty() => {}
            Ok(Some(events)) => return Some((Ok(events), Some(Rest::More(streaming)))),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let (mut streaming, events, ended) = streaming.finish(outcome).await;
    streaming.tally.end(&ended);
    let rest = ended.err().map(|error| {
        let (id, cause) = (&*streaming.id.0, error.cause());
        tracing::warn!(request_id = id, code = cause.code, cause = cause.message, "answer broke off");
        Rest::Abort
    });
    Some((Ok(Bytes::from(events)), rest))
}

/// Appends an event. JSON may hold line breaks between its tokens, events may not: each line is a `data` field of its own.
pub(crate) fn event(events: &mut String, name: Option<&str>, data: &str) {
    if let Some(name) = name {
        events.push_str("event: ");
        events.push_str(name);
        events.push('\n');
    }
    visit(data.len());
    events.push_str("data: ");
    for (at, line) in data.split(['\n', '\r']).enumerate() {
        events.push_str(if at == 0 { "" } else { "\ndata: " });
        events.push_str(line);
    }
    events.push_str("\n\n");
}

/// The body ends here without its end.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
struct Aborted;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_fields() {
        let mut events = String::new();
        event(&mut events, None, "{\"b\":\r\n2}");
        event(&mut events, Some("error"), "{}");
        assert_eq!(events, "data: {\"b\":\ndata: \ndata: 2}\n\nevent: error\ndata: {}\n\n");
    }
}
