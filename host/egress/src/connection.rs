//! One connection to a provider, over which requests are sent: HTTP/1.1, one at a time, or HTTP/2, many at once.
//!
//! In goes an established stream; a task of the current runtime drives it. A connection that is dropped is closed at once.

use crate::EgressError;
use crate::flood_guard::{FloodGuard, HeadBudget};
use crate::upload::Upload;
use hauski_policy::Target;
use http::{HeaderValue, Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

/// The largest head of an answer, in bytes.
const MAX_HEAD: u32 = 64 * 1024;

/// What is read ahead of an HTTP/1.1 body, in bytes.
const READ_AHEAD: usize = 64 * 1024;

/// What is read ahead of an HTTP/2 stream's body, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;

/// Requests at once over one HTTP/2 connection; a further one opens another.
pub(crate) const MAX_STREAMS: u32 = 100;

/// Wide enough that a stream which nobody reads never stops another one.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS;

/// The task that drives a connection; it ends with its owner, and the socket with it.
struct Driver(JoinHandle<()>);

impl Driver {
    fn spawn(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        // How a connection ends is told to whoever waits for an answer on it; an idle one's end is nobody's concern.
        Self(tokio::spawn(async move { drop(connection.await) }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An HTTP/1.1 connection, with its one user.
pub(crate) struct One {
    sender: http1::SendRequest<Upload>,
    driver: Driver,
    budget: Arc<HeadBudget>,
    pub(crate) peer: SocketAddr,
}

impl One {
    /// Whether it can take a request now.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether the other side closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.driver.0.is_finished()
    }
}

/// An HTTP/2 connection, with its many users.
pub(crate) struct Many {
    sender: http2::SendRequest<Upload>,
    driver: Driver,
    budget: Arc<HeadBudget>,
    pub(crate) peer: SocketAddr,
    retired: AtomicBool,
}

impl Many {
    /// Whether no further request may use it.
    pub(crate) fn is_closed(&self) -> bool {
        self.retired.load(Ordering::Relaxed) || self.sender.is_closed() || self.driver.0.is_finished()
    }
}

/// A connection in somebody's hands.
pub(crate) enum Link {
    One(One),
    Many(Arc<Many>),
}

impl Link {
    /// Begins HTTP over `stream`, which leads to `peer`.
    pub(crate) async fn begin<T>(stream: T, peer: SocketAddr, h2: bool) -> Result<Self, EgressError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let budget = Arc::new(HeadBudget::default());
        let io = TokioIo::new(FloodGuard::new(stream, Arc::clone(&budget), h2));
        if h2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(MAX_HEAD)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_send_buf_size(READ_AHEAD)
                .handshake(io)
                .await
                .map_err(EgressError::broken)?;
            let driver = Driver::spawn(connection);
            Ok(Self::Many(Arc::new(Many { sender, driver, budget, peer, retired: AtomicBool::new(false) })))
        } else {
            let (sender, connection) = http1::Builder::new()
                .max_header_size(MAX_HEAD as usize)
                .max_buf_size(READ_AHEAD)
                .handshake(io)
                .await
                .map_err(EgressError::broken)?;
            Ok(Self::One(One { sender, driver: Driver::spawn(connection), budget, peer }))
        }
    }

    /// Gives `request` the target's method, path and authority in this connection's form.
    ///
    /// # Errors
    /// If the target does not fit on the wire.
    pub(crate) fn address<B>(&self, request: &mut Request<B>, target: &Target) -> Result<(), http::Error> {
        *request.method_mut() = target.method().as_str().parse()?;
        match self {
            Self::One(_) => {
                *request.version_mut() = Version::HTTP_11;
                *request.uri_mut() = target.path_and_query().parse()?;
                let host = HeaderValue::try_from(target.authority())?;
                request.headers_mut().insert(header::HOST, host);
            }
            Self::Many(_) => {
                *request.version_mut() = Version::HTTP_2;
                // Of a connection that was tried before.
                request.headers_mut().remove(header::HOST);
                *request.uri_mut() = Uri::builder()
                    .scheme(target.scheme().as_str())
                    .authority(target.authority())
                    .path_and_query(target.path_and_query())
                    .build()?;
            }
        }
        Ok(())
    }

    /// Sends `request`; where nothing of it was written, the error holds it.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Upload>,
    ) -> Result<Response<Incoming>, Box<TrySendError<Request<Upload>>>> {
        match self {
            Self::One(one) => {
                let budget = Arc::clone(&one.budget);
                budget.begin_answer();
                hyper::ext::on_informational(&mut request, move |_| budget.count());
                one.sender.try_send_request(request).await
            }
            Self::Many(many) => {
                many.budget.begin_stream(MAX_STREAMS);
                many.sender.clone().try_send_request(request).await
            }
        }
        .map_err(Box::new)
    }

    /// Returns whether the provider has sent more informational heads than it may.
    pub(crate) fn is_flooded(&self) -> bool {
        match self {
            Self::One(one) => one.budget.is_exceeded(),
            Self::Many(many) => many.budget.is_exceeded(),
        }
    }

    /// Marks the connection, so that no further request uses it.
    pub(crate) fn retire(&self) {
        if let Self::Many(many) = self {
            many.retired.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request whose connection was closed goes over another one, which may speak the other version. What the first one
    /// needed does not stay.
    #[tokio::test]
    async fn d33_a_request_that_changes_its_connection() {
        let link = async |h2| {
            let (near, far) = tokio::io::duplex(1024);
            (Link::begin(near, ([127, 0, 0, 1], 1).into(), h2).await.unwrap(), far)
        };
        let (one, _far) = link(false).await;
        let (many, _far) = link(true).await;
        let target = Target::parse("POST", "https://API.allowed.test:8443/v1/x?y").unwrap();
        let mut request = Request::new(());
        for (link, version, uri, host) in [
            (&one, Version::HTTP_11, "/v1/x?y", Some("api.allowed.test:8443")),
            (&many, Version::HTTP_2, "https://api.allowed.test:8443/v1/x?y", None),
            (&one, Version::HTTP_11, "/v1/x?y", Some("api.allowed.test:8443")),
        ] {
            link.address(&mut request, &target).unwrap();
            let got = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap());
            assert_eq!(got.collect::<Vec<_>>(), host.into_iter().collect::<Vec<_>>());
            assert_eq!((request.version(), request.uri().to_string().as_str()), (version, uri));
            assert_eq!(request.method(), "POST");
        }
    }
}
