//! The guard against request smuggling, held against hyper and against a reader that is right at a glance.
//!
//! An input is what a client sends over one connection.

use crate::heads::{Follower, Heads};
use crate::work::counted;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The most bytes that are looked at. hyper reads a head anew for each byte that it gets.
const MAX_BYTES: usize = 2_048;

/// Follows the requests that a fuzzer made up.
pub fn check(data: &[u8]) {
    let data = &data[..data.len().min(MAX_BYTES)];
    let (followed, in_head) = follow(data.chunks(1));
    for step in [2, 3, 7, 64, data.len().max(1)] {
        let words: Vec<_> = follow(data.chunks(step)).0.into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, followed.iter().map(|(_, word)| *word).collect::<Vec<_>>(), "in pieces of {step}");
    }
    let read = read_by_hyper(data);
    let mut plain = Plain { data, at: 0 };
    for (at, head) in read.iter().enumerate() {
        let shown = || format!("request {at} of {}", data.escape_ascii());
        // A head that was not followed counts as ambiguous.
        let Some((end, is_ambiguous)) = followed.get(at) else { return };
        assert_eq!(*end, head.end, "the guard speaks of another head: {}", shown());
        let Some(own) = plain.next() else {
            // What follows is not read plainly either.
            plain.at = data.len();
            continue;
        };
        assert_eq!(own.end, head.end, "there are two readings: {}", shown());
        // The byte that ends a head is the last for which its client has little time.
        let times = [in_head[own.begin..own.end - 1].iter().all(|within| *within), in_head[own.end - 1]];
        assert_eq!(times, [true, false], "{}", shown());
        assert_eq!(*is_ambiguous, own.lengths > 1, "{}", shown());
        if *is_ambiguous {
            return;
        }
        if let (Some(body), Some(expected)) = (&head.body, &own.body) {
            assert_eq!(body, expected, "the body has two readings: {}", shown());
            let in_body = &in_head[own.end..plain.at];
            assert!(!in_body.contains(&true), "a body counts as a head: {}", shown());
        }
    }
}

/// What the guard says: where each head ends and whether it is ambiguous, and behind each piece whether a head is under way.
fn follow<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<(usize, bool)>, Vec<bool>) {
    let heads = Heads::default();
    let mut follower = Follower::new(heads.clone());
    let (mut followed, mut in_head, mut end) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        end += piece.len();
        let ((), visited) = counted(|| follower.see(piece));
        assert!(visited <= 8 * piece.len() + 512, "{visited} bytes for {}", piece.len());
        while heads.waiting() > 0 {
            followed.push((end, heads.next().is_some()));
        }
        in_head.push(follower.is_in_head());
    }
    (followed, in_head)
}

/// A request as hyper reads it.
struct Head {
    /// Where its head ends.
    end: usize,
    /// Its body; none if it breaks off.
    body: Option<Vec<u8>>,
}

/// Serves a connection that gives one byte at a time, so that the end of each head is known.
fn read_by_hyper(data: &[u8]) -> Vec<Head> {
    let given = Rc::new(Cell::new(0));
    let heads = Rc::new(RefCell::new(Vec::<Head>::new()));
    let connection = Connection { data: data.to_vec(), given: Rc::clone(&given) };
    let service = service_fn(|request: Request<Incoming>| {
        let (heads, at) = (Rc::clone(&heads), heads.borrow().len());
        heads.borrow_mut().push(Head { end: given.get(), body: None });
        async move {
            if let Ok(body) = request.into_body().collect().await
                && let Some(head) = heads.borrow_mut().get_mut(at)
            {
                head.body = Some(body.to_bytes().to_vec());
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut served = pin!(http1::Builder::new().serve_connection(connection, service));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10 * MAX_BYTES {
        if served.as_mut().poll(&mut context).is_ready() {
            break;
        }
    }
    heads.take()
}

/// A connection whose client sends bytes and reads nothing.
struct Connection {
    data: Vec<u8>,
    given: Rc<Cell<usize>>,
}

impl Read for Connection {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let at = self.given.get();
        if let Some(byte) = self.data.get(at) {
            buffer.put_slice(&[*byte]);
            self.given.set(at + 1);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A reader of requests that takes only what is written plainly.
struct Plain<'a> {
    data: &'a [u8],
    at: usize,
}

/// A request as it is read plainly.
struct PlainHead {
    /// Where its request line begins.
    begin: usize,
    end: usize,
    /// How often the head gives the body's length.
    lengths: usize,
    /// None if the body is not all there, or has a form that is not plain.
    body: Option<Vec<u8>>,
}

impl Plain<'_> {
    /// Takes a line, without its end.
    fn line(&mut self) -> Option<String> {
        let rest = self.data.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        self.at += end + 1;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        Some(line.iter().map(|byte| char::from(*byte)).collect())
    }

    fn next(&mut self) -> Option<PlainHead> {
        let mut begin = self.at;
        while self.line()?.is_empty() {
            begin = self.at;
        }
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let end = self.at;
        let of =
            |name: &str| fields.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value).collect::<Vec<_>>();
        let (sizes, codings) = (of("content-length"), of("transfer-encoding"));
        let lengths = sizes.len() + codings.len();
        let body = match (&*sizes, &*codings) {
            ([], []) => Some(Vec::new()),
            ([size], []) => self.sized(size),
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => self.chunked(),
            _ => None,
        };
        if body.is_none() {
            // Nothing that follows is read.
            self.at = self.data.len();
        }
        Some(PlainHead { begin, end, lengths, body })
    }

    fn sized(&mut self, size: &str) -> Option<Vec<u8>> {
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let end = self.at.checked_add(size.parse().ok()?)?;
        let body = self.data.get(self.at..end)?.to_vec();
        self.at = end;
        Some(body)
    }

    fn chunked(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default();
            if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            let size = usize::from_str_radix(size, 16).ok()?;
            if size == 0 {
                break;
            }
            let end = self.at.checked_add(size)?;
            body.extend_from_slice(self.data.get(self.at..end)?);
            self.at = end;
            if !self.line()?.is_empty() {
                return None;
            }
        }
        while !self.line()?.is_empty() {}
        Some(body)
    }
}
