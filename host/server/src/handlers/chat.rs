//! `POST /v1/chat/completions`: parse, decide, call, answer.

use crate::app::App;
use crate::chat_request::ChatRequest;
use crate::error::ApiError;
use crate::observe::RequestId;
use crate::view::Served;
use crate::{body, locality, sse};
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hauski_policy::Locality;
use hauski_runtime::Call;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::time::Instant;

const ROUTE: HeaderName = HeaderName::from_static("x-hauski-route");

/// A chat completion, whole or piece by piece.
pub(crate) async fn completions(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let local_only = locality::local_only(request.headers())?;
    let bytes = body::read(request, &app.gateway.limits.server).await?;
    let request = ChatRequest::parse(bytes.into())?;
    let view = app.gateway.view();
    let served = view.route(&request.model)?;
    let stream = request.stream;
    let text = request.for_provider(&served.upstream);
    let (request_id, settings, door) = (id.0.clone(), served.settings.clone(), Some(app.door.clone()));
    let asked = local_only || view.routing.egress.local_only;
    // What the answer claims is enforced, also where the policy changes meanwhile.
    let held = asked || served.locality == Locality::Local;
    let call = Call { request_id, settings, local_only: held, door };
    let explain = |error| locality::explain(error, asked);
    if !stream {
        let answer = served.adapter.complete(call, text).await.map_err(explain)?;
        sse::check_json(&answer)?;
        return Ok((headers(served, held, "application/json"), answer).into_response());
    }
    let mut reply = served.adapter.start(call, text).await.map_err(explain)?;
    // The first chunks decide the status: what fails before them is an HTTP error, not a broken stream.
    let first = reply.next().await.map_err(explain)?.map(|chunks| sse::events(&chunks)).transpose()?;
    let metrics = &app.gateway.metrics;
    let took = started.elapsed().as_secs_f64();
    metrics.first_token_seconds.with_label_values(&[&*served.adapter.profile().id]).observe(took);
    Ok((headers(served, held, "text/event-stream"), sse::body(first, reply, id)).into_response())
}

/// The answer's headers: its type, which adapter gave it, and whether the prompt stayed on this machine.
fn headers(served: &Served, held: bool, content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ROUTE, if held { &served.local_route } else { &served.route }.clone());
    headers
}
