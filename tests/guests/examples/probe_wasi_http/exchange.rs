//! One request over `wasi:http/outgoing-handler`, and its answer.

use serde::Deserialize;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::streams::{InputStream, StreamError};

/// As much of a body is written or read with one call.
const PIECE: usize = 4096;

/// What to send.
#[derive(Deserialize)]
pub(crate) struct Order {
    url: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    method: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    pub(crate) repeat: Option<usize>,
    connect_ms: Option<u64>,
    first_byte_ms: Option<u64>,
    idle_ms: Option<u64>,
    #[serde(default)]
    fields: usize,
    pad: Option<usize>,
    #[serde(default)]
    empty_writes: usize,
    trailers: Option<Vec<(String, String)>>,
}

/// Why there is no answer, or no more of it.
pub(crate) struct Failure {
    pub(crate) case: String,
    pub(crate) message: String,
}

/// An answer whose body is still to be read. The fields are dropped in this order, children before their parents.
pub(crate) struct Exchange {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Exchange {
    /// Sends what is ordered and waits for the answer's head.
    pub(crate) fn begin(order: &Order) -> Result<Self, Failure> {
        let response = answer(&send(order)?)?;
        let headers = response.headers().entries();
        let headers =
            headers.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect();
        let body = response.consume().map_err(|()| refused("body"))?;
        let stream = body.stream().map_err(|()| refused("body's stream"))?;
        Ok(Self { status: response.status(), headers, stream, _body: body, _response: response })
    }

    /// A piece of the body; `None` is its end.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, Failure> {
        match self.stream.blocking_read(PIECE as u64) {
            Ok(piece) => Ok(Some(piece)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                Err(code.map_or_else(|| named("unknown", error.to_debug_string()), |code| failed(&code)))
            }
        }
    }
}

fn send(order: &Order) -> Result<FutureIncomingResponse, Failure> {
    let request = OutgoingRequest::new(fields(order)?);
    let url = order.url.as_deref().map(split);
    let (scheme, authority, path) = url.unwrap_or_default();
    let set = |value: &Option<String>, default: Option<&str>| value.clone().or_else(|| default.map(str::to_owned));
    let scheme = set(&order.scheme, scheme).map(|scheme| match scheme.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => Scheme::Other(scheme),
    });
    request.set_method(&method(order.method.as_deref().unwrap_or("GET"))).map_err(|()| refused("method"))?;
    request.set_scheme(scheme.as_ref()).map_err(|()| refused("scheme"))?;
    request.set_authority(set(&order.authority, authority).as_deref()).map_err(|()| refused("authority"))?;
    request.set_path_with_query(set(&order.path, path).as_deref()).map_err(|()| refused("path"))?;
    let body = request.body().map_err(|()| refused("body"))?;
    let future = outgoing_handler::handle(request, Some(options(order)?)).map_err(|code| failed(&code))?;
    write(&body, order.body.as_bytes(), order.empty_writes)?;
    let trailers = order.trailers.as_deref().map(list).transpose()?;
    OutgoingBody::finish(body, trailers).map_err(|code| failed(&code))?;
    Ok(future)
}

fn list(pairs: &[(String, String)]) -> Result<Fields, Failure> {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    Fields::from_list(&pairs).map_err(|error| named("refused-here", error.to_string()))
}

fn fields(order: &Order) -> Result<Fields, Failure> {
    let fields = list(&order.headers)?;
    let more = (0..order.fields).map(|n| (format!("x-{n}"), Vec::new()));
    let pad = order.pad.map(|length| ("x-pad".to_owned(), vec![b'x'; length]));
    for (name, value) in more.chain(pad) {
        fields.append(&name, &value).map_err(|error| named("refused-here", error.to_string()))?;
    }
    Ok(fields)
}

fn options(order: &Order) -> Result<RequestOptions, Failure> {
    let options = RequestOptions::new();
    let nanos = |ms: Option<u64>| ms.map(|ms| ms.saturating_mul(1_000_000));
    options.set_connect_timeout(nanos(order.connect_ms)).map_err(|()| refused("time-out"))?;
    options.set_first_byte_timeout(nanos(order.first_byte_ms)).map_err(|()| refused("time-out"))?;
    options.set_between_bytes_timeout(nanos(order.idle_ms)).map_err(|()| refused("time-out"))?;
    Ok(options)
}

fn write(body: &OutgoingBody, bytes: &[u8], empty: usize) -> Result<(), Failure> {
    let stream = body.write().map_err(|()| refused("body's stream"))?;
    for _ in 0..empty {
        if stream.blocking_write_and_flush(&[]).is_err() {
            break;
        }
    }
    for piece in bytes.chunks(PIECE) {
        // If the host does not take it, the answer says why.
        if stream.blocking_write_and_flush(piece).is_err() {
            break;
        }
    }
    Ok(())
}

fn answer(future: &FutureIncomingResponse) -> Result<IncomingResponse, Failure> {
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(code))) => Err(failed(&code)),
        Some(Err(())) | None => Err(refused("answer")),
    }
}

/// Scheme, authority and path of a URL, with no check at all: that is the host's part.
fn split(url: &str) -> (Option<&str>, Option<&str>, Option<&str>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    (Some(scheme), Some(&rest[..at]), Some(if at == rest.len() { "/" } else { &rest[at..] }))
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.strip_prefix("other:").unwrap_or(other).into()),
    }
}

fn failed(code: &ErrorCode) -> Failure {
    if matches!(code, ErrorCode::HttpRequestDenied) {
        return named("denied", String::new());
    }
    let message = format!("{code:?}");
    let case =
        message.trim_start_matches("ErrorCode::").split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    named(case, message.clone())
}

fn refused(what: &str) -> Failure {
    named("refused-here", format!("the {what} cannot be set or had"))
}

fn named(case: &str, message: String) -> Failure {
    Failure { case: case.into(), message }
}
