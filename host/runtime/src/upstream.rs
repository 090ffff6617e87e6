//! The import `upstream`: the lean way to the egress door.

use crate::bindings::hauski::adapter::model_types::Error;
use crate::bindings::hauski::adapter::upstream::{Host, HostResponse, Request};
use crate::sends::Held;
use crate::state::State;
use hauski_egress::{Ask, Destination, DnsError, EgressError, OutboundBody, Timeouts, headers};
use std::pin::pin;
use std::time::Duration;
use wasmtime::component::Resource;

/// A provider's answer in a guest's hands.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Response {
    inner: hauski_egress::Response,
    /// Its place among the answers that a request may hold at once.
    _held: Held,
}

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Resource<Response>, Error>> {
        Ok(match send(self, request).await {
            Ok(response) => Ok(self.table.push(response)?),
            Err(error) => Err(error),
        })
    }
}

async fn send(state: &mut State, mut request: Request) -> Result<Response, Error> {
    let door = state.call.door.as_ref().ok_or(Error::Denied)?;
    let held = state.sends.begin().map_err(|too_many| Error::Internal(too_many.to_string()))?;
    let body = state
        .sends
        .body(std::mem::take(&mut request.body))
        .map_err(|too_many| Error::Internal(too_many.to_string()))?;
    let ask = Ask {
        request_id: &state.call.request_id,
        scope: &state.call.scope,
        method: &request.method,
        to: Destination::Url(&request.url),
        local_only: state.call.local_only,
        timeouts: timeouts(&request, state.deadline),
    };
    let progress = &state.call.progress;
    let noted = |error| {
        progress.failed(&error);
        mask(error)
    };
    let permit = progress.wait_for(pin!(door.permit(&state.caller, ask))).await.map_err(noted)?;
    let fields = headers::from_pairs(request.headers).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    let body = OutboundBody::Whole(body);
    let inner = progress.wait_for(pin!(door.send(permit, fields, body))).await.map_err(noted)?;
    progress.answered(&inner.headers);
    Ok(Response { inner, _held: held })
}

fn timeouts(request: &Request, deadline: tokio::time::Instant) -> Timeouts {
    let millis = |ms: Option<u32>| ms.map(|ms| Duration::from_millis(ms.into()));
    let wanted = request.timeouts.as_ref();
    Timeouts {
        connect: millis(wanted.and_then(|t| t.connect_ms)),
        first_byte: millis(wanted.and_then(|t| t.first_byte_ms)),
        idle: millis(wanted.and_then(|t| t.idle_ms)),
        deadline: Some(deadline),
    }
}

impl HostResponse for State {
    fn status(&mut self, response: Resource<Response>) -> wasmtime::Result<u16> {
        Ok(self.table.get(&response)?.inner.status.as_u16())
    }

    fn header(&mut self, response: Resource<Response>, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        let headers = &self.table.get(&response)?.inner.headers;
        Ok(headers.get_all(&name).iter().map(|value| value.as_bytes().to_vec()).collect())
    }

    fn headers(&mut self, response: Resource<Response>) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        let headers = &self.table.get(&response)?.inner.headers;
        Ok(headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect())
    }

    async fn read(&mut self, response: Resource<Response>) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let progress = &self.call.progress;
        let response = self.table.get_mut(&response)?;
        Ok(progress.wait_for(pin!(response.inner.body.read())).await.map(|piece| piece.map(Vec::from)).map_err(
            |error| {
                progress.failed(&error);
                mask(error)
            },
        ))
    }

    fn drop(&mut self, response: Resource<Response>) -> wasmtime::Result<()> {
        // What the guest drops it is done with; what a request that was cancelled leaves behind is closed at once.
        self.table.delete(response)?.inner.body.release();
        Ok(())
    }
}

/// What a guest may know of an error: enough to tell its client, nothing of addresses, and of a denial only that it is one.
fn mask(error: EgressError) -> Error {
    let text = |text: &str| text.to_owned();
    match error {
        EgressError::Denied(_) | EgressError::Withdrawn => Error::Denied,
        EgressError::InvalidRequest(error) => Error::InvalidRequest(error.to_string()),
        EgressError::Upload(error) => Error::InvalidRequest(error.to_string()),
        // Nobody is there any more to be told.
        EgressError::Abandoned => Error::Internal(text("given up")),
        EgressError::Unrecorded(_) => Error::Internal(text("the gateway can't record the request")),
        EgressError::SecretMissing { .. } => Error::Internal(text("the gateway's key for this provider is not loaded")),
        EgressError::Dns(DnsError::Timeout) | EgressError::ConnectTimeout => {
            Error::Timeout(text("no connection in time"))
        }
        EgressError::FirstByteTimeout => Error::Timeout(text("no answer in time")),
        EgressError::IdleTimeout => Error::Timeout(text("the answer stalled")),
        EgressError::TotalTimeout => Error::Timeout(text("the request's total time is over")),
        EgressError::Dns(_) => Error::Unreachable(text("the provider's name has no usable address")),
        EgressError::Connect(_) => Error::Unreachable(text("no connection could be made")),
        EgressError::Tls(_) => Error::Unreachable(text("no trusted TLS connection could be made")),
        EgressError::Broken(_) => Error::Unreachable(text("the connection broke")),
        EgressError::Unreadable => Error::Unreachable(text("the answer is encoded, which was not asked for")),
        EgressError::SwitchingProtocols | EgressError::ResponseHead => {
            Error::Unreachable(text("the answer's head is not acceptable"))
        }
        EgressError::ResponseTooLarge { limit } => {
            Error::Unreachable(format!("the answer is larger than {limit} bytes (limit `response_mib`)"))
        }
    }
}
