//! An answer that breaks off does so when all of it before is out: hyper closes at once when a body fails, with what it has not written yet,
//! and a client that is a little behind would not see the error event.
//!
//! In goes an answer's body, and word of each time that all is written; out comes the same body, whose error waits for that.

use crate::connections::Busy;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// What one connection's answers and its stream know of each other.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Whether an error waits.
    is: AtomicBool,
    who: AtomicWaker,
}

impl Wire {
    /// All that was said has been written.
    pub(crate) fn flushed(&self) {
        if self.0.is.swap(false, Ordering::Relaxed) {
            self.0.who.wake();
        }
    }

    /// `body`, to be sent over this connection.
    pub(crate) fn body<B: Body>(&self, body: B, busy: Busy) -> OnWire<B> {
        OnWire { body, error: None, wire: self.clone(), _busy: busy }
    }
}

/// A body on its way over a connection.
pub(crate) struct OnWire<B: Body> {
    body: B,
    /// What has ended it, once that is known.
    error: Option<B::Error>,
    wire: Wire,
    /// The connection's request, which ends with the answer.
    _busy: Busy,
}

impl<B: Body<Error: Unpin> + Unpin> Body for OnWire<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if self.error.is_none() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Err(error))) => self.error = Some(error),
                poll => return poll,
            }
            self.wire.0.is.store(true, Ordering::Relaxed);
        }
        self.wire.0.who.register(cx.waker());
        if self.wire.0.is.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Poll::Ready(self.error.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
