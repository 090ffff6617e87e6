//! Looks of the gateway's own at whether providers can be used, where the limits ask for them (`probe_seconds`).
//!
//! In goes the view of the moment; out come successes and failures for the breakers, so that a model that is down is known to be
//! before a request meets it, and one that is up again is asked again. A look asks the adapter for its provider's models.

use crate::app::{App, Gateway};
use crate::retry::{Health, Tried};
use crate::view::Served;
use hauski_egress::Door;
use hauski_policy::Locality;
use hauski_runtime::{AdapterError, Call, CallError, Progress, Tenant};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

/// How often it is seen whose look is due.
const TICK: Duration = Duration::from_millis(500);
/// How long a provider may take to say which models it has.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at each model whenever that is due, for ever.
pub(crate) async fn look(app: App) {
    // When each was looked at last; none while that goes on. One that hangs holds up no other.
    let mut last: BTreeMap<Box<str>, Option<Instant>> = BTreeMap::new();
    let mut looks = JoinSet::new();
    let mut ticks = interval(TICK);
    loop {
        let now = tokio::select! {
            now = ticks.tick() => now,
            Some(Ok(looked)) = looks.join_next() => {
                last.insert(looked, Some(Instant::now()));
                continue;
            }
        };
        let view = app.gateway.view();
        for served in view.all_served() {
            let Some(every) = served.adapter.limits().probe else { continue };
            let is_due = |last: &Option<Instant>| last.is_some_and(|last| now.duration_since(last) >= every);
            if last.get(&served.model).is_none_or(is_due) {
                last.insert(served.model.clone(), None);
                let (app, view, model) = (app.clone(), view.clone(), served.model.clone());
                looks.spawn(async move {
                    if let Some(served) = view.served(&model) {
                        ask(&app, served).await;
                    }
                    model
                });
            }
        }
    }
}

/// A call on the gateway's own account, on behalf of a model and within its reach.
fn call(served: &Served, id: &str, progress: &Progress, door: &Arc<Door>) -> Call {
    Call {
        request_id: id.into(),
        tenant: Tenant { name: id.into(), has_others: false },
        started: Instant::now(),
        progress: progress.clone(),
        settings: served.settings.clone(),
        scope: served.scope.clone(),
        local_only: served.locality == Locality::Local,
        door: Some(door.clone()),
    }
}

/// The answer of a model's provider to the question for its models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderReport {
    /// The public name of the model on whose behalf it was asked.
    pub model: Box<str>,
    /// The name by which the provider knows the model.
    pub upstream: Box<str>,
    /// The ids of the models that the provider lists, or why there is no list.
    pub listed: Result<Vec<String>, ProviderError>,
}

/// A failure to get the list of models from a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ProviderError {
    /// The kind of failure, on which the remedy depends.
    pub kind: ProviderErrorKind,
    /// The failure in words.
    pub reason: String,
}

/// The kinds of failure to get the list of models from a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderErrorKind {
    /// The policy denied the request for the list.
    Denied,
    /// The provider rejected the credentials.
    Credentials,
    /// The provider knows no such path.
    NotFound,
    /// The provider could not be reached, or did not answer in time.
    NoConnection,
    /// Any other failure, such as an answer that is no list.
    Other,
}

impl From<&CallError> for ProviderErrorKind {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::Adapter(AdapterError::Denied) => Self::Denied,
            CallError::Adapter(AdapterError::Unauthorized(_)) => Self::Credentials,
            CallError::Adapter(AdapterError::ModelNotFound(_)) => Self::NotFound,
            CallError::Adapter(AdapterError::Upstream(failure)) if matches!(failure.status, 404 | 405) => {
                Self::NotFound
            }
            CallError::Adapter(AdapterError::Unreachable(_) | AdapterError::Timeout(_))
            | CallError::TotalTimeout(_) => Self::NoConnection,
            _ => Self::Other,
        }
    }
}

impl ProviderErrorKind {
    /// Returns the kind as a stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Credentials => "credentials",
            Self::NotFound => "not-found",
            Self::NoConnection => "no-connection",
            Self::Other => "other",
        }
    }
}

/// Asks the provider of each model that is offered for its models, one after the other, within the model's reach. `before` is called
/// with the name of each model.
///
/// The ledger has to be open: without a record, nothing is sent.
pub async fn ask_providers(gateway: &Gateway, before: &mut dyn FnMut(&str)) -> Vec<ProviderReport> {
    let (view, door) = (gateway.view(), Arc::new(Door::new(gateway.egress.clone())));
    let mut reports = Vec::new();
    for served in view.all_served() {
        before(&served.model);
        let call = call(served, "check", &Progress::default(), &door);
        let listed = match timeout(PATIENCE, served.adapter.models(call)).await {
            Ok(Ok(models)) => Ok(models.iter().filter_map(|model| id(model)).collect()),
            Ok(Err(error)) => Err(ProviderError { kind: ProviderErrorKind::from(&error), reason: error.to_string() }),
            Err(_) => {
                let reason = format!("no answer within {} s", PATIENCE.as_secs());
                Err(ProviderError { kind: ProviderErrorKind::NoConnection, reason })
            }
        };
        let (model, upstream) = (served.model.clone(), served.upstream.clone());
        reports.push(ProviderReport { model, upstream, listed });
    }
    reports
}

/// The id of an entry of a provider's list.
fn id(entry: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Entry {
        id: String,
    }
    serde_json::from_str::<Entry>(entry).ok().map(|entry| entry.id)
}

/// Asks for the provider's models, and tells the breaker.
async fn ask(app: &App, served: &Served) {
    let progress = Progress::default();
    let call = call(served, "probe", &progress, &app.door);
    let health = match timeout(PATIENCE, served.adapter.models(call)).await {
        Ok(Ok(_)) => Health::Well,
        Ok(Err(error)) => found(&error, &progress),
        // Its turn may not have come: requests that wait find out.
        Err(_) if !progress.began() => Health::Unknown,
        Err(_) => Health::Ill,
    };
    let (model, metrics) = (&*served.model, &app.gateway.metrics);
    match health {
        Health::Well => served.breaker.looked_well(),
        Health::Ill => served.breaker.looked_ill(),
        // Such as where no entry covers the list of models: requests find out.
        Health::Unknown => {}
    }
    metrics.probes.with_label_values(&[model, health.as_str()]).inc();
}

/// What a look that failed says of the provider. One that only refuses to tell its models may answer, and may not.
fn found(error: &CallError, progress: &Progress) -> Health {
    let (answered, retry_after) = (progress.answers() > 0, progress.retry_after());
    let tried = Tried { error, answered, retry_after, tries: 1, took: PATIENCE };
    match tried.judge().1 {
        Health::Ill => Health::Ill,
        Health::Well | Health::Unknown => Health::Unknown,
    }
}
