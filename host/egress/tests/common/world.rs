//! A door with all that stands around it: a policy, a scripted resolver, an observer that writes down what it is told.

use bytes::Bytes;
use hauski_egress::{
    Ask, Asked, BoxError, Caller, CertificateDer, Decision, Destination, Door, EgressError, Exchange, Ledger, Observer,
    OutboundBody, Parts, Permit, Resolve, Resolving, Response, Secrets, Shared, Timeouts, Verdict, headers,
};
use hauski_policy::{AdapterId, AdapterLimits, Digest, Egress, Grant, ModelNames, ModelScope, Routing, Scope};
use http_body::{Body, Frame};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

pub(crate) struct World {
    pub(crate) door: Door,
    pub(crate) shared: Arc<Shared>,
    pub(crate) resolver: Arc<Scripted>,
    pub(crate) log: Arc<Log>,
    pub(crate) grants: Vec<Arc<Grant>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) local_only: bool,
    pub(crate) scope: Scope,
    pub(crate) fields: Vec<(&'static str, &'static str)>,
}

impl World {
    /// `entries` of `egress.allow`, one a line in YAML's flow style.
    pub(crate) fn new(entries: &[&str]) -> Self {
        Self::with(entries, Vec::new())
    }

    pub(crate) fn with(entries: &[&str], extra_roots: Vec<CertificateDer<'static>>) -> Self {
        let grants = grants(entries);
        let (resolver, log) = (Arc::new(Scripted::default()), Arc::new(Log::default()));
        let secrets = secrets(&grants);
        let egress = Egress { grants: grants.clone(), local_only: false };
        let ledger = Ledger::off();
        let parts = Parts { resolver: resolver.clone(), observer: log.clone(), egress, secrets, ledger, extra_roots };
        let shared = Arc::new(Shared::new(parts).unwrap());
        let door = Door::new(shared.clone());
        let (timeouts, local_only, fields, scope) = (Timeouts::default(), false, Vec::new(), scope("m", None));
        Self { door, shared, resolver, log, grants, timeouts, local_only, scope, fields }
    }

    pub(crate) fn caller(&self, id: &str) -> Caller {
        self.caller_under(id, limits())
    }

    pub(crate) fn caller_under(&self, id: &str, limits: AdapterLimits) -> Caller {
        self.caller_of(id, limits, 7)
    }

    /// An adapter whose bytes have a digest of `digest` only.
    pub(crate) fn caller_of(&self, id: &str, limits: AdapterLimits, digest: u8) -> Caller {
        let digest = Digest::from_bytes([digest; 32]);
        Caller::new(id.parse().unwrap(), digest, limits)
    }

    /// Replaces the policy by these entries, with the secrets that they name.
    pub(crate) fn set_policy(&self, entries: &[&str]) {
        self.set_egress(Egress { grants: grants(entries), local_only: false });
    }

    pub(crate) fn set_egress(&self, egress: Egress) {
        let secrets = secrets(&egress.grants);
        self.shared.set_policy(egress, secrets);
    }

    /// `request` is method and URL.
    pub(crate) async fn permit(&self, caller: &Caller, request: &str) -> Result<Permit, EgressError> {
        let (method, url) = request.split_once(' ').unwrap();
        self.ask(caller, method, Destination::Url(url)).await
    }

    pub(crate) async fn ask(&self, caller: &Caller, method: &str, to: Destination<'_>) -> Result<Permit, EgressError> {
        let (request_id, local_only) = (&"r-1".into(), self.local_only);
        let scope = &self.scope;
        self.door.permit(caller, Ask { request_id, scope, method, to, local_only, timeouts: self.timeouts }).await
    }

    pub(crate) async fn send(&self, caller: &Caller, request: &str) -> Result<Response, EgressError> {
        self.send_body(caller, request, OutboundBody::Whole(Bytes::new())).await
    }

    pub(crate) async fn send_body(
        &self,
        caller: &Caller,
        request: &str,
        body: OutboundBody,
    ) -> Result<Response, EgressError> {
        let permit = self.permit(caller, request).await?;
        let fields = headers::from_pairs(self.fields.iter().map(|(n, v)| (*n, v.as_bytes())))?;
        self.door.send(permit, fields, body).await
    }

    /// Sends and reads to the end.
    pub(crate) async fn get(&self, caller: &Caller, request: &str) -> Result<String, EgressError> {
        read(self.send(caller, request).await?).await
    }
}

/// Gives its frames one after the other, then ends.
pub(crate) struct Frames(pub(crate) VecDeque<Result<Frame<Bytes>, BoxError>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.pop_front())
    }
}

fn secrets(grants: &[Arc<Grant>]) -> Secrets {
    let env = |name: &str| match name {
        "KEY" => Some("sk-12345".into()),
        "OTHER" => Some("sk-67890".into()),
        _ => None,
    };
    Secrets::load(grants, &env, &|_| Err(io::ErrorKind::NotFound.into())).unwrap()
}

pub(crate) async fn read(mut response: Response) -> Result<String, EgressError> {
    let mut text = String::new();
    while let Some(piece) = response.body.read().await? {
        assert!(!piece.is_empty());
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    Ok(text)
}

/// The scope of a request on behalf of a model.
pub(crate) fn scope(id: &str, base_url: Option<&str>) -> Scope {
    let base_url = base_url.map(|url| url.parse().unwrap());
    Scope::Model(Arc::new(ModelScope { id: id.into(), base_url }))
}

/// The grants of these entries. Those that name no models apply to every model here: which model they are for is tried by itself.
pub(crate) fn grants(entries: &[&str]) -> Vec<Arc<Grant>> {
    let mut grants = grants_as_written(entries);
    for grant in &mut grants {
        Arc::make_mut(grant).models.get_or_insert(ModelNames::All);
    }
    grants
}

/// The grants of these entries.
pub(crate) fn grants_as_written(entries: &[&str]) -> Vec<Arc<Grant>> {
    let allow: String = entries.iter().map(|entry| format!("    - {entry}\n")).collect();
    let allow = if allow.is_empty() { " []\n".to_owned() } else { format!("\n{allow}") };
    let file = format!(
        "egress:\n  default: deny\n  allow:{allow}routing: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n"
    );
    Routing::parse("routing.yaml", file.as_bytes())
        .unwrap_or_else(|e| panic!("{}", e.render(false)))
        .value
        .egress
        .grants
}

/// Long enough for a busy machine.
pub(crate) fn limits() -> AdapterLimits {
    let long = Duration::from_secs(20);
    AdapterLimits {
        memory_bytes: 1 << 26,
        cpu: long,
        instances: 1,
        connect: long,
        first_token: long,
        idle: long,
        total: 2 * long,
        queue: 0,
        queue_wait: Duration::ZERO,
        retries: 0,
        breaker_failures: 1,
        breaker_open: Duration::ZERO,
        probe: None,
        response_bytes: 1 << 20,
    }
}

#[derive(Clone)]
pub(crate) enum Answer {
    Addresses(Vec<IpAddr>),
    Fails,
    Hangs,
}

/// Answers each name with the next of its answers, or of those of `*`; the last one stays.
#[derive(Default)]
pub(crate) struct Scripted {
    names: Mutex<HashMap<String, Vec<Answer>>>,
    asked: AtomicUsize,
}

impl Scripted {
    /// `answers` are texts of addresses, separated by spaces.
    pub(crate) fn set(&self, name: &str, answers: &[&str]) {
        let parse = |text: &&str| Answer::Addresses(text.split_whitespace().map(|a| a.parse().unwrap()).collect());
        self.set_raw(name, answers.iter().map(parse).collect());
    }

    pub(crate) fn set_raw(&self, name: &str, answers: Vec<Answer>) {
        self.names.lock().unwrap().insert(name.to_owned(), answers);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _: &'a AdapterId, name: &'a str) -> Resolving<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut names = self.names.lock().unwrap();
        let known = if names.contains_key(name) { name } else { "*" };
        let answer = match names.get_mut(known) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
            None => Answer::Fails,
        };
        Box::pin(async move {
            match answer {
                Answer::Addresses(addresses) => Ok(addresses),
                Answer::Fails => Err(io::ErrorKind::NotFound.into()),
                Answer::Hangs => std::future::pending().await,
            }
        })
    }
}

/// What the observer was told, one text each.
#[derive(Default)]
pub(crate) struct Log {
    decided: Mutex<Vec<String>>,
    finished: Mutex<Vec<Finished>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finished {
    pub(crate) status: Option<u16>,
    pub(crate) end: &'static str,
    pub(crate) reused: bool,
    pub(crate) bytes_out: u64,
    pub(crate) bytes_in: u64,
}

impl Log {
    pub(crate) fn decided(&self) -> Vec<String> {
        self.decided.lock().unwrap().clone()
    }

    pub(crate) fn finished(&self) -> Vec<Finished> {
        self.finished.lock().unwrap().clone()
    }

    pub(crate) fn ends(&self) -> Vec<&'static str> {
        self.finished().into_iter().map(|finished| finished.end).collect()
    }

    pub(crate) fn reused(&self) -> Vec<bool> {
        self.finished().into_iter().map(|finished| finished.reused).collect()
    }
}

impl Observer for Log {
    fn decided(&self, decision: &Decision<'_>) {
        let what = match decision.verdict {
            Verdict::Allowed(grant) => format!("line {}", grant.line),
            Verdict::Denied(denied) => denied.code().to_owned(),
            Verdict::Unresolved(error) => error.code().to_owned(),
        };
        let text = if matches!(decision.asked, Asked::Text(_)) { " (text)" } else { "" };
        assert_eq!(&**decision.request_id, "r-1");
        let line = format!("{}: {}{text}: {what}", decision.caller.id(), decision.asked);
        self.decided.lock().unwrap().push(line);
    }

    fn finished(&self, exchange: &Exchange<'_>) {
        assert!(exchange.first_byte.is_none_or(|first| first <= exchange.duration) && !exchange.duration.is_zero());
        self.finished.lock().unwrap().push(Finished {
            status: exchange.status.map(|status| status.as_u16()),
            end: exchange.end.code(),
            reused: exchange.reused,
            bytes_out: exchange.bytes_out,
            bytes_in: exchange.bytes_in,
        });
    }
}
