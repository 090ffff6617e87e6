//! The part of a request's body that nobody reads, thrown away while the answer goes out: if the gateway closed instead, the kernel
//! would reset the connection, and a client that still sends would never see why it was refused.
//!
//! In goes a request as it comes from the wire; out comes its answer, which says that the connection closes where the rest of the
//! body may not be read to its end.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The most that is thrown away of one body.
const MOST: u64 = 64 << 20;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client says that waits to be asked for its body.
const WAITS: &[u8] = b"100-continue";

/// Has the router answer, and sees to what it leaves of the request's body.
pub(crate) fn answer(
    router: &TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    // Who waits for `100 Continue` has nothing under way: hyper says it when the body is first asked for.
    let waits =
        request.headers().get_all(header::EXPECT).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(WAITS));
    let end = End::default();
    let answer = router.call(request.map(|body| Unread { body: Some(body), waits, over: false, end: end.clone() }));
    async move {
        let mut response = answer.await?;
        if end.closes(response.status()) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// What is to be said of how a body ends, once it is known.
#[derive(Clone, Default)]
struct End(Arc<AtomicU8>);

impl End {
    /// The rest is thrown away, and has its end within the limits if the client sends it soon.
    const SOON: u8 = 1;
    /// The rest is not read, or not for sure to its end.
    const CLOSES: u8 = 2;

    fn set(&self, end: u8) {
        self.0.store(end, Ordering::Relaxed);
    }

    /// Whether the connection can't be used after an answer with this status.
    fn closes(&self, status: StatusCode) -> bool {
        match self.0.load(Ordering::Relaxed) {
            Self::CLOSES => true,
            // Who was too slow will hardly be quicker now.
            Self::SOON => status == StatusCode::REQUEST_TIMEOUT,
            _ => false,
        }
    }
}

/// A body whose rest is thrown away when it is dropped.
struct Unread<B: Flows> {
    /// There until it is dropped.
    body: Option<B>,
    /// Whether its client sends nothing of it until it is asked for.
    waits: bool,
    /// Whether there is no more of it.
    over: bool,
    end: End,
}

/// What a body from the wire is.
trait Flows: HttpBody<Data = Bytes> + Unpin + Send + 'static {}

impl<B: HttpBody<Data = Bytes> + Unpin + Send + 'static> Flows for B {}

impl<B: Flows> HttpBody for Unread<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let poll = Pin::new(body).poll_frame(cx);
        self.over |= matches!(poll, Poll::Ready(None | Some(Err(_))));
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

impl<B: Flows> Drop for Unread<B> {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !self.over && !body.is_end_stream()) else { return };
        let fits = body.size_hint().upper().is_some_and(|rest| rest <= MOST);
        self.end.set(if fits && !self.waits { End::SOON } else { End::CLOSES });
        // Without a runtime there is no connection either.
        if !self.waits
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(PATIENCE, throw_away(body)));
        }
    }
}

/// Reads `body` to its end or to the limit, and keeps nothing.
async fn throw_away(mut body: impl Flows) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}
