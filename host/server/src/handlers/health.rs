//! `GET /health`: the process runs. `GET /ready`: it can answer requests.

use crate::access::Client;
use crate::app::{App, Gateway, Stale};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hauski_egress::os_lock;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Always `ok`.
pub(crate) async fn health() -> &'static str {
    "ok"
}

/// 200 if at least one model can be asked and the ledger takes records, else 503; says how many models there are, what is still being
/// loaded or could not be, and which policy holds. Where there
/// are keys, all but the word is for those who show one.
pub(crate) async fn ready(State(app): State<App>, client: Option<Extension<Arc<Client>>>) -> Response {
    let gateway = &app.gateway;
    let models = gateway.view().names_served().len();
    let adapters = gateway.adapters();
    let loading: Vec<_> = adapters.loading().collect();
    let has_ledger = gateway.egress.ledger().stats().is_none_or(|ledger| ledger.up);
    let (status, word) = match (models, loading.len()) {
        (0, 0) => (StatusCode::SERVICE_UNAVAILABLE, "no model can be asked"),
        (0, _) => (StatusCode::SERVICE_UNAVAILABLE, "adapters are being loaded"),
        _ if !has_ledger => {
            (StatusCode::SERVICE_UNAVAILABLE, "the ledger takes no records, so no request to a provider is let out")
        }
        _ => (StatusCode::OK, "ready"),
    };
    if client.is_none() && gateway.access.keyring().is_some() {
        return (status, Json(json!({ "status": word }))).into_response();
    }
    let (loaded, refused) = (adapters.iter().count(), adapters.refused().len() - loading.len());
    let adapters = json!({
        "loaded": loaded, "loading": loading, "refused": refused, "stale": adapters.stale().is_some(), "lock": lock(gateway),
    });
    let policy = policy(gateway);
    let os_lock = os_lock::in_force().map(os_lock::Enforced::holds);
    let said = json!({
        "status": word, "models": models, "models_file": models_file(gateway), "adapters": adapters, "policy": policy, "keys": keys(gateway),
        "limits": limits(gateway), "tls": tls(gateway), "os_egress_lock": os_lock, "ledger": ledger(gateway),
    });
    (status, Json(said)).into_response()
}

/// Which policy holds, and whether it is what the files say. Of what is wrong with them only the place: anyone may ask.
fn policy(gateway: &Gateway) -> Value {
    let view = gateway.view();
    let stale = gateway.stale().map(told);
    json!({ "generation": view.generation, "loaded": seconds(view.loaded), "stale": stale })
}

/// Returns whether the models are those that the file has.
fn models_file(gateway: &Gateway) -> Value {
    json!({ "stale": gateway.models_file.stale().map(told) })
}

/// Returns whether the limits in force are those of the file, and the keys whose value there needs a restart.
fn limits(gateway: &Gateway) -> Value {
    json!({ "stale": gateway.limits.stale().map(told), "restart_needed": gateway.limits.restart_needed() })
}

/// Returns whether the ledger takes records, and whether its files are still those that were written, unless it is off.
fn ledger(gateway: &Gateway) -> Option<Value> {
    let stats = gateway.egress.ledger().stats()?;
    Some(json!({ "up": stats.up, "intact": stats.intact }))
}

/// How many keys there are, if any are asked for, and whether they are those that the file has.
fn keys(gateway: &Gateway) -> Option<Value> {
    let (keyring, stale) = (gateway.access.keyring(), gateway.access.stale().map(told));
    (keyring.is_some() || stale.is_some())
        .then(|| json!({ "count": keyring.map(|keyring| keyring.clients().count()), "stale": stale }))
}

/// Whether the lock is the one that its file has, where only what was approved serves.
fn lock(gateway: &Gateway) -> Option<Value> {
    gateway.approved.as_ref().map(|approved| json!({ "stale": approved.stale().map(told) }))
}

/// Whether the certificate is the one that its file has, where there is TLS.
fn tls(gateway: &Gateway) -> Option<Value> {
    gateway.tls.as_ref().map(|tls| json!({ "stale": tls.stale().map(told) }))
}

fn told(stale: Stale) -> Value {
    json!({ "since": seconds(stale.since), "problem": stale.problem })
}

/// Seconds of Unix time.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
