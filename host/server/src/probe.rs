//! Looks of the gateway's own at whether providers can be used, where the limits ask for them (`probe_seconds`).
//!
//! In goes the view of the moment; out come successes and failures for the breakers, so that a model that is down is known to be
//! before a request meets it, and one that is up again is asked again. A look asks the adapter for its provider's models.

use crate::app::App;
use crate::retry::{Health, Tried};
use crate::view::Served;
use hauski_policy::Locality;
use hauski_runtime::{Call, CallError, Progress};
use std::collections::BTreeMap;
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

/// Asks for the provider's models, and tells the breaker.
async fn ask(app: &App, served: &Served) {
    let progress = Progress::default();
    let call = Call {
        request_id: "probe".into(),
        tenant: "probe".into(),
        started: Instant::now(),
        progress: progress.clone(),
        settings: served.settings.clone(),
        scope: served.scope.clone(),
        local_only: served.locality == Locality::Local,
        door: Some(app.door.clone()),
    };
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
