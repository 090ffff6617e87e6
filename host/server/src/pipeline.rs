//! The way of a request whose body is understood: plan, ask, answer.
//!
//! In goes a chat request with its client's dialect; out comes a response, whole or piece by piece. Models are asked in the
//! order of the plan until one answers; from its first chunk on the answer is that model's, whatever happens.

use crate::ask::{Asking, Got};
use crate::chat_request::ChatRequest;
use crate::console::Measure;
use crate::dialect::Answer;
use crate::embedding_request::EmbeddingRequest;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::json;
use crate::normalise::Normaliser;
use crate::observe::fresh_id;
use crate::offload::run_sized;
use crate::plan::Plan;
use crate::question::{Embedded, Streamed, Whole};
use crate::sse::{self, Streaming};
use crate::tally::Tally;
use crate::view::Served;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use hauski_runtime::{self as runtime, AnswerPlace};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::time::{Duration, Instant};

const ROUTE: HeaderName = HeaderName::from_static("x-hauski-route");

/// Answers a chat request.
pub(crate) async fn chat(
    exchange: Exchange,
    request: &ChatRequest,
    mut answer: Box<dyn Answer>,
) -> Result<Response, ApiError> {
    answer.named(&fresh_id());
    let view = exchange.view(&request.model).await;
    exchange.report.requested(&view, &request.model, request.stream);
    let plan = Plan::of(&view, &exchange, &request.model, request.key.as_deref())?;
    let asking = Asking { exchange: &exchange, plan: &plan, remote_urls: &request.remote_urls };
    if request.stream { streamed(&asking, request, answer).await } else { whole(&asking, request, answer).await }
}

/// Answers an embeddings request.
pub(crate) async fn embed(exchange: Exchange, request: &EmbeddingRequest) -> Result<Response, ApiError> {
    let view = exchange.view(&request.model).await;
    exchange.report.requested(&view, &request.model, false);
    let plan = Plan::of(&view, &exchange, &request.model, request.key.as_deref())?;
    let asking = Asking { exchange: &exchange, plan: &plan, remote_urls: &request.remote_urls };
    let mut got = asking.ask(&Embedded(request)).await?;
    let mut tally = tally(&asking, &mut got);
    let normaliser = normaliser(&asking, &got, 0);
    let headers = headers(&got, "application/json");
    let runtime::Whole { text, place } = got.answer;
    let bytes = text.len();
    let read = move || {
        tally.note(&text);
        let text = normaliser.whole(text);
        tally.end(&text);
        // The place goes with the text, also where nobody waits for it any more.
        (text, tally, place)
    };
    let (text, tally, place) = run_sized(bytes, read).await;
    observe_added(&asking, got.served, &tally);
    Ok((headers, placed(text?, place)).into_response())
}

/// Asks for a whole answer.
async fn whole(asking: &Asking<'_>, request: &ChatRequest, mut answer: Box<dyn Answer>) -> Result<Response, ApiError> {
    let mut got = asking.ask(&Whole(request)).await?;
    let mut tally = tally(asking, &mut got);
    let normaliser = normaliser(asking, &got, request.choices);
    let headers = headers(&got, "application/json");
    let runtime::Whole { text, place } = got.answer;
    let bytes = text.len() + asking.exchange.body_bytes;
    let read = move || {
        let bounds = if answer.reads_values() { json::check_answer(&text) } else { Ok(()) };
        let text = bounds.and_then(|()| {
            tally.note(&text);
            answer.whole(normaliser.whole(text)?)
        });
        tally.end(&text);
        (text, tally, place)
    };
    let (text, tally, place) = run_sized(bytes, read).await;
    let added = observe_added(asking, got.served, &tally);
    if text.is_ok() {
        asking.exchange.app.gateway.metrics.pace.count(Measure::Added, added);
    }
    Ok((headers, placed(text?, place)).into_response())
}

/// An answer's text as a body that keeps its place in memory until the client has it.
fn placed(text: String, place: AnswerPlace) -> Bytes {
    struct Placed {
        text: String,
        _place: AnswerPlace,
    }
    impl AsRef<[u8]> for Placed {
        fn as_ref(&self) -> &[u8] {
            self.text.as_bytes()
        }
    }
    Bytes::from_owner(Placed { text, _place: place })
}

/// Asks for an answer piece by piece. The first chunks decide the status: what fails before them is an HTTP error, and another
/// model's turn.
async fn streamed(asking: &Asking<'_>, request: &ChatRequest, answer: Box<dyn Answer>) -> Result<Response, ApiError> {
    let mut got = asking.ask(&Streamed(request)).await?;
    let exchange = asking.exchange;
    let took = exchange.started.elapsed();
    let headers = headers(&got, "text/event-stream");
    let (mut tally, normaliser) = (tally(asking, &mut got), normaliser(asking, &got, request.choices));
    let (reply, first) = got.answer;
    if first.is_some() {
        let seconds = &exchange.app.gateway.metrics.first_token_seconds;
        let histogram = seconds.with_label_values(&[&*got.served.adapter.profile().id]);
        histogram.observe(took.as_secs_f64());
        exchange.app.gateway.metrics.pace.count(Measure::FirstToken, took);
        tally.first_token();
    }
    let streaming = Box::new(Streaming {
        reply,
        normaliser,
        answer,
        tally,
        id: exchange.id.clone(),
        progress: exchange.progress.clone(),
        cut: exchange.app.cut.clone(),
        last: Instant::now(),
        turns: 0,
        unsaid: exchange.body_bytes,
        bytes: exchange.body_bytes,
    });
    let (mut streaming, first) = match first {
        Some(chunks) => {
            let (streaming, events) = streaming.events(chunks).await;
            (streaming, events.map(Some))
        }
        None => (streaming, Ok(None)),
    };
    let added = observe_added(asking, got.served, &streaming.tally);
    match &first {
        Ok(_) => exchange.app.gateway.metrics.pace.count(Measure::Added, added),
        Err(_) => streaming.tally.end(&first),
    }
    Ok((headers, sse::body(first?, streaming).await?).into_response())
}

/// Notes what the gateway itself has taken, now that the answer is there, and returns it.
fn observe_added(asking: &Asking<'_>, served: &Served, tally: &Tally) -> Duration {
    let added = asking.exchange.added();
    asking.observe_added(served, added);
    tally.added(added);
    added
}

/// Counts what the answer takes, to its end.
fn tally<T>(asking: &Asking<'_>, got: &mut Got<'_, T>) -> Tally {
    let exchange = asking.exchange;
    let metrics = exchange.app.gateway.metrics.clone();
    Tally::new(metrics, &got.served.model, exchange.report.clone(), got.attempt.take())
}

/// Brings the answer into its form. Who asked for a route is told which model it is from.
fn normaliser<T>(asking: &Asking<'_>, got: &Got<'_, T>, choices: usize) -> Normaliser {
    Normaliser::new(asking.plan.is_route.then_some(&*got.served.model), choices)
}

/// The answer's headers: its type, which model and adapter gave it, and whether the prompt stayed on this machine.
fn headers<T>(got: &Got<'_, T>, content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ROUTE, if got.held { &got.served.local_route } else { &got.served.route }.clone());
    headers
}
