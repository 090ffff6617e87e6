//! A client's request body, read within its limits.

use crate::error::ApiError;
use axum::extract::Request;
use bytes::Bytes;
use hauski_policy::ServerLimits;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// Reads the whole body. One that says beforehand that it is too large is refused before any of it is read.
pub(crate) async fn read(request: Request, limits: &ServerLimits) -> Result<Bytes, ApiError> {
    let body = request.into_body();
    if body.size_hint().lower() > limits.request_bytes as u64 {
        return Err(too_large(limits));
    }
    let whole = Limited::new(body, limits.request_bytes).collect();
    match tokio::time::timeout(limits.request_time, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limits)),
        Ok(Err(_)) => Err(ApiError::invalid("incomplete_body", None, "the body broke off before its end")),
        Err(_) => {
            let message = format!(
                "the body took longer than {} s (limit `server.request_seconds`)",
                limits.request_time.as_secs()
            );
            Err(ApiError::too_slow(message))
        }
    }
}

fn too_large(limits: &ServerLimits) -> ApiError {
    let message = format!("the body is larger than {} MiB (limit `server.request_mib`)", limits.request_bytes >> 20);
    ApiError::too_large(message)
}
