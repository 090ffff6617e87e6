//! `GET /config/{routing,limits,models}`: the policies as they hold. Secrets are shown by reference only.

use crate::app::App;
use axum::Json;
use axum::extract::State;
use serde_json::Value;

/// `routing.yaml`.
pub(crate) async fn routing(State(app): State<App>) -> Json<Value> {
    Json(app.gateway.view().routing.to_json())
}

/// `limits.yaml`.
pub(crate) async fn limits(State(app): State<App>) -> Json<Value> {
    Json(app.gateway.limits().to_json())
}

/// `models.yml`.
pub(crate) async fn models(State(app): State<App>) -> Json<Value> {
    Json(app.gateway.view().models.to_json())
}
