//! A guard on what a provider sends, between the socket and the HTTP parser.
//!
//! A provider may send informational (1xx) heads without end before the head of its answer (RFC 9110, section 15.2). hyper skips
//! them one after the other, without a limit and without letting another task run. Such heads are counted here, and a connection
//! task that has read its share is suspended until the worker's other tasks have run.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most informational heads before the head of an answer.
pub(crate) const MAX_INFORMATIONAL: u32 = 64;

/// The heads of one answer in HTTP/2: those above, the final one and the trailers.
const HEADS_OF_STREAM: u32 = MAX_INFORMATIONAL + 2;

/// The most bytes that a connection task reads before other tasks run.
const READ_SHARE: usize = 64 * 1024;

/// The length of a frame's header (RFC 9113, section 4.1).
const FRAME_HEADER: usize = 9;

/// The type of a frame that begins a head (RFC 9113, section 6.2).
const HEADERS: u8 = 1;

/// The number of heads that a provider may still send over one connection.
#[derive(Debug, Default)]
pub(crate) struct HeadBudget(AtomicU32);

impl HeadBudget {
    /// The budget's value once it is exceeded.
    const EXCEEDED: u32 = u32::MAX;

    /// Sets the budget of the next answer over HTTP/1.1.
    pub(crate) fn begin_answer(&self) {
        self.0.store(MAX_INFORMATIONAL, Ordering::Relaxed);
    }

    /// Adds the budget of one more stream over HTTP/2. It never grows beyond that of `streams`.
    pub(crate) fn begin_stream(&self, streams: u32) {
        self.update(|left| Some((left + HEADS_OF_STREAM).min(streams * HEADS_OF_STREAM)));
    }

    /// Counts a head.
    pub(crate) fn count(&self) {
        self.update(|left| Some(left.checked_sub(1).unwrap_or(Self::EXCEEDED)));
    }

    /// Returns whether the provider has sent more heads than it may.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::EXCEEDED
    }

    fn update(&self, change: impl Fn(u32) -> Option<u32>) {
        let change = |left| if left == Self::EXCEEDED { None } else { change(left) };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
}

/// A stream whose reads fail once the budget of heads is exceeded, and pause after each share of bytes.
pub(crate) struct FloodGuard<T> {
    stream: T,
    budget: Arc<HeadBudget>,
    /// Over HTTP/2 heads are counted here. Over HTTP/1.1 hyper reports them.
    frames: Option<FrameCounter>,
    /// The bytes since the task was last suspended.
    read: usize,
}

impl<T> FloodGuard<T> {
    pub(crate) fn new(stream: T, budget: Arc<HeadBudget>, h2: bool) -> Self {
        Self { stream, budget, frames: h2.then(FrameCounter::default), read: 0 }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FloodGuard<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.budget.is_exceeded() {
            return Poll::Ready(Err(io::Error::other("more informational responses than are allowed")));
        }
        if this.read >= READ_SHARE {
            this.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if polled.is_pending() {
            this.read = 0;
        }
        ready!(polled)?;
        let got = buf.filled().get(before..).unwrap_or_default();
        this.read += got.len();
        if let Some(frames) = &mut this.frames {
            (0..frames.heads_in(got)).for_each(|_| this.budget.count());
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FloodGuard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A follower of HTTP/2 frames, however they are cut into reads.
#[derive(Default)]
struct FrameCounter {
    /// The beginning of a frame's header.
    header: [u8; FRAME_HEADER],
    held: usize,
    /// The bytes of the current frame that are still to come.
    payload: usize,
}

impl FrameCounter {
    /// Returns how many frames that begin a head have their header complete within `bytes`.
    fn heads_in(&mut self, mut bytes: &[u8]) -> u32 {
        let mut heads = 0;
        while !bytes.is_empty() {
            let (skipped, rest) = bytes.split_at(self.payload.min(bytes.len()));
            self.payload -= skipped.len();
            let (taken, rest) = rest.split_at(rest.len().min(FRAME_HEADER - self.held));
            self.header[self.held..][..taken.len()].copy_from_slice(taken);
            self.held += taken.len();
            bytes = rest;
            if self.held == FRAME_HEADER {
                let [a, b, c, kind, ..] = self.header;
                self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.held = 0;
                heads += u32::from(kind == HEADERS);
            }
        }
        heads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    #[test]
    fn head_budget_stays_exceeded_and_bounded() {
        let budget = HeadBudget::default();
        budget.begin_answer();
        (0..MAX_INFORMATIONAL).for_each(|_| budget.count());
        assert!(!budget.is_exceeded());
        budget.count();
        assert!(budget.is_exceeded());
        budget.begin_stream(1);
        budget.count();
        assert!(budget.is_exceeded());

        let budget = HeadBudget::default();
        (0..10).for_each(|_| budget.begin_stream(2));
        (0..2 * HEADS_OF_STREAM).for_each(|_| budget.count());
        assert!(!budget.is_exceeded());
        budget.count();
        assert!(budget.is_exceeded());
    }

    /// A stream that never waits would otherwise hold its worker.
    #[tokio::test]
    async fn reads_pause_after_each_share() {
        let mut guard = FloodGuard::new(tokio::io::repeat(b'x'), Arc::default(), false);
        let mut buffer = vec![0; READ_SHARE / 4];
        for _ in 0..3 {
            for _ in 0..4 {
                let read = std::pin::pin!(guard.read(&mut buffer));
                assert!(read.poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready());
            }
            let read = std::pin::pin!(guard.read(&mut buffer));
            assert!(read.poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        }
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_they_are_cut(
            frames in prop::collection::vec((0..4_u8, 0..40_usize), 0..50),
            size in 1..30_usize,
        ) {
            let mut bytes = Vec::new();
            for (kind, length) in &frames {
                bytes.extend([0, 0, u8::try_from(*length).unwrap(), *kind, 0, 0, 0, 0, 1]);
                // A payload that looks like heads.
                bytes.extend(std::iter::repeat_n(1, *length));
            }
            let mut counter = FrameCounter::default();
            let heads: u32 = bytes.chunks(size).map(|piece| counter.heads_in(piece)).sum();
            let expected = frames.iter().filter(|(kind, _)| *kind == HEADERS).count();
            prop_assert_eq!(usize::try_from(heads).unwrap(), expected);
        }
    }
}
