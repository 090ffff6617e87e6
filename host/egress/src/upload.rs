//! A request's body on its way out: whole, or as a stream that is pulled as fast as the connection takes it.
//!
//! In go pieces from a guest; out go the same bytes, exactly as many as were declared, and never a trailer.

use crate::InvalidRequest;
use crate::pass::Standing;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// Any error that can go between threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Empty pieces in a row that are skipped; more are an error, so that a guest can't keep the door busy with nothing.
const MAX_EMPTY_PIECES: usize = 64;

/// The most that is handed to the connection at once, in bytes: between two pieces is a look whether it is still permitted.
const PIECE: usize = 64 << 10;

/// A request's body.
pub enum OutboundBody {
    /// All of it.
    Whole(Bytes),
    /// Pieces to come. Dropping the answer drops it.
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl fmt::Debug for OutboundBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Why a request's body was not sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// Its source failed: a guest that ended, or a body that it did not finish.
    #[error("the request's body ended with an error")]
    Source,
    /// More or fewer bytes than `content-length` said.
    #[error("the request's body is not as long as its `content-length`")]
    Length,
    /// Too many empty pieces in a row.
    #[error("the request's body has more than {MAX_EMPTY_PIECES} empty pieces in a row")]
    EmptyPieces,
    /// Trailers, which could carry what a head may not.
    #[error("the request's body has trailers")]
    Trailers,
    /// The policy changed, and permits the request no longer.
    #[error("the grant was withdrawn while the request's body was sent")]
    Withdrawn,
}

/// How far a body got; shared with who waits for the answer.
#[derive(Debug)]
pub(crate) struct Gauge {
    began: Instant,
    sent: AtomicU64,
    /// Milliseconds from `began` to the last piece.
    last: AtomicU64,
    done: AtomicBool,
    failed: OnceLock<UploadError>,
}

impl Gauge {
    /// Bytes that were handed to the connection.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether the connection has all of it.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// When the last piece was handed to the connection.
    pub(crate) fn last_piece(&self) -> Instant {
        self.began + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Why the body was not sent to its end, if that is so.
    pub(crate) fn failed(&self) -> Option<UploadError> {
        self.failed.get().copied()
    }

    fn count(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }
}

/// The body as the connection pulls it.
pub(crate) struct Upload {
    body: OutboundBody,
    /// Bytes still to come, where that was declared.
    left: Option<u64>,
    gauge: Arc<Gauge>,
    standing: Standing,
}

impl Upload {
    /// `body`, which was declared to have `content_length` bytes, for as long as `standing` holds.
    pub(crate) fn new(
        body: OutboundBody,
        content_length: Option<u64>,
        standing: Standing,
    ) -> Result<Self, InvalidRequest> {
        let (done, left) = match &body {
            OutboundBody::Whole(bytes) => {
                let length = bytes.len() as u64;
                if content_length.is_some_and(|declared| declared != length) {
                    return Err(InvalidRequest::ContentLength);
                }
                (length == 0, Some(length))
            }
            OutboundBody::Stream(stream) => (stream.is_end_stream(), content_length),
        };
        let gauge = Gauge {
            began: Instant::now(),
            sent: AtomicU64::new(0),
            last: AtomicU64::new(0),
            done: AtomicBool::new(done),
            failed: OnceLock::new(),
        };
        Ok(Self { body, left, gauge: Arc::new(gauge), standing })
    }

    pub(crate) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    fn fail(&self, error: UploadError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let error = *self.gauge.failed.get_or_init(|| error);
        Poll::Ready(Some(Err(error.into())))
    }

    /// Counts a piece of a stream; `false` if it is more than was declared.
    fn take(&mut self, piece: &Bytes) -> bool {
        self.gauge.count(piece.len());
        match &mut self.left {
            None => true,
            Some(left) => match left.checked_sub(piece.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    true
                }
                None => false,
            },
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if !this.standing.holds() {
            return this.fail(UploadError::Withdrawn);
        }
        let stream = match &mut this.body {
            OutboundBody::Whole(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                let last = bytes.is_empty();
                if last {
                    this.gauge.done.store(true, Ordering::Relaxed);
                }
                if piece.is_empty() {
                    return Poll::Ready(None);
                }
                this.take(&piece);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            OutboundBody::Stream(stream) => stream,
        };
        for _ in 0..=MAX_EMPTY_PIECES {
            match ready!(Pin::new(&mut *stream).poll_frame(cx)) {
                None if this.left.is_some_and(|left| left > 0) => return this.fail(UploadError::Length),
                None => {
                    this.gauge.done.store(true, Ordering::Relaxed);
                    return Poll::Ready(None);
                }
                Some(Err(_)) => return this.fail(UploadError::Source),
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else { return this.fail(UploadError::Trailers) };
                    if piece.is_empty() {
                        continue;
                    }
                    let last = stream.is_end_stream();
                    if !this.take(&piece) || (last && this.left.is_some_and(|left| left > 0)) {
                        return this.fail(UploadError::Length);
                    }
                    if last || this.left == Some(0) {
                        this.gauge.done.store(true, Ordering::Relaxed);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
            }
        }
        this.fail(UploadError::EmptyPieces)
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            OutboundBody::Whole(bytes) => bytes.is_empty(),
            OutboundBody::Stream(stream) => stream.is_end_stream() && self.left.is_none_or(|left| left == 0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.body, self.left) {
            (OutboundBody::Whole(bytes), _) => SizeHint::with_exact(bytes.len() as u64),
            (OutboundBody::Stream(_), Some(left)) => SizeHint::with_exact(left),
            (OutboundBody::Stream(_), None) => SizeHint::new(),
        }
    }
}
