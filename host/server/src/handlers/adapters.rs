//! `GET /adapters`: what each file of the adapters folder is, imports, and may reach.

use crate::app::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// The audit of all adapters, and the files that are none with their reasons.
pub(crate) async fn adapters(State(app): State<App>) -> Json<Value> {
    let view = app.gateway.view();
    let adapters = &view.adapters;
    let loaded: Vec<_> = adapters.iter().map(|(_, adapter)| adapter.audit(&view.routing.egress)).collect();
    Json(json!({ "adapters": loaded, "refused": adapters.refused() }))
}
