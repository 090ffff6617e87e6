//! Which path goes to which handler.

use crate::app::App;
use crate::dialect::{Understand, chat, completions, messages, responses};
use crate::error::ApiError;
use crate::handlers::{adapters, answers, config, health, metrics, models};
use crate::{observe, origin};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use http::{Method, Uri};

/// The routes of one worker. What shows the configuration is not there unless it is asked for and the bind is loopback.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/models", get(models::models))
        .route("/v1/models/{*id}", get(models::model))
        .route("/v1/chat/completions", asks(chat::understand))
        .route("/v1/completions", asks(|body| completions::understand(&body)?.parse()))
        .route("/v1/responses", asks(|body| responses::understand(&body)?.parse()))
        .route("/v1/messages", asks(|body| messages::understand(&body)?.parse()))
        .route("/v1/embeddings", post(answers::embeddings));
    if app.gateway.expose_config {
        router = router
            .route("/config/routing", get(config::routing))
            .route("/config/limits", get(config::limits))
            .route("/config/models", get(config::models))
            .route("/adapters", get(adapters::adapters));
    }
    router
        .fallback(async |uri: Uri| not_found(&uri))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| not_allowed(&method, &uri))
        .layer(from_fn(origin::check))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

/// Asks a model in the dialect that `understand` reads.
fn asks(understand: Understand) -> MethodRouter<App> {
    post(async move |state, id, request| answers::chat((state, id, request), understand).await)
}

fn not_found(uri: &Uri) -> ApiError {
    let message = format!("there is nothing at `{}`", uri.path());
    ApiError::not_found(message)
}

fn not_allowed(method: &Method, uri: &Uri) -> ApiError {
    let message = format!("`{}` does not answer to {method}", uri.path());
    ApiError::method_not_allowed(message)
}
