//! A client's request on its way: what is read of it before any model is asked.
//!
//! In goes an HTTP request; out come its text, checked, and what its head says of how it is to be answered.

use crate::access::Client;
use crate::app::App;
use crate::body::{self, Buffered};
use crate::error::ApiError;
use crate::observe::RequestId;
use crate::offload::run_sized;
use crate::report::Report;
use crate::telemetry::Trace;
use crate::view::View;
use crate::{json, locality};
use axum::extract::Request;
use hauski_runtime::{Progress, Tenant};
use http::{HeaderMap, HeaderName};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What keeps a client at one of a route's models: requests with the same value go the same way.
const ROUTE_KEY: HeaderName = HeaderName::from_static("x-hauski-route-key");
/// The longest such value.
const KEY_LENGTH: usize = 256;

/// A request whose body is there.
pub(crate) struct Exchange {
    pub(crate) app: App,
    pub(crate) id: RequestId,
    /// When its last byte was there: from here on, time is the gateway's and the provider's.
    pub(crate) started: Instant,
    /// Whether its client wants it to be local-only.
    pub(crate) local_only: bool,
    /// Whose request it is, where keys are asked for.
    client: Option<Arc<Client>>,
    /// The client, as far as others have to be protected from it.
    pub(crate) tenant: Tenant,
    /// The value of `x-hauski-route-key`.
    pub(crate) route_key: Option<String>,
    pub(crate) progress: Progress,
    /// The report of the models that are tried for it.
    pub(crate) report: Report,
    /// What its attempts at models belong to, where a collector is named.
    pub(crate) trace: Option<Trace>,
    /// The size of the body. Some dialects repeat parts of it in their answers.
    pub(crate) body_bytes: usize,
    /// The body's place in memory, held as long as it is needed.
    _buffered: Buffered,
}

impl Exchange {
    /// Reads head and body of `request`; the body is UTF-8 and JSON, without duplicate keys.
    ///
    /// # Errors
    /// What is wrong with either.
    pub(crate) async fn begin(app: App, id: RequestId, request: Request) -> Result<(Self, String), ApiError> {
        let client = request.extensions().get::<Arc<Client>>().cloned();
        let tenant = client.as_ref().map_or_else(Tenant::default, |client| tenant(client, &app));
        let held = client.as_ref().is_some_and(|client| client.local_only());
        let local_only = locality::local_only(request.headers())? || held;
        let route_key = route_key(request.headers())?;
        let trace = request.extensions().get::<Trace>().cloned();
        let report = request.extensions().get::<Report>().cloned().unwrap_or_default();
        let (bytes, buffered) = body::read(request, &app.gateway).await?;
        let (started, progress) = (Instant::now(), Progress::default());
        let body_bytes = bytes.len();
        let text = run_sized(body_bytes, move || json::checked(bytes)).await?;
        let exchange = Self {
            app,
            id,
            started,
            local_only,
            client,
            tenant,
            route_key,
            progress,
            report,
            trace,
            body_bytes,
            _buffered: buffered,
        };
        Ok((exchange, text))
    }

    /// Returns the view to plan a request to `name` with. An adapter that is being loaded is waited for, within its queue time.
    pub(crate) async fn view(&self, name: &str) -> Arc<View> {
        let gateway = &self.app.gateway;
        let view = gateway.view();
        if !self.may_ask(name) || view.loading_for(name).next().is_none() {
            return view;
        }
        self.progress.wait_for(pin!(gateway.view_for(name))).await
    }

    /// What the gateway itself has taken of the time so far.
    pub(crate) fn added(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.progress.waited())
    }

    /// The name of the client, where keys tell it from others: its failures are counted apart.
    pub(crate) fn counted_client(&self) -> Option<Arc<str>> {
        self.tenant.has_others.then(|| self.tenant.name.clone())
    }

    /// Whether the client may ask the model or route with this public name.
    pub(crate) fn may_ask(&self, name: &str) -> bool {
        self.client.as_ref().is_none_or(|client| client.may_ask(name))
    }
}

fn tenant(client: &Client, app: &App) -> Tenant {
    let keyring = app.gateway.access.keyring();
    Tenant { name: client.name.clone(), has_others: keyring.is_some_and(|keyring| keyring.clients().nth(1).is_some()) }
}

fn route_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(ROUTE_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=KEY_LENGTH).contains(&text.len()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(ApiError::invalid(
            "invalid_route_key",
            None,
            format!("`x-hauski-route-key` has to be one value of 1 to {KEY_LENGTH} printable ASCII characters"),
        )),
    }
}
