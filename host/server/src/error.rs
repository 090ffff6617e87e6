//! The one table from errors to HTTP answers in OpenAI's form.

use axum::response::{IntoResponse, Response};
use hauski_policy::AdapterId;
use hauski_runtime::{AdapterError, CallError, TimedOut};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// An answer that says what went wrong: status, and a body of the form `{"error": {"message", "type", "param", "code"}}`.
///
/// Boxed, so that the way of those requests that succeed stays narrow.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Details>);

/// What an [`ApiError`] says.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) code: &'static str,
    /// The field that is wrong, such as `tools[0].type`.
    pub(crate) param: Option<Cow<'static, str>>,
    pub(crate) message: String,
    retry_after: Option<HeaderValue>,
    /// The provider's own error body, handed through byte for byte.
    body: Option<Box<RawValue>>,
    /// Whether the message holds others' words, which may quote a prompt: they are for the client, not for the log.
    quotes: bool,
}

impl Deref for ApiError {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Details {
            status,
            kind,
            code,
            param: None,
            message,
            retry_after: None,
            body: None,
            quotes: false,
        }))
    }

    /// The client's request can't be understood. `param` is the field that is wrong.
    pub(crate) fn invalid(code: &'static str, param: Option<&'static str>, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, INVALID, code, message);
        error.0.param = param.map(Cow::Borrowed);
        error
    }

    /// The client asks for what the gateway doesn't do. `param` is the field that asks for it; the message says what to do instead.
    pub(crate) fn unsupported(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, INVALID, "unsupported_parameter", message);
        error.0.param = Some(param.into());
        error
    }

    /// A field of the client's request has the wrong type or value; `expected` completes "has to be".
    pub(crate) fn wrong(param: impl Into<Cow<'static, str>>, expected: &str) -> Self {
        let param = param.into();
        let mut error =
            Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_value", format!("`{param}` has to be {expected}"));
        error.0.param = Some(param);
        error
    }

    /// The model is not one that can be asked.
    pub(crate) fn model_not_found(message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::NOT_FOUND, INVALID, "model_not_found", message);
        error.0.param = Some("model".into());
        error
    }

    /// The model's adapter can't serve.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "adapter_unavailable", message)
    }

    /// The adapter is being loaded, and was not ready within the queue time.
    pub(crate) fn loading(adapter: &AdapterId) -> Self {
        let message = format!("the adapter `{adapter}` is still being loaded; `GET /ready` lists what is");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "adapter_loading", message)
            .or_retry_after(Some(HeaderValue::from_static("1")))
    }

    /// No grant is in the reach of the model.
    pub(crate) fn no_grant(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "no_grant", message)
    }

    /// All of a request's models have failed, or none is there, and the policy holds back those that are not local.
    pub(crate) fn cloud_fallback(name: &str, held: &str, last: Self) -> Self {
        let message = format!(
            "no local model of `{name}` answered ({}), and `routing.cloud_fallback.enabled` is `false` in routing.yaml, so \
             `{held}` was not asked",
            last.message
        );
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "cloud_fallback_disabled", message);
        error.0.quotes = last.quotes;
        error.with_retry_after(last.0.retry_after)
    }

    /// The model has failed again and again and is not asked for a while.
    pub(crate) fn circuit_open(message: impl Into<String>, left: Duration) -> Self {
        let seconds = left.as_secs_f64().ceil();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "circuit_open", message)
            .with_retry_after(HeaderValue::try_from(format!("{seconds}")).ok())
    }

    /// The client asks a provider to fetch what the policy does not let its adapter reach.
    pub(crate) fn remote_url(field: String, model: &str) -> Self {
        let message = format!(
            "`{field}` is a URL that no entry of routing.yaml grants for the model `{model}` by GET: send the content itself as a \
             `data:` URL, or ask the operator for an entry that names the model"
        );
        let mut error = Self::new(StatusCode::BAD_REQUEST, INVALID, "remote_url_denied", message);
        error.0.param = Some(field.into());
        error
    }

    /// There is no memory for the body now.
    pub(crate) fn no_room() -> Self {
        let message = "the bodies of other requests take all the memory there is for them (limit `server.buffered_mib`): try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "no_room", message)
            .with_retry_after(Some(HeaderValue::from_static("1")))
    }

    /// The gateway stops.
    pub(crate) fn shutting_down() -> Self {
        let message =
            "the gateway stops, and the answer took longer than it can wait (limit `server.shutdown_seconds`)";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "shutting_down", message)
    }

    /// The body is over the limit.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID, "request_too_large", message)
    }

    /// The body did not come in time.
    pub(crate) fn too_slow(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, INVALID, "body_timeout", message)
    }

    /// Who asks may not.
    pub(crate) fn foreign(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, INVALID, "foreign_origin", message)
    }

    /// There is no key, or it is nobody's any more.
    pub(crate) fn no_key(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, INVALID, NO_KEY, message)
    }

    /// The console is shown to operators only.
    pub(crate) fn no_operator(client: &str) -> Self {
        let message = format!(
            "the console is for operators, and the key `{client}` is none's: its entry in keys.yaml would have to say `operator: true`"
        );
        Self::new(StatusCode::FORBIDDEN, INVALID, "no_operator", message)
    }

    /// As many as may look at the console do.
    pub(crate) fn too_many_viewers(most: usize) -> Self {
        let message = format!(
            "{most} look at the console already, which are the most: close one, or load the page again now and then"
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "too_many_viewers", message)
            .with_retry_after(Some(HeaderValue::from_static("10")))
    }

    /// Too many keys are compared at the moment.
    pub(crate) fn comparing() -> Self {
        let message = "too many keys are compared at the moment: try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, GATEWAY, "comparing_keys", message)
            .with_retry_after(Some(HeaderValue::from_static("1")))
    }

    /// The client has sent as many requests as its key may.
    pub(crate) fn too_many(client: &str, limit: u32, wait: Duration) -> Self {
        let s = if limit == 1 { "" } else { "s" };
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        let message =
            format!("the key `{client}` may send {limit} request{s} in a minute: the next one in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, RATE, "rate_limit_exceeded", message)
            .with_retry_after(HeaderValue::try_from(format!("{seconds}")).ok())
    }

    /// The client has as many requests under way as its key may.
    pub(crate) fn too_many_at_once(client: &str, limit: u32) -> Self {
        let s = if limit == 1 { "" } else { "s" };
        let message = format!("the key `{client}` may have {limit} request{s} at once: wait until one has ended");
        Self::new(StatusCode::TOO_MANY_REQUESTS, RATE, "too_many_at_once", message)
            .with_retry_after(Some(HeaderValue::from_static("1")))
    }

    /// The request is held to local grants, and the model has none, or none that covers what its adapter asked for.
    pub(crate) fn not_local() -> Self {
        let message = "the request is local-only, and no local grant lets the model answer it: use a model \
                       whose `locality` is `local` in `GET /v1/models`; the operator's log names what was denied";
        Self::new(StatusCode::FORBIDDEN, GATEWAY, "not_local", message)
    }

    /// There is nothing at this path.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, INVALID, "not_found", message)
    }

    /// What is at this path does not answer to this method.
    pub(crate) fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, INVALID, "method_not_allowed", message)
    }

    /// What the adapter answered is not what the contract says.
    pub(crate) fn broke_contract(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_broke_contract", message)
    }

    /// The metrics could not be written down.
    pub(crate) fn metrics(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, GATEWAY, "metrics_failed", message)
    }

    /// Says when to come back, unless the error says it already.
    pub(crate) fn or_retry_after(mut self, value: Option<HeaderValue>) -> Self {
        self.0.retry_after = self.0.retry_after.take().or(value);
        self
    }

    fn with_retry_after(mut self, value: Option<HeaderValue>) -> Self {
        self.0.retry_after = value;
        self
    }

    fn with_body(mut self, body: Option<Box<RawValue>>) -> Self {
        self.0.body = body;
        self
    }

    /// Says which of the provider's time-outs it is, where it is one.
    pub(crate) fn timed_out(mut self, which: Option<TimedOut>) -> Self {
        if self.code == UPSTREAM_TIMEOUT {
            self.0.code = match which {
                Some(TimedOut::Connect) => "connect_timeout",
                Some(TimedOut::FirstToken) => "first_token_timeout",
                Some(TimedOut::Idle) => "idle_timeout",
                None => UPSTREAM_TIMEOUT,
            };
        }
        self
    }

    /// The body: the provider's own, if there is one.
    pub(crate) fn body(&self) -> String {
        self.body.as_ref().map(|own| own.get().to_owned()).unwrap_or_else(|| {
            let error = json!({ "message": self.message, "type": self.kind, "param": self.param, "code": self.code });
            json!({ "error": error }).to_string()
        })
    }

    /// What the log may say: code and, if they are the gateway's own words, the message.
    pub(crate) fn cause(&self) -> Cause {
        Cause { code: self.code, message: (!self.quotes).then(|| self.message.clone()) }
    }
}

/// A time-out that only the adapter knows of.
const UPSTREAM_TIMEOUT: &str = "upstream_timeout";
const INVALID: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";
const GATEWAY: &str = "gateway_error";
const RATE: &str = "rate_limit_error";
/// The one code with which the gateway asks for a key.
const NO_KEY: &str = "invalid_api_key";

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        let mut response = (self.status, [(header::CONTENT_TYPE, json)], self.body()).into_response();
        if self.code == NO_KEY {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(value) = self.0.retry_after.clone() {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        // For the log, and for those whose errors have another form.
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Why a request failed, for the log.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) code: &'static str,
    pub(crate) message: Option<String>,
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        let new = |status, kind, code| Self::new(status, kind, code, message.clone());
        match error {
            CallError::Adapter(error) => {
                let mut error = from_adapter(error, message);
                error.0.quotes = true;
                error
            }
            CallError::NotServed(_) => Self::invalid("not_served", Some("model"), message),
            CallError::Busy(_) => new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "adapter_busy")
                .with_retry_after(Some(HeaderValue::from_static("1"))),
            CallError::TotalTimeout(_) => new(StatusCode::GATEWAY_TIMEOUT, GATEWAY, "total_timeout"),
            CallError::ComputedTooLong(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_cpu_limit"),
            CallError::OutOfMemory(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_memory_limit"),
            CallError::HandedOverTooMuch(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_handover_limit"),
            CallError::Trapped(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_trapped"),
        }
    }
}

fn from_adapter(error: AdapterError, message: String) -> ApiError {
    let new = |status, kind, code| ApiError::new(status, kind, code, message.clone());
    match error {
        AdapterError::InvalidRequest(_) => ApiError::invalid("invalid_request", None, message),
        AdapterError::ModelNotFound(_) => ApiError::model_not_found(message),
        AdapterError::Unauthorized(_) => new(StatusCode::BAD_GATEWAY, UPSTREAM, "upstream_unauthorized"),
        AdapterError::RateLimited(limit) => {
            new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded")
                .with_retry_after(limit.retry_after.and_then(|value| HeaderValue::try_from(value).ok()))
                .with_body(own_body(limit.body))
        }
        AdapterError::Upstream(failure) => {
            let status = StatusCode::from_u16(failure.status).ok().filter(StatusCode::is_client_error);
            new(status.unwrap_or(StatusCode::BAD_GATEWAY), UPSTREAM, "upstream_error").with_body(own_body(failure.body))
        }
        AdapterError::Unreachable(_) => new(StatusCode::BAD_GATEWAY, UPSTREAM, "upstream_unreachable"),
        AdapterError::Timeout(_) => new(StatusCode::GATEWAY_TIMEOUT, UPSTREAM, UPSTREAM_TIMEOUT),
        AdapterError::Denied => ApiError::new(
            StatusCode::BAD_GATEWAY,
            GATEWAY,
            "egress_denied",
            "the policy of this gateway does not let the adapter reach its provider; the operator's log says which entry is missing",
        ),
        AdapterError::Internal(_) => new(StatusCode::BAD_GATEWAY, GATEWAY, "adapter_failed"),
    }
}

/// A provider's error body, if it has OpenAI's form: an object whose `error` is an object with a `message`.
fn own_body(body: Option<String>) -> Option<Box<RawValue>> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(body.as_deref()?).ok()?;
    let error: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(members.get("error")?.get()).ok()?;
    if !error.get("message")?.get().starts_with('"') {
        return None;
    }
    RawValue::from_string(body?).ok()
}

#[cfg(test)]
mod tests;
