//! `GET /v1/models`: the models that can be asked now.

use crate::app::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::time::UNIX_EPOCH;

/// OpenAI's list of models; `hauski` says what answers and whether the prompt stays on this machine.
pub(crate) async fn models(State(app): State<App>) -> Json<Value> {
    let (gateway, view) = (&app.gateway, app.gateway.view());
    let created = gateway.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let entry = |model: &hauski_policy::Model| {
        let served = view.served(&model.id)?;
        let profile = served.adapter.profile();
        Some(json!({
            "id": model.id, "object": "model", "created": created, "owned_by": profile.id,
            "hauski": { "adapter": profile.id, "digest": profile.digest, "locality": served.locality.as_str() },
        }))
    };
    let data: Vec<_> = gateway.models.iter().filter_map(entry).collect();
    Json(json!({ "object": "list", "data": data }))
}
