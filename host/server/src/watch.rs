//! The egress door's observer: what adapters ask for, as metrics, and failures in the log. Denials the door logs itself.
//!
//! Labels are bounded: a destination is named only if a grant names it; all others are `unlisted`. The log names what the ledger
//! names: of a request that was allowed, the path is its grant's.

use crate::console::Denials;
use crate::metrics::Metrics;
use hauski_egress::{Asked, Decision, DnsError, EgressError, End, Exchange, Observer, Usages, Verdict};
use hauski_policy::{Egress, Grant, Target};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Counts decisions and exchanges.
pub(crate) struct Watch {
    metrics: Arc<Metrics>,
    /// What the console shows of denials.
    pub(crate) denials: Denials,
    /// The destinations that the policy of this moment names.
    listed: RwLock<BTreeSet<String>>,
    /// What each adapter has asked for since the start.
    usages: Mutex<Usages>,
}

const UNLISTED: &str = "unlisted";

impl Watch {
    pub(crate) fn new(metrics: Arc<Metrics>, egress: &Egress) -> Self {
        let usages = Mutex::default();
        let watch = Self { metrics, denials: Denials::default(), listed: RwLock::default(), usages };
        watch.list(egress);
        watch
    }

    /// Names the destinations of a new policy.
    pub(crate) fn list(&self, egress: &Egress) {
        let name = |grant: &Arc<Grant>| destination(&grant.scheme.as_str(), &grant.host, grant.port);
        let listed = egress.grants.iter().map(name).collect();
        *self.listed.write().unwrap_or_else(PoisonError::into_inner) = listed;
    }

    /// What each adapter has asked for since the start.
    pub(crate) fn usages(&self) -> Usages {
        self.counted().clone()
    }

    /// Counts the limit that an error is of.
    fn hit(&self, adapter: &str, error: &EgressError) {
        if let Some(limit) = limit(error) {
            self.metrics.limit_hits.with_label_values(&[adapter, limit]).inc();
        }
    }

    fn counted(&self) -> MutexGuard<'_, Usages> {
        self.usages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The label of a destination that a client or an adapter chose.
    fn label(&self, target: &Target) -> String {
        let own = destination(&target.scheme().as_str(), target.host(), target.port());
        let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
        if listed.contains(&own) { own } else { UNLISTED.to_owned() }
    }
}

fn destination(scheme: &dyn Display, host: &dyn Display, port: u16) -> String {
    format!("{scheme}://{host}:{port}")
}

impl Observer for Watch {
    fn decided(&self, decision: &Decision<'_>) {
        // What is allowed is counted when it is over.
        if let Verdict::Allowed(_) = decision.verdict {
            return;
        }
        self.counted().decided(decision);
        let label = match decision.asked {
            Asked::Target(target) => self.label(target),
            Asked::Text(_) => UNLISTED.to_owned(),
        };
        let adapter = decision.caller.id().as_str();
        match decision.verdict {
            Verdict::Allowed(_) => {}
            Verdict::Denied(denied) => {
                self.metrics.egress_denied.with_label_values(&[adapter, &label, denied.code()]).inc();
                self.denials.note(decision);
            }
            Verdict::Unresolved(error) => {
                self.metrics.egress_requests.with_label_values(&[adapter, &label, error.code()]).inc();
                self.hit(adapter, error);
                failed(adapter, decision.request_id, &decision.asked, error);
            }
        }
    }

    fn finished(&self, exchange: &Exchange<'_>) {
        self.counted().finished(exchange);
        let adapter = exchange.caller.id().as_str();
        // The grant's own text: under a wildcard, guests could make up any number of hosts.
        let grant = exchange.grant;
        let label = destination(&grant.scheme.as_str(), &grant.host, grant.port);
        let metrics = &self.metrics;
        metrics.egress_requests.with_label_values(&[adapter, &label, exchange.end.code()]).inc();
        metrics.egress_bytes.with_label_values(&[&label, "out"]).inc_by(exchange.bytes_out);
        metrics.egress_bytes.with_label_values(&[&label, "in"]).inc_by(exchange.bytes_in);
        if let End::Failed(error) = exchange.end {
            self.hit(adapter, error);
            failed(adapter, exchange.request_id, &exchange.place(), error);
        }
        metrics.egress_seconds.with_label_values(&[adapter]).observe(exchange.duration.as_secs_f64());
    }
}

/// The limit that an error is of, by its key in `limits.yaml`.
fn limit(error: &EgressError) -> Option<&'static str> {
    match error {
        EgressError::Dns(DnsError::Timeout) | EgressError::ConnectTimeout => Some("connect_ms"),
        EgressError::FirstByteTimeout => Some("first_token_ms"),
        EgressError::IdleTimeout => Some("idle_ms"),
        EgressError::ResponseTooLarge { .. } => Some("response_mib"),
        _ => None,
    }
}

/// The adapter and its client are told less.
fn failed(adapter: &str, request_id: &str, destination: &dyn Display, error: &EgressError) {
    let code = error.code();
    tracing::warn!(adapter, request_id, %destination, code, %error, "a request to a provider failed");
}
