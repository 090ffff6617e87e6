//! What asks a model: `POST /v1/chat/completions`, `/v1/completions`, `/v1/responses`, `/v1/messages` and `/v1/embeddings`; and what
//! counts a request without asking: `/v1/messages/count_tokens`.

use crate::app::App;
use crate::ask::Asking;
use crate::dialect::{Understand, messages};
use crate::embedding_request::EmbeddingRequest;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::observe::RequestId;
use crate::offload::run_sized;
use crate::pipeline;
use crate::plan::Plan;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::{Value, json};
use tokio::sync::watch;

/// A handler's arguments.
type Asked = (State<App>, Extension<RequestId>, Request);

/// An answer of a model in the dialect that `understand` reads, whole or piece by piece.
pub(crate) async fn chat(
    (State(app), Extension(id), request): Asked,
    understand: Understand,
) -> Result<Response, ApiError> {
    until_cut(app.cut.clone(), async {
        let (exchange, body) = Exchange::begin(app, id, request).await?;
        let (request, answer) = run_sized(body.len(), move || understand(body)).await?;
        pipeline::chat(exchange, &request, answer).await
    })
    .await
}

/// The embeddings of a text or several.
pub(crate) async fn embeddings(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, ApiError> {
    until_cut(app.cut.clone(), async {
        let (exchange, body) = Exchange::begin(app, id, request).await?;
        let request = run_sized(body.len(), move || EmbeddingRequest::parse(body)).await?;
        pipeline::embed(exchange, &request).await
    })
    .await
}

/// An estimate of the tokens that a request for a message would take. Nobody is asked.
pub(crate) async fn count_tokens(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let (exchange, body) = Exchange::begin(app, id, request).await?;
    let (request, tokens) = run_sized(body.len(), move || messages::count(&body)).await?;
    let view = exchange.view(&request.model).await;
    let plan = Plan::of(&view, &exchange, &request.model, request.key.as_deref())?;
    // What would be refused is refused here as well.
    let asking = Asking { exchange: &exchange, plan: &plan, remote_urls: &request.remote_urls };
    plan.steps.iter().try_for_each(|served| asking.check_urls(served))?;
    Ok(Json(json!({ "input_tokens": tokens })))
}

/// What `answer` gives, unless the gateway stops and can wait no longer.
async fn until_cut(
    mut cut: watch::Receiver<bool>,
    answer: impl Future<Output = Result<Response, ApiError>>,
) -> Result<Response, ApiError> {
    tokio::select! {
        biased;
        answer = answer => answer,
        _ = cut.wait_for(|cut| *cut) => Err(ApiError::shutting_down()),
    }
}
