//! `GET /health`: the process runs. `GET /ready`: it can answer requests.

use crate::app::{App, Gateway};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hauski_egress::os_lock;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Always `ok`.
pub(crate) async fn health() -> &'static str {
    "ok"
}

/// 200 if at least one model can be asked, else 503; says how many, and what could not be loaded, and which policy holds.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let gateway = &app.gateway;
    let models = gateway.names_served(&gateway.view()).len();
    let (status, word) =
        if models > 0 { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "no model can be asked") };
    let adapters = json!({ "loaded": gateway.adapters.iter().count(), "refused": gateway.adapters.refused().len() });
    let policy = policy(gateway);
    let os_lock = os_lock::in_force().map(os_lock::Enforced::holds);
    let said = json!({
        "status": word, "models": models, "adapters": adapters, "policy": policy, "os_egress_lock": os_lock,
    });
    (status, Json(said)).into_response()
}

/// Which policy holds, and whether it is what the files say. Of what is wrong with them only the place: anyone may ask.
fn policy(gateway: &Gateway) -> Value {
    let view = gateway.view();
    let stale = gateway.stale().map(|stale| json!({ "since": seconds(stale.since), "problem": stale.problem }));
    json!({ "generation": view.generation, "loaded": seconds(view.loaded), "stale": stale })
}

/// Seconds of Unix time.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
