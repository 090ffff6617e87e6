//! A provider's answer: its head, and its body as it comes.
//!
//! The body is pulled. Read to its end, its connection goes back to the pool; dropped before, the connection is closed or,
//! in HTTP/2, the stream is reset.

use crate::account::Account;
use crate::connection::Link;
use crate::pass::LOOK;
use crate::pool::Pool;
use crate::redact::Redactor;
use crate::{EgressError, End};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// How long the end of a released body is waited for.
const RELEASE_TIME: Duration = Duration::from_millis(50);
/// How many bytes of a released body are taken off.
const RELEASE_BYTES: usize = 64 << 10;

/// A provider's answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub headers: HeaderMap,
    /// The body, to come.
    pub body: ResponseBody,
}

/// The body of an answer. Trailers are not handed on.
pub struct ResponseBody {
    state: State,
    account: Account,
    /// Where the connection goes back to.
    pool: Arc<Pool>,
    /// Where a secret was attached: keeps it out of what is handed on.
    redactor: Option<Box<Redactor>>,
    /// Armed when somebody waits, and then set anew for each wait.
    timer: Option<Pin<Box<Sleep>>>,
    /// When the wait under way is over.
    wait: Option<Instant>,
}

enum State {
    Open { incoming: Incoming, link: Link },
    Ended,
    Failed(EgressError),
}

impl ResponseBody {
    pub(crate) fn new(
        incoming: Incoming,
        link: Link,
        account: Account,
        pool: Arc<Pool>,
        redactor: Option<Box<Redactor>>,
    ) -> Self {
        let ended = incoming.is_end_stream();
        let state = State::Open { incoming, link };
        let mut body = Self { state, account, pool, redactor, timer: None, wait: None };
        if ended {
            body.finish();
        }
        body
    }

    /// The next piece, never an empty one; `None` at the end.
    ///
    /// # Errors
    /// If the connection broke, a time-out is over, or the answer is too large. A further read gives the same error.
    pub async fn read(&mut self) -> Result<Option<Bytes>, EgressError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        poll_fn(|cx| self.poll_piece(cx)).await.transpose()
    }

    /// Gives the body up where its reader has seen all that it wanted, such as the last event of a stream.
    ///
    /// The end, which mostly comes in the same breath, is waited for a moment, so that the connection can be used again; if it
    /// does not come, the connection is closed. Simply dropping the body closes it at once.
    pub fn release(mut self) {
        if !matches!(self.state, State::Open { .. }) {
            return;
        }
        tokio::spawn(async move {
            let rest = async {
                let mut left = RELEASE_BYTES;
                while let Ok(Some(piece)) = self.read().await {
                    let Some(fewer) = left.checked_sub(piece.len()) else { return };
                    left = fewer;
                }
            };
            // Too late or too much: dropping it closes the connection.
            drop(timeout(RELEASE_TIME, rest).await);
        });
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, EgressError>>> {
        loop {
            let State::Open { incoming, .. } = &mut self.state else { return Poll::Ready(None) };
            if let Err(error) = self.account.check() {
                return Poll::Ready(Some(Err(self.fail(error))));
            }
            match Pin::new(incoming).poll_frame(cx) {
                Poll::Pending => return self.poll_timer(cx).map(|error| Some(Err(self.fail(error)))),
                Poll::Ready(None) => {
                    self.finish();
                    let rest = self.redact(Bytes::new());
                    return Poll::Ready((!rest.is_empty()).then_some(Ok(rest)));
                }
                Poll::Ready(Some(Err(error))) => {
                    let error = self.account.upload_error().unwrap_or_else(|| EgressError::broken(error));
                    return Poll::Ready(Some(Err(self.fail(error))));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    if piece.is_empty() {
                        continue;
                    }
                    let accepted = self.accept(piece);
                    if !accepted.as_ref().is_ok_and(Bytes::is_empty) {
                        return Poll::Ready(Some(accepted));
                    }
                }
            }
        }
    }

    /// Counts a piece, and lets it pass where limit and time allow: without what is held back, which may be all of it.
    fn accept(&mut self, piece: Bytes) -> Result<Bytes, EgressError> {
        self.wait = None;
        let limit = self.account.pass().caller.limits().response_bytes;
        if self.account.received.saturating_add(piece.len() as u64) > limit {
            return Err(self.fail(EgressError::ResponseTooLarge { limit }));
        }
        if self.account.pass().clocks.is_over() {
            return Err(self.fail(EgressError::TotalTimeout));
        }
        self.account.received += piece.len() as u64;
        if matches!(&self.state, State::Open { incoming, .. } if incoming.is_end_stream()) {
            self.finish();
        }
        Ok(self.redact(piece))
    }

    /// What can be handed on after `piece`; at the end, all.
    fn redact(&mut self, piece: Bytes) -> Bytes {
        let last = matches!(self.state, State::Ended);
        match &mut self.redactor {
            None => piece,
            Some(redactor) => redactor.feed(piece, last),
        }
    }

    /// Waits with the reader: ready with the error when it has waited for too long, or is no longer permitted.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<EgressError> {
        let until = *self.wait.get_or_insert_with(|| {
            let clocks = &self.account.pass().clocks;
            clocks.until(clocks.idle)
        });
        let next = || until.min(Instant::now() + LOOK);
        // It may be set to before this wait is over, never to after: then it is set anew.
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(next())));
        loop {
            ready!(timer.as_mut().poll(cx));
            if self.account.pass().clocks.is_over() {
                return Poll::Ready(EgressError::TotalTimeout);
            }
            if Instant::now() >= until {
                return Poll::Ready(EgressError::IdleTimeout);
            }
            if let Err(withdrawn) = self.account.check() {
                return Poll::Ready(withdrawn);
            }
            timer.as_mut().reset(next());
        }
    }

    /// The answer is complete: the connection goes back.
    fn finish(&mut self) {
        if let State::Open { link, .. } = std::mem::replace(&mut self.state, State::Ended) {
            if !self.account.is_sent() {
                // Nobody will take the rest of the request's body.
                self.pool.retire(self.account.pass(), &link);
            } else {
                let pass = Arc::clone(self.account.pass());
                self.pool.give_back(&pass, link);
                if self.account.check().is_err() {
                    // It was withdrawn between the last look and now.
                    self.pool.close(&pass.caller, &pass.target);
                }
            }
            self.account.close(End::Complete);
        }
    }

    fn fail(&mut self, error: EgressError) -> EgressError {
        let failed = State::Failed(error.clone());
        if let State::Open { link, .. } = std::mem::replace(&mut self.state, failed)
            && (error.is_timeout() || !self.account.is_sent())
        {
            self.pool.retire(self.account.pass(), &link);
        }
        self.account.fail(error)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let State::Open { link, .. } = &self.state
            && !self.account.is_sent()
        {
            self.pool.retire(self.account.pass(), link);
        }
    }
}

/// Like [`ResponseBody::read`], but for one thing: after an error it ends.
impl Body for ResponseBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        self.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.redactor.as_ref().map_or(0, |redactor| redactor.held());
        match &self.state {
            State::Open { incoming, .. } => {
                let (to_come, mut hint) = (incoming.size_hint(), SizeHint::new());
                if let Some(upper) = to_come.upper() {
                    hint.set_upper(upper.saturating_add(held));
                }
                hint.set_lower(to_come.lower().saturating_add(held));
                hint
            }
            State::Ended | State::Failed(_) => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("received", &self.account.received).finish_non_exhaustive()
    }
}
