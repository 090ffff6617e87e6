//! Follows the policy's files and the adapters folder while the gateway runs: a change that holds is swapped in whole, any other changes nothing.
//!
//! A thread of its own looks twice a second at the content of `keys.yaml`, of `routing.yaml` and the secrets' files, of `models.yml`, of
//! `limits.yaml`, of `adapters.lock`, and of certificate and key. So it makes no difference whether a file is replaced, linked elsewhere,
//! or lies on a file system without notifications. A change counts once two looks and the reading itself have seen the same, so that a
//! file is not read while it is being written. A look that does not come back, such as from a file system that hangs, shows as well.

use crate::access::{Access, Read};
use crate::app::Gateway;
use crate::approved::Approved;
use crate::limits_file;
use crate::setup::Problem;
use crate::source::{Loaded, Seen};
use crate::tls::Tls;
use hauski_egress::os_lock;
use hauski_policy::{Diagnostics, Grant, Lock, Model, Models, Parsed, Routing, Severity};
use rustls::ServerConfig;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Follows the files until the other end of `asked` is gone. Each message is answered by reading them at once.
pub(crate) fn follow(gateway: &Arc<Gateway>, asked: &Receiver<()>) {
    let [policy, keys, tls, lock, models] = gateway.seen.clone();
    // Keys first: what is revoked waits for nothing else.
    let mut followed = vec![
        Followed::new(keys, || then(gateway.access.load_again(), |read| settle_keys(&gateway.access, read))),
        Followed::new(policy, || then(gateway.source.load(), |loaded| settle(gateway, loaded))),
        Followed::new(models, || then(gateway.models_file.load_again(), |read| settle_models(gateway, read))),
    ];
    let limits = || then(gateway.limits.load_again(), |read| limits_file::settle(gateway, read));
    followed.push(Followed::new(gateway.limits.seen(), limits));
    if let Some(own) = &gateway.tls {
        followed.push(Followed::new(tls, || then(own.load_again(), |read| settle_tls(own, read))));
    }
    if let Some(approved) = &gateway.approved {
        followed.push(Followed::new(lock, || then(approved.load_again(), |read| settle_lock(gateway, approved, read))));
    }
    loop {
        let asked_for = asked.recv_timeout(LOOK);
        let before = gateway.view();
        match asked_for {
            Ok(()) => {
                // One reading answers all who have asked by now.
                while asked.try_recv().is_ok() {}
                followed.iter_mut().for_each(Followed::read);
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => followed.iter_mut().for_each(Followed::look),
        }
        gateway.follow_calendar();
        gateway.looked();
        // Once all files of this round are in force: what one of them lacked, another may have brought.
        if !Arc::ptr_eq(&before, &gateway.view()) && gateway.stale().is_none() && gateway.models_file.stale().is_none()
        {
            log_review(gateway);
        }
    }
}

/// Follows the adapters folder until the library is stopped.
pub(crate) fn follow_adapters(gateway: &Gateway) {
    let is_loading = || gateway.adapters().loading().next().is_some();
    let mut is_starting = is_loading();
    if !is_starting {
        log_adapters(gateway);
    }
    let mut told = gateway.models_unavailable();
    gateway.library.follow(&mut |adapters, changes| {
        // First: who sees the change sees its number.
        let results = [("loaded", changes.loaded), ("refused", changes.refused), ("removed", changes.removed)];
        for (result, files) in results {
            gateway.metrics.adapter_reloads.with_label_values(&[result]).inc_by(files);
        }
        gateway.serve_by(adapters);
        if is_starting {
            is_starting = is_loading();
            if !is_starting {
                tracing::info!("all adapters are loaded, or refused");
                log_adapters(gateway);
            }
            told = gateway.models_unavailable();
            return;
        }
        // Each of them once, and not at each change of a file.
        let unavailable = gateway.models_unavailable();
        for (model, reason) in unavailable.iter().filter(|one| !told.contains(one)) {
            tracing::warn!("the model `{model}` can't be asked: {reason}");
        }
        told = unavailable;
        log_review(gateway);
    });
}

/// Logs what an operator should know of the adapters that were there at the start.
fn log_adapters(gateway: &Gateway) {
    for note in gateway.adapters_to_review() {
        tracing::warn!("{note}");
    }
    log_review(gateway);
}

/// What is to be done with what was read, and what the files held.
type Reading<'a> = (Box<dyn FnOnce() + 'a>, Seen);

fn then<'a, T: 'a>((read, seen): (T, Seen), settle: impl FnOnce(T) + 'a) -> Reading<'a> {
    (Box::new(move || settle(read)), seen)
}

/// Files that hold together.
struct Followed<'a> {
    load: Box<dyn Fn() -> Reading<'a> + 'a>,
    /// What they held when they were read last.
    seen: Seen,
    /// What they held at the last look, if that was something else.
    changed: Option<Seen>,
}

impl<'a> Followed<'a> {
    fn new(seen: Seen, load: impl Fn() -> Reading<'a> + 'a) -> Self {
        Self { load: Box::new(load), seen, changed: None }
    }

    /// Reads them in any case.
    fn read(&mut self) {
        let (settle, read) = (self.load)();
        settle();
        (self.seen, self.changed) = (read, None);
    }

    /// Reads them if they have changed, and changed no more since the last look.
    fn look(&mut self) {
        let now = self.seen.again();
        if now == self.seen {
            self.changed = None;
        } else if self.changed.as_ref() == Some(&now) {
            let (settle, read) = (self.load)();
            // Of other files than those looked at, such as of a secret that is new, nothing can be said.
            if now.agrees_with(&read) {
                settle();
                (self.seen, self.changed) = (read, None);
            }
        } else {
            self.changed = Some(now);
        }
    }
}

/// Swaps in what the files say if it holds.
fn settle(gateway: &Gateway, loaded: Result<Loaded, Vec<Problem>>) {
    match loaded {
        Ok(loaded) => {
            let before = gateway.view();
            let warnings = gateway.apply(loaded);
            gateway.metrics.policy_reloads.with_label_values(&["ok"]).inc();
            log_warnings(&warnings);
            log_change(&before.routing, gateway);
        }
        Err(problems) => {
            gateway.keep(&problems);
            gateway.metrics.policy_reloads.with_label_values(&["failed"]).inc();
            problems.iter().for_each(log_problem);
            tracing::error!(
                "the policy on disk can't hold: the last good one holds on; `hauski check` shows what is wrong"
            );
        }
    }
}

/// Swaps in the models if the file is valid.
fn settle_models(gateway: &Gateway, read: Result<Parsed<Models>, Problem>) {
    gateway.models_file.note(read.as_ref().err());
    let result = if read.is_ok() { "ok" } else { "failed" };
    match read {
        Ok(parsed) => {
            let before = gateway.view();
            gateway.apply_models(parsed.value);
            log_warnings(&parsed.warnings);
            log_models(&before.models, &gateway.view().models);
        }
        Err(problem) => {
            log_problem(&problem);
            tracing::error!(
                "models.yml is invalid; still using its last valid version; `hauski check` shows what is wrong"
            );
        }
    }
    gateway.metrics.policy_reloads.with_label_values(&[result]).inc();
}

/// Logs which models were added, changed and removed.
fn log_models(before: &Models, after: &Models) {
    let text = |model: &Model| format!("{model:?}");
    for model in after.iter() {
        match before.get(&model.id) {
            None => tracing::info!(model = &*model.id, "model added"),
            Some(old) if text(old) != text(model) => tracing::info!(model = &*model.id, "model changed"),
            Some(_) => {}
        }
    }
    for model in before.iter().filter(|model| after.get(&model.id).is_none()) {
        tracing::info!(model = &*model.id, "model removed");
    }
    tracing::info!(models = after.iter().count(), "models.yml was reloaded");
}

/// Logs the findings about models, grants and routes, or that there are none any longer.
fn log_review(gateway: &Gateway) {
    let review = gateway.review();
    review.iter().for_each(log_diagnostics);
    let had_findings = gateway.has_findings.swap(!review.is_empty(), Ordering::AcqRel);
    if had_findings && review.is_empty() {
        tracing::info!("models.yml, routing.yaml and the adapters folder fit together now");
    }
}

/// Swaps in the keys if they hold. Where there are none and none were, nobody is asked for one.
fn settle_keys(access: &Access, read: Read) {
    match read {
        Ok(None) => {}
        Ok(Some(keys)) => log_warnings(&access.apply(keys)),
        Err(problem) => {
            access.keep(&problem);
            log_problem(&problem);
            tracing::error!(
                "the keys on disk can't hold: the last good ones hold on; `hauski check` shows what is wrong"
            );
        }
    }
}

/// Swaps in the certificate if it can be used.
fn settle_tls(tls: &Tls, read: Result<Arc<ServerConfig>, Problem>) {
    match read {
        Ok(config) => {
            tls.apply(config);
            tracing::info!("certificate and key were reloaded");
        }
        Err(problem) => {
            tls.keep(&problem);
            log_problem(&problem);
            tracing::error!(
                "certificate and key on disk can't be used: the last good ones are; `hauski check` shows why"
            );
        }
    }
}

/// Has what is approved serve, and nothing else.
fn settle_lock(gateway: &Gateway, approved: &Approved, read: Result<Lock, Problem>) {
    approved.note(read.as_ref().err());
    match read {
        Ok(lock) => gateway.library.relock(lock),
        Err(problem) => {
            log_problem(&problem);
            tracing::error!(
                "the lock on disk can't hold: the last good one holds on; `hauski audit` shows what is wrong"
            );
        }
    }
}

/// Says what is granted now that was not before, and the other way round.
fn log_change(before: &Routing, gateway: &Gateway) {
    let view = gateway.view();
    let (old, new) = (entries(before), entries(&view.routing));
    for entry in new.difference(&old) {
        tracing::info!(entry, "grant added");
    }
    for entry in old.difference(&new) {
        tracing::info!(entry, "grant withdrawn");
    }
    let locked = os_lock::in_force().map(|lock| lock.closed_to(&view.routing.egress.grants)).unwrap_or_default();
    for port in locked {
        tracing::warn!(
            port,
            "the policy grants a port that `--os-egress-lock` has locked out at the start: restart to reach it"
        );
    }
    tracing::info!(generation = view.generation, entries = view.routing.egress.grants.len(), "the policy was reloaded");
}

/// Returns a line for each entry, with all that it grants and to whom.
fn entries(routing: &Routing) -> BTreeSet<String> {
    let line = |grant: &Arc<Grant>| match &grant.adapters {
        None => grant.summary(),
        Some(refs) => {
            let refs: Vec<_> = refs.iter().map(ToString::to_string).collect();
            format!("{} for {}", grant.summary(), refs.join(" and "))
        }
    };
    routing.egress.grants.iter().map(line).collect()
}

pub(crate) fn log_problem(problem: &Problem) {
    match problem {
        Problem::Policy(diagnostics) => log_diagnostics(diagnostics),
        other => tracing::error!("{other}"),
    }
}

/// Logs a line for each diagnostic, at the level of its severity.
pub(crate) fn log_diagnostics(diagnostics: &Diagnostics) {
    for one in diagnostics {
        let help = one.help.as_deref().map(|help| format!("; {help}")).unwrap_or_default();
        let line = format!("{}:{}:{} {}: {}{help}", one.file, one.line, one.column, one.code, one.message);
        match one.severity {
            Severity::Error => tracing::error!("{line}"),
            Severity::Warning => tracing::warn!("{line}"),
        }
    }
}

/// Logs what a policy file warns of, a line each: what people read in a terminal takes many, and colours.
pub fn log_warnings(diagnostics: &Diagnostics) {
    log_diagnostics(diagnostics);
    let more = diagnostics.warnings().saturating_sub(diagnostics.iter().count());
    if more > 0 {
        tracing::warn!("... and {more} more warnings in {}", diagnostics.file());
    }
}
