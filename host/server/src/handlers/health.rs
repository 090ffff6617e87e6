//! `GET /health`: the process runs. `GET /ready`: it can answer requests.

use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

/// Always `ok`.
pub(crate) async fn health() -> &'static str {
    "ok"
}

/// 200 if at least one model can be asked, else 503; says how many, and what could not be loaded.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let gateway = &app.gateway;
    let models = gateway.models_served().count();
    let (status, word) =
        if models > 0 { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "no model can be asked") };
    let adapters = json!({ "loaded": gateway.adapters.iter().count(), "refused": gateway.adapters.refused().len() });
    (status, Json(json!({ "status": word, "models": models, "adapters": adapters }))).into_response()
}
