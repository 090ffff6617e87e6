//! Asks the models of a plan in turn until one answers: with breakers, tries and pauses.

use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::locality;
use crate::plan::Plan;
use crate::question::Question;
use crate::remote_urls::RemoteUrl;
use crate::retry::{Health, Next, Tried};
use crate::telemetry::Attempt;
use crate::view::Served;
use hauski_policy::Locality;
use hauski_runtime::{Call, CallError};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A request and the models that may answer it.
pub(crate) struct Asking<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) plan: &'a Plan<'a>,
    /// What the request asks its provider to fetch, each with the field that asks for it.
    pub(crate) remote_urls: &'a [RemoteUrl],
}

/// What a model answered.
pub(crate) struct Got<'a, T> {
    pub(crate) answer: T,
    pub(crate) served: &'a Served,
    /// True if the attempt was local-only.
    pub(crate) held: bool,
    /// The attempt that it is of, where a collector is named.
    pub(crate) attempt: Option<Attempt>,
}

/// Why a model gave no answer, and whether the next one may be asked.
struct Failed {
    error: ApiError,
    elsewhere: bool,
}

impl<'a> Asking<'a> {
    /// What the first model answers that can.
    ///
    /// # Errors
    /// What the last one said, or which policy holds back those that were not asked.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> Result<Got<'a, Q::Answer>, ApiError> {
        let mut last = None;
        for served in &self.plan.steps {
            if last.is_some() && (self.has_no_time(served) || self.may_not_leave(served)) {
                continue;
            }
            match self.ask_one(served, question).await {
                Ok((answer, attempt)) => return Ok(Got { answer, served, held: self.is_held(served), attempt }),
                Err(failed) if !failed.elsewhere => return Err(failed.error),
                Err(failed) => last = Some(failed.error),
            }
        }
        Err(self.plan.nobody_left(last))
    }

    /// Asks one model as often as its limits allow.
    async fn ask_one<Q: Question>(
        &self,
        served: &Served,
        question: &Q,
    ) -> Result<(Q::Answer, Option<Attempt>), Failed> {
        self.check_urls(served).map_err(|error| Failed { error, elsewhere: true })?;
        let (mut tries, mut last) = (0, None);
        loop {
            let pass = match served.breaker.enter(self.exchange.counted_client()) {
                Ok(pass) => pass,
                // What it has just said tells more than that it is not asked again.
                Err(left) => {
                    return Err(Failed { error: last.unwrap_or_else(|| open(served, left)), elsewhere: true });
                }
            };
            let trace = self.exchange.trace.as_ref();
            let attempt = trace.map(|trace| Attempt::begin(trace, served, self.is_held(served), tries));
            self.exchange.report.attempted(served, self.is_held(served));
            tries += 1;
            let (started, before) = (Instant::now(), self.exchange.progress.answers());
            let error = match question.put(served, self.call(served)).await {
                Ok(answer) => {
                    pass.succeeded();
                    return Ok((answer, attempt));
                }
                Err(error) => error,
            };
            let answered = self.exchange.progress.answers() > before;
            let retry_after = self.exchange.progress.retry_after().filter(|_| answered);
            let tried = Tried { error: &error, answered, retry_after, tries, took: started.elapsed() };
            let ((next, health), come_back) = (tried.judge(), tried.come_back());
            match health {
                Health::Well => pass.succeeded(),
                Health::Ill => pass.failed(),
                Health::Unknown => drop(pass),
            }
            let error = self.explain(error).or_retry_after(come_back);
            if let Some(mut attempt) = attempt {
                attempt.failed(&error);
            }
            match next {
                Next::Again(pause) if tries <= served.adapter.limits().retries => {
                    let metrics = &self.exchange.app.gateway.metrics;
                    metrics.retries.with_label_values(&[&served.model]).inc();
                    last = Some(error);
                    self.exchange.progress.wait_for(pin!(sleep(pause))).await;
                }
                Next::Again(_) | Next::Elsewhere => return Err(Failed { error, elsewhere: true }),
                Next::Tell => return Err(Failed { error, elsewhere: false }),
            }
        }
    }

    /// Whether the time that this model may take of a request is over: it counts from the same begin for all.
    fn has_no_time(&self, served: &Served) -> bool {
        self.exchange.started.elapsed() >= served.adapter.limits().total
    }

    /// Whether the policy that holds by now keeps the request here, whatever it was when it was planned.
    fn may_not_leave(&self, served: &Served) -> bool {
        let began_local = self.plan.steps.first().is_some_and(|first| first.locality == Locality::Local);
        began_local && served.locality == Locality::Cloud && !self.exchange.app.gateway.view().routing.cloud_fallback
    }

    fn explain(&self, error: CallError) -> ApiError {
        locality::explain(error, self.asked_local()).timed_out(self.exchange.progress.timed_out())
    }

    /// What goes with one call.
    fn call(&self, served: &Served) -> Call {
        let exchange = self.exchange;
        Call {
            request_id: exchange.id.0.clone(),
            tenant: exchange.tenant.clone(),
            started: exchange.started.into(),
            progress: exchange.progress.clone(),
            settings: served.settings.clone(),
            scope: served.scope.clone(),
            local_only: self.is_held(served),
            door: Some(exchange.app.door.clone()),
        }
    }

    /// What the answer claims is enforced, also where the policy changes meanwhile.
    fn is_held(&self, served: &Served) -> bool {
        self.asked_local() || served.locality == Locality::Local
    }

    fn asked_local(&self) -> bool {
        self.exchange.local_only || self.plan.local_only
    }

    /// Whether the policy lets this model's adapter fetch what its provider is asked to.
    pub(crate) fn check_urls(&self, served: &Served) -> Result<(), ApiError> {
        let held = self.is_held(served);
        let denied = |one: &&RemoteUrl| !served.adapter.may_fetch(self.plan.egress, &served.scope, &one.url, held);
        match self.remote_urls.iter().find(denied) {
            None => Ok(()),
            Some(one) => Err(ApiError::remote_url(one.field.clone(), &served.model)),
        }
    }

    /// Notes what the gateway itself has taken of the time so far.
    pub(crate) fn observe_added(&self, served: &Served, added: Duration) {
        let histogram = &self.exchange.app.gateway.metrics.added_seconds;
        histogram.with_label_values(&[&*served.adapter.profile().id]).observe(added.as_secs_f64());
    }
}

fn open(served: &Served, left: Duration) -> ApiError {
    let message = format!(
        "the model `{}` has failed again and again, so it is not asked for the next {} ms (limits `breaker_failures`, `breaker_ms`)",
        served.model,
        left.as_millis()
    );
    ApiError::circuit_open(message, left)
}
