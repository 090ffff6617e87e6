//! A client's connection that tells when the client has left, also while nobody reads from it: who has said more than the request
//! that is being answered is not read from, so that his leaving would go unnoticed.
//!
//! In goes a connection as it was accepted; out come what is read from and written to, and what knows of its other end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How long it takes to notice. Who reads as well notices at once.
const LOOK: Duration = Duration::from_millis(50);

/// How much of an answer waits in the socket to be sent.
///
/// Linux says that a socket can be written to again when a third of its buffer is empty, and that buffer can be megabytes: a client
/// that reads slowly but steadily would seem to have stopped. By this bound each half of it that goes out is noticed.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 << 10;

/// A connection as it was accepted, made ready for an answer in pieces.
pub(crate) fn accepted(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    stream.set_nodelay(true)?;
    // Where it can't be set, the gateway is less patient and all else is the same.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    stream.into_std()
}

/// The connection, to be read from and written to.
pub(crate) struct Socket(Arc<TcpStream>);

/// What is known of its other end.
pub(crate) struct Peer(Arc<TcpStream>);

/// The connection in its two parts.
pub(crate) fn split(stream: TcpStream) -> (Socket, Peer) {
    let stream = Arc::new(stream);
    (Socket(stream.clone()), Peer(stream))
}

impl Peer {
    /// Waits until the client has left, or says no more.
    pub(crate) async fn left(self) {
        loop {
            let Ok(before) = self.0.ready(Interest::READABLE).await else { return };
            // What there is to read is read meanwhile, and what can be answered at once is answered.
            sleep(LOOK).await;
            if before.is_read_closed() {
                return;
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write))
    }
}

impl Socket {
    fn write(&self, cx: &mut Context<'_>, write: impl Fn(&TcpStream) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}
