//! `GET /metrics`: Prometheus' text form, version 0.0.4.

use crate::app::App;
use crate::error::ApiError;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

/// All metrics.
pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let text = app.gateway.metrics.render(&app.gateway.adapters).map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "gateway_error", "metrics_failed", error.to_string())
    })?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}
