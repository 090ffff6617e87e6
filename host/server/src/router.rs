//! Which path goes to which handler.

use crate::app::App;
use crate::dialect::{Understand, chat, completions, messages, responses};
use crate::error::ApiError;
use crate::handlers::{adapters, answers, config, health, metrics, models, openapi, root};
use crate::{access, console, form, observe};
use axum::Router;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use http::{Method, Uri};

/// A route: what answers at a path, and to which method.
pub(crate) struct Entry {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a `MethodRouter` does not tell its methods; tests compare them")
    )]
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    answers: MethodRouter<App>,
}

/// The routes that are always there.
pub(crate) fn always() -> Vec<Entry> {
    vec![
        shows("/", root::root),
        shows("/health", health::health),
        shows("/ready", health::ready),
        shows("/metrics", metrics::metrics),
        shows("/openapi.json", openapi::openapi),
        shows("/v1/models", models::models),
        shows("/v1/models/{*id}", models::model),
        asks("/v1/chat/completions", chat::understand),
        asks("/v1/completions", |body| completions::understand(&body)?.parse()),
        asks("/v1/responses", |body| responses::understand(&body)?.parse()),
        asks("/v1/messages", |body| messages::understand(&body)?.parse()),
        Entry { method: Method::POST, path: "/v1/messages/count_tokens", answers: post(answers::count_tokens) },
        Entry { method: Method::POST, path: "/v1/embeddings", answers: post(answers::embeddings) },
    ]
}

/// Those that show the configuration.
pub(crate) fn on_request() -> Vec<Entry> {
    vec![
        shows("/config/routing", config::routing),
        shows("/config/limits", config::limits),
        shows("/config/models", config::models),
        shows("/adapters", adapters::adapters),
    ]
}

/// The routes of one worker. What shows the configuration is not there unless it is asked for and the bind is loopback.
pub(crate) fn router(app: App) -> Router {
    let shown = if app.gateway.expose_config { on_request() } else { Vec::new() };
    let routes = always().into_iter().chain(shown).chain(console::routes());
    let router = routes.fold(Router::new(), |router, entry| router.route(entry.path, entry.answers));
    router
        .fallback(async |uri: Uri| not_found(&uri))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| not_allowed(&method, &uri))
        .layer(from_fn_with_state(app.clone(), access::admit))
        .layer(from_fn(form::errors))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

/// Shows something.
pub(crate) fn shows<T: 'static>(path: &'static str, handler: impl Handler<T, App>) -> Entry {
    Entry { method: Method::GET, path, answers: get(handler) }
}

/// Asks a model in the dialect that `understand` reads.
fn asks(path: &'static str, understand: Understand) -> Entry {
    let answers = post(async move |state, id, request| answers::chat((state, id, request), understand).await);
    Entry { method: Method::POST, path, answers }
}

fn not_found(uri: &Uri) -> ApiError {
    let message = format!("there is nothing at `{}`", uri.path());
    ApiError::not_found(message)
}

fn not_allowed(method: &Method, uri: &Uri) -> ApiError {
    let message = format!("`{}` does not answer to {method}", uri.path());
    ApiError::method_not_allowed(message)
}
