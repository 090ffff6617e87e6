//! A connection whose client has to take what it is sent: one that stops reading does not hold an instance for ever.

use crate::connections::Activity;
use crate::heads::{Follower, Heads};
use crate::wire::Wire;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A stream whose writes fail when none of them has got on for a time.
pub(crate) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Is told when all is written.
    wire: Wire,
    /// Sees what is read.
    follower: Follower,
    /// Is told of heads that have begun.
    activity: Option<Activity>,
    /// Made when a write first has to wait.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<S> Patient<S> {
    /// `stream`, whose client has `patience` for each write.
    pub(crate) fn new(stream: S, patience: Duration, wire: Wire, heads: Heads) -> Self {
        let follower = Follower::new(heads);
        Self { stream, patience, wire, follower, activity: None, timer: None, waiting: false }
    }

    /// Has `activity` told of heads that have begun.
    pub(crate) fn telling(self, activity: Activity) -> Self {
        Self { activity: Some(activity), ..self }
    }

    /// Lets `poll` pass if it is ready, else waits with it.
    fn guard<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = false;
            return poll;
        }
        let until = Instant::now() + self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if !std::mem::replace(&mut self.waiting, true) {
            timer.as_mut().reset(until);
        }
        let late = |()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer"));
        timer.as_mut().poll(cx).map(late)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.follower.see(buf.filled().get(before..).unwrap_or_default());
        if let Some(activity) = &self.activity {
            activity.read(self.follower.is_in_head());
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.guard(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.guard(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(poll, Poll::Ready(Ok(()))) {
            self.wire.flushed();
        }
        self.guard(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.guard(cx, poll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_reader_that_stops_is_given_up() {
        let (near, mut far) = duplex(4);
        let mut stream = Patient::new(near, Duration::from_millis(50), Wire::default(), Heads::default());
        let writing = tokio::spawn(async move { stream.write_all(b"more than four").await });
        let mut some = [0; 2];
        far.read_exact(&mut some).await.unwrap();
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_slow_reader_is_waited_for() {
        let (near, mut far) = duplex(1);
        let mut stream = Patient::new(near, Duration::from_millis(500), Wire::default(), Heads::default());
        let writing = tokio::spawn(async move { stream.write_all(&[7; 40]).await });
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(far.read_u8().await.unwrap(), 7);
        }
        writing.await.unwrap().unwrap();
    }
}
