//! `GET /metrics`: Prometheus' text form, version 0.0.4.

use crate::app::App;
use crate::error::ApiError;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

/// All metrics.
pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let gateway = &app.gateway;
    gateway.metrics.policy_stale.set(gateway.any_stale().is_some().into());
    let tls_stale = gateway.tls.as_ref().is_some_and(|tls| tls.stale().is_some());
    gateway.metrics.tls_stale.set(tls_stale.into());
    let text = app
        .gateway
        .metrics
        .render(&app.gateway.view(), &app.gateway.breakers)
        .map_err(|error| ApiError::metrics(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}
