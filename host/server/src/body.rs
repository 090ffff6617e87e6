//! A client's request body, read within its limits: of its own size and time, and of the memory that all bodies share.

use crate::app::Gateway;
use crate::error::ApiError;
use axum::extract::Request;
use bytes::Bytes;
use hauski_policy::ServerLimits;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// What memory is counted in: a body takes whole pages of it.
const PAGE: usize = 4 << 10;

/// The memory for the bodies of all clients.
pub(crate) struct Room(Arc<Semaphore>);

/// A body's place in that memory; given back on drop.
pub(crate) type Buffered = OwnedSemaphorePermit;

impl Room {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        Self(Arc::new(Semaphore::new(limits.buffered_bytes / PAGE)))
    }

    /// Waits until there is place for so many bytes.
    async fn reserve(&self, bytes: usize, until: Instant) -> Option<Buffered> {
        let pages = u32::try_from(bytes.div_ceil(PAGE)).unwrap_or(u32::MAX);
        timeout_at(until, self.0.clone().acquire_many_owned(pages)).await.ok()?.ok()
    }
}

/// Reads the whole body. One that says beforehand that it is too large is refused before any of it is read; one that does not
/// say how large it is has place made for the largest.
pub(crate) async fn read(request: Request, gateway: &Gateway) -> Result<(Bytes, Buffered), ApiError> {
    let limits = &gateway.limits.server;
    let body = request.into_body();
    let size = body.size_hint();
    if size.lower() > limits.request_bytes as u64 {
        return Err(too_large(limits));
    }
    let until = Instant::now() + limits.request_time;
    let most = size.exact().and_then(|exact| usize::try_from(exact).ok()).unwrap_or(limits.request_bytes);
    let Some(mut buffered) = gateway.room.reserve(most, until).await else { return Err(ApiError::no_room()) };
    let whole = Limited::new(body, limits.request_bytes).collect();
    let bytes = match timeout_at(until, whole).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large(limits)),
        Ok(Err(_)) => return Err(ApiError::invalid("incomplete_body", None, "the body broke off before its end")),
        Err(_) => {
            let message = format!(
                "the body took longer than {} s (limit `server.request_seconds`)",
                limits.request_time.as_secs()
            );
            return Err(ApiError::too_slow(message));
        }
    };
    let unused = buffered.num_permits().saturating_sub(bytes.len().div_ceil(PAGE));
    drop(buffered.split(unused));
    Ok((bytes, buffered))
}

fn too_large(limits: &ServerLimits) -> ApiError {
    let message = format!("the body is larger than {} MiB (limit `server.request_mib`)", limits.request_bytes >> 20);
    ApiError::too_large(message)
}
