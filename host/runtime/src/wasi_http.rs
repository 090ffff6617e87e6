//! `wasi:http/outgoing-handler`: the standard way to the egress door, for components that bring their own HTTP code.
//!
//! The one hook that sends goes through the guard like `upstream` does; without a door it denies.

use crate::progress::{Progress, Waiting};
use crate::sends::{Held, Sends};
use crate::state::Call;
use bytes::Bytes;
use hauski_egress::{
    Ask, BoxError, Caller, Destination, DnsError, Door, EgressError, OutboundBody, ResponseBody, Timeouts, headers,
};
use hauski_policy::Scope;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

/// What the hook needs of the request that it serves.
pub(crate) struct Hooks {
    door: Option<Arc<Door>>,
    request_id: Arc<str>,
    caller: Caller,
    scope: Scope,
    local_only: bool,
    deadline: Instant,
    sends: Sends,
    progress: Progress,
}

impl Hooks {
    pub(crate) fn new(call: &Call, caller: &Caller, deadline: Instant, sends: Sends) -> Self {
        let (door, request_id) = (call.door.clone(), call.request_id.clone());
        let (caller, progress) = (caller.clone(), call.progress.clone());
        let scope = call.scope.clone();
        Self { door, request_id, caller, scope, local_only: call.local_only, deadline, sends, progress }
    }
}

/// What tells how sending a body ended; here nobody asks.
type Sent = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(http::Response<WasiBody>, Sent), Error>;

impl WasiHttpHooks for Hooks {
    /// Fields that a guest may not set: those of the connection, and those that the host attaches for this adapter.
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        let attached =
            self.door.as_ref().map(|door| door.attached_headers(&self.caller, &self.scope)).unwrap_or_default();
        Arc::new(move |name| headers::is_forbidden(name) || attached.iter().any(|own| **own == *name.as_str()))
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    /// What a guest writes into a body lies in the host's memory until it is sent: up to two such pieces a body.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        64 << 10
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Sent,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let held = self.sends.begin();
        let Some(door) = self.door.clone() else { return Box::new(async { Err(Error::HttpRequestDenied) }) };
        let Ok(held) = held else { return Box::new(async { Err(Error::ConnectionLimitReached) }) };
        let options = options.unwrap_or_default();
        let sends = self.sends.clone();
        let asking = Asking {
            sends,
            door,
            caller: self.caller.clone(),
            request_id: self.request_id.clone(),
            scope: self.scope.clone(),
            local_only: self.local_only,
            progress: self.progress.clone(),
            timeouts: Timeouts {
                connect: options.connect_timeout,
                first_byte: options.first_byte_timeout,
                idle: options.between_bytes_timeout,
                deadline: Some(self.deadline),
            },
        };
        let progress = self.progress.clone();
        Box::new(async move {
            asking.send(request, held).await.map_err(|error| {
                progress.failed(&error);
                translate(error)
            })
        })
    }
}

/// Who asks the door, and how.
struct Asking {
    sends: Sends,
    door: Arc<Door>,
    caller: Caller,
    request_id: Arc<str>,
    scope: Scope,
    local_only: bool,
    progress: Progress,
    timeouts: Timeouts,
}

impl Asking {
    async fn send(
        self,
        request: http::Request<WasiBody>,
        held: Held,
    ) -> Result<(http::Response<WasiBody>, Sent), EgressError> {
        let (head, body) = request.into_parts();
        let to = Destination::Parts {
            scheme: head.uri.scheme_str().unwrap_or_default(),
            authority: head.uri.authority().map_or("", |authority| authority.as_str()),
            path_and_query: head.uri.path_and_query().map_or("", |path| path.as_str()),
        };
        let Self { sends, door, caller, request_id, scope, local_only, progress, timeouts } = self;
        let method = head.method.as_str();
        let ask = Ask { request_id: &request_id, scope: &scope, method, to, local_only, timeouts };
        let permit = progress.wait_for(pin!(door.permit(&caller, ask))).await?;
        let body = OutboundBody::Stream(Counted { body, sends }.boxed_unsync());
        let answer = progress.wait_for(pin!(door.send(permit, head.headers, body))).await?;
        progress.answered(&answer.headers);
        let body = Watched { body: answer.body, progress, waiting: None, _held: held };
        let mut response = http::Response::new(body.boxed_unsync());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok((response, Box::new(async { Ok(()) })))
    }
}

/// A guest's body, of which each piece is counted.
struct Counted {
    body: WasiBody,
    sends: Sends,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        poll.map(|frame| {
            frame.map(|frame| {
                let frame = frame.map_err(|error| BoxError::from(error.to_string()))?;
                self.sends.count(frame.data_ref().map_or(0, Bytes::len))?;
                Ok(frame)
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A provider's body that notes how long it was waited for.
struct Watched {
    body: ResponseBody,
    progress: Progress,
    waiting: Option<Waiting>,
    _held: Held,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        self.waiting = match poll {
            Poll::Ready(_) => None,
            Poll::Pending => self.waiting.take().or_else(|| Some(self.progress.wait())),
        };
        poll.map_err(|error| {
            self.progress.failed(&error);
            translate(error)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The standard's error for ours. All denials are one.
fn translate(error: EgressError) -> Error {
    match error {
        EgressError::Denied(_) | EgressError::Withdrawn => Error::HttpRequestDenied,
        EgressError::InvalidRequest(_) | EgressError::Upload(_) | EgressError::Broken(_) => Error::HttpProtocolError,
        EgressError::Unrecorded(_) | EgressError::Abandoned => Error::InternalError(None),
        EgressError::SecretMissing { .. } => Error::ConfigurationError,
        EgressError::Dns(DnsError::Timeout) => Error::DnsTimeout,
        EgressError::Dns(_) => Error::DnsError { rcode: None, info_code: None },
        EgressError::Connect(_) => Error::ConnectionRefused,
        EgressError::Tls(_) => Error::TlsProtocolError,
        EgressError::ConnectTimeout => Error::ConnectionTimeout,
        EgressError::FirstByteTimeout | EgressError::TotalTimeout => Error::HttpResponseTimeout,
        EgressError::IdleTimeout => Error::ConnectionReadTimeout,
        EgressError::SwitchingProtocols => Error::HttpUpgradeFailed,
        EgressError::ResponseHead => Error::HttpResponseHeaderSectionSize(None),
        EgressError::Unreadable => Error::HttpResponseContentCoding(None),
        EgressError::ResponseTooLarge { limit } => Error::HttpResponseBodySize(Some(limit)),
    }
}
